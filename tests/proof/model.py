"""The replies of an API and the lake that must follow by the contract, in dictionaries alone.

This module neither imports nor calls the package: an hour is the moment at which it begins. Every
reply that counted is kept unchanged, and the result is derived again from all of them each time, so
that no order of events needs a special rule.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any, NamedTuple
from zoneinfo import ZoneInfo

from support.records import Record, item, on_the_wire, returned

Hour = datetime
HOUR = timedelta(hours=1)
HOURS = [datetime(2026, 11, 9, 17 + n, tzinfo=UTC) for n in range(4)]
"""Four hours around the end of a day in India."""

EDGES: dict[str, Callable[[datetime, datetime], bool]] = {
    "[)": lambda at, start: start <= at < start + HOUR,
    "[]": lambda at, start: start <= at <= start + HOUR,
    "(]": lambda at, start: start < at <= start + HOUR,
    "()": lambda at, start: start < at < start + HOUR,
}


class Said(NamedTuple):
    """A return: its request time by the API's local time, UTC, and its values.

    ``naive``: the time is written without a zone; ``shared``: its pieces share one list of items;
    ``form`` is one of the equivalent ways to write it.
    """

    requested: datetime
    naive: bool
    status: str
    mode: str | None
    shared: bool
    pieces: frozenset[int]
    form: str = "plain"

    def under(self, zone: str) -> datetime:
        """The moment that is meant where naive times are in ``zone``."""
        wall = self.requested.replace(tzinfo=None)
        return wall.replace(tzinfo=ZoneInfo(zone if self.naive else "UTC")).astimezone(UTC)


Returns = dict[str, Said]


@dataclass
class Api:
    """The returns of the API, and which of them a window gets."""

    edge: str = "[)"
    returns: Returns = field(default_factory=dict)
    before: dict[str, list[Said]] = field(default_factory=dict)
    hidden: set[str] = field(default_factory=set)
    unusable: dict[Hour, set[str]] = field(default_factory=dict)

    def becomes(self, reference: str, said: Said) -> None:
        """Serve it for a return from now on."""
        self.before.setdefault(reference, []).append(said)
        self.returns[reference] = said

    def said_before(self, reference: str) -> list[Said]:
        """Earlier values that it might serve again; pieces that share their items are not removed.

        They would be another courier's.
        """
        now = self.returns[reference]
        earlier = [said for said in self.before[reference] if said != now]
        return [s for s in earlier if not now.shared or s.pieces >= now.pieces]

    def answer(self, hour: Hour, zone: str) -> tuple[Returns, set[str]]:
        """The records of the hour for a client that writes its ends in the time of ``zone``."""
        asked = hour.astimezone(ZoneInfo(zone)).replace(tzinfo=UTC)
        shown = {k: said for k, said in self.returns.items() if k not in self.hidden}
        inside = EDGES[self.edge]
        mine = {k: said for k, said in shown.items() if inside(said.requested, asked)}
        return mine, set(self.unusable.get(hour, set()))


@dataclass
class Reply:
    """A reply that counted: ``number`` is its place among all, ``kept`` whether as a poll.

    One that was not kept brought nothing new, and counts for the ``returns`` of which another
    window had served other values.
    """

    number: int
    hour: Hour
    zone: str
    returns: Returns
    unusable: set[str]
    reverse: bool
    kept: bool = True

    def word(self, reference: str) -> tuple[Said, datetime]:
        """Its values of a return, and the request time that it means."""
        said = self.returns[reference]
        return said, said.under(self.zone)


@dataclass
class Model:
    """The expected lake: all replies that counted, in the order in which they were sent."""

    replies: list[Reply] = field(default_factory=list)

    def copy(self) -> Model:
        """A copy that does not change; zones of replies may change in either."""
        return Model([Reply(**vars(reply)) for reply in self.replies])

    def poll(self, reply: Reply) -> str:
        """One more reply: `kept` if it has anything new, noted as repeated `again`, or not."""
        own = self.newest(reply.hour)
        has_new = any(
            reference not in own or own[reference].word(reference) != reply.word(reference)
            for reference in reply.returns
        )
        if reply.hour not in self.polled or has_new or reply.unusable - self.rejected(reply.hour):
            self.replies.append(reply)
            return "kept"
        newest = self.newest()
        otherwise = {
            reference: own[reference]
            for reference in reply.returns
            if newest[reference].hour != reply.hour
            and newest[reference].word(reference) != reply.word(reference)
        }
        # In the kept order: pieces in another order are nothing new.
        for reference, said in otherwise.items():
            of_one = {reference: said.returns[reference]}
            again = Reply(reply.number, reply.hour, said.zone, of_one, set(), said.reverse)
            again.kept = False
            self.replies.append(again)
        return "again" if otherwise else ""

    def last_word_of_others(self, reply: Reply) -> set[Hour]:
        """The other hours that decided a return of the reply before it came."""
        newest = Model([r for r in self.replies if r.number < reply.number]).newest()
        said = (newest[reference].hour for reference in reply.returns if reference in newest)
        return set(said) - {reply.hour}

    def rezone(self, zone: str) -> None:
        """All naive times so far were in ``zone``."""
        for reply in self.replies:
            reply.zone = zone

    # ---- the derived tables

    @property
    def polled(self) -> set[Hour]:
        """The hours of which a poll is kept."""
        return {reply.hour for reply in self.replies}

    def newest(self, hour: Hour | None = None) -> dict[str, Reply]:
        """By reference, the deciding reply, of an hour or of all."""
        return {
            reference: reply
            for reply in self.replies
            if hour is None or reply.hour == hour
            for reference in reply.returns
        }

    def rejected(self, hour: Hour) -> set[str]:
        """The unusable records of an hour."""
        return set().union(*(reply.unusable for reply in self.replies if reply.hour == hour))

    def kept(self, hour: Hour) -> list[int]:
        """The numbers of the kept polls of an hour."""
        return [reply.number for reply in self.replies if reply.hour == hour and reply.kept]

    def lives_in(self, hour: Hour) -> bool:
        """Whether any return does."""
        return any(home == hour for *_, home in self.rows().values())

    def rows(self) -> dict[str, tuple[datetime, str, str | None, int, Hour]]:
        """Each return: request time, status, mode of the first piece, pieces, and its hour."""
        polled, newest = self.polled, self.newest()
        own = {hour: self.newest(hour) for hour in polled}
        found = {}
        for reference, reply in newest.items():
            said, requested = reply.word(reference)
            home = hour_of(requested)
            if home not in polled:
                naming = [h for h in polled if reference in own[h]]
                home = min(
                    h for h in naming if hour_of(own[h][reference].word(reference)[1]) == home
                )
            modes = list(self.modes(reference).values())
            found[reference] = requested, said.status, modes[0], len(modes), home
        return found

    def modes(self, reference: str) -> dict[int, str | None]:
        """The mode of each piece, in order: those served last, then those no longer served."""
        modes: dict[int, str | None] = {}
        for reply in self.replies:
            if reference in reply.returns:
                said = reply.returns[reference]
                pieces = sorted(said.pieces, reverse=reply.reverse)
                if len(modes) == len(pieces) == 1:  # one record each time is one piece
                    modes = dict(zip(pieces, modes.values(), strict=True))
                served = {n: said.mode or modes.get(n) for n in pieces}
                modes = served | {n: modes[n] for n in modes if n not in served}
        return modes

    def counts(self, period: Callable[[datetime, Hour], Any]) -> tuple[Counter[Any], ...]:
        """Returns, items and quantity by mode and by ``period`` of time and hour."""
        newest = self.newest()
        returns, items = Counter[Any](), Counter[Any]()
        for reference, (requested, _, mode, pieces, hour) in self.rows().items():
            group = period(requested, hour), mode or "Not given"
            returns[group] += 1
            # A list of items that is the same on all pieces counts once.
            items[group] += 1 if newest[reference].returns[reference].shared else pieces
        return returns, items, items


def hour_of(moment: datetime) -> Hour:
    """The hour that a moment lies in."""
    return moment.replace(minute=0, second=0, microsecond=0)


def place_of(hour: Hour) -> str:
    """The place of an hour in a table."""
    return f"date={hour:%Y-%m-%d}/hour={hour:%H}"


def records_of(reference: str, said: Said) -> list[str]:
    """A record for each piece."""
    records = []
    for n in sorted(said.pieces):
        items = [item(sku="all" if said.shared else f"of-{n}", refund_mode=None)]
        record = returned(
            reference,
            said.requested,
            status=said.status,
            refund_mode=said.mode,
            awb=f"P{n}",
            return_tracking_id=n,
            webhook_payload={"additional": {"item_info": items}},
        )
        if said.naive:
            written = said.requested.replace(tzinfo=None).isoformat()
            record |= {"Return Request Timestamp": written}
        FORMS[said.form](record)
        text = on_the_wire(record | {"return_reference_number": "@"})
        records.append(text.replace('"@"', literal(reference), 1))
    return records


def name(number: int) -> str:
    """A reference as the lake must spell it: text or a number of JSON, with what is odd in it."""
    return (
        f"R-{number}",
        f" R-{number}",
        f"R-{number}\u200b",
        f"\0R-{number}",
        f"{number}",
        f"{number}.0",
        f"1e{number}",
        f"R\\ud800-{number}",
        f"R\\udc00-{number}",
    )[number % 9]


def literal(reference: str) -> str:
    """A reference as the API writes it in JSON; half of a surrogate pair as its escape."""
    if reference[0].isdecimal():
        return reference
    return json.dumps(reference).replace("\\\\u", "\\u")


def _items(record: Record) -> Record:
    additional: Record = record["webhook_payload"]["additional"]
    return additional


def _by_number(record: Record) -> None:
    items = _items(record)["item_info"]
    _items(record)["item_info"] = {str(n): one for n, one in enumerate(items)}


def _in_a_list(record: Record) -> None:
    record["webhook_payload"]["additional"] = [_items(record)]


def _as_text(record: Record) -> None:
    record["webhook_payload"] = json.dumps(json.dumps(record["webhook_payload"]))


def _in_other_case(record: Record) -> None:
    mode = record["refund_mode"]
    record["refund_mode"] = mode and f"\ufeff{mode.swapcase()}\u200b"


def _by_another_courier(record: Record) -> None:
    record["awb"] += "-other"


def _deep(record: Record) -> None:
    inner: list[Any] = []
    for _ in range(150):
        inner = [inner]
    record["odd"] = inner


def _of_year_one(record: Record) -> None:
    record["timestamp"] = "0001-01-01T00:00:00Z"


FORMS: dict[str, Callable[[Record], None]] = {
    "plain": lambda _: None,
    "items by number": _by_number,
    "additional in a list": _in_a_list,
    "payload as text": _as_text,
    "mode in other case": _in_other_case,
    "another courier": _by_another_courier,
    "deep": _deep,
    "a time of year one": _of_year_one,
}
"""Equivalent ways of writing a record."""
