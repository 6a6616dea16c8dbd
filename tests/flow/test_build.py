from __future__ import annotations

from typing import TYPE_CHECKING, Any

import polars as pl
import pytest
from support.lakes import bytes_of
from support.records import assigned, at, item, on_the_wire, returned, with_items
from support.rows import HOUR, READER

from returns_orchestration import tables
from returns_orchestration.errors import HourBlocked
from returns_orchestration.flow import build as room
from returns_orchestration.flow.build import BuiltHour, HourBuilder
from returns_orchestration.stages import aggregates, ownership
from returns_orchestration.stages.landing import Landed, land
from returns_orchestration.state.hours import is_made

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import datetime

    from returns_orchestration.lake import Lake

FIRST_POLL = at(12, 10)
A, B = returned("R-A", at(11, 1)), returned("R-B", at(11, 2))


def landed(lake: Lake, *records: Any, polled_at: datetime = FIRST_POLL) -> Landed:
    texts = tuple(r if isinstance(r, str) else on_the_wire(r) for r in records)
    return land(lake, lake.names(), READER, HOUR, polled_at, texts)


def built(lake: Lake, poll: Landed | None = None) -> BuiltHour:
    made = HourBuilder(lake, READER).build(lake.names(), HOUR, poll)
    assert made is not None
    return made


def test_an_hour_that_was_never_polled_is_not_made(lake: Lake) -> None:
    assert HourBuilder(lake, READER).build(lake.names(), HOUR) is None
    assert bytes_of(lake.store) == {}


def test_a_built_hour_is_published_and_recorded(lake: Lake) -> None:
    made = built(lake, landed(lake, A, B))
    assert made.changed == {table.name for table in tables.MADE_HOURLY}
    for table in tables.MADE_HOURLY:
        read = lake.read(table, HOUR, lake.names())
        assert read is not None
        assert read.equals(made.frames[table.name])
    assert made.record.made_of == ["2026-11-09-11:00/poll-0001"]
    assert made.record.facts == {
        "returns": 2,
        "items": 2,
        "rejected": 0,
        "late": 0,
        "provisional": 0,
    }
    assert is_made(HOUR, lake.names())


def test_an_hour_with_a_new_poll_is_not_built(lake: Lake) -> None:
    built(lake, landed(lake, A))
    landed(lake, A, B, polled_at=at(13))
    assert not is_made(HOUR, lake.names())
    built(lake)
    assert is_made(HOUR, lake.names())


def test_rows_are_in_the_order_of_their_request_times(lake: Lake) -> None:
    made = built(lake, landed(lake, B, returned("R-0", at(11, 2)), A))
    assert made.frames["returns"]["return_reference_number"].to_list() == ["R-A", "R-0", "R-B"]


@pytest.mark.parametrize(
    ("records", "numbers"),
    [
        pytest.param([], (0, 0, 0, 0), id="none"),
        pytest.param([A, B], (2, 2, 0, 0), id="two returns"),
        pytest.param([A, A, {**A, "status": "X"}], (3, 1, 2, 0), id="copies"),
        pytest.param([A, {**A, "awb": "9", "return_tracking_id": 9}], (2, 1, 1, 0), id="pieces"),
        pytest.param([A, "no JSON", "no JSON", "{}"], (4, 1, 0, 3), id="unusable"),
        pytest.param([returned("R-N", at(12)), A], (2, 2, 0, 0), id="the next hour's"),
    ],
)
def test_served_is_kept_and_duplicate_and_rejected(
    records: list[Any], numbers: tuple[int, ...], lake: Lake
) -> None:
    accounting = built(lake, landed(lake, *records)).accounting
    assert accounting is not None
    found = (accounting.served, accounting.kept, accounting.duplicate, accounting.rejected)
    assert found == numbers
    assert accounting.lost == 0
    assert found[0] == sum(found[1:])


def test_unusable_records_are_kept_with_reason_text_and_poll(lake: Lake) -> None:
    broken = on_the_wire(assigned(return_reference_number=None))
    landed(lake, A, broken)
    landed(lake, "no JSON", A, broken, broken, polled_at=at(13))
    made = built(lake)
    assert made.frames["rejected_returns"].rows() == [
        (at(12, 10), 1, "no usable return_reference_number", broken),
        (at(13), 0, "the record is not a JSON object", "no JSON"),
        (at(13), 3, "no usable return_reference_number", broken),
    ]
    assert made.record.facts["rejected"] == 3


