"""A reference is an identity: however JSON spells them, two never become one."""

from __future__ import annotations

import json

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from support.rows import READER, reason_refused, typed

from returns_orchestration.stages.typing import Typed
from returns_orchestration.stages.values import reference

SPELLINGS = [
    '"R-1"', '"r-1"', '" R-1"', '"R-1 "', '"R\\u200b-1"', '"re\\u0301"', '"r\\u00e9"',
    '"\\u0000R-1"', '"a\\ud800"', '"a\\udbff"', '"a\\udc00"', '"a\\ufffd"', '"a?"',
    '"a\\\\ud800"', '"a\\\\\\\\ud800"',
    "0", "-0", "-0.0", "0.0", "1", "1.0", "1.00", "1e0", "1E0", "10e-1", "1e400", "1e401",
    "9007199254740993", "9007199254740993.0", "9007199254740992.0",
    "123456789012345678901234567890", "123456789012345678901234567891",
    "1" * 1500, "1" * 1499 + "2", "1e-400", "-1",
]  # fmt: skip


def read(spelling: str) -> Typed:
    found = READER.read(
        f'{{"return_reference_number": {spelling}, "Return Request Timestamp":'
        ' "2026-11-09T11:05:00Z"}'
    )
    assert isinstance(found, Typed), spelling
    return found


def test_two_spellings_are_never_one_return() -> None:
    references = [read(spelling).reference for spelling in SPELLINGS]
    assert len(set(references)) == len(SPELLINGS)
    for name in references:
        name.encode()  # a file can hold it


@pytest.mark.parametrize(
    "digits", ["0", "-0", "1.50", "1e3", "12345678901234567890123", "1" * 1500]
)
def test_a_number_keeps_its_digits(digits: str) -> None:
    found = read(digits)
    assert found.reference == digits
    assert "return_reference_number" in found.quality


@pytest.mark.parametrize("spelling", ["R-1", " R-1 ", "a\u200b", "a\\b", "re\u0301"])
def test_text_is_kept_as_it_is(spelling: str) -> None:
    found = typed(
        {"return_reference_number": spelling, "Return Request Timestamp": "2026-11-09T11:05:00Z"}
    )
    assert found.reference == spelling
    assert "return_reference_number" not in found.quality


@pytest.mark.parametrize("spelling", ["", " ", "None", " None ", "\u200b", None, True, [], {}])
def test_a_value_that_names_nothing_is_no_reference(spelling: object) -> None:
    record = {"return_reference_number": spelling, "Return Request Timestamp": "2026-11-09T11:05Z"}
    assert reason_refused(record) == "no usable return_reference_number"


texts = st.text(st.sampled_from("a\\ud8Df0?\ud800\udfff\ufffd "), min_size=1, max_size=12)


@given(texts, texts)
def test_two_texts_are_two_references(one: str, other: str) -> None:
    assume(one != other)
    named = reference(one)[0], reference(other)[0]
    assume(None not in named)
    assert named[0] != named[1]
    assert json.loads(json.dumps(named)) == list(named)
