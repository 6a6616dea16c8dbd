"""The output of `show` for each return agrees with the dictionaries of a random life.

Each poll that served it, and when; the row and its place; the poll of each value; its rejected
records; and, at a life's end, the rest of these facts when a poll is quarantined.
"""

from __future__ import annotations

from typing import Any
from zoneinfo import ZoneInfo

from hypothesis import strategies as st
from hypothesis.stateful import precondition, rule
from proof.life import END, MINUTE, Life, hours, lived
from proof.model import HOURS, Hour, Model, Reply, literal
from proof.result import Result

from returns_orchestration.flow.rebuild import Rebuilder
from returns_orchestration.state import origins, provenance
from returns_orchestration.state.provenance import Provenance
from returns_orchestration.state.return_rows import Place
from returns_orchestration.window import Window

SPAN = Window(HOURS[0]), Window(HOURS[-1])
NOWHERE = "no such return"


class ShownLife(Life):
    """A life that looks up each return whenever the lake is at rest."""

    def __init__(self) -> None:
        super().__init__()
        self.of_unusable: dict[str, str] = {}
        self.quarantined: set[tuple[Hour, int]] = set()

    @precondition(lambda self: self.api.returns)
    @rule(data=st.data(), hour=hours, which=st.none() | hours)
    def a_record_has_no_time(self, data: st.DataObject, hour: Hour, which: Hour | None) -> None:
        """A window also serves an unusable record of a known return, or of another one."""
        known = [*sorted(self.api.returns), f"only rejected {next(self.names)}"]
        reference = data.draw(st.sampled_from(known))
        text = f'{{"return_reference_number": {literal(reference)}, "n": {next(self.names)}}}'
        self.api.unusable.setdefault(hour, set()).add(text)
        self.of_unusable[text] = reference
        if which is not None:
            self.run_hours([which])

    def holds(self) -> None:
        """Each return is shown as it was served; one that was never served is shown as unknown."""
        rows = self.model.rows()
        rejected = {self.of_unusable[t] for t in self.rejected() if t in self.of_unusable}
        for reference in rows.keys() | rejected:
            found = self.shown(reference)
            assert found.is_known
            assert not found.unread, found.unread
            self.polls_agree(reference, found)
            self.rejections_agree(reference, found)
            if reference in rows:
                self.row_agrees(reference, rows[reference], found)
            else:
                assert not found.places
        unknown = self.shown(NOWHERE)
        assert not unknown.is_known
        absent = {hour for hour in HOURS if not self.model.kept(hour)}
        assert {window.start for window in unknown.missing} == absent - self.waived
        assert {window.start for window in unknown.waived} == absent & self.waived

    def shown(self, reference: str) -> Provenance:
        """The facts of a return in the lake."""
        pipeline = self.pipeline()
        zone = ZoneInfo(self.zone)
        return provenance.find(pipeline.lake, pipeline.reader, reference, SPAN, zone)

    def rejected(self) -> set[str]:
        """Every unusable record of a kept poll."""
        return set().union(*(self.model.rejected(hour) for hour in HOURS))

    def polls_agree(self, reference: str, found: Provenance) -> None:
        """Each reply that counted for it, in order, with its note."""
        expected = []
        for reply in self.model.replies:
            if reference in reply.returns:
                said, requested = reply.word(reference)
                word = (said.status, requested, len(said.pieces))
                expected.append((reply.hour, sent_at(reply.number), reply.kept, word))
        shown = [
            (
                copy.source.window.start,
                copy.at,
                copy.repeated_at is None,
                (
                    copy.row["status"],
                    copy.row["requested_at"],
                    copy.row["pieces"],
                ),
            )
            for copy in found.copies
            if copy.row is not None
        ]
        assert shown == expected, f"{reference}: {shown} are not {expected}"

    def rejections_agree(self, reference: str, found: Provenance) -> None:
        """Each kept poll that served an unusable record of it, and the rows of it."""
        mine = {text for text, of in self.of_unusable.items() if of == reference}
        expected = [(r.hour, sent_at(r.number)) for r in self.model.replies if r.unusable & mine]
        shown = [(copy.source.window.start, copy.at) for copy in found.copies if copy.rejected]
        assert shown == expected, f"{reference}: rejected in {shown}, not {expected}"
        rows = {(rejected.window.start, rejected.row["record"]) for rejected in found.rejected}
        assert rows == {(hour, t) for hour in HOURS for t in self.model.rejected(hour) & mine}

    def row_agrees(self, reference: str, row: tuple[Any, ...], found: Provenance) -> None:
        """It is there once, in its hour, as all polls imply, and each value has its poll."""
        (place,) = found.places
        assert place.as_served, place
        shown = [place.row[name] for name in ("requested_at", "status", "refund_mode", "pieces")]
        assert (*shown, place.window.start) == row, f"{reference}: {shown} is not {row}"
        assert len(place.items) >= 1
        assert place.day.date == row[0].astimezone(ZoneInfo(self.zone)).date()
        self.origins_agree(reference, place)
        assert set(found.quarantined) == {
            (Window(hour), number)
            for hour, number in self.quarantined
            if (Window(hour), number) in found.quarantined
        }

    def origins_agree(self, reference: str, place: Place) -> None:
        """Status and time are from the newest poll; the mode from the last that gave one."""
        newest = self.model.newest()[reference]
        status = place.origins["status"]
        assert sent_at(spoken(self.model, newest, reference)) == status.source.at
        mode = place.origins.get("refund_mode")
        origin = origin_of_mode(self.model, reference)
        if origin is None:
            assert mode is None, f"{reference}: {mode}"
            return
        assert mode, f"{reference}: {origin}"
        assert mode.source.at == sent_at(origin), f"{reference}: {mode}, not {sent_at(origin)}"
        is_kept = origin != newest_of_first(self.model, reference)
        assert is_kept == (origins.KEPT in mode.why), f"{reference}: {mode}"

    def teardown(self) -> None:
        """At the end a poll is quarantined, and its values are no longer shown."""
        super().teardown()
        if all(reply.kept for reply in self.model.replies) and not self.failing:
            self.is_quarantined()

    def is_quarantined(self) -> None:
        """The first kept poll of all; the tables are made of the others."""
        if not self.model.replies:
            return
        lost = self.model.replies[0]
        window = Window(lost.hour)
        lake = self.pipeline().lake
        names = lake.names()
        number = min(poll.number for poll in names.hour(window).polls)
        lake.polls.quarantine(names, window, number)
        Rebuilder(self.pipeline()).rebuild(HOURS[0], END)
        self.model.replies.remove(lost)
        self.quarantined.add((lost.hour, number))
        self.holds()
        unknown = self.shown(NOWHERE)
        assert (window, number) in unknown.quarantined


