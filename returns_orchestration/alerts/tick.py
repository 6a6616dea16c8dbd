"""One tick: take in the facts, decide, keep, deliver, note. Safe to be killed anywhere.

In this order: rows left by a killed tick are filed; evaluations and hours are taken in; findings
become incidents and messages; all of it is put into the lake, and only then posted; each delivery
is put before the next post. So a message whose tick is killed is sent once more, and no message is
lost. A tick that finds at a put that another process was faster begins again, with what that one
has kept; the one that holds the lease posts.
"""

from __future__ import annotations

import time
import uuid
from contextlib import suppress
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from functools import partial
from typing import TYPE_CHECKING, Final

from returns_orchestration.alerts.detection import detect, due_report
from returns_orchestration.alerts.digest import handed_over as handed_over_digest
from returns_orchestration.alerts.kinds import ChannelDown
from returns_orchestration.alerts.life_cycle import Incident, step
from returns_orchestration.alerts.messages import Author
from returns_orchestration.alerts.outbox import (
    LEASE,
    ROUNDS,
    Lease,
    Message,
    Outbox,
    due,
    post_round,
)
from returns_orchestration.alerts.state import Kept, Row
from returns_orchestration.alerts.watch import Look, Situation
from returns_orchestration.errors import LakeContended
from returns_orchestration.lake.lake import REPORT_PAGES
from returns_orchestration.lake.names import dates_in
from returns_orchestration.state.budget import within
from returns_orchestration.state.delivery import look_at_delivery
from returns_orchestration.state.hour_index import handed_over
from returns_orchestration.window import Window, last_settled

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from returns_orchestration.alerts.life_cycle import Event
    from returns_orchestration.alerts.state import State
    from returns_orchestration.alerts.watch import Watch
    from returns_orchestration.lake import Lake
    from returns_orchestration.settings import Settings
    from returns_orchestration.state.failing_claims import Evaluation
    from returns_orchestration.state.health import Storage

LOOK_SECONDS: Final = 0.8
"""Time that a tick spends on looking at hours; the remaining hours come next."""

ATTEMPTS: Final = 5
"""How often a tick begins again where another process has put the alerts' files meanwhile."""

POST_SECONDS: Final = 20.0
PAUSE: Final = timedelta(minutes=15)
"""Ticks further apart than that were interrupted: hours due meanwhile get a new grace period."""

SIGN_OF_LIFE: Final = timedelta(minutes=5)


@dataclass(slots=True)
class Outcome:
    """What a tick did: the incidents it left open, what changed, and what is to be logged."""

    open: list[Incident]
    messages: list[Message] = field(default_factory=list)
    faults: list[str] = field(default_factory=list)
    rows: int = 0