def test_a_return_of_several_pieces_is_one_row_with_the_items_of_all(lake: Lake) -> None:
    first = with_items([item("A"), item("B")])
    second = {**with_items([item("C")]), "awb": "999", "return_tracking_id": 999}
    made = built(lake, landed(lake, first, second))
    assert made.frames["returns"]["pieces"].to_list() == [2]
    assert made.frames["return_items"]["sku"].to_list() == ["A", "B", "C"]
    assert made.frames["return_items"]["item_index"].to_list() == [0, 1, 2]


def without_its_last_row(function: Callable[..., pl.DataFrame]) -> Callable[..., pl.DataFrame]:
    return lambda *given: function(*given).head(-1)


def doubled(function: Callable[..., pl.DataFrame]) -> Callable[..., pl.DataFrame]:
    return lambda *given: pl.concat([function(*given)] * 2)


def retyped(function: Callable[..., pl.DataFrame]) -> Callable[..., pl.DataFrame]:
    return lambda *given: function(*given).with_columns(pl.col("quantity").cast(pl.Float64))


@pytest.mark.parametrize(
    ("stage", "function", "defect", "claim"),
    [
        (aggregates, "count", without_its_last_row, "returns_are_conserved"),
        (aggregates, "count", retyped, "schema_is_as_declared"),
        (aggregates, "count", doubled, "items_are_conserved"),
        (aggregates, "count", doubled, "quantity_is_conserved"),
        (ownership, "returns_frame", doubled, "references_are_unique_and_present"),
        (ownership, "returns_frame", without_its_last_row, "every_item_has_its_return"),
        (ownership, "items_frame", doubled, "items_are_numbered_from_0"),
    ],
)
def test_a_failed_blocking_claim_changes_no_file(  # noqa: PLR0917 - what varies
    stage: Any, function: str, defect: Any, claim: str, lake: Lake, monkeypatch: pytest.MonkeyPatch
) -> None:
    built(lake, landed(lake, A, B))
    again = landed(lake, {**A, "status": "NEW"}, B, polled_at=at(13))
    before = bytes_of(lake.store)
    with monkeypatch.context() as broken:
        broken.setattr(stage, function, defect(getattr(stage, function)))
        with pytest.raises(HourBlocked) as raised:
            built(lake, again)
    assert bytes_of(lake.store) == before
    failed = [one for judged in raised.value.judged.values() for one in judged if one.blocks]
    assert claim in {one.name for one in failed}
    assert all(one.figures in str(raised.value) for one in failed)
    assert raised.value.window == HOUR.key
    assert raised.value.judged.keys() >= {table.name for table in tables.MADE_HOURLY}
    assert "R-A" not in str(raised.value)
    assert built(lake, again).frames["returns"]["status"].to_list()[0] == "NEW"


def test_a_blocking_claim_that_cannot_tell_also_blocks(
    lake: Lake, monkeypatch: pytest.MonkeyPatch
) -> None:
    poll = landed(lake, A)
    real = aggregates.count
    monkeypatch.setattr(aggregates, "count", lambda *given: real(*given).drop("returns"))
    with pytest.raises(HourBlocked, match="returns are conserved: the check could not run"):
        built(lake, poll)
    assert lake.made(HOUR, lake.names()) is None


def test_a_served_return_in_no_hour_blocks_the_hour(lake: Lake) -> None:
    poll = landed(lake, A)
    lost = Landed(
        window=HOUR, polled_at=poll.polled_at, kept=True, first=True, served=2,
        distinct=frozenset({"R-A", "R-LOST"}), rejected=0, vanished=0, homes={HOUR: 2},
    )  # fmt: skip
    with pytest.raises(HourBlocked, match="1 lost"):
        built(lake, lost)
    assert lake.made(HOUR, lake.names()) is None


def test_a_poll_that_lands_while_an_hour_is_built_is_in_its_tables(
    lake: Lake, monkeypatch: pytest.MonkeyPatch
) -> None:
    landed(lake, A)
    real = room.claims.of_hour

    def meanwhile(*given: Any) -> Any:
        monkeypatch.setattr(room.claims, "of_hour", real)
        landed(lake, A, B, polled_at=at(13))
        return real(*given)

    monkeypatch.setattr(room.claims, "of_hour", meanwhile)
    assert built(lake).frames["returns"].height == 2
    assert lake.read(tables.RETURNS, HOUR, lake.names()).height == 2  # type: ignore[union-attr]
