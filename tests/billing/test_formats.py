"""Formats of exports: FOCUS, amortized costs of AWS, and files that are refused."""

from __future__ import annotations

import os
from pathlib import Path

import duckdb
import pytest

from tower_etl.billing.columns import TagMapping, parse_mapping
from tower_etl.billing.files import list_files
from tower_etl.billing.reader import iter_lines
from tower_etl.errors import ConfigurationError

USUAL = TagMapping()


def read(path: Path, provider: str, mapping: TagMapping = USUAL) -> list[dict[str, object]]:
    """Return the lines of a file without null values."""
    batches = list(iter_lines(path, path.name, provider, mapping, None))
    rows = [row for batch in batches for row in batch.to_pylist()]
    return [{k: v for k, v in row.items() if v is not None} for row in rows]


FOCUS = """\
BillingAccountId,SubAccountId,BillingPeriodStart,ChargePeriodStart,ChargePeriodEnd,ChargeCategory,\
ServiceName,ResourceId,RegionId,EffectiveCost,BilledCost,BillingCurrency,CommitmentDiscountStatus,\
SkuPriceDetails,Tags,x_Project
acct,sub,2026-03-01T00:00:00Z,2026-03-05T12:00:00Z,2026-03-05T13:00:00Z,Usage,Compute Engine,\
vm-1,europe-west1,1.5,2,USD,,"{""InstanceType"":""n2-standard-8""}",\
"{""uniquerunid"":""abc"",""task-hash"":""3f/012345""}",lab
acct,sub,2026-03-01T00:00:00Z,2026-03-05T12:00:00Z,2026-03-05T13:00:00Z,Purchase,Compute Engine,\
,europe-west1,0.5,0.5,USD,Unused,,,
"""


def test_focus_is_read_with_its_tags_and_unused_commitments(tmp_path: Path) -> None:
    """The cost is the effective cost. Fields without a column are kept as JSON."""
    path = tmp_path / "focus.csv"
    path.write_text(FOCUS)
    first, second = read(path, "focus")
    assert (first["billing_period"], first["cost"], first["unused_cost"]) == ("2026-03", 1.5, 0.0)
    assert (first["run_id"], first["task_hash"]) == ("abc", "3f012345")
    assert first["machine_type"] == "n2-standard-8"
    assert first["other"] == '{"x_Project":"lab"}'
    assert (second["used_cost"], second["unused_cost"]) == (0.0, 0.5)


def test_azure_tags_without_braces_are_read(tmp_path: Path) -> None:
    """Older exports of Azure leave out the braces of the JSON object."""
    path = tmp_path / "azure.parquet"
    duckdb.sql(
        "COPY (SELECT 'a' AS BillingAccountId, TIMESTAMP '2026-03-05' AS ChargePeriodStart, "
        "2.5 AS EffectiveCost, 'USD' AS BillingCurrency, "
        '\'"Pool": "batch-1","x": "y"\' AS Tags) TO \'' + str(path) + "' (FORMAT parquet)"
    )
    (line,) = read(path, "focus", parse_mapping(["compute_env=pool"]))
    assert line["compute_env"] == "batch-1"
    assert line["billing_period"] == "2026-03"


AWS = """\
bill/PayerAccountId,bill/BillingPeriodStartDate,lineItem/UsageStartDate,lineItem/LineItemType,\
lineItem/UnblendedCost,lineItem/NetUnblendedCost,savingsPlan/SavingsPlanEffectiveCost,\
savingsPlan/TotalCommitmentToDate,savingsPlan/UsedCommitment,splitLineItem/SplitCost,\
splitLineItem/NetSplitCost,splitLineItem/UnusedCost,splitLineItem/ParentResourceId
42,2026-03-01T00:00:00Z,2026-03-05T12:00:00Z,Usage,3,,,,,,,,
42,2026-03-01T00:00:00Z,2026-03-05T12:00:00Z,Usage,3,2.5,,,,,,,
42,2026-03-01T00:00:00Z,2026-03-05T12:00:00Z,SavingsPlanCoveredUsage,9,,6,,,,,,
42,2026-03-01T00:00:00Z,2026-03-05T12:00:00Z,SavingsPlanNegation,-9,,,,,,,,
42,2026-03-01T00:00:00Z,2026-03-05T12:00:00Z,SavingsPlanRecurringFee,8,,,8,6,,,,
42,2026-03-01T00:00:00Z,2026-03-05T12:00:00Z,Usage,0,,,,,1,0.8,0.4,arn:aws:ec2:x:instance/i-7
"""


