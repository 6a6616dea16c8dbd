"""The kinds of entries in the journal, and how each is written and read.

An entry is a fact about an hour, a day or all time, and its path is a pure function of its content.
What does not live here: what the name of an entry says by itself (``entry_names``), the state that
follows from entries (``state/``), and the files that they describe (``lake``).
"""

from __future__ import annotations

import hashlib
from datetime import datetime  # noqa: TC003 - msgspec reads the annotations
from typing import TYPE_CHECKING, Any, Final, Literal, NamedTuple

import msgspec

from returns_orchestration.errors import LakeDamaged
from returns_orchestration.lake.advice import rebuild_advice
from returns_orchestration.lake.journal import (
    FORMAT,
    digest_of_sizes,
    folder_of,
    sealed,
    unsealed,
)

if TYPE_CHECKING:
    from returns_orchestration.window import Day, Ever, Window

UNKNOWN_SHA: Final = "0" * 16


class FileRecord(msgspec.Struct, frozen=True, kw_only=True):
    """One Parquet file: its path, size in bytes, rows and sha256 (hexadecimal)."""

    path: str
    size: int
    rows: int
    sha256: str

    @classmethod
    def of(cls, path: str, content: bytes, rows: int) -> FileRecord:
        """The record of ``content``."""
        digest = hashlib.sha256(content).hexdigest()
        return cls(path=path, size=len(content), rows=rows, sha256=digest)


class Entry(msgspec.Struct, frozen=True, kw_only=True, tag_field="kind"):
    """One entry; ``period`` is the key of an hour or a day, or ``ever``."""

    period: str

    @property
    def arguments(self) -> str:
        """The part of its name after the kind."""
        return ""

    @property
    def path(self) -> str:
        """Its path: a pure function of its content."""
        arguments = self.arguments
        kind = f"{self.__struct_config__.tag}-{arguments}".rstrip("-")
        return f"{folder_of(self.period)}{kind}.json"


class Erased(Entry, tag="erased", frozen=True, kw_only=True):
    """Personal data was blanked in the file of a poll, in ``some`` of its records or in ``all``.

    ``size`` and ``sha256`` are those of the file since then; the last change counts.
    """

    number: int
    change: int
    what: Literal["some", "all"]
    size: int
    sha256: str

    @property
    def arguments(self) -> str:
        """See Entry."""
        return f"{self.number:04d}-{self.change:04d}-{self.what}-{self.size}-{self.sha256}"


class Poll(Entry, tag="poll", frozen=True, kw_only=True, omit_defaults=True):
    """A poll that was kept: the ``number``-th of its hour, from 1, with the file of its records.

    ``polled_at`` is by the slower of the two clocks where they disagree, ``noted_at`` by this
    machine's; ``zone`` is the CLICKPOST_TIME_ZONE under which it was sent, the zone of its naive
    times; ``rows`` counts its records, ``size`` the bytes of its file, ``sha256`` holds the first
    16 digits. ``erased``, oldest first, are later entries about it and no part of this one.
    """

    number: int
    polled_at: datetime
    noted_at: datetime
    rows: int
    size: int
    sha256: str
    zone: str
    erased: tuple[Erased, ...] = ()

    @property
    def file(self) -> tuple[int, str]:
        """Size and sha256 of its file as it stands now."""
        return self.files[-1]

    @property
    def files(self) -> list[tuple[int, str]]:
        """The same of its file at first and after each erasure, oldest first."""
        return [(self.size, self.sha256), *((one.size, one.sha256) for one in self.erased)]

    @property
    def is_blank(self) -> bool:
        """Whether none of its records has personal data."""
        return any(entry.what == "all" for entry in self.erased)

    @property
    def arguments(self) -> str:
        """See Entry."""
        return (
            f"{self.number:04d}-{self.polled_at:%Y%m%dT%H%M%S%f}-{self.noted_at:%Y%m%dT%H%M%S}-"
            f"{self.rows}-{self.size}-{self.sha256}-{self.zone.replace('/', '~')}"
        )

    def under(self, zone: str) -> Poll:
        """The same poll under ``zone``."""
        return msgspec.structs.replace(self, zone=zone)


