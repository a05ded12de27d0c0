"""Settings of the source in dlt's configuration may be text, lists, numbers or booleans."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

import dlt
import pytest

from tests.destinations.test_semantics import add_run
from tests.dlt_destinations.test_gestures import make_source
from tower_etl.errors import ConfigurationError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from contextlib import AbstractContextManager

    import pyarrow as pa

    from tests.dlt_destinations.harness import DltHarness
    from tower_etl.simulator import World

MAIL = "ada@example.org"


@pytest.fixture
def harness(make_harness: Callable[[str], DltHarness], world: World, lab: int) -> DltHarness:
    """Add a run named by a mail address to each of two workspaces, and an empty workspace."""
    organization = next(iter(world.organizations))
    for space in (lab, world.add_workspace(organization, "clinic")):
        world.update_run(add_run(world, space), runName=MAIL)
    world.add_workspace(organization, "empty")
    return make_harness("duckdb")


@pytest.fixture(params=["environment", "file"])
def configure(
    request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Callable[..., None]]:
    """Return a function that sets one setting by an environment variable or as dlt's files do."""
    opened: list[AbstractContextManager[Any]] = []

    def configure(name: str, value: object) -> None:
        if request.param == "environment":
            monkeypatch.setenv(f"SOURCES__TOWER_ETL__TOWER__{name.upper()}", str(value))
            return
        opened.append(dlt.config.values({f"sources.tower_etl.tower.{name}": value}))
        opened[-1].__enter__()

    yield configure
    for context in opened:
        context.__exit__(None, None, None)


def read(harness: DltHarness, **arguments: Any) -> list[dict[str, Any]]:
    """Return the rows of `workflows` without a pipeline."""
    tables: list[pa.Table] = list(make_source(harness, **arguments).workflows)
    return [row for table in tables for row in table.to_pylist()]


@pytest.mark.parametrize("value", ["acme/lab, acme/empty", ["acme/lab", "acme/empty"], "acme/lab"])
def test_workspaces_accept_a_list_or_comma_separated_text(
    harness: DltHarness, lab: int, configure: Callable[..., None], value: object
) -> None:
    configure("workspaces", value)
    assert {row["workspace_id"] for row in read(harness)} == {lab}


def test_workspaces_accept_a_single_id(
    harness: DltHarness, lab: int, configure: Callable[..., None]
) -> None:
    assert {row["workspace_id"] for row in read(harness, workspaces=lab)} == {lab}
    configure("workspaces", lab)
    assert {row["workspace_id"] for row in read(harness)} == {lab}


@pytest.mark.parametrize("value", ["workflows,team*", ["workflows", "team*"]])
def test_tables_accept_a_list_or_comma_separated_text(
    harness: DltHarness, configure: Callable[..., None], value: object
) -> None:
    """Both forms may contain patterns."""
    expected = {"workflows", "teams", "team_members", "teams_history", "team_members_history"}
    assert set(make_source(harness, tables=value).selected_resources) == expected
    configure("tables", value)
    assert set(make_source(harness).selected_resources) == expected


@pytest.mark.parametrize("name", ["exclude", "hash"])
@pytest.mark.parametrize("value", ["run_name,user_name", ["run_name", "workflows.user_name"]])
def test_column_settings_accept_a_list_or_comma_separated_text(
    harness: DltHarness, configure: Callable[..., None], name: str, value: object
) -> None:
    """The text is neither a single column name nor a sequence of letters."""
    expected = re.compile("None" if name == "exclude" else "hash:.*")
    configure(name, value)
    for row in (*read(harness), *read(harness, **{name: value})):
        assert expected.fullmatch(str(row["run_name"]))
        assert expected.fullmatch(str(row["user_name"]))


@pytest.mark.parametrize(
    ("value", "is_masked"), [("emails", True), ("true", False), (True, False), ("False", False)]
)
def test_redact_masks_mail_addresses_only_with_the_value_emails(
    harness: DltHarness, configure: Callable[..., None], value: object, *, is_masked: bool
) -> None:
    configure("redact", value)
    expected = {False} if is_masked else {True}
    assert {
        row["run_name"] == MAIL for row in (*read(harness), *read(harness, redact=value))
    } == expected


def test_an_unknown_redact_value_is_refused_with_the_accepted_values(
    harness: DltHarness, configure: Callable[..., None]
) -> None:
    configure("redact", "mails")
    with pytest.raises(ConfigurationError, match="expected one of true, false, emails"):
        make_source(harness)
