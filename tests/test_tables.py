from __future__ import annotations

from datetime import date, datetime
from zoneinfo import ZoneInfo

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.records import at

from returns_orchestration import tables
from returns_orchestration.lake.parquet import to_parquet
from returns_orchestration.tables import TABLES, Column, Table, columns

UTC_TIME = pl.Datetime("us", "UTC")

AT_LEAST = {
    "raw_returns": "polled_at position record",
    "returns": (
        "return_reference_number requested_at status refund_mode source cp_id cp_name "
        "account_code return_tracking_id awb awb_at pieces awbs quality first_polled_at "
        "last_polled_at"
    ),
    "return_items": (
        "return_reference_number item_index requested_at sku quantity return_reason refund_mode"
    ),
    "rejected_returns": "polled_at position reason record",
    "refund_modes_hourly": "hour_start refund_mode returns items quantity",
    "return_reasons_hourly": "hour_start return_reason returns items quantity",
    "refund_modes_daily": "day refund_mode returns items quantity",
    "return_reasons_daily": "day return_reason returns items quantity",
}

DOCUMENTED = {
    "record": [
        "return_reference_number",
        "status",
        "cp_id",
        "cp_name",
        "account_code",
        "return_tracking_id",
        "awb",
        "timestamp",
        "refund_mode",
        "source",
        "Return Request Timestamp",
    ],
    "webhook_payload": [
        "waybill",
        "cp_id",
        "status",
        "location",
        "clickpost_status_code",
        "notification_event",
        "clickpost_status_description",
        "clickpost_status_bucket",
        "clickpost_status_bucket_description",
        "timestamp",
        "remark",
        "account_code",
    ],
    "additional": [
        "is_rvp",
        "forward_awb",
        "forward_reference_number",
        "forward_order_id",
        "notification_event_id",
        "self_shipped",
        "return_reference_number",
    ],
    "latest_status": [
        "location",
        "remark",
        "clickpost_status_code",
        "clickpost_status_description",
        "clickpost_status_bucket",
        "clickpost_status_bucket_description",
        "timestamp",
        "status",
    ],
    "item_info": ["sku", "quantity", "return_reason", "refund_mode"],
}

NUMBERS = {
    "cp_id",
    "return_tracking_id",
    "clickpost_status_code",
    "notification_event",
    "notification_event_id",
    "clickpost_status_bucket",
    "quantity",
}
FLAGS = {"is_rvp", "self_shipped"}
TIMES = {"timestamp", "Return Request Timestamp"}

COLUMNS = [(table, column) for table in TABLES for column in table.columns]


def test_the_tables_of_the_contract_exist_with_their_columns() -> None:
    assert {table.name for table in TABLES} >= AT_LEAST.keys()
    for table in TABLES:
        if table.name in AT_LEAST:
            assert not set(AT_LEAST[table.name].split()) - set(table.schema)


@pytest.mark.parametrize(
    ("daily", "hourly"),
    [(aggregate.daily, aggregate.hourly) for aggregate in tables.AGGREGATES],
    ids=lambda table: table.name,
)
def test_a_daily_table_has_the_day_in_the_place_of_the_hour(daily: Table, hourly: Table) -> None:
    (day, *counts), (hour, *others) = daily.columns, hourly.columns
    assert (day.name, day.dtype, day.nullable) == ("day", pl.Date(), False)
    assert (hour.name, hour.dtype) == ("hour_start", UTC_TIME)
    assert counts == others
    assert daily.name == hourly.name.replace("hourly", "daily")


@pytest.mark.parametrize("place", DOCUMENTED)
def test_every_field_that_the_vendor_documents_has_one_column_of_its_type(place: str) -> None:
    of_place = [c for _, c in COLUMNS if c.place == place]
    found = {c.key: c for c in of_place}
    assert found.keys() >= set(DOCUMENTED[place])
    for key, column in found.items():
        if key not in DOCUMENTED[place]:  # seen in replies
            continue
        expected = (
            pl.Int64()
            if key in NUMBERS
            else pl.Boolean()
            if key in FLAGS
            else UTC_TIME
            if key in TIMES
            else pl.String()
        )
        assert column.dtype == expected, key


