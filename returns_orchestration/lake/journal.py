"""The journal: the facts of each hour and day, as sealed files that never change.

All entries of one date are in one folder, so that one listing of a few dates shows the state of
their hours. The name of an entry holds its period, its kind and its arguments, so a reader of the
listing need not open it, except for the figures of a made hour::

    _journal/date=2026-11-09/11.poll-0001-20261109T121003000000-20261109T121004-23-4711-9f86….json
    _journal/date=2026-11-09/11.made-<inputs>-<rules>-<sizes>-<returns>.json
    _journal/date=2026-11-09/day.made-….json

What lives here: the kinds, names and seals of entries. What does not: which names there are
(``names``), the state that follows from them (``state/``), and the files that they describe
(``lake``).
"""

from __future__ import annotations

import hashlib
import re
from datetime import UTC, date, datetime
from typing import Any, Final, Literal, NamedTuple

import msgspec

from returns_orchestration.errors import LakeDamaged
from returns_orchestration.lake.advice import rebuild_advice
from returns_orchestration.window import Window

JOURNAL: Final = "_journal"
FORMAT: Final = 2
"""The format of the journal; 1 was the folder ``_records`` of releases before 0.2."""

DAY: Final = "day"
EVER: Final = "ever"
"""In the place of an hour: the tables of the day of the folder, and of all time."""

_SEAL: Final = b',\n "seal": "%s"\n}\n'
_SEAL_LENGTH: Final = len(_SEAL % hashlib.sha256().hexdigest().encode())
_NAME: Final = re.compile(r"(?P<at>[0-9]{2}|day|ever)\.(?P<kind>[a-z]+)(?:-(?P<rest>[^/]+))?\.json")
_ARGUMENTS: Final = {
    "poll": re.compile(
        r"(?P<number>[0-9]{4,})-(?P<polled_at>[0-9]{8}T[0-9]{12})-(?P<noted_at>[0-9]{8}T[0-9]{6})-"
        r"(?P<rows>[0-9]+)-(?P<size>[0-9]+)-(?P<sha>[0-9a-f]{16})-(?P<zone>[A-Za-z0-9_+~-]+)"
    ),
    "lost": re.compile(r"(?P<number>[0-9]{4,})-(?P<sha>[0-9a-f]{16})-(?P<next>[0-9]{4,})"),
    "from": re.compile(r"(?P<hour>[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2})"),
    "to": re.compile(r"(?P<hour>[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2})"),
    "again": re.compile(r"(?P<at>[0-9]{8}T[0-9]{12})-(?P<sha>[0-9a-f]{16})"),
    "rezoned": re.compile(
        r"(?P<number>[0-9]{4,})-(?P<change>[0-9]{4,})-(?P<zone>[A-Za-z0-9_+~-]+)"
    ),
    "erased": re.compile(
        r"(?P<number>[0-9]{4,})-(?P<change>[0-9]{4,})-(?P<what>some|all)-(?P<size>[0-9]+)-"
        r"(?P<sha>[0-9a-f]{16})"
    ),
    "received": re.compile(
        r"(?P<instance>[0-9a-f]{8})-(?P<first>[0-9]{10,})-(?P<rows>[0-9]+)-(?P<size>[0-9]+)-"
        r"(?P<sha>[0-9a-f]{16})"
    ),
    "listened": re.compile(r"(?P<instance>[0-9a-f]{8})-(?P<begin>[0-9]{4})-(?P<until>[0-9]{4})"),
    "waived": re.compile(r""),
    "damaged": re.compile(r"(?P<sha>[0-9a-f]{16})"),
    "blanked": re.compile(r"(?P<files>[0-9a-f]{12})"),
    "webhooks": re.compile(r"(?P<hour>[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2})"),
    "placed": re.compile(
        r"(?P<hour>[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2})-(?P<newest>[0-9]{8}T[0-9]{12})-"
        r"(?P<sha>[0-9a-f]{16})"
    ),
} | dict.fromkeys(
    ("made", "events", "matched"),
    re.compile(
        r"(?P<inputs>[0-9a-f]{12})-(?P<rules>[0-9a-f]{8})-(?P<sizes>[0-9a-f]{8})-(?P<returns>[0-9]+)"
    ),
)
INPUTS: Final = frozenset({"poll", "lost", "again", "rezoned", "erased", "placed"})
"""Kinds that decide what the tables of an hour hold; only `placed` is ever replaced."""

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


