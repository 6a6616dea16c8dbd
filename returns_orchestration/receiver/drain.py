"""The drain moves deliveries from the spool into the lake, once a minute and after 8 MB.

A batch is some deliveries in a row that came in one hour. It is noted in the spool, then its file
is put under a name that follows from its first number, and only then its rows are removed. Killed
in between, the next receiver puts the same file again, which changes nothing.

It also records in which times deliveries could be stored, which tells our own downtime from
webhooks that ClickPost did not send, and what the receiver notes about itself.
"""

from __future__ import annotations

import logging
import threading
import time
from typing import TYPE_CHECKING, Final

from returns_orchestration.errors import LakeError, SpoolUnwritable
from returns_orchestration.lake.webhooks import NumbersTaken, ReceiverNote, Webhook, moment
from returns_orchestration.receiver.spool_tables import Batch
from returns_orchestration.window import Window

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from datetime import datetime

    from returns_orchestration.lake import Lake
    from returns_orchestration.lake.webhooks import Blank
    from returns_orchestration.receiver.app import Counts
    from returns_orchestration.receiver.spool import Spool

DRAIN_SECONDS: Final = 60.0
DRAIN_BYTES: Final = 8_000_000
SPAN_SECONDS: Final = 15.0
"""How often the time of listening is noted: a kill loses no more of it."""

TICK_SECONDS: Final = 1.0
RETRY_SECONDS: Final = 5.0
"""How soon a drain that failed is tried again where much waits."""

JUMP_SECONDS: Final = 5.0
"""A clock that goes this much faster or slower than time passes was set."""

MOST_TAKEN: Final = 3
"""How often a batch is put under another name, before it has to wait."""

_LOG: Final = logging.getLogger(__name__)


