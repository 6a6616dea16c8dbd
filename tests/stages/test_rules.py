"""A change of a conversion is a change of the rules: a set of odd records proves it."""

from __future__ import annotations

import copy
import dataclasses
import sys
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import msgspec
import polars as pl
import pytest
from support import odd_records
from support.odd_records import cases, digest_of, digests, made_of, noted, verdict

from returns_orchestration import tables
from returns_orchestration.stages import (
    aggregates,
    copies,
    ownership,
    rules,
    typing,
    values,
    vocabulary,
)
from returns_orchestration.stages.pieces import Pieces
from returns_orchestration.stages.rules import Rules
from returns_orchestration.tables import Column, Table

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path
    from zoneinfo import ZoneInfo


# ---- the results for odd records


def test_odd_records_match_the_noted_results_of_this_version_of_the_rules() -> None:
    """The message names the remedy."""
    advice = verdict(digests(), rules.VERSION, *noted())
    assert not advice, advice


def test_the_odd_records_are_many_and_their_names_are_unique() -> None:
    names = [case["name"] for case in cases()]
    assert len(names) == len(set(names)) >= 60
    kinds = {name.partition(":")[0] for name in names}
    assert kinds >= {
        *("text", "number", "courier", "flag", "time", "request time", "reference", "rejected"),
        *("payload", "additional", "latest", "items", "mode", "reason", "fold", "pieces"),
    }


def test_every_column_that_a_record_fills_is_filled_by_one_of_them() -> None:
    """A conversion without an odd record could change unnoticed."""
    filled: set[tuple[str, str]] = set()
    for case in cases():
        made = made_of(case)
        filled |= {(table, column) for table in made for row in rows(made, table) for column in row}
    expected = {
        (table.name, column.name) for table in tables.MADE_HOURLY for column in table.columns
    }
    assert expected <= filled


def rows(made: dict[str, Any], table: str) -> list[dict[str, Any]]:
    return [] if table == "facts" else made[table]


def test_a_second_conversion_gives_the_same_result() -> None:
    assert digests("pieces") == digests("pieces")


def test_a_digest_changes_with_any_value_and_with_no_new_empty_column() -> None:
    made = made_of(cases()[0])
    digest = digest_of(made)
    for table in ("returns", "return_items", "refund_modes_hourly", "return_reasons_hourly"):
        for column in made[table][0]:
            other = copy.deepcopy(made)
            other[table][0][column] = "another"
            assert digest_of(other) != digest, (table, column)
    assert digest_of(made | {"facts": {}}) != digest


text, number, flag = values.text, values.number, values.flag
moment_reader = values.moment_reader


def lower_text(value: object) -> tuple[str | None, bool]:
    read, clean = text(value)
    return (read.lower() if read else None), clean


def only_numbers(value: object) -> tuple[int | None, bool]:
    return number(value) if isinstance(value, int) else (None, value is None)


def only_flags(value: object) -> tuple[bool | None, bool]:
    return flag(value) if isinstance(value, bool) else (None, value is None)


def whole_seconds(zone: ZoneInfo) -> Callable[[object], tuple[Any, bool]]:
    read = moment_reader(zone)

    def to_the_second(value: object) -> tuple[Any, bool]:
        moment, clean = read(value)
        return (moment.replace(microsecond=0) if isinstance(moment, datetime) else None), clean

    return to_the_second


def strictly(record: str) -> object:
    """As ``decode`` where the faster library reads it; else None."""
    try:
        return msgspec.json.decode(record)
    except (msgspec.DecodeError, UnicodeError):
        return None


