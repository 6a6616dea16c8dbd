"""The tables of the spool, and their rows as values.

``deliveries`` holds what was answered with 200 and is not in the lake yet, ``batches`` which of
these go into one file of the lake, ``listened`` the times in which deliveries could be stored, and
``facts`` the instance of the spool and when it was made.
"""

from __future__ import annotations

from typing import Final, NamedTuple

FORMAT: Final = 1
SCHEMA: Final = """
CREATE TABLE deliveries (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    received_at INTEGER NOT NULL,
    content_type TEXT NOT NULL,
    redelivered INTEGER NOT NULL,
    body BLOB NOT NULL
);
CREATE TABLE batches (first INTEGER PRIMARY KEY, last INTEGER NOT NULL, is_put INTEGER NOT NULL);
CREATE TABLE listened (begin INTEGER PRIMARY KEY, until INTEGER NOT NULL);
CREATE TABLE facts (name TEXT PRIMARY KEY, value TEXT NOT NULL);
"""


class Delivery(NamedTuple):
    """One delivery: when its body was complete, in microseconds since 1970 UTC, and the body."""

    received_at: int
    content_type: str
    redelivered: bool
    body: bytes


class Stored(NamedTuple):
    """A delivery of the spool and its number there, which is never given twice."""

    id: int
    delivery: Delivery


class Batch(NamedTuple):
    """The numbers of the deliveries that go into one file of the lake, noted before it is put.

    ``is_put``: the file is in the lake, and some of the deliveries may be removed already.
    """

    first: int
    last: int
    is_put: bool = False
