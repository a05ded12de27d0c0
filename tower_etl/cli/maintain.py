"""`tower-etl maintain`."""

from __future__ import annotations

import click

from tower_etl.cli import options
from tower_etl.cli.output import print_message
from tower_etl.clock import SYSTEM_CLOCK
from tower_etl.errors import ConfigurationError


@click.command("maintain")
@options.destination_option
@options.destination_path_option
def command(destination: str | None, path: str | None) -> None:
    """Remove what no reader of a lake needs any more; once a day, beside the syncs."""
    from tower_etl.destinations.config import LAKES  # noqa: PLC0415 as above
    from tower_etl.destinations.lake.mirror import open_mirror  # noqa: PLC0415 formats import much

    place = options.destination_config(destination, path)
    if place.kind not in LAKES:
        msg = f"{place.kind} needs no maintenance: this is for {', '.join(LAKES)}."
        raise ConfigurationError(msg)
    mirror = open_mirror(place)
    if mirror.lake.read_manifest() is None:
        msg = f"{place.path} has no tables of a sync: give another --path."
        raise ConfigurationError(msg)
    with mirror.lock(SYSTEM_CLOCK):
        for line in mirror.lake.maintain(SYSTEM_CLOCK.now()):
            print_message(line)