MARKS: Final[dict[str, type[From | To | Webhooks]]] = {
    "from": From,
    "to": To,
    "webhooks": Webhooks,
}
"""Kinds that connect two hours; they only grow."""

MADE: Final[dict[str, type[Made]]] = {"made": Made, "events": Events, "matched": Matched}
"""Kinds that record tables."""


class PlacedName(NamedTuple):
    """The values in the name of a Placed, and its ``path``; ``came`` is the hour of receipt."""

    came: Window
    newest: datetime
    path: str


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


class Name(NamedTuple):
    """The name of an entry, in its parts; ``at`` is the hour of the day, ``day`` or ``ever``."""

    at: str
    kind: str
    arguments: dict[str, str]


def folder_of(period: str) -> str:
    """The path of an entry of a period up to its kind, ``_journal/date=2026-11-09/11.``."""
    if period == EVER:
        return f"{JOURNAL}/{EVER}."
    day, hour = period[:10], period[11:13]
    return f"{JOURNAL}/date={day}/{hour or DAY}."


def date_folder(day: date) -> str:
    """The folder of one date."""
    return f"{JOURNAL}/date={day.isoformat()}"


def read_name(name: str) -> Name | None:
    """The name of a file in a date's folder, in its parts; None for a foreign file."""
    read = _NAME.fullmatch(name)
    pattern = _ARGUMENTS.get(read["kind"]) if read else None
    arguments = pattern.fullmatch(read["rest"] or "") if read and pattern else None
    if read is None or arguments is None or (read["at"].isdigit() and int(read["at"]) > 23):
        return None
    return Name(read["at"], read["kind"], arguments.groupdict())


def read_erased(window: Window, arguments: dict[str, str]) -> Erased:
    """The erasure that a name describes."""
    return Erased(
        period=window.key,
        number=int(arguments["number"]),
        change=int(arguments["change"]),
        what="all" if arguments["what"] == "all" else "some",
        size=int(arguments["size"]),
        sha256=arguments["sha"],
    )


def read_poll(window: Window, arguments: dict[str, str]) -> Poll | None:
    """The poll that a name describes; None where its times are invalid."""
    try:
        return Poll(
            period=window.key,
            number=int(arguments["number"]),
            polled_at=read_time(arguments["polled_at"]),
            noted_at=read_time(arguments["noted_at"]),
            rows=int(arguments["rows"]),
            size=int(arguments["size"]),
            sha256=arguments["sha"],
            zone=arguments["zone"].replace("~", "/"),
        )
    except ValueError:
        return None


def read_received(window: Window, arguments: dict[str, str]) -> Received:
    """The file of webhooks that a name describes."""
    return Received(
        period=window.key,
        instance=arguments["instance"],
        first=int(arguments["first"]),
        rows=int(arguments["rows"]),
        size=int(arguments["size"]),
        sha256=arguments["sha"],
    )


def read_listened(window: Window, arguments: dict[str, str]) -> Listened:
    """The time of listening that a name describes."""
    return Listened(
        period=window.key,
        instance=arguments["instance"],
        begin=int(arguments["begin"]),
        until=int(arguments["until"]),
    )


def read_placed(window: Window, arguments: dict[str, str]) -> PlacedName | None:
    """The webhooks that a name describes; None where its hour or time is invalid."""
    came, newest, sha = arguments["hour"], arguments["newest"], arguments["sha"]
    hour = hour_named(came)
    try:
        path = f"{folder_of(window.key)}placed-{came}-{newest}-{sha}.json"
        return PlacedName(hour, read_time(newest), path) if hour else None
    except ValueError:
        return None


