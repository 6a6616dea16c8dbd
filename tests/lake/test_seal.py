"""A record ends with its seal: whatever changes in it is found when it is read."""

from __future__ import annotations

from typing import TYPE_CHECKING

import duckdb
import msgspec
import polars as pl
import pyarrow.parquet as pq
import pytest
from records import at

from returns_orchestration.errors import LakeDamaged
from returns_orchestration.lake.records import (
    MadeRecord,
    Waiver,
    decode_made,
    decode_waiver,
    encode,
)
from returns_orchestration.window import Window

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from returns_orchestration.lake import Lake

HOUR = Window(at(11))
MADE = MadeRecord(period=HOUR.key, written_at=at(20), made_of=["p"], files={}, facts={"returns": 2})
PATH = f"_records/{HOUR.path}/tables.json"


def damaged(content: bytes) -> Iterator[bytes]:
    """Every bit flipped, every end cut off, and something added."""
    for place, byte in enumerate(content):
        for bit in range(8):
            yield content[:place] + bytes([byte ^ 1 << bit]) + content[place + 1 :]
        yield content[:place]
    yield content + b"\n"
    yield b"\n" + content


def test_a_sealed_record_is_json_for_everyone_and_reads_as_what_was_written() -> None:
    content = encode(MADE)
    assert decode_made(content, PATH) == MADE
    assert msgspec.json.decode(content)["facts"] == {"returns": 2}
    assert content.count(b"\n") > 5


def test_any_bit_and_any_cut_is_found_and_named_with_what_to_do() -> None:
    for content in damaged(encode(MADE)):
        with pytest.raises(LakeDamaged) as raised:
            decode_made(content, PATH)
        assert PATH in str(raised.value)
        assert "rebuild 2026-11-09T11:00 2026-11-09T12:00" in str(raised.value)


def test_a_record_without_a_seal_is_no_record() -> None:
    with pytest.raises(LakeDamaged):
        decode_made(msgspec.json.format(msgspec.json.encode(MADE), indent=1) + b"\n", PATH)


def test_a_sealed_record_of_another_kind_is_no_record_of_this_one() -> None:
    waiver = encode(Waiver(window=HOUR.key, waived_at=at(20), why="x"))
    assert decode_waiver(waiver, PATH).why == "x"
    with pytest.raises(LakeDamaged):
        decode_made(waiver, PATH)


def test_a_whole_record_in_the_place_of_another_hour_s_is_damage(lake: Lake) -> None:
    lake.publish(HOUR, {}, [], {})
    lake.store.put(lake.made_path(HOUR.next), lake.store.get(lake.made_path(HOUR)) or b"")
    with pytest.raises(LakeDamaged, match="another hour"):
        lake.made(HOUR.next)
    assert lake.create_poll(HOUR, 1, at(20), ())
    lake.record_poll(HOUR, 1, at(20), lake.read_new_poll(HOUR, 1)[2], {}, 0)
    lake.store.put(
        lake.poll_record_path(HOUR, 2), lake.store.get(lake.poll_record_path(HOUR, 1)) or b""
    )
    with pytest.raises(LakeDamaged, match="another hour"):
        lake.polls(HOUR)


def test_a_poll_without_its_record_tells_by_itself_whether_it_is_whole(
    lake: Lake, folder: Path
) -> None:
    assert lake.create_poll(HOUR, 1, at(20), ('{"a": "one"}', '{"b": "two"}'))
    polled_at, frame, _, _ = lake.read_new_poll(HOUR, 1)
    assert (polled_at, frame.height) == (at(20), 2)
    path = lake.poll_path(HOUR, 1)
    for content in damaged((folder / path).read_bytes()):
        (folder / path).write_bytes(content)
        with pytest.raises(
            LakeDamaged, match="rebuild 2026-11-09T11:00 2026-11-09T12:00"
        ) as raised:
            lake.read_new_poll(HOUR, 1)
        assert path in str(raised.value)


def test_a_poll_copied_to_another_place_is_no_poll_there(lake: Lake) -> None:
    assert lake.create_poll(HOUR, 1, at(20), ())
    content = lake.store.get(lake.poll_path(HOUR, 1)) or b""
    for window, number in ((HOUR, 2), (HOUR.next, 1)):
        lake.store.put(lake.poll_path(window, number), content)
        with pytest.raises(LakeDamaged, match="no whole poll"):
            lake.read_new_poll(window, number)


def test_every_reader_reads_a_sealed_poll(lake: Lake, folder: Path) -> None:
    assert lake.create_poll(HOUR, 1, at(20), ('{"a": "one"}', '{"b": "two"}'))
    file = folder / lake.poll_path(HOUR, 1)
    expected = pl.read_parquet(file, hive_partitioning=False)
    assert expected.get_column("record").to_list() == ['{"a": "one"}', '{"b": "two"}']
    assert pl.scan_parquet(file, hive_partitioning=False).collect().equals(expected)
    assert pl.from_arrow(pq.ParquetFile(file).read()).equals(expected)
    rows = duckdb.sql(f"SELECT record FROM '{file}' WHERE position = 1")  # noqa: S608
    assert rows.fetchall() == [('{"b": "two"}',)]
