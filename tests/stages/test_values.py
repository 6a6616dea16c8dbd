from __future__ import annotations

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from returns_orchestration.stages.values import (
    courier,
    flag,
    moment_reader,
    number,
    quantity,
    reference,
    text,
)

in_utc = moment_reader(ZoneInfo("UTC"))
in_india = moment_reader(ZoneInfo("Asia/Kolkata"))

DEVANAGARI_25 = "२५"
FULL_WIDTH_25 = "２５"


def utc(*parts: int) -> datetime:
    return datetime(*parts, tzinfo=UTC)  # type: ignore[misc, arg-type]


@pytest.mark.parametrize(
    ("value", "read"),
    [
        ("2022-11-09T11:00:48.702402Z", utc(2022, 11, 9, 11, 0, 48, 702402)),
        ("2025-08-05T06:04:13Z", utc(2025, 8, 5, 6, 4, 13)),
        ("2022-11-18 07:30:08.396840", utc(2022, 11, 18, 7, 30, 8, 396840)),
        ("2019-04-15 20:22:43", utc(2019, 4, 15, 20, 22, 43)),
        ("2019-04-15T20:22:43+05:30", utc(2019, 4, 15, 14, 52, 43)),
        ("2019-04-15T20:22:43.5+0530", utc(2019, 4, 15, 14, 52, 43, 500000)),
        ("2019-04-15 20:22:43 -03", utc(2019, 4, 15, 23, 22, 43)),
        ("  2025-08-05t06:04:13z ", utc(2025, 8, 5, 6, 4, 13)),
        ("2016-12-31T23:59:60Z", utc(2017, 1, 1)),
        ("2016-12-31T23:59:60.25Z", utc(2017, 1, 1, 0, 0, 0, 250000)),
        ("2024-02-29T00:00:00Z", utc(2024, 2, 29)),
        ("2000-01-01T00:00:00Z", utc(2000, 1, 1)),
        ("1999-12-31T19:00:00-05:00", utc(2000, 1, 1)),
        ("2100-12-31T23:59:59.999999999Z", utc(2100, 12, 31, 23, 59, 59, 999999)),
    ],
)
def test_a_time_in_words_is_read_without_a_flag(value: str, read: datetime) -> None:
    assert in_utc(value) == (read, True)


@pytest.mark.parametrize("digits", range(1, 10))
def test_fractions_have_up_to_nine_digits_and_are_cut_to_microseconds(digits: int) -> None:
    fraction = "987654321"[:digits]
    micros = int(fraction.ljust(6, "0")[:6])
    read = utc(2022, 11, 9, 11, 59, 59, micros)
    assert in_utc(f"2022-11-09T11:59:59.{fraction}Z") == (read, True)


def test_a_naive_time_is_in_the_configured_zone_and_others_are_not() -> None:
    assert in_india("2019-04-15 20:22:43") == (utc(2019, 4, 15, 14, 52, 43), True)
    assert in_india("2019-04-15 20:22:43Z") == (utc(2019, 4, 15, 20, 22, 43), True)
    assert in_india("2019-04-15 20:22:43+00:00") == (utc(2019, 4, 15, 20, 22, 43), True)
    assert in_india("2016-12-31T23:59:60") == (utc(2016, 12, 31, 18, 30), True)


@pytest.mark.parametrize(
    ("value", "read"),
    [
        (1667991648, utc(2022, 11, 9, 11, 0, 48)),
        (1667991648.5, utc(2022, 11, 9, 11, 0, 48, 500000)),
        (1667991648702, utc(2022, 11, 9, 11, 0, 48, 702000)),
        ("1667991648", utc(2022, 11, 9, 11, 0, 48)),
        ("1667991648.702402", utc(2022, 11, 9, 11, 0, 48, 702402)),
        ("1667991648702", utc(2022, 11, 9, 11, 0, 48, 702000)),
    ],
)
def test_an_epoch_time_is_converted_and_listed(value: object, read: datetime) -> None:
    assert in_utc(value) == (read, False)
    assert in_india(value) == (read, False)


