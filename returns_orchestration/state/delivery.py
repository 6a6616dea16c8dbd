"""What is known of webhooks lately: how many came, what the receivers note, and what is too few.

Pure but for one look at the lake: ``look_at_delivery`` reads the entries of the newest compared
hours and the notes of the receivers. Called by the alerts.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import TYPE_CHECKING, Final

from returns_orchestration.lake.webhooks import ABANDONED_AFTER
from returns_orchestration.window import Day, Window, windows_between

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from returns_orchestration.lake import Lake, Names
    from returns_orchestration.lake.webhooks import ReceiverNote
    from returns_orchestration.settings import Settings

HOURS: Final = 24
"""The decided hours that are judged together, the newest ones."""

LOOKED_AT: Final = timedelta(days=3)
WHOLE_HOUR: Final = 3_590
"""Seconds of listening from which an hour was listened to: a receiver starts within a few."""

Z: Final = 1.96
"""Of the 95 % interval."""

FEWEST_LOST: Final = 3
"""Lost webhooks below which a low rate says nothing: one of ten is no outage."""

ENOUGH: Final = 20
"""Lost webhooks from which none at all is no chance."""

SLOW_SHARE: Final = 0.1
USUAL_SHARE: Final = 0.5
USUAL_DAYS: Final = 14
"""Webhooks are late where over a tenth take an hour, and within 14 days most took 5 minutes."""

SILENT_AFTER: Final = timedelta(minutes=5)
WRONG_KEYS: Final = 10
REFUSED_FOR: Final = timedelta(hours=1)


@dataclass(frozen=True, slots=True)
class Hour:
    """A compared hour whose lost webhooks are decided, and how long a receiver listened in it.

    ``slow`` of the ``with_lag`` returns whose webhook came waited over an hour for it.
    """

    window: Window
    both: int
    lost: int
    listening: int
    with_lag: int = 0
    slow: int = 0


@dataclass(frozen=True, slots=True)
class Delivery:
    """The newest decided hours, oldest first, and what the receivers noted last.

    ``usually_quick`` is whether most webhooks of the 14 days before came within 5 minutes; it is
    read only where many are slow now.
    """

    hours: Sequence[Hour]
    notes: Sequence[ReceiverNote]
    usually_quick: bool = False

    @property
    def judged(self) -> list[Hour]:
        """The hours that say something about ClickPost: those in which a receiver listened."""
        return [hour for hour in self.hours if hour.listening >= WHOLE_HOUR][-HOURS:]

    @property
    def delivered(self) -> int:
        """Webhooks that came in the hours that are judged."""
        return sum(hour.both for hour in self.judged)

    @property
    def lost(self) -> int:
        """Webhooks that were lost in them."""
        return sum(hour.lost for hour in self.judged)

    @property
    def slow_share(self) -> float:
        """The share of webhooks that came after over an hour; 0 where too few came to judge."""
        came = sum(hour.with_lag for hour in self.judged)
        return sum(hour.slow for hour in self.judged) / came if came >= ENOUGH else 0.0

    @property
    def are_late(self) -> bool:
        """Whether webhooks come late that usually are quick."""
        return self.slow_share > SLOW_SHARE and self.usually_quick

    @property
    def set_aside(self) -> ReceiverNote | None:
        """The note of a receiver with an unreadable spool set aside; None for none."""
        return next((note for note in self.notes if note.set_aside), None)

    @property
    def waiting(self) -> int:
        """Deliveries in the receivers' spools, by their last notes."""
        return sum(note.waiting for note in self.notes)

    @property
    def noted_at(self) -> datetime | None:
        """The last sign of life of a receiver."""
        return max((note.at for note in self.notes), default=None)