def sent_at(number: int) -> Any:
    """The time at which the reply of that number was sent."""
    return END + number * MINUTE


def spoken(model: Model, reply: Reply, reference: str) -> int:
    """The number of the kept poll that is, or equals, a reply of this return."""
    return max(
        r.number
        for r in model.replies
        if r.kept and r.hour == reply.hour and r.number <= reply.number and reference in r.returns
    )


def _modes(model: Model, reference: str) -> dict[int, tuple[str | None, int, int]]:
    """Of each piece, in order: its mode, the poll that gave it, and its own newest poll."""
    modes: dict[int, tuple[str | None, int, int]] = {}
    for reply in model.replies:
        if reference not in reply.returns:
            continue
        said, number = reply.returns[reference], spoken(model, reply, reference)
        pieces = sorted(said.pieces, reverse=reply.reverse)
        if len(modes) == len(pieces) == 1:
            modes = dict(zip(pieces, modes.values(), strict=True))
        served = {}
        for n in pieces:
            mode, origin, _ = modes.get(n, (None, number, number))
            served[n] = (said.mode, number, number) if said.mode else (mode, origin, number)
        modes = served | {n: modes[n] for n in modes if n not in served}
    return modes


def origin_of_mode(model: Model, reference: str) -> int | None:
    """The poll that gave the mode of the first piece, if it has one."""
    mode, origin, _ = next(iter(_modes(model, reference).values()))
    return origin if mode else None


def newest_of_first(model: Model, reference: str) -> int:
    """The newest poll of the first piece."""
    return next(iter(_modes(model, reference).values()))[2]


def shown_as_served(cases: int, seed: int) -> Result:
    """``cases`` lives, each return looked up at each rest."""
    return lived(ShownLife, cases, seed)
