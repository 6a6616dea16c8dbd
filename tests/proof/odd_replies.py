"""Unforeseen replies: hypothesis strategies for their bytes, and their content.

The content of a record is drawn first, and then spelled: so it is known without reading it.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from hypothesis import strategies as st
from support.records import assigned, new_case

from returns_orchestration import tables
from returns_orchestration.window import Window, read_hour

WINDOWS = [Window(read_hour("2026-11-09T09:00") + timedelta(hours=n)) for n in range(3)]
NOON = WINDOWS[1].start
REQUESTED = {
    f"R-{number}": NOON + offset
    for number, offset in enumerate(
        (
            timedelta(0),
            timedelta(microseconds=1),
            timedelta(minutes=30),
            timedelta(hours=1) - timedelta(microseconds=1),
            timedelta(hours=1),
            -timedelta(microseconds=1),
            -timedelta(minutes=59),
            timedelta(days=400),
        )
    )
}
"""A few returns, each requested at one time: at the edges of the hour in the middle and beyond."""

RAW = {
    '"@nan"': b"NaN",
    '"@infinity"': b"-Infinity",
    '"@big"': b"9" * 400,
    '"@digits"': b"1" * 5_000,
    '"@deep"': b"[" * 60 + b"]" * 60,
    '"@deeper"': b"[" * 4_000 + b"]" * 4_000,
    '"@huge"': b'"' + b"x" * 100_000 + b'"',
    "@lone": b"\\ud800",
    "@surrogate": b"\xed\xa0\x80",
    "@invalid": b"\xff\xfe\xc3",
    "@control": b"\x01\t",
    "@null": b"\\u0000",
    "@emoji": "🧥é\u202e\u0301".encode(),
}
"""Texts that json.dumps would not write, by the mark that replaces them."""


KEYS = sorted(
    {c.key for table in tables.TABLES for c in table.columns if c.key}
    - {tables.REFERENCE.key, tables.REQUESTED_AT.key}
    | {"webhook_payload", "additional", "latest_status", "item_info", "payload", "a new key"}
)

values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(st.characters(), max_size=8)
    | st.sampled_from(["None", "", "-1", "25", "{", "[]", "{}", "2026-11-09T11:00:00Z", "=1+1"])
    | st.sampled_from([mark.strip('"') for mark in RAW]),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.sampled_from(KEYS), inner, max_size=4)
        | inner.map(json.dumps)
    ),
    max_leaves=6,
)
spelled = st.sampled_from(["{}", "{}", " {}", "{}\t", "{}\u2003"])
"""Each is a separate return."""


@dataclass(frozen=True)
class Served:
    """One record as bytes, and the return it is about; None: it has no reference or no time."""

    content: bytes
    reference: str | None

    @property
    def text(self) -> str:
        """The record as received; a byte that is not UTF-8 is an escape in it."""
        text = self.content.decode("utf-8", "surrogateescape")
        return text.encode("utf-8", "backslashreplace").decode("utf-8")


@dataclass(frozen=True)
class Reply:
    """One answer to one poll of a window; ``records`` is None where it is not a good reply."""

    window: Window
    body: bytes
    records: tuple[Served, ...] | None


def spell(value: object, *, plain: bool) -> bytes:
    """JSON with the marks replaced; ``plain`` writes letters as they are, surrogates too."""
    text = json.dumps(value, ensure_ascii=not plain).encode("utf-8", "surrogatepass")
    for mark, content in RAW.items():
        text = text.replace(mark.encode(), content)
    return text


@st.composite
def records(draw: st.DrawFn) -> Served:
    """A record of a known return, of none, or something that is not a record."""
    if draw(st.integers(0, 9)) == 0:
        content = spell(
            draw(values.filter(lambda v: not isinstance(v, dict))), plain=draw(st.booleans())
        )
        return Served(content, None)
    known = draw(st.sampled_from(sorted(REQUESTED)))
    record: dict[str, Any] = draw(st.sampled_from([assigned, new_case]))()
    record |= draw(st.dictionaries(st.sampled_from(KEYS), values, max_size=4))
    for key in draw(st.lists(st.sampled_from(KEYS), max_size=3)):
        record.pop(key, None)
    reference = record["return_reference_number"] = draw(spelled).format(known)
    moment = REQUESTED[known].astimezone(draw(st.sampled_from(ZONES)))
    record["Return Request Timestamp"] = moment.isoformat()
    if draw(st.integers(0, 7)) == 0:
        key = draw(st.sampled_from(["return_reference_number", "Return Request Timestamp"]))
        record[key] = draw(st.sampled_from([None, "", " ", "None", [], {}, "@deep"]))
        if draw(st.booleans()):
            record.pop(key)
        return Served(spell(record, plain=draw(st.booleans())), None)
    content = spell(record, plain=draw(st.booleans()))
    if draw(st.integers(0, 9)) == 0:  # the same key twice
        content = content[:-1] + b', "status": "SUCCESS", "status": 7}'
    return Served(content, reference)


ZONES = [datetime.fromisoformat(f"2026-11-09T00:00:00{z}").tzinfo for z in ("+00:00", "+05:30")]
GOOD = b'{"success": true, "status": 200, "message": "SUCCESS"}'


@st.composite
def replies(draw: st.DrawFn) -> Reply:
    """A good reply, mostly; else a truncated or empty one, one of another form, or an error."""
    window = draw(st.sampled_from(WINDOWS))
    served = draw(st.lists(records(), max_size=5))
    if served and draw(st.booleans()):
        served += draw(st.lists(st.sampled_from(served), max_size=2))
    result = b"[" + b", ".join(record.content for record in served) + b"]"
    body = b'{"meta": ' + GOOD + b', "result": ' + result + b"}"
    kind = draw(st.sampled_from(["good"] * 12 + BROKEN))
    if kind == "good":
        return Reply(window, body, tuple(served))
    if kind == "mark":
        return Reply(window, b"\xef\xbb\xbf" + body + b"\n ", tuple(served))
    if kind == "null":
        return Reply(window, b'{"result": null, "meta": ' + GOOD + b"}", ())
    if kind == "cut":
        return Reply(window, body[: draw(st.integers(0, len(body) - 1))], None)
    if kind == "trailing":
        return Reply(window, body + b" garbage", None)
    return Reply(window, OTHERS[kind], None)


OTHERS = {
    "object": b'{"meta": ' + GOOD + b', "result": {"a": 1}}',
    "absent": b'{"meta": ' + GOOD + b"}",
    "no meta": b'{"result": []}',
    "no success": b'{"meta": {"success": false, "status": 200}, "result": []}',
    "meta 500": b'{"meta": {"success": false, "status": 500}, "result": []}',
    "meta 400": b'{"meta": {"success": false, "status": 400, "message": "no"}, "result": null}',
    "list": b"[]",
    "html": b"<html>down for maintenance</html>",
}
BROKEN = ["mark", "null", "cut", "trailing", *OTHERS]
histories = st.lists(replies(), min_size=1, max_size=4)
