"""Which hours are complete, missing, outdated or damaged, since when and why, as far as is known.

An index of what the journal shows, so that a look is as cheap after five years as in the first. The
sensor `missing_hours` keeps one in its cursor and the alerts keep one in the lake, since each of
them works while the other is off. Complete hours are spans, and only new, missing and damaged hours
are looked at again, and the newest ones. An hour that was not looked at is unknown, not missing.
"""

from __future__ import annotations

from datetime import datetime  # noqa: TC003 - msgspec reads the annotations
from typing import TYPE_CHECKING, Annotated, Any, Final, TypeVar

import msgspec

from returns_orchestration.state.hours import DONE
from returns_orchestration.state.spans import Spans
from returns_orchestration.window import Window

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from returns_orchestration.lake import Lake
    from returns_orchestration.state.hours import State

MISSING_AGAIN: Final = 200
"""Missing hours that each look includes, the newest first; so a repaired one is found."""

RECENT: Final = 72
"""Complete hours that each look includes, the newest; `missing_hours` looks at all others."""

NEW_HOURS: Final = 1_000
DAMAGED: Final = 168
"""Hours of unknown state, and damaged hours, that one look includes."""

LOST: Final = 2_000
CAUSES: Final = 400
FOUND: Final = "_alerts/found.json"
T = TypeVar("T")


class Cause(msgspec.Struct, frozen=True, kw_only=True):
    """Why an hour was not read or not published: the error's type, when, and by which check."""

    error: str
    at: datetime
    check: str = ""


class HourIndex(msgspec.Struct, kw_only=True):
    """The index itself. ``damaged`` and ``lost`` are by partition key, with since when.

    ``lost`` hours were complete and are not now; a run may be working on them. ``causes`` are those
    of hours whose newest poll failed, where the owner of the index notes them.
    """

    complete: Spans = msgspec.field(default_factory=Spans)
    missing: Spans = msgspec.field(default_factory=Spans)
    outdated: Spans = msgspec.field(default_factory=Spans)
    lost: dict[str, datetime] = {}
    damaged: dict[str, datetime] = {}
    causes: dict[str, Cause] = {}

    @property
    def whole(self) -> Spans:
        """The hours whose tables hold everything that was served, outdated ones included."""
        return Spans([*self.complete.pairs(), *self.outdated.pairs()])

    @property
    def damaged_hours(self) -> list[Window]:
        """The damaged hours, in order."""
        return [Window.from_key(key) for key in sorted(self.damaged)]

    def note(self, states: Mapping[Window, State], now: datetime) -> None:
        """Put in the states that a look found."""
        whole = self.whole
        found: dict[str, list[Window]] = {"complete": [], "outdated": [], "missing": []}
        for window, state in states.items():
            key = window.key
            if state in DONE:
                found["complete"].append(window)
            elif state in {"missing", "outdated"}:
                found[state].append(window)
            elif key in self.causes:  # an unfinished hour is left to its run, unless that failed
                found["missing"].append(window)
            if state in DONE or state == "outdated":
                self.lost.pop(key, None)
                self.causes.pop(key, None)
            elif window in whole:
                self.lost.setdefault(key, now)
            if state == "damaged":
                self.damaged[key] = min(self.damaged.get(key, now), now)
            else:
                self.damaged.pop(key, None)
        for name, hours in found.items():
            spans: Spans = getattr(self, name)
            spans.discard(states.keys() - set(hours))
            spans.add(hours)

    def worth_a_look(
        self, touched: Iterable[Window], found: Sequence[Window], first: Window, newest: Window
    ) -> list[Window]:
        """The hours of [first, newest] to look at, the most important first.

        ``touched`` hours were run just now, ``found`` ones were found damaged by another look.
        """
        known = Spans([*self.whole.pairs(), *self.missing.pairs()])
        ordered = [
            *touched,
            *known.newest_outside(first, newest, NEW_HOURS),
            *[*self.damaged_hours, *found][:DAMAGED],
            *self.missing.newest(MISSING_AGAIN),
            *self.whole.newest(RECENT, newest),
        ]
        return [window for window in dict.fromkeys(ordered) if first <= window <= newest]

    def trim(self, first: Window) -> None:
        """Forget damage before ``first``, and the oldest lost hours and causes beyond bounds."""
        self.damaged = {key: at for key, at in self.damaged.items() if key >= first.key}
        self.lost = dict(sorted(self.lost.items(), key=lambda pair: pair[1])[-LOST:])
        self.causes = dict(sorted(self.causes.items(), key=lambda pair: pair[1].at)[-CAUSES:])

    def correct_clock(self, now: datetime) -> None:
        """Take times in the future for ``now``: no hour may wait for a clock that was ahead."""
        self.lost = {key: min(at, now) for key, at in self.lost.items()}
        self.damaged = {key: min(at, now) for key, at in self.damaged.items()}


class Found(msgspec.Struct, frozen=True, kw_only=True):
    """The findings of the sensor `missing_hours`, for the alerts, which look at fewer hours.

    ``damaged`` are partition keys, in order; ``outdated`` counts hours yet to be rebuilt.
    """

    damaged: list[str] = []
    outdated: Annotated[int, msgspec.Meta(ge=0)] = 0

    @property
    def windows(self) -> list[Window]:
        """The damaged hours. A wrong key raises ValueError."""
        return [Window.from_key(key) for key in self.damaged]


def hand_over(lake: Lake, found: Found) -> None:
    """Replace the earlier findings by ``found``. Raises LakeUnwritable."""
    lake.store.put(FOUND, msgspec.json.encode(found))


def handed_over(lake: Lake) -> Found | None:
    """The last findings, empty where no sensor has looked yet; None where they are unreadable.

    Raises LakeDamaged.
    """
    content = lake.store.get(FOUND)
    if content is None:
        return Found()
    try:
        found = msgspec.json.decode(content, type=Found)
        _ = found.windows  # each key must name an hour
    except (msgspec.MsgspecError, ValueError):  # the sensor puts it whole within the hour
        return None
    return found


def encode(value: msgspec.Struct) -> bytes:
    """``value`` as JSON; sets of hours are lists of spans."""
    return msgspec.json.encode(value, enc_hook=_plain)


def decode(content: bytes | str, kind: type[T]) -> T:
    """The inverse of ``encode``; unreadable content raises MsgspecError."""
    return msgspec.json.decode(content, type=kind, dec_hook=_spans)


def _plain(value: object) -> list[list[str]]:
    if isinstance(value, Spans):
        return value.pairs()
    raise NotImplementedError


def _spans(kind: type[Any], value: Iterable[Sequence[str]]) -> Spans:
    if kind is Spans:
        return Spans(value)
    raise NotImplementedError
