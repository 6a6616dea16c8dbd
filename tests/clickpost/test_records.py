"""The exact text of each record, and the line between an odd record and a body that is not JSON.

Small bodies show here the difference between invalid JSON, duplicate members and too large values;
``test_bounds.py`` bounds the cost of large ones.
"""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from returns_orchestration.clickpost import bounds
from returns_orchestration.clickpost.bounds import BeyondBoundsError
from returns_orchestration.clickpost.cuts import NotJsonError
from returns_orchestration.clickpost.records import Texts, plain_json, split_records, split_reply

VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: (
        st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=9), inner, max_size=4)
    ),
    max_leaves=10,
)


def texts_of(body: bytes) -> Texts:
    parts = split_reply(bytearray(body))
    texts = split_records(parts.result, parts.elements)
    assert texts is not None
    return texts


def records_of(body: bytes) -> tuple[str, ...]:
    return texts_of(body).records


def around(*records: bytes) -> bytes:
    return b'{"meta": {"status": 200}, "result": [' + b" ,\n".join(records) + b"]}"


def same(left: Any, right: Any) -> bool:
    return json.dumps(left) == json.dumps(right)


@given(records=st.lists(VALUES), ascii_only=st.booleans(), indent=st.sampled_from([None, 2]))
def test_texts_decode_to_the_sent_values(
    *, records: list[Any], ascii_only: bool, indent: int
) -> None:
    sent = json.dumps({"meta": {}, "result": records}, ensure_ascii=ascii_only, indent=indent)
    texts = records_of(sent.encode("utf-8", "replace"))
    expected = json.loads(sent.encode("utf-8", "replace"))["result"]
    assert same([json.loads(text) for text in texts], expected)


@given(st.lists(st.dictionaries(st.text(max_size=9), VALUES, max_size=5), max_size=5))
def test_both_splitters_agree(records: list[Any]) -> None:
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
        b'{"a": ' * 3_000 + b"1" + b"}" * 3_000,
        b"[" * 4_990 + b"]" * 4_990,
        b'{"deep": ' + b"[" * 3_000 + b"NaN" + b"]" * 3_000 + b', "awb": "\\ud800"}',
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
def test_an_odd_record_is_kept_as_received_and_affects_no_other(odd: bytes) -> None:
    before, after = b'{"sku": "A"}', b'{"sku": "Z"}'
    assert records_of(around(before, odd, after)) == tuple(
        piece.decode() for piece in (before, odd, after)
    )


@pytest.mark.parametrize("second_path", [False, True])
def test_undecodable_bytes_are_kept_as_escapes_and_counted(*, second_path: bool) -> None:
    pieces = [b'{"a": "\xff\xfe"}', b'{"b": "fine"}', b'{"c": "\xc3"}', b'{"d": "\xed\xa0\x80"}']
    texts = texts_of(around(*pieces, *([b"NaN"] if second_path else [])))
    assert texts.damaged == 3
    assert texts.records[:4] == (
        r'{"a": "\udcff\udcfe"}',
        '{"b": "fine"}',
        r'{"c": "\udcc3"}',
        r'{"d": "\udced\udca0\udc80"}',
    )
    for text, piece in zip(texts.records, pieces, strict=False):
        inner = json.dumps(json.loads(text), ensure_ascii=False)
        assert inner.encode("utf-8", "surrogateescape") == piece


@given(st.binary(min_size=1, max_size=9), st.binary(min_size=1, max_size=9), st.booleans())
def test_texts_differ_where_their_bytes_do(one: bytes, other: bytes, second_path: bool) -> None:
    pieces = [b'"%b"' % part.translate(None, b'"\\') for part in (one, other)]
    first, second = records_of(around(*pieces, *([b"NaN"] if second_path else [])))[:2]
    assert (first == second) == (pieces[0] == pieces[1])
    assert json.loads(first, strict=False) is not None


def test_an_escaped_undecodable_byte_does_not_bypass_json_rules() -> None:
    """A raw byte after a backslash is not a JSON escape, and must not become one."""
    with pytest.raises(NotJsonError, match="element 0"):
        records_of(around(b'"\\\xff"'))


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-32"])
def test_a_byte_order_mark_and_wide_encodings_are_read(encoding: str) -> None:
    body = '{"meta": {}, "result": [{"name": "é"}]}'.encode(encoding)
    assert records_of(body) == ('{"name": "é"}',)


def test_the_order_of_parts_and_unknown_parts_do_not_matter() -> None:
    parts = split_reply(bytearray(b' {"x": {"result": [9]}, "result": [1], "meta": {"a": 2}} \n'))
    assert parts.meta == '{"a": 2}'
    assert bytes(parts.result) == b"[1]"


def test_an_odd_unknown_part_does_not_hide_the_others() -> None:
    body = b'{"x": ' + b"[" * 4_000 + b"]" * 4_000 + b', "m\\u0065ta": {}, "result": [ 1 ]}'
    parts = split_reply(bytearray(body))
    assert (parts.meta, bytes(parts.result)) == ("{}", b"[ 1 ]")
    assert list(parts.beside) == ["x"]


def test_members_beside_the_records_are_kept_as_received() -> None:
    beside = b'"next" : "?page=2" , "n" :12 ,"o": {"a" : [1]} ,"l":[ ],"t":true, "z" :null'
    for odd in (b"", b', "odd": NaN'):
        body = b'{"meta": {}, ' + beside + odd + b', "result": []}'
        parts = split_reply(bytearray(body))
        found = {name: bytes(value) for name, value in parts.beside.items() if name != "odd"}
        assert found == {
            "next": b'"?page=2"',
            "n": b"12",
            "o": b'{"a" : [1]}',
            "l": b"[ ]",
            "t": b"true",
            "z": b"null",
        }


