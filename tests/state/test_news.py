"""New keys, codes and modes: which are new, which may be named, and the text about them."""

from __future__ import annotations

import polars as pl
import pytest
from support.records import assigned, at, item, with_items
from support.rows import folded, poll

from returns_orchestration.lake.news import NewName
from returns_orchestration.stages.frames import frames_of_hour
from returns_orchestration.state.news import judged, new_names, unacknowledged
from returns_orchestration.window import Window

HOUR = Window(at(11))

KEY = NewName(kind="key", name="record.fee", hour=HOUR.key)


def frames(**columns: object) -> dict[str, pl.DataFrame]:
    made = frames_of_hour(HOUR, [folded(poll(with_items([item("A")])))])
    for name, value in columns.items():
        table, _, column = name.partition("__")
        dtype = made[table].schema[column]
        made[table] = made[table].with_columns(pl.lit(value, dtype).alias(column))
    return made


def found(**columns: object) -> set[tuple[str, str]]:
    return {(name.kind, name.name) for name in new_names(frames(**columns), ())}


def test_known_names_are_not_news() -> None:
    assert new_names(frames_of_hour(HOUR, [folded(poll(assigned()))]), ()) == set()
    assert new_names(frames_of_hour(HOUR, []), ()) == set()


def test_a_new_key_has_the_hour_that_first_had_it() -> None:
    assert new_names(frames(), ["record.fee"], HOUR.key) == {KEY}


@pytest.mark.parametrize(
    ("column", "value", "kind", "name"),
    [
        ("returns__webhook_clickpost_status_code", 1005, "code", "1005"),
        ("returns__latest_clickpost_status_code", 43, "code", "43"),
        ("returns__latest_clickpost_status_code", 9_000_000_000, "code", "(long number)"),
        ("returns__refund_mode", "Barter", "mode", "Barter"),
        ("return_items__refund_mode", "Loyalty points", "mode", "Loyalty points"),
        ("return_items__refund_mode", "भुगतान", "mode", "(long text)"),
        ("returns__refund_mode", "to Asha, 98765 43210", "mode", "(long text)"),
        ("returns__refund_mode", "asha@example.com", "mode", "(long text)"),
        ("returns__refund_mode", "please pay it to my wife", "mode", "(long text)"),
        ("returns__refund_mode", "W" * 41, "mode", "(long text)"),
    ],
)
def test_a_new_code_or_mode_is_named_unless_it_may_be_personal(
    column: str, value: object, kind: str, name: str
) -> None:
    assert found(**{column: value}) == {(kind, name)}


def test_the_check_describes_the_new_names() -> None:
    keys = [NewName(kind="key", name=f"record.k{n:02}") for n in range(12)]
    claims = {claim.name: claim for claim in judged([*keys, NewName(kind="code", name="1005")])}
    of_keys = claims["new_keys_are_acknowledged"]
    assert (of_keys.verdict, of_keys.weight) == ("fails", "warning")
    assert of_keys.figures.startswith("ClickPost sends 12 new keys: record.k00, record.k01, ")
    assert of_keys.figures.endswith("record.k09 and 2 more")
    of_codes = claims["new_codes_are_acknowledged"]
    assert of_codes.figures == "ClickPost sends 1 unknown status code: 1005"
    assert claims["new_modes_are_acknowledged"].holds


def test_nothing_new_passes() -> None:
    assert all(claim.holds for claim in judged([]))


def test_names_known_to_a_later_release_are_no_longer_news() -> None:
    known = [
        NewName(kind="key", name="webhook_payload.customer_name"),
        NewName(kind="code", name="1004"),
        NewName(kind="mode", name="UPI"),
    ]
    assert unacknowledged([*known, KEY], ()) == [KEY]


def test_a_name_in_the_settings_is_acknowledged() -> None:
    other = NewName(kind="key", name="record.other")
    assert unacknowledged([KEY, other], ("record.fee", "1005")) == [other]