class Drain:
    """Drains ``spool`` into ``lake`` in a thread of its own, between ``start`` and ``stop``."""

    def __init__(  # noqa: PLR0913 - its parts, and seams
        self,
        spool: Spool,
        lake: Lake,
        counts: Counts,
        *,
        blank: Blank | None = None,
        clock: Callable[[], int] = time.time_ns,
        seconds: float = DRAIN_SECONDS,
    ) -> None:
        """``blank`` removes personal data that the lake is not to keep.

        ``clock`` gives nanoseconds since 1970; ``seconds`` is how often it drains.
        """
        self.spool = spool
        self._lake = lake
        self._counts = counts
        self._blank = blank
        self._clock = clock
        self._seconds = seconds
        self._since = moment(clock() // 1_000)
        self._span: _Span | None = None
        self._spans = threading.Lock()
        """Held while the span changes, and not while the lake is written, which may take long."""
        self._failures = 0
        self._told_at = time.monotonic()
        self._stopped = threading.Event()
        self._threads = [
            threading.Thread(target=self._run, name="drain", daemon=True),
            threading.Thread(target=self._listen_on, name="listening", daemon=True),
        ]
        self.problem = ""
        """Why the last drain failed; "" where all is well."""

    @property
    def is_well(self) -> bool:
        """Whether deliveries can be stored, and reach the lake."""
        return not (self.problem or self.spool.is_refusing)

    def start(self) -> None:
        """Begin, with what an earlier receiver has left."""
        for thread in self._threads:
            thread.start()

    def stop(self, seconds: float) -> bool:
        """Drain once more and end; whether that was done within ``seconds``."""
        self.end()
        return self.has_ended(time.monotonic() + seconds)

    def end(self) -> None:
        """Let it drain once more and end."""
        self._stopped.set()

    def has_ended(self, deadline: float) -> bool:
        """Whether it drained all and ended by ``deadline`` of the monotonic clock."""
        for thread in self._threads:
            thread.join(max(0.0, deadline - time.monotonic()))
        return not (any(thread.is_alive() for thread in self._threads) or self.problem)

    def _run(self) -> None:
        drained_at = -float("inf")
        while True:
            is_last = self._stopped.is_set()
            now = time.monotonic()
            is_due = now >= drained_at + self._seconds or self.spool.size >= DRAIN_BYTES
            if is_last or (is_due and (not self.problem or now >= drained_at + RETRY_SECONDS)):
                self.drain(is_last=is_last)
                drained_at = time.monotonic()
            if is_last:
                return
            self._stopped.wait(min(TICK_SECONDS, self._seconds))

    def _listen_on(self) -> None:
        self.listen()
        while not self._stopped.wait(SPAN_SECONDS):
            self.listen()

    def drain(self, *, is_last: bool = False) -> None:
        """Put into the lake what the spool holds; an error is kept in ``problem``."""
        problem = self._fault_of(lambda: self._lake.format.ensure(begin=True))
        if not problem:
            problem = self._fault_of(self.put_all, lambda: self._put_spans(is_last=is_last))
            # Whatever fails, the note says that this receiver lives and whether it can store.
            problem = self._fault_of(lambda: self._tell(is_last=is_last)) or problem
        if problem and problem != self.problem:
            _LOG.error("%s Deliveries stay in the spool.", problem)
        elif self.problem and not problem:
            _LOG.warning("Deliveries reach the lake again.")
        self.problem = problem

    @staticmethod
    def _fault_of(*steps: Callable[[], object]) -> str:
        """Why one of ``steps`` failed, after which no other is taken; "" where all is well."""
        try:
            for step in steps:
                step()
        except (LakeError, SpoolUnwritable) as error:
            return str(error)
        except Exception as error:  # noqa: BLE001 - deliveries stay in the spool, and the next try may do
            return f"The spool was not drained: {type(error).__name__}."
        return ""

    def _tell(self, *, is_last: bool) -> None:
        self._told_at = time.monotonic()
        self._lake.webhooks.note(self._note(is_last=is_last))

    # ---- deliveries

    def put_all(self) -> None:
        """Move every delivery into the lake. Raises LakeError and SpoolUnwritable."""
        has_removed = False
        for batch in self._batches():
            if not batch.is_put:
                self._put(batch)
            self.spool.remove(batch)
            has_removed = True
            if time.monotonic() >= self._told_at + DRAIN_SECONDS:  # much may wait
                self._tell(is_last=False)
        if has_removed:
            self.spool.compact()

    def _batches(self) -> Iterator[Batch]:
        """The batches that an earlier drain has left, then new ones, each noted."""
        yield from self.spool.batches()
        newest = self.spool.newest()  # what comes meanwhile is left to the next drain
        while rows := self.spool.unbatched(newest):
            first, received_at, size = rows[0]
            window, last = Window.of(moment(received_at)), first
            for number, at, more in rows[1:]:
                if Window.of(moment(at)) != window or size + more > DRAIN_BYTES:
                    break
                last, size = number, size + more
            batch = Batch(first, last)
            self.spool.note(batch)
            yield batch

    def _put(self, batch: Batch) -> None:
        deliveries = [
            Webhook(stored.id, moment(of.received_at), of.content_type, of.redelivered, of.body)
            for stored in self.spool.of(batch)
            for of in [stored.delivery]
        ]
        for _ in range(MOST_TAKEN):
            try:
                self._lake.webhooks.put(self.spool.instance, deliveries, self._blank)
            except NumbersTaken:
                self.spool.rename()
            else:
                return
        self._lake.webhooks.put(self.spool.instance, deliveries, self._blank)

    # ---- times of listening

    def listen(self) -> None:
        """Note that deliveries could be stored until now; also right before the end."""
        with self._spans:
            self._listen()

    def _listen(self) -> None:
        try:
            if self.spool.problem:  # without a delivery nothing else would try
                self._span = None
                self.spool.try_again()
            failures = self.spool.failures + self._counts.not_stored
            has_failed, self._failures = failures != self._failures, failures
            if self.spool.is_full:
                self._span = None
                return
            now, passed = self._clock() // 1_000, time.monotonic()
            span = self._span
            if span is None or has_failed or span.is_of_another_clock(now, passed):
                span = _Span(now, now, passed)
            self._span = _Span(span.begin, now, passed)
            if now > span.begin:
                self.spool.set_span(span.begin, now)
        except SpoolUnwritable:
            self._span = None

    def _put_spans(self, *, is_last: bool) -> None:
        """Put what cannot grow any more: hours that are over, and spans that have ended."""
        hour = Window.of(moment(self._clock() // 1_000)).start
        for begin, until in self.spool.spans():
            is_growing = self._is_growing(begin) and not is_last
            end = min(moment(until), hour) if is_growing else moment(until)
            if end <= moment(begin):
                continue
            self._lake.webhooks.listened(self.spool.instance, moment(begin), end)
            with self._spans:  # it may have grown meanwhile, and have ended
                rest = _microseconds(end), dict(self.spool.spans()).get(begin, until)
                is_left = rest[1] > rest[0]
                if self._is_growing(begin) and self._span is not None:
                    self._span, is_left = _Span(*rest, self._span.passed), True
                self.spool.cut_span(begin, rest if is_left else None)

    def _is_growing(self, begin: int) -> bool:
        return self._span is not None and begin == self._span.begin

    def _note(self, *, is_last: bool) -> ReceiverNote:
        counts = self._counts
        return ReceiverNote(
            instance=self.spool.instance,
            at=moment(self._clock() // 1_000),
            began=moment(self.spool.began),
            since=self._since,
            stored=counts.stored,
            last_stored=_at(counts.last_stored),
            refused=counts.refused,
            without_key=counts.without_key,
            last_refused=_at(counts.last_refused),
            not_stored=counts.not_stored,
            last_not_stored=_at(counts.last_not_stored),
            waiting=self.spool.waiting(),
            problem=self.spool.problem,
            set_aside=str(self.spool.set_aside or ""),
            ended=is_last,
        )


class _Span:
    """A time in which deliveries could be stored; ``passed`` is its end by the monotonic clock."""

    def __init__(self, begin: int, until: int, passed: float) -> None:
        self.begin = begin
        self.until = until
        self.passed = passed

    def is_of_another_clock(self, now: int, passed: float) -> bool:
        """Whether the clock was set meanwhile, or this process was stopped."""
        by_clock = (now - self.until) / 1_000_000
        return abs(by_clock - (passed - self.passed)) > JUMP_SECONDS or by_clock > 2 * SPAN_SECONDS


def _at(seconds: float | None) -> datetime | None:
    return None if seconds is None else moment(int(seconds * 1_000_000))


def _microseconds(at: datetime) -> int:
    return round(at.timestamp() * 1_000_000)