TWICE = [
    b'{"meta": {}, "result": [1], "result": [2]}',
    b'{"meta": {}, "result": [1], "result": [1]}',
    b'{"result": [1], "meta": {}, "result": [12]}',
    b'{"result": 1, "meta": {}, "result": 12}',
    b'{"result": 12, "meta": {}, "result": 1}',
    b'{"result": [1], "re\\u0073ult": [2], "meta": {}}',
    b'{"re\\u0073ult": [1], "result": [1], "meta": {}}',
    b'{"meta": {"status": 500}, "meta": {"status": 200}, "result": []}',
    b'{"meta": {}, "met\\u0061": {}, "result": []}',
    b'{"meta": {}, "result": [{"a": "b"}], "result": []}',
    b'{"meta": {}, "result": [], "result": [{"a": ["b"]}]}',
    b'{"meta": {}, "result": [], "result": null}',
    b'{"meta": {}, "result": [], "x": 1, "x": 1}',
    b'{"meta": {}, "result": [], "": 1, "": 2}',
]


@pytest.mark.parametrize("odd", [b"", b', "odd": NaN', b', "odd": "\\ud800"'])
@pytest.mark.parametrize("body", TWICE)
def test_an_envelope_with_a_duplicate_member_is_no_answer(body: bytes, odd: bytes) -> None:
    with pytest.raises(NotJsonError, match="twice"):
        split_reply(bytearray(body[:-1] + odd + b"}"))


def test_a_duplicate_member_within_a_record_is_kept() -> None:
    body = b'{"meta": {}, "result": [{"result": [1], "result": 2}], "x": {"result": 1, "meta": 2}}'
    assert records_of(body) == ('{"result": [1], "result": 2}',)


@pytest.mark.parametrize("text", ['{"a": 1, "a": 1}', '{"a": 1, "\\u0061": 2}'])
def test_an_object_with_a_duplicate_member_is_detected(text: str) -> None:
    assert type(plain_json(text)).__name__ == "Repeating"
    assert type(plain_json('{"a": {"a": 1}}')) is dict


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
def test_a_body_that_is_not_a_json_object_is_distinguished(body: bytes) -> None:
    with pytest.raises(NotJsonError):
        split_reply(bytearray(body))


@pytest.mark.parametrize("wrong", [b"{'a': 1}", b'{"a": tru}', b'{"a": 1 "b": 2}', b"", b'{"a"}'])
def test_an_element_that_is_not_json_is_an_error_with_its_position(wrong: bytes) -> None:
    parts = split_reply(bytearray(around(b"1", wrong, b"2")))
    with pytest.raises(NotJsonError, match="element 1") as caught:
        split_records(parts.result, parts.elements)
    assert caught.value.__context__ is None


NO_VALUES = [
    *(b"1NaN", b"-NaN", b"NaN1", b"NaNNaN", b"nan", b"{NaN: 1}", b'"a"NaN'),
    *(b"+Infinity", b"--Infinity", b"1-Infinity"),
    *(b'"\\ud8zz"', b'"\\u00"', b'"\\\x01"', b"\x01", b"1\x0b"),
]


@pytest.mark.parametrize("wrong", NO_VALUES)
def test_malformed_json_extensions_are_refused(wrong: bytes) -> None:
    with pytest.raises(NotJsonError):
        records_of(around(b"NaN", wrong))
    with pytest.raises(json.JSONDecodeError):
        json.loads(wrong, strict=False)


@pytest.mark.parametrize("result", [b"{}", b'"x"', b"7", b"null", b""])
def test_a_result_that_is_not_a_list_has_no_records(result: bytes) -> None:
    assert split_records(result) is None


BEYOND = {
    "records": b'{"meta": {}, "result": [' + b"{}," * 100_000 + b"{}]}",
    "records of two kinds": b'{"meta": {}, "result": [' + b"{},1," * 50_000 + b"1]}",
    "odd records": b'{"meta": {}, "result": [' + b"NaN," * 100_000 + b"{}]}",
    "values": b'{"meta": {}, "result": [[' + b"0," * 2_000_000 + b"0]]}",
    "levels": around(b"[" * 90_000 + b"]" * 90_000),
    "levels of an unknown part": b'{"x": ' + b"[" * 90_000 + b"]" * 90_000 + b"}",
    "levels without an end": b'{"result": ' + b"[" * 90_000,
    "brackets": around(b"[[]]," * 260_000 + b"NaN"),
    "brackets of an unknown part": b'{"x": [' + b"[[]]," * 260_000 + b"1]}",
    "parts": b"{" + b",".join(b'"%d": 1' % number for number in range(1_001)) + b"}",
    "meta": b'{"meta": {"message": "' + b"m" * 2**18 + b'"}, "result": []}',
    "damage": around(b'"' + b"\xff" * 5_000_001 + b'"'),
}


@pytest.mark.parametrize("kind", BEYOND)
def test_a_body_beyond_a_bound_is_refused(kind: str) -> None:
    with pytest.raises(BeyondBoundsError) as caught:
        records_of(BEYOND[kind])
    assert caught.value.__context__ is None


def test_a_body_just_within_the_bounds_is_read() -> None:
    for record in (b"{}", b"1", b"NaN", b"{}, 1"):
        count = bounds.MAX_RECORDS // (1 + record.count(b","))
        assert len(records_of(around(*[record] * count))) == bounds.MAX_RECORDS
    assert len(records_of(around(b"[" + b"0," * 1_999_000 + b"NaN]"))) == 1
    deepest = b"[" * bounds.MAX_DEPTH + b"]" * bounds.MAX_DEPTH
    assert records_of(around(deepest)) == (deepest.decode(),)
