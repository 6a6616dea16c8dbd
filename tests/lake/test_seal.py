"""An entry ends with its seal: any change in it is found when it is read."""

from __future__ import annotations

from typing import TYPE_CHECKING

import duckdb
import msgspec
import polars as pl
import pyarrow.parquet as pq
import pytest
from support.records import at

from returns_orchestration.errors import LakeDamaged
from returns_orchestration.lake.entry_kinds import (
    Again,
    Blanked,
    Damaged,
    Erased,
    Events,
    FileRecord,
    From,
    Listened,
    Lost,
    Made,
    Matched,
    Placed,
    Poll,
    Received,
    Rezoned,
    To,
    Waived,
    Webhooks,
    decode,
    encode,
)
from returns_orchestration.lake.journal import FORMAT, is_torn
from returns_orchestration.window import Window

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from returns_orchestration.lake import Lake
    from returns_orchestration.lake.entry_kinds import Entry

HOUR = Window(at(11))
MADE = Made(
    period=HOUR.key,
    inputs="0a" * 6,
    rules="0b" * 4,
    written_at=at(20),
    made_of=["p"],
    files={"returns": FileRecord(path="returns/x", size=1, rows=0, sha256="0c" * 32)},
    facts={"returns": 2},
    first_seen={0: (1, 0), 24: (1, 1)},
    references=b"\x00\xff" * 8,
)
ENTRIES: dict[str, Entry] = {
    "poll": Poll(
        period=HOUR.key,
        number=1,
        polled_at=at(12, 10),
        noted_at=at(12, 11),
        rows=3,
        size=400,
        sha256="0d" * 8,
        zone="America/Port-au-Prince",
    ),
    "lost": Lost(period=HOUR.key, number=1, sha256="0d" * 8, next_number=3),
    "from": From(period=HOUR.key, hour="2026-11-09T12"),
    "to": To(period=HOUR.key, hour="2026-11-09T12"),
    "again": Again(period=HOUR.key, at=at(13), references=["R-1", "R-é"]),
    "rezoned": Rezoned(period=HOUR.key, number=1, change=2, zone="Etc/GMT+5"),
    "erased": Erased(period=HOUR.key, number=1, change=2, what="all", size=400, sha256="0d" * 8),
    "received": Received(
        period=HOUR.key, instance="0f" * 4, first=12, rows=2, size=400, sha256="0d" * 8
    ),
    "listened": Listened(period=HOUR.key, instance="0f" * 4, begin=7, until=3600),
    "waived": Waived(period=HOUR.key, why="closed", at=at(20)),
    "damaged": Damaged(period=HOUR.key, file="returns/x"),
    "webhooks": Webhooks(period=HOUR.key, hour="2026-11-09T12"),
    "placed": Placed(
        period=HOUR.key,
        hour="2026-11-09T12",
        newest=at(12),
        zone="UTC",
        deliveries={"0f" * 4: [1, 2]},
    ),
    "blanked": Blanked(period=HOUR.key, files="0a" * 6),
    "made": MADE,
    "events": Events(**msgspec.structs.asdict(MADE)),
    "matched": Matched(**msgspec.structs.asdict(MADE)),
}
each_kind = pytest.mark.parametrize("entry", ENTRIES.values(), ids=ENTRIES)


def damaged(content: bytes, step: int = 1) -> Iterator[bytes]:
    """Every bit flipped, every end cut off, at each ``step``-th byte, and something added."""
    for place, byte in list(enumerate(content))[::step]:
        for bit in range(8):
            yield content[:place] + bytes([byte ^ 1 << bit]) + content[place + 1 :]
        yield content[:place]
    yield content + b"\n"
    yield b"\n" + content


@each_kind
def test_a_sealed_entry_is_standard_json_and_reads_back_unchanged(entry: Entry) -> None:
    content = encode(entry)
    assert decode(content, entry.path) == entry
    read = msgspec.json.decode(content)
    assert (read["format"], read["period"]) == (FORMAT, HOUR.key)
    assert read["kind"] == next(kind for kind, one in ENTRIES.items() if one is entry)
    assert content.count(b"\n") > 4


