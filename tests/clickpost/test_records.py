"""The exact text of each record, and the line between an odd record and a body that is no JSON."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from returns_orchestration.clickpost.records import NotJsonError, split_records, split_reply

VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: (
        st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=9), inner, max_size=4)
    ),
    max_leaves=10,
)


def records_of(body: bytes) -> tuple[str, ...]:
    texts = split_records(split_reply(bytearray(body)).result)
    assert texts is not None
    return texts.records


def around(*records: bytes) -> bytes:
    return b'{"meta": {"status": 200}, "result": [' + b" ,\n".join(records) + b"]}"


def same(left: Any, right: Any) -> bool:
    return json.dumps(left) == json.dumps(right)


@given(records=st.lists(VALUES), ascii_only=st.booleans(), indent=st.sampled_from([None, 2]))
def test_texts_decode_to_what_was_sent(
    *, records: list[Any], ascii_only: bool, indent: int
) -> None:
    sent = json.dumps({"meta": {}, "result": records}, ensure_ascii=ascii_only, indent=indent)
    texts = records_of(sent.encode("utf-8", "replace"))
    expected = json.loads(sent.encode("utf-8", "replace"))["result"]
    assert same([json.loads(text) for text in texts], expected)


@given(st.lists(st.dictionaries(st.text(max_size=9), VALUES, max_size=5), max_size=5))
def test_both_cuts_agree(records: list[Any]) -> None:
    """A NaN at the end sends the same records down the second path."""
    pieces = [json.dumps(record, allow_nan=True).encode() for record in records]
    texts = records_of(around(*pieces, b"NaN"))
    assert texts == (*(piece.decode() for piece in pieces), "NaN")


@pytest.mark.parametrize(
    "odd",
    [
        b'{"quantity": NaN}',
        b'{"quantity": -Infinity}',
        b'{"awb": "\\ud800"}',
        b'{"awb": "\\udfff\\ud800 text"}',
        b'{"comment": "line one\nline two\ttab"}',
        b'{"awb": 1, "awb": 2}',
        b'{"cp_id": ' + b"9" * 6_000 + b"}",
        b'{"cp_id": ' + b"9" * 6_000 + b', "quantity": NaN}',
        b'{"cp_id": 1e999999}',
        b'{"a": ' * 30_000 + b"1" + b"}" * 30_000,
        b"[" * 200_000 + b"]" * 200_000,
        b'{"text": "]},[{\\"\\\\"}',
        b'{"sku" : "1" , "sizes" : [ 1 , 2 ]  }',
        b'"a text"',
        b"12",
        b"null",
        b"true",
        b"{}",
        b"[]",
        '{"name": "नमस्ते 🙂"}'.encode(),
    ],
)
def test_an_odd_record_is_kept_as_it_came_and_harms_no_neighbour(odd: bytes) -> None:
    before, after = b'{"sku": "A"}', b'{"sku": "Z"}'
    assert records_of(around(before, odd, after)) == tuple(
        piece.decode() for piece in (before, odd, after)
    )


@pytest.mark.parametrize("second_path", [False, True])
def test_bytes_that_are_no_utf8_are_replaced_and_counted(*, second_path: bool) -> None:
    pieces = [b'{"a": "\xff\xfe"}', b'{"b": "fine"}', b'{"c": "\xc3"}', b'{"d": "\xed\xa0\x80"}']
    parts = split_reply(bytearray(around(*pieces, *([b"NaN"] if second_path else []))))
    texts = split_records(parts.result)
    assert texts is not None
    assert texts.replaced == 3
    assert texts.records[:2] == ('{"a": "\ufffd\ufffd"}', '{"b": "fine"}')
    assert "".join(texts.records).encode("utf-8")


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-32"])
def test_a_byte_order_mark_and_wide_encodings_are_read(encoding: str) -> None:
    body = '{"meta": {}, "result": [{"name": "é"}]}'.encode(encoding)
    assert records_of(body) == ('{"name": "é"}',)


def test_order_of_the_parts_and_unknown_parts_do_not_matter() -> None:
    parts = split_reply(bytearray(b' {"x": {"result": [9]}, "result": [1], "meta": {"a": 2}} \n'))
    assert parts.meta == '{"a": 2}'
    assert bytes(parts.result) == b"[1]"


def test_a_hostile_unknown_part_does_not_hide_the_others() -> None:
    body = b'{"x": ' + b"[" * 90_000 + b"]" * 90_000 + b', "m\\u0065ta": {}, "result": [ 1 ]}'
    parts = split_reply(bytearray(body))
    assert (parts.meta, bytes(parts.result)) == ("{}", b"[ 1 ]")


@pytest.mark.parametrize("blank", [b"[]", b"[ \n ]"])
def test_an_empty_list_holds_no_records(blank: bytes) -> None:
    assert records_of(b'{"meta": {}, "result": ' + blank + b"}") == ()


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"   ",
        b"[]",
        b"null",
        b'"text"',
        b"<html>{}</html>",
        b'{"meta": {}',
        b'{"meta": {}, "result": [{"a": 1}',
        b'{"meta": {}, "result": [{"a": "b',
        b'{"meta": {}, "result": [{"a": 1]}}',
        b'{"meta": {}, "result": []} trailing',
        b'{"meta": {}, "result": []}{}',
        b'leading {"meta": {}}',
        b"{meta: {}}",
        b"{{}: 1}",
        b"]",
        b",",
        b'{"meta": {}} "',
        b'{"' + b"a" * 100_000,
    ],
)
def test_a_body_that_is_no_json_object_is_told_apart(body: bytes) -> None:
    with pytest.raises(NotJsonError):
        split_reply(bytearray(body))


@pytest.mark.parametrize("wrong", [b"{'a': 1}", b'{"a": tru}', b'{"a": 1 "b": 2}', b"", b'{"a"}'])
def test_an_element_that_is_no_json_is_an_error_and_names_its_position(wrong: bytes) -> None:
    parts = split_reply(bytearray(around(b"1", wrong, b"2")))
    with pytest.raises(NotJsonError, match="element 1") as caught:
        split_records(parts.result)
    assert caught.value.__context__ is None


@pytest.mark.parametrize("result", [b"{}", b'"x"', b"7", b"null", b""])
def test_what_is_no_list_has_no_records(result: bytes) -> None:
    assert split_records(result) is None