@pytest.mark.parametrize(
    "value",
    [
        "yesterday", "2022-11-09", "11:00:48", "2022-02-30T00:00:00Z", "2022-11-09T24:00:00Z",
        "2022-11-09T11:60:00Z", "2022-11-09T11:00:61Z", "2022-11-09T11:00:00.1234567890Z",
        "2022-11-09T11:00:00+25:00", "2022-11-09T11:00:00+05:75", "0000-01-01T00:00:00Z",
        "0001-01-01T00:00:00+05:30", "9999-12-31T23:59:60Z", "0001-01-01T00:00:00Z",
        "1970-01-01T00:00:00Z", "1999-12-31T23:59:59.999999Z", "2101-01-01T00:00:00Z",
        "2100-12-31T23:59:60Z", "9999-12-31T23:59:59Z",
        "२०२२-११-०९T११:००:००Z", True, False, 0, -1, 12, 1e300, float("nan"), float("inf"),
        "99999999999", [], {}, ["2022-11-09T11:00:48Z"],
    ],
)  # fmt: skip
def test_a_time_that_cannot_be_read_is_null_and_listed(value: object) -> None:
    assert in_utc(value) == (None, False)


@pytest.mark.parametrize("reader", [text, number, courier, flag, in_utc])
@pytest.mark.parametrize("value", [None, "", " ", "None", " None\n"])
def test_an_absent_value_is_null_without_a_flag(reader: object, value: object) -> None:
    assert callable(reader)
    assert reader(value) == (None, True)


@pytest.mark.parametrize(
    ("value", "read"),
    [
        ("Product is not as expected ", "Product is not as expected"),
        ("  a \t b\n\nc\u00a0 d\u2003e ", "a b c d e"),
        ("null", "null"),
        ("none", "none"),
        ("Back to source", "Back to source"),
        ("Größe 👍 सही", "Größe 👍 सही"),
        ('=HYPERLINK("x")', '=HYPERLINK("x")'),
        ("007", "007"),
    ],
)
def test_text_is_trimmed_and_folded_and_otherwise_kept(value: str, read: str) -> None:
    assert text(value) == (read, True)


@pytest.mark.parametrize(
    ("value", "read"),
    [
        (22, "22"),
        (2667237821710.0, "2667237821710"),
        (2**63, "9223372036854775808"),
        (2.5, "2.5"),
        (True, None),
        (float("nan"), None),
        (float("-inf"), None),
        ([], None),
        ({"a": 1}, None),
    ],
)
def test_text_of_another_type_is_converted_or_null_and_always_listed(
    value: object, read: str | None
) -> None:
    assert text(value) == (read, False)


def test_half_a_character_is_escaped_and_listed() -> None:
    assert text("A\ud800B") == ("A\\ud800B", False)


@pytest.mark.parametrize(
    ("value", "read"),
    [
        ("serre\u0301", "serré"),
        ("\ufeffSize\u200b Issue", "Size Issue"),
        ("\u200e\u00a0Size Issue\u202c \u2060", "Size Issue"),
        ("a\u200db", "a\u200db"),  # within a word it joins letters and emoji
        ("e\u200b\u0301", "é"),
        ("\u200b\ufeff\u200f", None),
        ("\u200bNone ", None),
    ],
)
def test_text_is_nfc_without_invisible_characters_at_its_ends(value: str, read: str | None) -> None:
    assert text(value) == (read, True)


@given(st.text())
def test_text_that_was_read_is_read_again_unchanged(value: str) -> None:
    read, _ = text(value)
    assert text(read) == (read, True)


@pytest.mark.parametrize(
    ("value", "read"),
    [
        (1_000_000, 1_000_000), (-1_000_000, -1_000_000), (1_000_001, None), (-1_000_001, None),
        (9223372036854775807, None), ("1000001", None), (1e7, None), (0, 0), ("3", 3),
    ],
)  # fmt: skip
def test_a_quantity_beyond_a_million_is_null(value: object, read: int | None) -> None:
    assert quantity(value) == (read, isinstance(value, int) and read is not None)


