"""One tick: take in the facts, decide, keep, deliver, note. Safe to be killed anywhere.

In this order: rows left by a killed tick are filed; verdicts and hours are taken in; findings
become incidents and messages; all of it is put into the lake, and only then posted; what went
through is put before anything else is posted. So a message whose tick is killed is sent once more,
and none is lost.
"""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Final

from returns_orchestration.alerts import verdicts, words
from returns_orchestration.alerts.facts import Finding, Policy, QuietHours
from returns_orchestration.alerts.gaps import gaps
from returns_orchestration.alerts.handover import OUTDATED, handed_over
from returns_orchestration.alerts.incidents import Event, Incident, step
from returns_orchestration.alerts.outbox import Message, Outbox, deliver
from returns_orchestration.alerts.seen import Look
from returns_orchestration.alerts.state import Kept, Row, State
from returns_orchestration.alerts.unusual import unusual
from returns_orchestration.window import Window, last_settled

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from returns_orchestration.alerts.facts import Evaluation, Key
    from returns_orchestration.alerts.handover import Found
    from returns_orchestration.alerts.seen import Seen
    from returns_orchestration.lake import Lake
    from returns_orchestration.settings import Settings

LOOK_SECONDS: Final = 0.8
"""What a tick spends on looking at hours; what is left over comes next."""

POST_SECONDS: Final = 20.0
PAUSE: Final = timedelta(minutes=15)
"""Ticks further apart than that were interrupted: hours due meanwhile get their grace anew."""

SIGN_OF_LIFE: Final = timedelta(minutes=5)


def _nothing_known(_: Sequence[Window]) -> dict[Window, str]:
    return {}


@dataclass(slots=True)
class Outcome:
    """What a tick did: the incidents it left open, what changed, and what is to be logged."""

    open: list[Incident]
    messages: list[Message] = field(default_factory=list)
    faults: list[str] = field(default_factory=list)
    rows: int = 0


