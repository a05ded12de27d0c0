"""Command `tower-etl maintain`: expiry of snapshots and files of a lake."""

from __future__ import annotations

import click

from tower_etl.cli import options
from tower_etl.cli.output import print_message
from tower_etl.clock import SYSTEM_CLOCK
from tower_etl.errors import ConfigurationError


@click.command("maintain")
@options.destination_option
@options.destination_path_option
@click.option(
    "--verify",
    is_flag=True,
    help="Compare the lake with all rows of the staging database, as a sync does once a day, and "
    "write what differs.",
)
def command(destination: str | None, path: str | None, *, verify: bool) -> None:
    """Expire old snapshots and delete unreferenced files of a lake. Run it once a day."""
    from tower_etl.destinations.config import LAKES  # noqa: PLC0415 imports pyarrow
    from tower_etl.destinations.lake.mirror import open_mirror  # noqa: PLC0415 imports dlt and the format's library

    config = options.destination_config(destination, path)
    if config.kind not in LAKES:
        msg = (
            f"{config.kind} needs no maintenance. For a lake, add --destination "
            f"{', '.join(LAKES[:-1])} or {LAKES[-1]}."
        )
        raise ConfigurationError(msg)
    mirror = open_mirror(config)
    if mirror.lake.read_manifest() is None:
        msg = f"{config.path} contains no tables of tower-etl. Check --path."
        raise ConfigurationError(msg)
    with mirror.lock(SYSTEM_CLOCK):
        if verify:
            mirror.prepare()
            mirror.publish(SYSTEM_CLOCK.now(), verify=True)
            print_message(f"{config.path}: compared with all rows")
        for line in mirror.lake.maintain(SYSTEM_CLOCK.now()):
            print_message(line)