def look_at_delivery(
    lake: Lake, names: Names, now: datetime, settings: Settings
) -> Delivery | None:
    """What is known of webhooks; None where they never came. Raises LakeError."""
    lost_after = timedelta(hours=settings.webhook_lost_after_hours)
    every = lake.webhooks.notes()
    notes = [note for note in every if now - note.at <= ABANDONED_AFTER]
    newest = Window.of(now - lost_after).previous
    found: list[Hour] = []
    window = Window.of(now - LOOKED_AT - lost_after)
    names.load_hours(windows_between(window.start, Window.of(now).end))
    while window <= newest:
        if names.hour(window).matched:
            entry = lake.made_or_none(window, names, "matched")
            facts = entry.facts if entry else {}
            if facts.get("both", 0) + facts.get("poll_only", 0):
                listening = facts.get("listening_s", 0)
                lags = facts.get("with_lag", 0), facts.get("over_1_hour", 0)
                found.append(Hour(window, facts["both"], facts["poll_only"], listening, *lags))
        window = window.next
    if not (found or notes):
        return None
    delivery = Delivery(found, notes)
    if delivery.slow_share <= SLOW_SHARE:
        return delivery
    today = Day.of(delivery.judged[0].window.start, settings.report_time_zone)
    return replace(delivery, usually_quick=_were_quick(lake, names, today))


def _were_quick(lake: Lake, names: Names, today: Day) -> bool:
    """Whether most webhooks of the days before ``today`` came within 5 minutes."""
    came = quick = 0
    for ago in range(1, USUAL_DAYS + 1):
        day = Day(today.date - timedelta(days=ago), today.zone)
        entry = lake.made_or_none(day, names, "matched")
        facts = entry.facts if entry else {}
        came += facts.get("with_lag", 0)
        quick += facts.get("under_5_minutes", 0)
    return came >= ENOUGH and quick > USUAL_SHARE * came


def rate_is_too_low(both: int, lost: int, expected: float) -> bool:
    """Whether the delivery rate is below ``expected`` beyond chance: its Wilson upper bound."""
    return lost >= FEWEST_LOST and upper_bound(both, both + lost) < expected


def upper_bound(good: int, of: int) -> float:
    """The upper end of the Wilson 95 % interval of a share."""
    share = good / of
    middle = share + Z * Z / (2 * of)
    spread = Z * math.sqrt(share * (1 - share) / of + Z * Z / (4 * of * of))
    return (middle + spread) / (1 + Z * Z / of)


def none_came(hours: Sequence[Hour]) -> list[Hour]:
    """The newest hours in which no webhook came, where ENOUGH were lost in them; else none."""
    found: list[Hour] = []
    for hour in reversed(hours):
        if hour.both:
            break
        found.insert(0, hour)
    return found if sum(hour.lost for hour in found) >= ENOUGH else []


def silent_since(notes: Sequence[ReceiverNote], now: datetime) -> datetime | None:
    """Since when no receiver listens; None where one does, or none is expected back."""
    if not notes:
        return None
    newest = max(note.at for note in notes)
    lives = any(not note.ended and now - note.at <= SILENT_AFTER for note in notes)
    if lives or not SILENT_AFTER < now - newest <= ABANDONED_AFTER:
        return None
    return newest


def cannot_store(notes: Sequence[ReceiverNote], now: datetime) -> ReceiverNote | None:
    """The note of a receiver that answers 503; None where none does."""
    for note in notes:
        at = note.last_not_stored
        is_new = now - note.at <= SILENT_AFTER and not note.ended
        if is_new and (note.problem or (at is not None and note.at - at <= SILENT_AFTER)):
            return note
    return None


def refuses(notes: Sequence[ReceiverNote], now: datetime) -> ReceiverNote | None:
    """The note of a receiver that refused many webhooks and takes none; None for none."""
    for note in notes:
        refused, stored = note.last_refused, note.last_stored
        is_lately = refused is not None and now - refused <= REFUSED_FOR
        takes = stored is not None and now - stored <= REFUSED_FOR
        is_new = now - note.at <= SILENT_AFTER and not note.ended
        if is_new and is_lately and not takes and note.refused >= WRONG_KEYS:
            return note
    return None