class Alerts:
    """The alerts of one lake. ``post`` sends a message to a channel and says why it could not."""

    def __init__(
        self,
        settings: Settings,
        lake: Lake,
        *,
        channels: Sequence[str],
        post: Callable[[str, Message], str],
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._settings = settings
        self._lake = lake
        self._channels = channels
        self._post = post
        self._monotonic = monotonic
        self._author = words.Author(settings.dagster_url, settings.report_time_zone)
        self._policy = policy_of(settings)

    def tick(
        self,
        evaluations: Sequence[Evaluation],
        now: datetime,
        *,
        absent: str = "",
        last_tick: datetime | None = None,
        known: Callable[[Sequence[Window]], Mapping[Window, str]] = _nothing_known,
    ) -> Outcome:
        """Everything, once.

        ``absent`` names credentials that are not set; ``last_tick`` is when this was done last;
        ``known`` gives the polls of hours that Dagster knows of, see States.
        """
        began = self._monotonic()
        kept = Kept(self._lake, now)
        outcome = Outcome([], rows=kept.file_rows())
        if last_tick is None or not timedelta(0) <= now - last_tick <= PAUSE:
            kept.seen.resumed_at = now
        newest = last_settled(now, self._settings.settle)
        look = Look(
            kept.seen,
            self._lake,
            self._settings.report_time_zone,
            now=now,
            may_go_on=lambda: self._monotonic() - began < LOOK_SECONDS,
            known=known,
        )
        found = handed_over(self._lake)
        look.take_in(
            evaluations, found.windows if found else (), Window(self._settings.start), newest
        )
        self._decide(kept, newest, absent, found, now, outcome)
        kept.save()
        self._deliver(kept, now, outcome)
        outcome.rows += kept.file_rows()
        outcome.open = [incident for incident in kept.state.incidents if incident.is_open]
        return outcome

    def cry(self, error: str, told: Sequence[str]) -> list[str]:
        """Tell the channels not yet ``told`` that the lake fails, without it; those it reached."""
        message = words.lake_fails(error)
        return [n for n in self._channels if n not in told and not self._post(n, message)]

    def cry_over(self, told: Sequence[str]) -> list[str]:
        """Tell those who were ``told`` that it works again; those who are still to be told so."""
        known = [name for name in told if name in self._channels]
        return [name for name in known if self._post(name, words.LAKE_WORKS)]

    def _decide(  # noqa: PLR0913, PLR0917 - what a decision is made of
        self,
        kept: Kept,
        newest: Window,
        absent: str,
        found: Found | None,
        now: datetime,
        outcome: Outcome,
    ) -> None:
        state, seen = kept.state, kept.seen
        opened = {incident.key for incident in state.incidents if incident.is_open}
        hours = gaps(seen, newest, absent, opened, now, self._policy)
        strange, unjudged = unusual(seen, now, self._settings.report_time_zone)
        findings = [
            *hours.findings,
            *(found.findings(now) if found else ()),
            *verdicts.findings(seen.failing, now),
            *strange,
            *_of_channels(state, now),
        ]
        held = hours.held | unjudged | _not_remembered(state, seen, now)
        held |= set() if found else {OUTDATED}
        done = step(state.incidents, findings, held, now, self._policy)
        state.incidents = done.incidents
        self._set_up_channels(state, now)
        for event, incident in done.changes:
            message = self._message(event, incident)
            state.rows.append(_row(event, incident, now, message))
            if message is not None:
                outcome.messages.append(message)
                for name, outbox in state.outboxes.items():
                    if name != incident.subject or incident.kind != "channel down":
                        outbox.add(message)
        if now - state.looked_at >= SIGN_OF_LIFE or done.changes:
            state.looked_at = now

    def _message(self, event: Event, incident: Incident) -> Message | None:
        if event == "told":
            return self._author.opened(incident)
        return self._author.over(incident) if event == "told over" else None

    def _set_up_channels(self, state: State, now: datetime) -> None:
        """An outbox for each configured channel; what waits for one that is gone is noted."""
        for name in state.outboxes.keys() - set(self._channels):
            waiting = state.outboxes.pop(name).waiting
            state.rows += [_attempt("dropped", name, message, "", now) for message in waiting]
        for name in self._channels:
            state.outboxes.setdefault(name, Outbox())

    def _deliver(self, kept: Kept, now: datetime, outcome: Outcome) -> None:
        began = self._monotonic()
        for sent in deliver(
            kept.state.outboxes, self._post, now, lambda: self._monotonic() - began < POST_SECONDS
        ):
            for name, message, fault in sent:
                event = "failed" if fault else "delivered"
                kept.state.rows.append(_attempt(event, name, message, fault, now))
                if fault:
                    outcome.faults.append(f"The channel {name} took no message: {fault}.")
            kept.save()


def policy_of(settings: Settings) -> Policy:
    """How patient the settings want alerts to be."""
    begin, end = settings.alert_quiet_hours
    return Policy(
        grace=settings.alert_grace,
        cooldown=settings.alert_cooldown,
        quiet=QuietHours(begin, end, settings.report_time_zone),
        settle=settings.settle,
    )


def _of_channels(state: State, now: datetime) -> list[Finding]:
    return [
        Finding(
            kind="channel down",
            subject=name,
            severity="problem",
            since=outbox.failing_since or now,
            facts={"fault": outbox.fault, "waiting": len(outbox.waiting)},
        )
        for name, outbox in state.outboxes.items()
        if outbox.is_down(now)
    ]


def _not_remembered(state: State, seen: Seen, now: datetime) -> set[Key]:
    """Open incidents about checks from before the memory began: it was lost, and they may go on.

    What failed before is not in it, so for a day, after which every incident of a check is over,
    nothing is said to be over that is merely forgotten.
    """
    if now - seen.began_at >= verdicts.NEWS:
        return set()
    kinds = {"check failed", *(kind for kind, _ in verdicts.KINDS.values())}
    return {
        incident.key
        for incident in state.incidents
        if incident.is_open and incident.kind in kinds and incident.opened_at < seen.began_at
    }


def _row(event: Event, incident: Incident, now: datetime, message: Message | None) -> Row:
    return Row(
        noted_at=now,
        event=event,
        incident=incident.number,
        kind=incident.kind,
        subject=incident.subject or None,
        severity=incident.severity,
        size=incident.size,
        text=None if message is None else f"{message.title}\n{message.text}",
    )


def _attempt(event: str, name: str, message: Message, fault: str, now: datetime) -> Row:
    text = f"{message.title}" + (f": {fault}" if fault else "")
    return Row(
        noted_at=now, event=event, incident=message.incident or None, channel=name, text=text
    )