def test_aws_costs_are_amortized_and_net(tmp_path: Path) -> None:
    """Usage under a savings plan costs its share of the plan, whose rest is unused cost."""
    path = tmp_path / "cur.csv"
    path.write_text(AWS)
    rows = read(path, "aws")
    assert [(row["used_cost"], row["unused_cost"]) for row in rows] == [
        (3.0, 0.0),
        (2.5, 0.0),
        (6.0, 0.0),
        (0.0, 0.0),
        (0.0, 2.0),
        (0.8, 0.4),
    ]
    assert [row["is_split"] for row in rows] == [False] * 5 + [True]
    assert rows[5]["parent_id"] == "i-7"
    assert rows[0]["billing_account"] == "42"


@pytest.mark.parametrize("provider", ["aws", "focus"])
def test_a_file_of_another_format_is_refused(tmp_path: Path, provider: str) -> None:
    """The message names a missing column."""
    path = tmp_path / "any.csv"
    path.write_text("a,b\n1,2\n")
    with pytest.raises(ConfigurationError, match=r"any\.csv is not .*missing column"):
        read(path, provider)


def test_a_cost_that_is_not_a_number_is_refused(tmp_path: Path) -> None:
    """A bill without the line would look cheaper than it is."""
    path = tmp_path / "cur.csv"
    path.write_text(AWS.replace(",3,2.5,", ",three,2.5,").replace(",2.5,", ",many,"))
    with pytest.raises(ConfigurationError, match=r"cur\.csv cannot be read"):
        read(path, "aws")


@pytest.mark.parametrize("pair", ["run_id", "run_id=", "user=x"])
def test_an_invalid_tag_mapping_is_refused(pair: str) -> None:
    with pytest.raises(ConfigurationError, match="expected NAME=TAG, where NAME is run_id"):
        parse_mapping([pair])


def test_only_the_newest_version_of_a_billing_period_is_read(tmp_path: Path) -> None:
    """Legacy exports can keep earlier versions. A version may have several chunks."""
    for number, name in enumerate(
        (
            "20260301-20260401/aaaa/cur-1.csv.gz",
            "20260301-20260401/bbbb/cur-1.csv.gz",
            "20260301-20260401/bbbb/cur-2.csv.gz",
            "20260401-20260501/cccc/cur-1.csv.gz",
        )
    ):
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
        os.utime(path, (number, number))
    (tmp_path / "20260301-20260401" / "cur-Manifest.json").touch()
    files, warnings = list_files([str(tmp_path), str(tmp_path)])
    names = [Path(file.name).relative_to(tmp_path).as_posix() for file in files]
    assert names == [
        "20260301-20260401/bbbb/cur-1.csv.gz",
        "20260301-20260401/bbbb/cur-2.csv.gz",
        "20260401-20260501/cccc/cur-1.csv.gz",
    ]
    assert [file.period for file in files] == ["2026-03", "2026-03", "2026-04"]
    assert len(warnings) == 1


@pytest.mark.parametrize(
    ("path", "period"),
    [
        ("s3://b/export/data/BILLING_PERIOD=2026-03/x.parquet", "2026-03"),
        ("/r/year=2026/month=3/x.parquet", "2026-03"),
        ("/r/x.parquet", None),
    ],
)
def test_the_billing_period_is_read_from_the_path_of_an_export(
    path: str, period: str | None
) -> None:
    """The paths are those of the layouts of AWS."""
    from datetime import UTC, datetime  # noqa: PLC0415 beside its only use

    from tower_etl.billing.files import ExportFile  # noqa: PLC0415 as above

    assert ExportFile(path, datetime(2026, 1, 1, tzinfo=UTC)).period == period


def test_a_folder_without_an_export_is_refused(tmp_path: Path) -> None:
    """The message lists the types of files."""
    with pytest.raises(ConfigurationError, match=r"\.parquet, \.csv, \.csv\.gz"):
        list_files([str(tmp_path)])