@each_kind
def test_any_flipped_bit_or_truncation_is_found_and_named_with_a_remedy(entry: Entry) -> None:
    for content in damaged(encode(entry), step=1 if entry is MADE else 13):
        with pytest.raises(LakeDamaged) as raised:
            decode(content, entry.path)
        assert entry.path in str(raised.value)
        assert "rebuild 2026-11-09T11:00 2026-11-09T12:00" in str(raised.value)


def test_the_remedy_for_the_entry_of_a_day_names_that_day() -> None:
    day = Made(**{**msgspec.structs.asdict(MADE), "period": "2026-11-09"})
    with pytest.raises(LakeDamaged, match="rebuild 2026-11-09 2026-11-10"):
        decode(b"", day.path)


def test_a_truncated_entry_is_torn_and_an_altered_one_is_not() -> None:
    content = encode(MADE)
    assert all(is_torn(content[:place]) for place in range(len(content)))
    assert not is_torn(content)
    assert not is_torn(b"?" + content[1:])


def test_an_entry_without_a_seal_is_damage() -> None:
    plain = msgspec.json.format(msgspec.json.encode(MADE), indent=1) + b"\n"
    with pytest.raises(LakeDamaged):
        decode(plain, MADE.path)


@each_kind
@pytest.mark.parametrize("other", ENTRIES.values(), ids=ENTRIES)
def test_a_sealed_entry_is_valid_only_in_its_own_place(entry: Entry, other: Entry) -> None:
    assert decode(encode(entry), entry.path) == entry
    if other is not entry:
        with pytest.raises(LakeDamaged):
            decode(encode(entry), other.path)


def test_a_whole_entry_in_the_place_of_another_hour_s_is_damage(lake: Lake) -> None:
    lake.entries.put(lake.names(), MADE)
    place = MADE.path.replace("/11.", "/12.")
    lake.store.put(place, lake.store.get(MADE.path) or b"")
    names = lake.names()
    assert lake.made(HOUR, names) == MADE
    with pytest.raises(LakeDamaged, match=place):
        lake.made(HOUR.next, names)


def test_a_poll_without_its_entry_shows_whether_it_is_whole(lake: Lake, folder: Path) -> None:
    names = lake.names()
    served = ('{"a": "one"}', '{"b": "two"}')
    kept = lake.polls.create(names, HOUR, 1, at(12, 10), served, "Asia/Kolkata")
    poll, records = lake.polls.read_unnoted(HOUR, 1)
    assert poll == kept
    assert (poll.polled_at, poll.noted_at, poll.zone) == (at(12, 10), at(20), "Asia/Kolkata")
    assert records == list(served)
    path = lake.polls.path(HOUR, 1)
    for content in damaged((folder / path).read_bytes()):
        (folder / path).write_bytes(content)
        with pytest.raises(
            LakeDamaged, match="rebuild 2026-11-09T11:00 2026-11-09T12:00"
        ) as raised:
            lake.polls.read_unnoted(HOUR, 1)
        assert path in str(raised.value)


def test_a_poll_copied_to_another_place_is_damage(lake: Lake) -> None:
    assert lake.polls.create(lake.names(), HOUR, 1, at(20), (), "UTC")
    content = lake.store.get(lake.polls.path(HOUR, 1)) or b""
    for window, number in ((HOUR, 2), (HOUR.next, 1)):
        lake.store.put(lake.polls.path(window, number), content)
        with pytest.raises(LakeDamaged, match="no whole poll"):
            lake.polls.read_unnoted(window, number)


def test_every_reader_reads_a_sealed_poll(lake: Lake, folder: Path) -> None:
    served = ('{"a": "one"}', '{"b": "two"}')
    assert lake.polls.create(lake.names(), HOUR, 1, at(20), served, "UTC")
    file = folder / lake.polls.path(HOUR, 1)
    expected = pl.read_parquet(file, hive_partitioning=False)
    assert expected.get_column("record").to_list() == ['{"a": "one"}', '{"b": "two"}']
    assert pl.scan_parquet(file, hive_partitioning=False).collect().equals(expected)
    assert pl.from_arrow(pq.ParquetFile(file).read()).equals(expected)
    rows = duckdb.sql(f"SELECT record FROM '{file}' WHERE position = 1")  # noqa: S608
    assert rows.fetchall() == [('{"b": "two"}',)]
