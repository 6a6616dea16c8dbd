"""Webhooks as they were received: files by the hour of receipt, and what each receiver last noted.

A file holds deliveries of one receiver, in the order of their numbers:
``raw_webhooks/date=.../hour=HH/<instance>-<first number>.parquet``, created once and sealed as the
file of a poll is. Then its ``received`` entry is put into the journal. Putting the same deliveries
again changes nothing, so a receiver that was killed in between puts them again.

``_receivers/<instance>.json`` is replaced every minute: it shows since when a receiver listens and
what it refused. The times in which it listened are ``listened`` entries of each hour.
"""

from __future__ import annotations

import base64
import hashlib
import re
from collections import Counter
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from itertools import zip_longest
from typing import TYPE_CHECKING, Final, NamedTuple

import msgspec

from returns_orchestration import tables
from returns_orchestration.errors import LakeDamaged, LakeError
from returns_orchestration.lake.advice import rebuild_advice
from returns_orchestration.lake.entry_kinds import Listened, Received, encode
from returns_orchestration.lake.entry_names import hour_named
from returns_orchestration.lake.many import side_by_side
from returns_orchestration.lake.names import dates_in
from returns_orchestration.lake.parquet import from_parquet, is_whole, webhooks_to_parquet
from returns_orchestration.lake.quarantine import move_to_quarantine
from returns_orchestration.window import EPOCH, Window

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    import polars as pl

    from returns_orchestration.lake.entry_kinds import Placed
    from returns_orchestration.lake.names import Names
    from returns_orchestration.lake.store import Store

    Blank = Callable[[Window, pl.DataFrame], pl.DataFrame]

RECEIVERS: Final = "_receivers"
_FILE: Final = re.compile(r"(?P<instance>[0-9a-f]{8})-(?P<first>[0-9]{10,})\.parquet")
BASE64: Final = "base64"
CHECK: Final = "returns_orchestration_check"
"""The key of the body that `receive --check` sends; its value is when."""

ABANDONED_AFTER: Final = timedelta(days=7)
"""A receiver that was silent for so long is not expected back."""

_SAME: Final = ("received_at", "body", "encoding")


class Webhook(NamedTuple):
    """One delivery: its number in its receiver, when it was received, and its body as bytes."""

    number: int
    received_at: datetime
    content_type: str
    redelivered: bool
    body: bytes


class ReceiverNote(msgspec.Struct, frozen=True, kw_only=True):
    """What a receiver notes about itself every minute, ``at`` that time.

    Its spool is there since ``began``, and it runs since ``since``. Counts are of this run:
    deliveries ``stored``, requests ``refused`` for their key and, of these, ``without_key``, and
    deliveries ``not_stored``, each with the last time. ``waiting`` are deliveries that are not in
    the lake yet, ``problem`` is why nothing can be stored now. ``ended``: it was stopped, and
    listens no more.
    """

    instance: str
    at: datetime
    began: datetime
    since: datetime
    stored: int
    last_stored: datetime | None
    refused: int
    without_key: int
    last_refused: datetime | None
    not_stored: int
    last_not_stored: datetime | None
    waiting: int
    problem: str
    set_aside: str
    ended: bool = False


class NumbersTaken(LakeError):
    """Other deliveries have these numbers: the spool is a copy, or was restored from one."""

    next_step = "The receiver takes another name and puts them once more."