@pytest.mark.parametrize("value", [0, 25, -1, 2**63 - 1, -(2**63)])
def test_a_whole_number_is_read(value: int) -> None:
    assert number(value) == (value, True)


@pytest.mark.parametrize(
    ("value", "read"),
    [
        ("25", 25), (" 25 ", 25), ("+25", 25), ("-1", -1), ("2.0", 2), ("2.", 2), (2.0, 2),
        (-0.0, 0), ("9223372036854775807", 2**63 - 1), ("9223372036854775808", None),
        (2**63, None), (2.0**63, None), (2.5, None), ("2.5", None), (True, None),
        (float("nan"), None), (float("inf"), None), ("1e3", None), ("0x19", None),
        ("1,000", None), ("1_000", None), (DEVANAGARI_25, None), (FULL_WIDTH_25, None),
        ("²", None), ("twenty", None), ([25], None), ({}, None),
    ],
)  # fmt: skip
def test_a_number_of_another_type_is_converted_or_null_and_always_listed(
    value: object, read: int | None
) -> None:
    assert number(value) == (read, False)


@pytest.mark.parametrize(
    ("value", "read", "clean"),
    [
        (-1, None, True),
        ("-1", None, False),
        (-1.0, None, False),
        (25, 25, True),
        ("25", 25, False),
        (0, 0, True),
    ],
)
def test_courier_minus_one_is_no_courier(value: object, read: int | None, clean: bool) -> None:
    assert courier(value) == (read, clean)


@pytest.mark.parametrize(
    ("value", "read", "clean"),
    [
        (True, True, True), (False, False, True), ("true", True, False), ("False", False, False),
        (" TRUE ", True, False), (1, True, False), (0, False, False), ("1", True, False),
        ("0", False, False), (2, None, False), ("yes please", None, False), ([], None, False),
    ],
)  # fmt: skip
def test_flags_are_read_in_every_spelling(value: object, read: bool | None, clean: bool) -> None:
    assert flag(value) == (read, clean)


anything = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text()
    | st.from_regex(r"[0-9]{4}-[0-9]{2}-[0-9]{2}[T ][0-9:.,+-]{0,30}Z?", fullmatch=True)
    | st.from_regex(r"\s*[+-]?[0-9]{0,30}[.0-9eE]{0,5}\s*", fullmatch=True)
    | st.text(st.characters()),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.text(), inner, max_size=2),
    max_leaves=3,
)  # fmt: skip


@given(anything)
def test_no_reader_raises_and_all_results_fit_their_type(value: object) -> None:
    readers = [
        (text, pl.String()),
        (number, pl.Int64()),
        (courier, pl.Int64()),
        (quantity, pl.Int64()),
        (reference, pl.String()),
        (flag, pl.Boolean()),
        (in_utc, pl.Datetime("us", "UTC")),
        (in_india, pl.Datetime("us", "UTC")),
    ]
    for reader, dtype in readers:
        read, clean = reader(value)
        assert pl.Series([read], dtype=dtype, strict=True).to_list() == [read]
        if clean and read is not None:
            assert isinstance(value, str | bool | int)


@given(
    st.datetimes(datetime(2000, 1, 1), datetime(2100, 12, 31), timezones=st.just(UTC)),  # noqa: DTZ001
    st.integers(-18 * 60, 18 * 60),
)
def test_a_time_written_with_an_offset_is_the_same_moment(moment: datetime, minutes: int) -> None:
    local = moment + timedelta(minutes=minutes)
    sign, off = "-" if minutes < 0 else "+", abs(minutes)
    written = f"{local.replace(tzinfo=None).isoformat()}{sign}{off // 60:02d}:{off % 60:02d}"
    assert in_utc(written) == (moment, True)


def test_a_text_too_long_to_be_remembered_is_read_alike() -> None:
    written = "2026-11-09T11:22:33Z"
    assert in_utc(f"{written:>100}") == in_utc(written) == in_utc(written)
    assert in_utc("x" * 100) == (None, False)
