"""The matches of an hour of request: its polls compared with the webhooks about its returns."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Final

import polars as pl

from returns_orchestration import tables
from returns_orchestration.flow.relocated import held_in_reach
from returns_orchestration.flow.webhooks.rules import follows, publish
from returns_orchestration.stages import matches
from returns_orchestration.stages.landing import is_good
from returns_orchestration.stages.ownership import hash_of
from returns_orchestration.stages.webhooks import GUESSED
from returns_orchestration.state.hours import is_made

if TYPE_CHECKING:
    from datetime import date, datetime

    from returns_orchestration.flow.webhooks.holders import Holders
    from returns_orchestration.flow.webhooks.rules import WebhookRules
    from returns_orchestration.lake import Lake, Made, Names
    from returns_orchestration.lake.poll_log import Answer
    from returns_orchestration.window import Window

LACKING_AFTER: Final = timedelta(hours=24)
"""A return that a poll sent this long after the hour does not serve is lacking."""


class MatchBuilder:
    """Builds the matches of hours of request of ``lake``."""

    def __init__(self, lake: Lake, rules: WebhookRules, holders: Holders) -> None:
        self._lake = lake
        self._rules = rules
        self._holders = holders
        self._asked: dict[date, dict[str, list[Answer]]] = {}

    def drop_cache(self) -> None:
        """Keep no answers of the log of polls: those asked for next are read."""
        self._asked.clear()

    def is_stale(self, names: Names, window: Window, now: datetime) -> bool:
        """Whether the matches of an hour do not follow from all that they are made of."""
        hour = names.hour(window)
        of_others = any(names.hour(came).damaged for came in hour.webhooks)
        if (not hour.made and not hour.webhooks) or hour.damaged or of_others:
            return False
        return not follows(hour.matched, self._made_of(names, window, now))

    def build(self, names: Names, window: Window, now: datetime, over: set[Window]) -> Made:
        """Build the matches of an hour; hours that turn out to be concerned join ``over``."""
        made_of = self._made_of(names, window, now)
        polled = self._lake.read(tables.RETURNS, window, names)
        events = self._events_of(names, window, polled, over)
        finality = self._finality(names, window, now)
        if finality.of_lacking:
            events = self._without_those_elsewhere(window, events, polled)
        found = matches.match(polled, events, finality)
        spans = [(entry.begin, entry.until) for entry in names.hour(window).listened]
        delivery = matches.delivery_of_hour(
            window.start, found, matches.listened(spans), self._rules.lost_after
        )
        frames = {
            tables.WEBHOOK_MATCHES.name: found,
            tables.WEBHOOK_DELIVERY_HOURLY.name: delivery,
        }
        facts = {
            "returns": found.height,
            "references": _distinct(polled, events),
            **facts_of(delivery, found),
        }
        return publish(self._lake, names, window, frames, made_of, facts)

    def _made_of(self, names: Names, window: Window, now: datetime) -> list[str]:
        """What a match is made of: tables of polls, events, times of listening, and finality."""
        near = (window.previous, window, window.next)
        polls = [f"{w.key} {made.text}" for w in near for made in names.hour(w).made]
        events = [
            f"events {w.key} {made.text}"
            for w in sorted(names.hour(window).webhooks)
            for made in names.hour(w).events
        ]
        listened = [f"listened {entry.arguments}" for entry in names.hour(window).listened]
        lost = f"lost after {self._rules.lost_after}"
        return [*polls, *events, *sorted(listened), lost, str(self._finality(names, window, now))]

    def _finality(self, names: Names, window: Window, now: datetime) -> matches.Finality:
        good = [poll for poll in names.hour(window).polls if is_good(poll, window)]
        edge = window.end + LACKING_AFTER
        of_lacking = any(poll.polled_at >= edge for poll in good)
        if good and not of_lacking and now >= edge:
            of_lacking = not self._rules.polls_late or self._was_asked_since(window, edge)
        # Polls that are not in the tables yet may have brought it.
        of_lacking = of_lacking and is_made(window, names)
        return matches.Finality(now >= window.end + self._rules.lost_after, of_lacking)

    def _was_asked_since(self, window: Window, edge: datetime) -> bool:
        """Whether a poll since ``edge`` brought nothing new."""
        day = window.start.date()
        if day not in self._asked:  # each hour of the date asks, and more than once
            self._asked[day] = self._lake.poll_log.of(day)
        answers = self._asked[day].get(window.key, ())
        return any(not answer.error and answer.at >= edge for answer in answers)

    def _events_of(
        self, names: Names, window: Window, polled: pl.DataFrame | None, over: set[Window]
    ) -> pl.DataFrame:
        """The events about the returns of ``window``, of all hours in which they came."""
        frames = [tables.WEBHOOK_EVENTS.empty()]
        known = set() if polled is None else set(polled.get_column(tables.REFERENCE.name))
        for came in sorted(names.hour(window).webhooks):
            events = self._lake.read(tables.WEBHOOK_EVENTS, came, names)
            if events is None:
                continue
            mine: list[bool] = []
            columns = events.select(tables.REFERENCE.name, tables.REQUESTED_AT.name).rows()
            for reference, requested_at in columns:
                is_mine = reference in known
                if not is_mine and window.holds(requested_at):
                    holder = self._holders.holder(names, window, reference)
                    is_mine = holder in {None, window}
                    if holder not in {None, window}:  # a poll has shown since where it lives
                        self._lake.entries.mark_webhooks(names, came, [holder])
                        over.add(holder)
                mine.append(is_mine)
            frames.append(events.filter(pl.Series(mine, dtype=pl.Boolean)))
        return pl.concat(frames)

    def _without_those_elsewhere(
        self, window: Window, events: pl.DataFrame, polled: pl.DataFrame | None
    ) -> pl.DataFrame:
        """``events`` without those of returns whose request time was a guess, and a wrong one.

        No webhook that they were placed links their hours, so they are looked for before polls are
        said to lack them.
        """
        known = [] if polled is None else polled.get_column(tables.REFERENCE.name).to_list()
        reference, is_guess = pl.col(tables.REFERENCE.name), pl.col("requested_at_from") == GUESSED
        of_guess = (is_guess & ~pl.col("is_placed")).all().over(reference)
        guessed = events.filter(of_guess & ~reference.is_in(known)).get_column(
            tables.REFERENCE.name
        )
        hashes = {one: hash_of(one) for one in guessed}
        if not hashes:
            return events
        held = held_in_reach(self._lake, window, set(hashes.values()))
        elsewhere = [one for one, number in hashes.items() if number in held]
        return events.filter(~reference.is_in(elsewhere))


def facts_of(delivery: pl.DataFrame, found: pl.DataFrame) -> dict[str, int]:
    """The counts of matches ``found`` for the entry of their tables."""
    names = (*matches.VERDICTS, "deliveries", "doubled", "late", "listening_s")
    counts = {name: int(delivery.get_column(name)[0]) for name in names}
    return counts | matches.by_lag(found)


def _distinct(polled: pl.DataFrame | None, events: pl.DataFrame) -> int:
    """The references of both sources, each once."""
    of_polls = set() if polled is None else set(polled.get_column(tables.REFERENCE.name))
    return len(of_polls.union(events.get_column(tables.REFERENCE.name)))