class Webhooks:
    """The webhooks of one lake."""

    def __init__(self, store: Store) -> None:
        self._store = store

    def put(
        self, instance: str, deliveries: Sequence[Webhook], blank: Blank | None = None
    ) -> Received:
        """Put ``deliveries`` of one hour into a file, and its entry. Idempotent.

        ``blank`` removes personal data that is not to be kept.

        Raises NumbersTaken where other deliveries have their numbers, and LakeUnwritable.
        """
        window = Window.of(deliveries[0].received_at)
        first = deliveries[0].number
        path, name = path_of(window, instance, first), name_of(window, instance, first)
        frame = _frame(instance, deliveries)
        frame = frame if blank is None else blank(window, frame)
        content = webhooks_to_parquet(frame, name)
        if not self._store.create(path, content):
            content = self._there(path, name, frame)
            known = from_parquet(content, path)
            if blank is not None and not (blanked := blank(window, known)).equals(known):
                content = webhooks_to_parquet(blanked, name)
                self._store.put(path, content)
        entry = _entry(window, instance, first, len(deliveries), content)
        self._store.create(entry.path, encode(entry))
        return entry

    def _there(self, path: str, name: str, frame: pl.DataFrame) -> bytes:
        """The content of the file that has these numbers; one that is damaged is replaced."""
        there = self._store.get(path)
        if there is not None and is_whole(there, name):
            # Another release of polars writes other bytes, and `forget` may have blanked bodies.
            known = from_parquet(there, path).select("position", "received_at")
            if known.equals(frame.select("position", "received_at")):
                return there
            message = f"The file {path} holds other deliveries."
            raise NumbersTaken(message)
        move_to_quarantine(self._store, path)
        content = webhooks_to_parquet(frame, name)
        self._store.put(path, content)
        return content

    def read(self, entry: Received) -> pl.DataFrame:
        """The rows of a file. Raises LakeDamaged where it is not as it was written."""
        path, content = entry_path(entry), self._store.get(entry_path(entry))
        if content is None or not is_file_of(content, entry):
            message = f"The file {path} is {'missing' if content is None else 'damaged'}."
            raise LakeDamaged(message, next_step=rebuild_advice(path))
        return from_parquet(content, path)

    def replace(self, entry: Received, frame: pl.DataFrame) -> None:
        """Put ``frame``, where bodies were blanked, in the place of a file. Raises LakeUnwritable.

        Readers trust it by its own seal, so its entry stays.
        """
        window = Window.from_key(entry.period)
        name = name_of(window, entry.instance, entry.first)
        self._store.put(entry_path(entry), webhooks_to_parquet(frame, name))

    def finish(self, path: str) -> Received | None:
        """Put the entry of a whole file that has none: its receiver was killed. Idempotent.

        None where the file is not whole. Raises LakeError.
        """
        read, content = _read_path(path), self._store.get(path)
        if read is None or content is None or not is_whole(content, name_of(*read)):
            return None
        entry = _entry(*read, from_parquet(content, path).height, content)
        self._store.create(entry.path, encode(entry))
        return entry

    def finish_all(self, names: Names, window: Window) -> None:
        """Put the entries of whole files of an hour that have none. Raises LakeError."""
        known = {entry_path(entry) for entry in names.hour(window).received}
        listed = names.files(tables.RAW_WEBHOOKS.name, window.start.date()) or {}
        for path in sorted(listed.keys() - known):
            if f"/{window.path}/" in path and (entry := self.finish(path)) is not None:
                names.add(entry.path)

    def known(self, names: Names, window: Window) -> Counter[tuple[object, ...]]:
        """The deliveries of an hour, for ``without``. Raises LakeError."""
        found: Counter[tuple[object, ...]] = Counter()
        for entry in names.hour(window).received:
            found.update(self.read(entry).select(_SAME).iter_rows())
        return found

    @staticmethod
    def without(
        known: Counter[tuple[object, ...]], deliveries: Sequence[Webhook], blank: Blank | None
    ) -> list[Webhook]:
        """Those of ``deliveries``, of one hour, that are not ``known``, each as often as it is.

        Two are the same by the time of receipt and the body; ``known`` loses what was found.
        """
        frame = _frame("", deliveries)
        frame = frame if blank is None else blank(Window.of(deliveries[0].received_at), frame)
        kept: list[Webhook] = []
        for delivery, row in zip(deliveries, frame.select(_SAME).iter_rows(), strict=True):
            if known[row]:
                known[row] -= 1
            else:
                kept.append(delivery)
        return kept

    def quarantine(self, entry: Received) -> list[str]:
        """Move a file that is bad, and its entry, out of the way; where to.

        What polls brought of its returns stays; what only it had is lost. Raises LakeError.
        """
        # Its entry first: what the journal does not name is not read.
        moved = (move_to_quarantine(self._store, path) for path in (entry.path, entry_path(entry)))
        return [place for place in moved if place]

    def is_sound(self, entry: Received) -> bool:
        """Whether the file of an entry is whole. Raises LakeDamaged where it cannot be read now."""
        content = self._store.get(entry_path(entry))
        return content is not None and is_file_of(content, entry)

    def listened(self, instance: str, begin: datetime, until: datetime) -> None:
        """Note that a receiver listened from ``begin`` to ``until``. Idempotent.

        Raises LakeUnwritable.
        """
        entries = [
            Listened(period=window.key, instance=instance, begin=first, until=last)
            for window, first, last in _parts(begin, until)
        ]
        self._store.put_many({entry.path: encode(entry) for entry in entries})

    def note(self, note: ReceiverNote) -> None:
        """Replace what a receiver notes about itself. Raises LakeUnwritable."""
        self._store.put(f"{RECEIVERS}/{note.instance}.json", msgspec.json.encode(note))

    def have_come(self) -> bool:
        """Whether the lake has a webhook. Raises LakeDamaged."""
        return bool(dates_in(self._store, tables.RAW_WEBHOOKS.name))

    def expected(self) -> list[tuple[Window, Window]]:
        """The first and the last hour for which each receiver is to bring webhooks.

        It listened in them or should have. Raises LakeDamaged.
        """
        return [
            (Window.of(note.began), Window.of(note.at + ABANDONED_AFTER)) for note in self.notes()
        ]

    def notes(self) -> list[ReceiverNote]:
        """What each receiver noted last; one that cannot be read is left out, as it is replaced."""
        found: list[ReceiverNote] = []
        for content in side_by_side(self._store.get, list(self._store.list(RECEIVERS))):
            with suppress(msgspec.MsgspecError, UnicodeDecodeError):
                found.append(msgspec.json.decode(content or b"", type=ReceiverNote))
        return sorted(found, key=lambda note: note.at)


