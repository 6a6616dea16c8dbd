"""Unforeseen records: typed or refused, never an exception, always writable."""

from __future__ import annotations

import json

import polars as pl
from hypothesis import given
from hypothesis import strategies as st
from support.records import assigned
from support.rows import HOUR, READER, at

from returns_orchestration import tables
from returns_orchestration.lake.parquet import to_parquet
from returns_orchestration.stages.frames import frames_of_hour
from returns_orchestration.stages.ownership import Copy, Source, fold
from returns_orchestration.stages.typing import Refused
from returns_orchestration.state import claims

KEYS = sorted(
    {c.key for table in tables.TABLES for c in table.columns if c.key}
    | {"webhook_payload", "additional", "latest_status", "item_info", "payload", "internal"}
)

values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.integers(-(2**63), 2**63 - 1)
    | st.floats()
    | st.text(st.characters(), max_size=10)
    | st.sampled_from(["None", "", "-1", "25", "{", "[]", "{}", "2026-11-09T11:00:00Z", "=1+1"]),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.sampled_from(KEYS) | st.text(max_size=5), inner, max_size=6)
        | inner.map(json.dumps)
    ),
    max_leaves=12,
)
heads = st.fixed_dictionaries(
    {
        "return_reference_number": st.text(st.characters(), min_size=1) | st.integers(),
        "Return Request Timestamp": st.datetimes().map(lambda t: t.isoformat() + "Z"),
    }
)
records = st.builds(
    lambda head, rest: {**rest, **head} if isinstance(rest, dict) else rest, heads, values
)


@given(
    records | st.builds(lambda at, value: {**assigned(), at: value}, st.sampled_from(KEYS), values)
)
def test_any_json_is_typed_or_refused_and_can_be_written(record: object) -> None:
    read = READER.read(json.dumps(record))
    if isinstance(read, Refused):
        assert read.reason
        return
    found = [fold([Copy(Source("poll", HOUR, 1, at(12, 10)), at(12, 10), 0, read)])]
    frames = frames_of_hour(HOUR, found)
    for name, frame in frames.items():
        written = pl.read_parquet(to_parquet(frame))
        assert written.equals(frame)
        assert written.schema == tables.BY_NAME[name].schema
    judged = claims.of_hour(HOUR, frames)
    assert [c.figures for of_table in judged.values() for c in of_table if c.blocks] == []


@given(st.text() | st.binary().map(lambda content: content.decode("utf-8", "replace")))
def test_any_text_is_read_without_an_exception(text: str) -> None:
    assert READER.read(text) is not None


def test_a_text_nested_too_deep_is_refused() -> None:
    assert isinstance(READER.read("[" * 100_000), Refused)
    assert isinstance(READER.read('{"a":' * 100_000), Refused)