def test_times_are_utc_microseconds_days_are_dates_and_references_are_text() -> None:
    for table, column in COLUMNS:
        if column.name.endswith("_at") or column.name == "hour_start":
            assert column.dtype == UTC_TIME, (table.name, column.name)
        if column.name == "day":
            assert column.dtype == pl.Date(), (table.name, column.name)
        if column.name in ("return_reference_number", "awb", "sku", "forward_awb"):
            assert column.dtype == pl.String(), (table.name, column.name)


@pytest.mark.parametrize("table", TABLES, ids=lambda table: table.name)
def test_every_column_is_named_once_and_explained(table: Table) -> None:
    assert len(table.schema) == len(table.columns)
    assert all(column.meaning and column.type_name for column in table.columns)
    shown = "\n".join(table.markdown())
    for column in table.columns:
        assert f"| `{column.name}` | {column.type_name} |" in shown
    assert f"One row per {table.grain}" in shown


@pytest.mark.parametrize("table", TABLES, ids=lambda table: table.name)
def test_an_empty_file_has_the_schema_of_a_full_one(table: Table) -> None:
    samples: dict[pl.DataType, object] = {
        UTC_TIME: at(11),
        pl.String(): "x",
        pl.Int64(): 1,
        pl.Float64(): 0.5,
        pl.Boolean(): True,
        pl.Date(): date(2026, 11, 9),
        pl.List(pl.String): ["x"],
    }
    full = table.frame({column.name: [samples[column.dtype]] for column in table.columns})
    written = [pl.read_parquet(to_parquet(frame)) for frame in (full, table.empty())]
    assert written[0].schema == written[1].schema == table.schema
    assert [frame.height for frame in written] == [1, 0]


@pytest.mark.parametrize(
    ("column", "wrong"),
    [
        ("position", "0"),
        ("position", 1.5),
        ("record", 7),
    ],
)
def test_a_value_of_a_wrong_type_never_becomes_a_row(column: str, wrong: object) -> None:
    values: dict[str, list[object]] = {"polled_at": [at(11)], "position": [0], "record": ["{}"]}
    assert tables.RAW_RETURNS.frame(values).height == 1
    with pytest.raises(TypeError):
        tables.RAW_RETURNS.frame({**values, column: [wrong]})


def test_types_are_written_as_polars_writes_them() -> None:
    names = {column.type_name for _, column in COLUMNS}
    expected = {"String", "Int64", "Float64", "Boolean", "Date", "List(String)"}
    assert names == expected | {'Datetime("us", "UTC")'}


def test_a_time_keeps_its_microseconds() -> None:
    moment: datetime = at(11, 0, 48.702402)
    column = Column("seen_at", tables.TIME, "a time")
    frame = Table("t", "time", (column,)).frame({"seen_at": [moment]})
    assert pl.read_parquet(to_parquet(frame)).item() == moment


# Naive ones, as hypothesis asks for them.
CENTURIES = datetime.fromisoformat("1900-01-01"), datetime.fromisoformat("2200-01-01")


@given(st.lists(st.none() | st.datetimes(*CENTURIES, timezones=st.timezones())))
def test_times_are_those_that_polars_makes_of_them(times: list[datetime | None]) -> None:
    table = Table("t", "time", (Column("seen_at", tables.TIME, "A time."),))
    utc = [None if time is None else time.astimezone(ZoneInfo("UTC")) for time in times]
    expected = pl.DataFrame({"seen_at": utc}, schema=table.schema, strict=True)
    assert table.frame({"seen_at": list(times)}).equals(expected)


LISTS = Table("t", "list", (Column("texts", tables.TEXTS, "Texts."),))
TEXTS = st.lists(st.text(st.sampled_from("ab \n\x1f\u0105"), max_size=3), max_size=3)


@pytest.mark.parametrize("many", [1, columns.FEW + 1])
@given(st.lists(st.none() | TEXTS, min_size=1, max_size=9))
def test_lists_of_texts_are_those_that_polars_makes_of_them(
    many: int, lists: list[list[str] | None]
) -> None:
    expected = pl.DataFrame({"texts": lists * many}, schema=LISTS.schema, strict=True)
    frame = LISTS.frame({"texts": [*lists] * many})
    assert frame.equals(expected)
    assert to_parquet(frame) == to_parquet(expected)


@pytest.mark.parametrize("wrong", [[1], 1])
def test_a_list_of_something_else_never_becomes_a_row(wrong: object) -> None:
    with pytest.raises(TypeError):
        LISTS.frame({"texts": [*[["x"]] * columns.FEW, wrong]})
