"""The ends of values, found by strings, brackets and commas: the same as the JSON library's."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from returns_orchestration.clickpost.cuts import Cutter, NotJsonError

VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text() | st.sampled_from(['[{"', "\\", "],}"]),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=25,
)


@given(st.lists(VALUES), st.booleans(), st.sampled_from([(",", ":"), (" ,\n", "\t: ")]))
def test_a_list_is_cut_where_its_elements_end(
    values: list[Any], ascii_only: bool, separators: tuple[str, str]
) -> None:
    options: dict[str, Any] = {"ensure_ascii": ascii_only, "separators": separators}
    text = json.dumps(values, **options).encode()
    view = memoryview(text + b" ] trailing")
    cutter = Cutter(view)
    spans = list(cutter.elements(0))
    found = [json.loads(bytes(view[begin:end])) for begin, end in spans if values]
    assert found == values
    assert spans[-1][1] + 1 == len(text)
    for begin, end in spans:
        if values:
            start = cutter.past_blanks(begin)
            assert bytes(view[start : cutter.end(start)]).strip() == bytes(view[start:end]).strip()


@pytest.mark.parametrize(
    "text",
    [
        b"[",
        b"[1",
        b"[1,",
        b"[[]",
        b'["a',
        b'["a\\"]',
        b'["a\\',
        b"[1}",
        b"[[1}]",
        b"[{1]]",
        b"[[[]}]",
        b'[{"a": [1, {}}]]',
        b"[[[[",
    ],
)
def test_a_mismatched_bracket_is_reported(text: bytes) -> None:
    with pytest.raises(NotJsonError, match=r"cut short|does not end as it began \(byte [0-9]+\)"):
        list(Cutter(memoryview(text)).elements(0))


@pytest.mark.parametrize("text", [b"", b'"a', b"1", b"[", b'{"a"', b"[}", b"{]", b'[{"a": ["b}]'])
def test_a_value_without_an_end_is_reported(text: bytes) -> None:
    with pytest.raises(NotJsonError):
        Cutter(memoryview(text)).end(0)