@dataclass(kw_only=True, slots=True)
class Alerts:
    """The alerts of one lake. ``post`` sends a message to a channel; gives "" or why it failed."""

    settings: Settings
    lake: Lake
    channels: Sequence[str]
    post: Callable[[str, Message], str]
    monotonic: Callable[[], float] = time.monotonic

    def tick(  # noqa: PLR0913 - the facts that it does not look for
        self,
        evaluations: Sequence[Evaluation],
        now: datetime,
        *,
        absent: str = "",
        last_tick: datetime | None = None,
        known: Callable[[Sequence[Window]], Mapping[Window, str]] = lambda _: {},
        storage: Storage | None = None,
    ) -> Outcome:
        """Everything, once.

        ``absent`` names credentials that are not set; ``last_tick`` is the time of the last tick;
        ``known`` gives the polls of hours that Dagster has recorded, see States; ``storage`` is
        how full the disks are, where it was measured.

        Raises LakeError; LakeContended where other processes were faster again and again.
        """
        posting = _Posting(now, self.monotonic)
        for left in reversed(range(ATTEMPTS)):
            try:
                kept, outcome = self._decide(
                    evaluations,
                    posting,
                    absent=absent,
                    last_tick=last_tick,
                    known=known,
                    storage=storage,
                )
                break
            except LakeContended:
                if not left:
                    raise
        self._deliver(kept, posting, outcome)
        with suppress(LakeContended):  # the next tick files them
            outcome.rows += kept.file_rows()
        outcome.open = [incident for incident in kept.state.incidents if incident.is_open]
        return outcome

    def _decide(  # noqa: PLR0913 - as `tick`
        self,
        evaluations: Sequence[Evaluation],
        posting: _Posting,
        *,
        absent: str,
        last_tick: datetime | None,
        known: Callable[[Sequence[Window]], Mapping[Window, str]],
        storage: Storage | None,
    ) -> tuple[Kept, Outcome]:
        """Everything up to the first post: what is to be sent is in the lake."""
        may_go_on, now = within(LOOK_SECONDS, self.monotonic), posting.now
        kept = Kept(self.lake, now)
        state = kept.state
        outcome = Outcome([], rows=kept.file_rows())
        if last_tick is None or not timedelta(0) <= now - last_tick <= PAUSE:
            kept.watch.resumed_at = now
        if storage is not None:
            self._look_for_the_report(kept.watch, now)
        situation = Situation(
            watch=kept.watch,
            opened={i.key: i for i in state.incidents if i.is_open},
            outboxes=state.outboxes,
            found=handed_over(self.lake),
            storage=storage,
            newest=last_settled(now, self.settings.settle),
            absent=absent,
            settings=self.settings,
            now=now,
        )
        names = self.lake.names()
        look = Look(situation, self.lake, names, may_go_on, known)
        look.take_in(evaluations, Window(self.settings.start))
        if kept.watch.has_webhooks or storage is not None or last_tick is None:
            found = look_at_delivery(self.lake, names, now, self.settings)
            kept.watch.has_webhooks = found is not None
            situation = replace(situation, delivery=found)
        done = step(state.incidents, detect(situation), now, self.settings.alert_policy)
        state.incidents, state.silent = done.incidents, done.silent
        self._put_out(state, done.changes, now, outcome)
        self._add_digest(state, now, outcome)
        posting.begin(state)
        kept.save()
        return kept, outcome

    def report_lake_failure(self, error: str, notified: Sequence[str]) -> list[str]:
        """Notify the channels not yet ``notified`` that the lake fails; gives those reached."""
        message = Author.of(self.settings).lake_fails(error)
        return [n for n in self.channels if n not in notified and not self.post(n, message)]

    def report_lake_works(self, notified: Sequence[str]) -> list[str]:
        """Notify the ``notified`` channels that it works again; gives those not reached."""
        known = [name for name in notified if name in self.channels]
        message = Author.of(self.settings).lake_works()
        return [name for name in known if self.post(name, message)]

    def _look_for_the_report(self, watch: Watch, now: datetime) -> None:
        """Remember the last day of the newest report, where it may be another. Raises LakeError."""
        if watch.reported is None or watch.reported < due_report(self.settings, now).date:
            watch.reported = max(dates_in(self.lake.store, REPORT_PAGES), default=None)

    def _put_out(
        self, state: State, changes: Sequence[tuple[Event, Incident]], now: datetime, out: Outcome
    ) -> None:
        """Note what changed, and put its messages into the outbox of each configured channel."""
        author = Author.of(self.settings)
        for name in state.outboxes.keys() - set(self.channels):  # removed from the settings
            waiting = state.outboxes.pop(name).waiting
            state.rows += [Row.of_attempt("dropped", name, message, now) for message in waiting]
        for name in self.channels:
            state.outboxes.setdefault(name, Outbox())
        for event, incident in changes:
            word = {"notified": author.opened, "resolution notified": author.resolved}.get(event)
            message = word(incident) if word else None
            if message is not None:
                out.messages.append(message)
                for name, outbox in state.outboxes.items():
                    if name != incident.subject or incident.kind != ChannelDown.name:
                        outbox.add(message, self.settings.wording)
            state.rows.append(Row.of_change(event, incident, now, message))
        if changes or now - state.looked_at >= SIGN_OF_LIFE:
            state.looked_at = now

    def _add_digest(self, state: State, now: datetime, out: Outcome) -> None:
        """Put the digest of a week into each outbox, once, and not in quiet hours."""
        if not self.settings.weekly_digest or self.settings.alert_policy.quiet.hold(now):
            return
        digest = handed_over_digest(self.lake)
        if digest is None or digest.week <= state.digest:
            return
        state.digest = digest.week
        message = digest.message(self.settings.wording)
        out.messages.append(message)
        for outbox in state.outboxes.values():
            outbox.add(message, self.settings.wording)

    def _deliver(self, kept: Kept, posting: _Posting, outcome: Outcome) -> None:
        """Post what is due; the outcomes of a round are kept before the next one."""
        may_go_on, now = within(POST_SECONDS, self.monotonic), posting.now
        for _ in range(ROUNDS):
            messages = due(kept.state.outboxes, now)
            if not messages or not posting.is_ours(kept.state) or not may_go_on():
                break
            sent = post_round(messages, self.post)
            kept.update(partial(posting.note, sent))
            outcome.faults += [
                f"The channel {name} took no message: {fault}."
                for name, (_, fault) in sent.items()
                if fault
            ]
        kept.update(posting.end)


class _Posting:
    """The posts of one tick, and its lease, by which no other process posts meanwhile."""

    def __init__(self, now: datetime, monotonic: Callable[[], float]) -> None:
        self.now = now
        self._holder = uuid.uuid4().hex
        self._monotonic = monotonic
        self._began = monotonic()

    def begin(self, state: State) -> None:
        """Take the lease where there is something to post, unless another process has it."""
        lease = state.lease
        if due(state.outboxes, self.now) and not (lease and lease.is_in_force(self.now)):
            self._hold(state)

    def is_ours(self, state: State) -> bool:
        """Whether this tick may post."""
        return state.lease is not None and state.lease.holder == self._holder

    def note(self, sent: Mapping[str, tuple[Message, str]], state: State) -> None:
        """Put the outcomes of a round into the rows and the outboxes; keep the lease."""
        for name, (message, fault) in sent.items():
            event = "failed" if fault else "delivered"
            state.rows.append(Row.of_attempt(event, name, message, self.now, fault))
            outbox = state.outboxes.get(name)
            if outbox is None:  # another process has removed this channel
                continue
            if fault:
                outbox.failed(fault, self.now)
            else:
                outbox.sent(message)
        if self.is_ours(state):
            self._hold(state)

    def end(self, state: State) -> None:
        """Give the lease back."""
        if self.is_ours(state):
            state.lease = None
            state.filing = state.filing or len(state.rows)  # saves a put: see Kept.file_rows

    def _hold(self, state: State) -> None:
        passed = timedelta(seconds=self._monotonic() - self._began)
        state.lease = Lease(holder=self._holder, until=self.now + passed + LEASE)