class Lost(Entry, tag="lost", frozen=True, kw_only=True):
    """A poll that was found bad and quarantined; the next has ``next_number`` or a later one."""

    number: int
    sha256: str
    next_number: int

    @property
    def arguments(self) -> str:
        """See Entry."""
        return f"{self.number:04d}-{self.sha256}-{self.next_number:04d}"


class From(Entry, tag="from", frozen=True, kw_only=True):
    """The window ``hour`` served, in some poll, a return that lived in this hour or may have."""

    hour: str

    @property
    def arguments(self) -> str:
        """See Entry."""
        return self.hour


class To(Entry, tag="to", frozen=True, kw_only=True):
    """The other side of From: this window served a return that lived in ``hour`` or may have."""

    hour: str

    @property
    def arguments(self) -> str:
        """See Entry."""
        return self.hour


class Again(Entry, tag="again", frozen=True, kw_only=True):
    """A reply that brought nothing new and that another window's newer poll contradicts.

    ``references`` are those of the returns concerned: this window's own newest copies of them count
    as served ``at`` that time.
    """

    at: datetime
    references: list[str]

    @property
    def arguments(self) -> str:
        """See Entry."""
        digest = hashlib.sha256(msgspec.json.encode(self.references)).hexdigest()[:16]
        return f"{self.at:%Y%m%dT%H%M%S%f}-{digest}"


class Rezoned(Entry, tag="rezoned", frozen=True, kw_only=True):
    """``zone`` replaces the zone of a poll's naive times; the last change counts."""

    number: int
    change: int
    zone: str

    @property
    def arguments(self) -> str:
        """See Entry."""
        return f"{self.number:04d}-{self.change:04d}-{self.zone.replace('/', '~')}"


class Received(Entry, tag="received", frozen=True, kw_only=True):
    """A file of webhooks that came in this hour, from one receiver.

    ``instance`` names the spool, ``first`` the number there of the first delivery in the file;
    ``rows`` counts its deliveries, ``size`` the bytes of the file, ``sha256`` holds the first 16
    digits.
    """

    instance: str
    first: int
    rows: int
    size: int
    sha256: str

    @property
    def arguments(self) -> str:
        """See Entry."""
        return f"{self.instance}-{self.first:010d}-{self.rows}-{self.size}-{self.sha256}"


class Listened(Entry, tag="listened", frozen=True, kw_only=True):
    """A receiver was able to store webhooks from ``begin`` to ``until``, seconds of this hour."""

    instance: str
    begin: int
    until: int

    @property
    def arguments(self) -> str:
        """See Entry."""
        return f"{self.instance}-{self.begin:04d}-{self.until:04d}"


class Waived(Entry, tag="waived", frozen=True, kw_only=True):
    """A person's declaration that an hour need not be polled: ``why``, and when."""

    why: str
    at: datetime


class Damaged(Entry, tag="damaged", frozen=True, kw_only=True):
    """A file did not match its record; the entry stays until the file is mended."""

    file: str

    @property
    def arguments(self) -> str:
        """See Entry."""
        return hashlib.sha256(self.file.encode()).hexdigest()[:16]


class MadeName(NamedTuple):
    """The values in the name of a Made; ``sizes`` is a digest of its files' paths and sizes."""

    inputs: str
    rules: str
    sizes: str
    returns: int

    @classmethod
    def of(cls, arguments: dict[str, str]) -> MadeName:
        """From the arguments of a Name."""
        inputs, rules, sizes = arguments["inputs"], arguments["rules"], arguments["sizes"]
        return cls(inputs, rules, sizes, int(arguments["returns"]))

    @property
    def text(self) -> str:
        """As written in the name."""
        return f"{self.inputs}-{self.rules}-{self.sizes}-{self.returns}"