CHANGES: dict[str, tuple[object, str, object, str]] = {
    "text is in lower case": (values, "text", lower_text, "text"),
    "None is a text": (values, "ABSENT", frozenset({""}), "text"),
    "numbers as text are unreadable": (values, "number", only_numbers, "number"),
    "a number has 32 bits": (values, "INT64", range(-(2**31), 2**31), "number"),
    "-1 is a courier": (values, "courier", values.number, "courier"),
    "flags as text are unreadable": (values, "flag", only_flags, "flag"),
    "times have no fraction": (values, "moment_reader", whole_seconds, "time"),
    "a time may be of 1970": (values, "FIRST", datetime(1970, 1, 1, tzinfo=UTC), "time"),
    "a quantity has no bound": (values, "MOST", 2**63, "quantity"),
    "a reference is a text as all others": (values, "reference", values.text, "reference"),
    "a mode stays as it is spelled": (vocabulary, "spelled_mode", lambda mode: mode, "mode"),
    "nothing is unwrapped": (typing, "unwrapped", lambda value: value, "wrapped"),
    "a list stays as it is": (
        typing,
        "_flat",
        lambda value: value if isinstance(value, list) else [],
        "wrapped",
    ),
    "a deep record is none": (typing, "_shallow", lambda _: "", "deep"),
    "form and what cannot be seen stay": (values, "_folded", str.strip, "text"),
    "text that only the standard library reads is none": (
        copies,
        "decode",
        strictly,
        "text",
    ),
    "an object as JSON text is not read": (
        typing,
        "object_under",
        lambda holder, key, _: value if isinstance(value := holder.get(key), dict) else {},
        "payload",
    ),
    "one item is none": (
        typing,
        "_items",
        lambda additional, *_: v if isinstance(v := additional.get("item_info"), list) else [],
        "items",
    ),
    "the payload is not unwrapped": (
        typing,
        "payload_of",
        lambda webhook, _: webhook,
        "payload",
    ),
    "null erases": (ownership, "_newer_wins", lambda _, newer: newer, "fold"),
    "an item's lost value is lost": (ownership, "_newer_items", lambda _, newer: newer, "fold"),
    "every copy is a piece": (Pieces, "same", lambda *_: None, "pieces"),
    "no awb takes the place of another": (Pieces, "of_skus", lambda *_: None, "pieces"),
    "a tracking id finds nothing": (Pieces, "of_tracking", lambda *_: None, "pieces"),
    "one record is not one piece": (Pieces, "any", lambda *_: None, "pieces"),
    "the order of items counts": (ownership, "_contents", lambda items: items, "pieces"),
    "every list of items counts": (
        ownership.Return,
        "items",
        property(lambda self: [item for piece in self.pieces for item in piece.items]),
        "pieces",
    ),
    "mixed has another name": (aggregates, "MIXED", "Several", "mode"),
    "no mode and no reason have another name": (aggregates, "NOT_GIVEN", "-", "mode"),
    "a record that cannot be used has another reason": (
        typing,
        "Refused",
        type("Refused", (typing.Refused,), {"__init__": lambda self, *_: refuse(self)}),
        "rejected",
    ),
}


def refuse(refused: object) -> None:
    object.__setattr__(refused, "reason", "no")