def entry_named(path: str) -> Entry | None:
    """The entry that is, or was, at ``path``; None where its name does not hold all of it."""
    read, window = read_name(path.rpartition("/")[2]), hour_of(path)
    if read is None or window is None:
        return None
    values, period = read.arguments, window.key
    found: Entry | None = None
    if read.kind == "poll":
        found = read_poll(window, values)
    elif read.kind == "lost":
        number, following = int(values["number"]), int(values["next"])
        found = Lost(period=period, number=number, sha256=values["sha"], next_number=following)
    elif read.kind in MARKS and hour_named(values["hour"]) is not None:
        found = MARKS[read.kind](period=period, hour=values["hour"])
    elif read.kind == "rezoned":
        number, change = int(values["number"]), int(values["change"])
        zone = values["zone"].replace("~", "/")
        found = Rezoned(period=period, number=number, change=change, zone=zone)
    elif read.kind == "erased":
        found = read_erased(window, values)
    elif read.kind == "received":
        found = read_received(window, values)
    elif read.kind == "listened":
        found = read_listened(window, values)
    elif read.kind == "blanked":
        found = Blanked(period=period, files=values["files"])
    return found


def hour_of(path: str) -> Window | None:
    """The hour that the entry at ``path`` is about; None where it is not about an hour."""
    folder, _, name = path.rpartition("/")
    read = read_name(name)
    return Window.from_path(f"{folder}/hour={read.at}/") if read and read.at.isdigit() else None


def came_of(path: str) -> Window | None:
    """The hour of receipt that a `placed` entry at ``path`` is about; None for another kind."""
    read = read_name(path.rpartition("/")[2])
    return hour_named(read.arguments["hour"]) if read and read.kind == "placed" else None


def read_time(text: str) -> datetime:
    """``20261109T121003`` or, with microseconds, ``20261109T121003000000``; else ValueError."""
    # Not strptime: a look at years reads a hundred thousand of them.
    day, time = text.split("T")
    return datetime(
        int(day[:4]),
        int(day[4:6]),
        int(day[6:]),
        int(time[:2]),
        int(time[2:4]),
        int(time[4:6]),
        int(time[6:] or 0),
        tzinfo=UTC,
    )


def hour_named(text: str) -> Window | None:
    """The hour of ``2026-11-09T11``; None for any other text."""
    return Window.from_path(f"date={text[:10]}/hour={text[11:]}")


def name_of_hour(window: Window) -> str:
    """As marks name an hour, ``2026-11-09T11``."""
    return window.text[:-3]


def digest_of_sizes(sizes: dict[str, int]) -> str:
    """Eight digits that change when one of the files has another size or place."""
    return _digest((f"{path} {size}" for path, size in sorted(sizes.items())), 8)


def digest_of_inputs(names: Any) -> str:  # noqa: ANN401 - any iterable of text
    """Twelve digits that change with any of ``names``, in whatever order they come."""
    return _digest(sorted(names), 12)


def _digest(lines: Any, length: int) -> str:  # noqa: ANN401
    return hashlib.sha256("\n".join(lines).encode()).hexdigest()[:length]


def encode(entry: Entry) -> bytes:
    """The entry as indented JSON, for people too, with its format; the last field is its seal."""
    return sealed(b'{"format":%d,' % FORMAT + msgspec.json.encode(entry)[1:])


def sealed(plain: bytes) -> bytes:
    """A JSON object, indented, with a seal as its last field."""
    body = msgspec.json.format(plain, indent=1).removesuffix(b"\n}")
    return body + _seal(body)


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


def unsealed(content: bytes) -> bytes | None:
    """The bytes before the seal; None where the seal does not match them."""
    body, seal = content[:-_SEAL_LENGTH], content[-_SEAL_LENGTH:]
    return body if seal == _seal(body) else None


def is_torn(content: bytes) -> bool:
    """Whether an entry that cannot be read has lost its end, and not only other bytes."""
    return not content.endswith(b'"\n}\n')


def _seal(body: bytes) -> bytes:
    return _SEAL % hashlib.sha256(body).hexdigest().encode()