class Made(Entry, tag="made", frozen=True, kw_only=True, omit_defaults=True):
    """The tables made of an hour, a day or all time: their inputs, rules, files and counts.

    ``made_of`` names every poll and entry that an hour was made of, or every hour that a day was
    made of and its zone. For an hour, ``first_seen`` counts, by the age in hours of the poll that
    first served them, its returns, and those of them that an earlier poll had missed;
    ``references`` are hashes, 8 bytes each in base64, of the returns that it holds.
    """

    inputs: str
    rules: str
    written_at: datetime
    made_of: list[str]
    files: dict[str, FileRecord]
    facts: dict[str, int]
    first_seen: dict[int, tuple[int, int]] = {}
    references: bytes = b""

    @property
    def name(self) -> MadeName:
        """The values in its name."""
        sizes = digest_of_sizes({file.path: file.size for file in self.files.values()})
        return MadeName(self.inputs, self.rules, sizes, self.facts.get("returns", 0))

    @property
    def arguments(self) -> str:
        """See Entry."""
        return self.name.text


class Events(Made, tag="events", frozen=True, kw_only=True, omit_defaults=True):
    """The tables made of the webhooks that came in an hour, by its `received` entries."""


class Matched(Made, tag="matched", frozen=True, kw_only=True, omit_defaults=True):
    """The tables that compare the polls of an hour or a day with the webhooks about its returns."""


class Webhooks(Entry, tag="webhooks", frozen=True, kw_only=True):
    """In the hour ``hour`` came webhooks about returns that were requested in this one."""

    hour: str

    @property
    def arguments(self) -> str:
        """See Entry."""
        return self.hour


class Placed(Entry, tag="placed", frozen=True, kw_only=True):
    """Webhooks that came in the hour ``hour`` and say that returns were requested in this one.

    ``deliveries`` are their numbers by the instance of the receiver, the naive times in them of
    ``zone``; ``newest`` is the last time as of which one of them speaks, ``bodies`` a digest
    of what they say, which changes where personal data is blanked. Without deliveries none are
    left.
    """

    hour: str
    newest: datetime
    zone: str
    deliveries: dict[str, list[int]]
    bodies: str = ""

    @property
    def arguments(self) -> str:
        """See Entry."""
        content = msgspec.json.encode([self.zone, self.deliveries, self.bodies])
        digest = hashlib.sha256(content).hexdigest()[:16]
        return f"{self.hour}-{self.newest:%Y%m%dT%H%M%S%f}-{digest}"


class Blanked(Entry, tag="blanked", frozen=True, kw_only=True):
    """No webhook of this hour holds personal data; ``files`` is a digest of its files."""

    files: str

    @property
    def arguments(self) -> str:
        """See Entry."""
        return self.files


ANY = (
    Poll
    | Lost
    | From
    | To
    | Again
    | Rezoned
    | Erased
    | Received
    | Listened
    | Webhooks
    | Placed
    | Blanked
    | Waived
    | Damaged
    | Made
    | Events
    | Matched
)

INPUTS: Final = frozenset({"poll", "lost", "again", "rezoned", "erased", "placed"})
"""Kinds that decide what the tables of an hour hold; only `placed` is ever replaced."""

MARKS: Final[dict[str, type[From | To | Webhooks]]] = {
    "from": From,
    "to": To,
    "webhooks": Webhooks,
}
"""Kinds that connect two hours; they only grow."""

MADE: Final[dict[str, type[Made]]] = {"made": Made, "events": Events, "matched": Matched}
"""Kinds that record tables."""


def encode(entry: Entry) -> bytes:
    """The entry as indented JSON, for people too, with its format; the last field is its seal."""
    return sealed(b'{"format":%d,' % FORMAT + msgspec.json.encode(entry)[1:])


def decode(content: bytes, path: str) -> Any:  # noqa: ANN401 - an entry of the kind that the path names
    """The entry. Raises LakeDamaged, naming ``path``, where it is no sealed entry of that path."""
    if unsealed(content) is not None:
        try:
            entry = msgspec.json.decode(content, type=ANY)
        except (msgspec.MsgspecError, UnicodeDecodeError):
            pass
        else:
            if entry.path == path:
                return entry
    message = f"The entry {path} is not what was written."
    raise LakeDamaged(message, next_step=rebuild_advice(path))


def made_path(period: Window | Day | Ever, name: MadeName, kind: str = "made") -> str:
    """Where a made entry stands."""
    return f"{folder_of(period.key)}{kind}-{name.text}.json"