@pytest.mark.parametrize("change", CHANGES)
def test_a_change_of_a_conversion_without_a_new_version_is_found(
    change: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    owner, name, other, of = CHANGES[change]
    if of == "deep" and sys.version_info >= (3, 12):
        pytest.skip("the decoders of Python 3.12 read it by themselves, with the same result")
    before, version = noted()
    monkeypatch.setattr(owner, name, other)
    found = before | digests(of)
    advice = verdict(found, version, before, version)
    assert "odd records become something else than under version" in advice
    assert f"{of}:" in advice
    assert "raise VERSION in returns_orchestration/stages/rules.py by one" in advice
    assert odd_records.COMMAND in advice


def test_the_test_fails_when_a_conversion_changes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(values, "text", lower_text)
    with pytest.raises(AssertionError, match="raise VERSION"):
        test_odd_records_match_the_noted_results_of_this_version_of_the_rules()


@pytest.mark.parametrize(
    ("found", "version", "advice"),
    [
        ({"a": "1", "b": "2"}, 3, ""),
        ({"a": "1", "b": "other"}, 3, "raise VERSION"),
        ({"a": "1"}, 3, "raise VERSION"),
        ({"a": "1", "b": "2", "c": "3"}, 3, "run `PYTHONPATH"),
        ({"a": "1", "b": "other"}, 4, "under version 4: run `PYTHONPATH"),
        ({"a": "1", "b": "2"}, 4, "under version 4: run `PYTHONPATH"),
        ({"a": "1", "b": "2"}, 2, "was written by 3"),
    ],
    ids=["same", "changed", "gone", "new", "changed and raised", "raised alone", "older"],
)
def test_the_verdict_gives_a_remedy(found: dict[str, str], version: int, advice: str) -> None:
    words = verdict(found, version, {"a": "1", "b": "2"}, 3)
    assert advice in words
    assert bool(words) == bool(advice)


def test_noted_results_are_rewritten_only_under_a_new_version(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(odd_records, "NOTED", tmp_path / "rules.json")
    few = cases()[:3]
    monkeypatch.setattr(odd_records, "cases", lambda: few)
    monkeypatch.setattr(rules, "VERSION", 5)
    assert odd_records.write() == odd_records.write() == ""
    before = (tmp_path / "rules.json").read_bytes()
    monkeypatch.setattr(values, "text", lower_text)
    assert "raise VERSION" in odd_records.write()
    assert (tmp_path / "rules.json").read_bytes() == before
    monkeypatch.setattr(rules, "VERSION", 6)
    assert odd_records.write() == ""
    assert odd_records.noted()[1] == 6
    assert (tmp_path / "rules.json").read_bytes() != before


# ---- the digests of rules


def with_columns(table: Table, columns: tuple[Column, ...]) -> tuple[Table, ...]:
    other = dataclasses.replace(table, columns=columns)
    made = tables.MADE_HOURLY if table in tables.MADE_HOURLY else tables.MADE_DAILY
    return tuple(other if one is table else one for one in made)


def test_rules_are_eight_digits_and_do_not_change() -> None:
    today = Rules.of_today()
    assert today == Rules.of_today()
    assert today.hours != today.days
    assert all(len(one) == 8 and int(one, 16) >= 0 for one in today)


def changed_columns(columns: tuple[Column, ...]) -> dict[str, tuple[Column, ...]]:
    first, *rest = columns
    return {
        "a column is added": (*columns, Column("new", pl.Int64(), "a new one")),
        "a column is gone": columns[:-1],
        "a column is renamed": (dataclasses.replace(first, name="other"), *rest),
        "a column has another type": (dataclasses.replace(first, dtype=tables.FLAG), *rest),
        "columns are in another order": (*rest, first),
    }


@pytest.mark.parametrize("table", tables.MADE_HOURLY, ids=lambda table: table.name)
def test_a_change_of_an_hourly_table_is_a_change_of_the_rules_of_hours(
    table: Table, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = Rules.of_today()
    for change, columns in changed_columns(table.columns).items():
        with monkeypatch.context() as changed:
            changed.setattr(tables, "MADE_HOURLY", with_columns(table, columns))
            assert Rules.of_today().hours != before.hours, change
            assert Rules.of_today().days == before.days, change
    assert Rules.of_today() == before


@pytest.mark.parametrize("table", tables.MADE_DAILY, ids=lambda table: table.name)
def test_a_change_of_a_daily_table_is_a_change_of_the_rules_of_days(
    table: Table, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = Rules.of_today()
    for change, columns in changed_columns(table.columns).items():
        with monkeypatch.context() as changed:
            changed.setattr(tables, "MADE_DAILY", with_columns(table, columns))
            assert Rules.of_today().days != before.days, change
            assert Rules.of_today().hours == before.hours, change


def test_a_new_table_is_a_change_and_a_new_description_is_not(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    before = Rules.of_today()
    first = tables.RETURNS.columns[0]
    explained = dataclasses.replace(first, meaning="in other words", nullable=True)
    monkeypatch.setattr(
        tables,
        "MADE_HOURLY",
        with_columns(tables.RETURNS, (explained, *tables.RETURNS.columns[1:])),
    )
    assert Rules.of_today() == before
    monkeypatch.setattr(tables, "MADE_HOURLY", (*tables.MADE_HOURLY, tables.LATENESS))
    assert Rules.of_today().hours != before.hours


@pytest.mark.parametrize(("owner", "name"), [(rules, "VERSION"), (rules, "FORMAT")])
def test_a_new_version_or_format_is_a_change_for_hours_and_days(
    owner: object, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = Rules.of_today()
    monkeypatch.setattr(owner, name, getattr(owner, name) + 1)
    now = Rules.of_today()
    assert now.hours != before.hours
    assert now.days != before.days