def files_of(names: Names, entry: Placed) -> list[tuple[Received, list[int]]]:
    """The files that have the deliveries of ``entry``, each with their numbers.

    Not one that was quarantined.
    """
    came = hour_named(entry.hour)
    received = names.hour(came).received if came else []
    found: list[tuple[Received, list[int]]] = []
    for instance, numbers in entry.deliveries.items():
        files = sorted((f for f in received if f.instance == instance), key=lambda f: f.first)
        for file, following in zip_longest(files, files[1:]):
            end = max(numbers) + 1 if following is None else following.first
            wanted = [number for number in numbers if file.first <= number < end]
            found += [(file, wanted)] if wanted else []
    return found


def path_of(window: Window, instance: str, first: int) -> str:
    """Where the file of deliveries from number ``first`` stands."""
    return f"{tables.RAW_WEBHOOKS.name}/{window.path}/{instance}-{first:010d}.parquet"


def name_of(window: Window, instance: str, first: int) -> str:
    """What that file is called in its seal."""
    return f"{window.key}/{instance}-{first:010d}"


def entry_path(entry: Received) -> str:
    """Where the file of an entry stands."""
    return path_of(Window.from_key(entry.period), entry.instance, entry.first)


def is_file_of(content: bytes, entry: Received) -> bool:
    """Whether ``content`` is the file of ``entry``, by its own seal."""
    return is_whole(content, name_of(Window.from_key(entry.period), entry.instance, entry.first))


def is_whole_file(path: str, content: bytes) -> bool | None:
    """Whether the file at ``path`` is whole, by its own seal; None where that names no webhooks."""
    read = _read_path(path)
    return None if read is None else is_whole(content, name_of(*read))


def _read_path(path: str) -> tuple[Window, str, int] | None:
    """Hour, instance and first number in the path of a file of webhooks."""
    named, window = _FILE.fullmatch(path.rpartition("/")[2]), Window.from_path(path)
    return (window, named["instance"], int(named["first"])) if named and window else None


def _entry(window: Window, instance: str, first: int, rows: int, content: bytes) -> Received:
    return Received(
        period=window.key,
        instance=instance,
        first=first,
        rows=rows,
        size=len(content),
        sha256=hashlib.sha256(content).hexdigest()[:16],
    )


def body_of(text: str, encoding: str | None) -> bytes:
    """The bytes of a body as received."""
    return base64.b64decode(text) if encoding == BASE64 else text.encode()


def _frame(instance: str, deliveries: Sequence[Webhook]) -> pl.DataFrame:
    bodies = [as_text(delivery.body) for delivery in deliveries]
    return tables.RAW_WEBHOOKS.frame(
        {
            "received_at": [delivery.received_at for delivery in deliveries],
            "instance": [instance] * len(deliveries),
            "position": [delivery.number for delivery in deliveries],
            "content_type": [delivery.content_type for delivery in deliveries],
            "redelivered": [delivery.redelivered for delivery in deliveries],
            "encoding": [encoding for _, encoding in bodies],
            "body": [text for text, _ in bodies],
        }
    )


def as_text(body: bytes) -> tuple[str, str | None]:
    """A body as the table has it: its text, and its encoding where that is not UTF-8."""
    try:
        return body.decode(), None
    except UnicodeDecodeError:
        return base64.b64encode(body).decode(), BASE64


def _parts(begin: datetime, until: datetime) -> Iterator[tuple[Window, int, int]]:
    """The hours between two times, each with the first and the last whole second in it."""
    window = Window.of(begin)
    while window.start < until:
        first = -(-max(timedelta(0), begin - window.start) // timedelta(seconds=1))
        last = min(timedelta(hours=1), until - window.start) // timedelta(seconds=1)
        if first < last:
            yield window, first, last
        window = window.next


def moment(microseconds: int) -> datetime:
    """The time so many microseconds after 1970."""
    return (EPOCH + timedelta(microseconds=microseconds)).astimezone(UTC)
