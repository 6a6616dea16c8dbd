"""The jobs of a backfill: processes that run its chunks side by side.

Each job takes the next chunk when it has finished one, and sends what became of each hour to the
command that started it. Only that command talks to the user and to the signals of the terminal. It
divides the requests in flight among the jobs; they share its rate limit as all processes of a
deployment do. They load Dagster while the command does, before it knows what there is to do. A job
whose command is gone ends at once.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import traceback
from collections import deque
from contextlib import suppress
from dataclasses import dataclass, field
from importlib import import_module
from multiprocessing import Pipe
from multiprocessing.connection import Connection, wait
from queue import SimpleQueue
from typing import TYPE_CHECKING, Any, Final, NamedTuple, Self

from returns_orchestration.cli import prepare
from returns_orchestration.cli.backfill_watch import News, Watch, news_of
from returns_orchestration.errors import ReturnsError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from returns_orchestration.flow.outcomes import Outcome
    from returns_orchestration.settings import Settings
    from returns_orchestration.window import Window

LOOK_SECONDS: Final = 0.2
"""Between two looks for an interruption while no job sends anything."""

STOP: Final = "stop"
"""Sent to a job that is to end once its open requests are answered."""

PROGRAM: Final = "from returns_orchestration.cli.backfill_jobs import work; work()"


class Order(NamedTuple):
    """What is to be done with the chunks; the first message to a job."""

    settings: Settings
    missing_only: bool


class Ran(NamedTuple):
    """A job has run its chunk; ``failure`` is the message of a run that did not succeed, or ""."""

    failure: str


class Broken(NamedTuple):
    """A job cannot go on, for a cause that concerns each chunk alike."""

    words: str


@dataclass(slots=True)
class _Job:
    """A process, the connection to it, and the chunk that it runs; none once it has to end."""

    process: subprocess.Popen[bytes]
    connection: Connection[Any, Any]
    chunk: Sequence[Window] = field(default=())


def shares(in_flight: int, jobs: int) -> list[int]:
    """The requests in flight of each of ``jobs``, ``in_flight`` together."""
    least, more = divmod(in_flight, jobs)
    return [least + (at < more) for at in range(jobs)]


class Workers:
    """Processes that wait for an order. At the end of the context none is left."""

    def __init__(self, jobs: int) -> None:
        """``jobs`` processes; none for one job, which the command does."""
        self._jobs: list[_Job] = []
        try:
            for _ in range(jobs if jobs > 1 else 0):
                self._jobs.append(_start())
        except OSError:
            self._end(self._jobs)
            raise

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._end(self._jobs)

    def keep(self, jobs: int) -> None:
        """End those that are more than ``jobs``, or all where there is only one to do."""
        kept = jobs if jobs > 1 else 0
        self._end(self._jobs[kept:])
        del self._jobs[kept:]

    def run(
        self,
        order: Order,
        chunks: Sequence[list[Window]],
        interruption: threading.Event,
        watch: Watch,
    ) -> None:
        """Run ``chunks`` in them; ``watch`` takes note of each hour.

        A chunk whose process was killed is not run again here: the cause may be the chunk.
        """
        waiting = deque(chunks)
        settings = order.settings
        for job, share in zip(
            self._jobs, shares(settings.max_concurrency, len(self._jobs)), strict=True
        ):
            own = settings.model_copy(update={"max_concurrency": share})
            _send(job, order._replace(settings=own))
            _next(job, waiting)
        running = {job.connection: job for job in self._jobs}
        is_stopped = False
        while running:
            if not is_stopped and (interruption.is_set() or watch.stopped):
                is_stopped = True
                waiting.clear()
                for job in running.values():
                    _send(job, STOP)
            for connection in wait([*running], LOOK_SECONDS):
                assert isinstance(connection, Connection)
                job = running[connection]
                try:
                    message = connection.recv()
                except (EOFError, OSError):
                    _ended(running.pop(connection), watch)
                    continue
                if isinstance(message, News):
                    watch.on_news(message)
                elif isinstance(message, Broken):
                    job.chunk = ()
                    watch.on_news(News(None, message.words))
                else:
                    watch.on_run(job.chunk, message.failure)
                    _next(job, waiting)
        if waiting:
            watch.on_news(News(None, "Each process of this backfill has ended too early."))

    @staticmethod
    def _end(jobs: Sequence[_Job]) -> None:
        for job in jobs:
            job.connection.close()
            job.process.kill()  # it may be loading Dagster, and not see that it is not needed
        for job in jobs:
            job.process.wait()


def _start() -> _Job:
    """A new process, with the modules, the environment and the folder of this one."""
    ours, theirs = Pipe()
    with theirs:
        process = subprocess.Popen(  # noqa: S603 - this very interpreter
            [sys.executable, "-P", "-c", PROGRAM, str(theirs.fileno())],
            env={**os.environ, "PYTHONPATH": os.pathsep.join(path for path in sys.path if path)},
            pass_fds=[theirs.fileno()],
            stdin=subprocess.DEVNULL,
        )
    return _Job(process, ours)


def _send(job: _Job, message: object) -> None:
    with suppress(OSError):  # it is gone, which the end of what it sends will show
        job.connection.send(message)


def _next(job: _Job, waiting: deque[list[Window]]) -> None:
    """Give ``job`` its next chunk, or let it end."""
    job.chunk = waiting.popleft() if waiting else ()
    _send(job, job.chunk)


def _ended(job: _Job, watch: Watch) -> None:
    """Take note of the end of a process; it had a chunk if it was killed."""
    job.connection.close()
    code = job.process.wait()
    if not job.chunk:
        return
    how = f"was ended by {signal.Signals(-code).name}" if code < 0 else f"ended with code {code}"
    watch.on_lost(job.chunk, how)


def work() -> None:
    """A job: run the chunks that come in, until an empty one."""
    prepare()
    connection: Connection[Any, Any] = Connection(int(sys.argv[1]))
    import_module("returns_orchestration.defs.code_location")  # while the command looks what is due
    try:
        order: Order = connection.recv()
    except (EOFError, OSError):
        return  # the command is gone
    chunks: SimpleQueue[list[Window]] = SimpleQueue()
    interruption = threading.Event()
    listener = threading.Thread(
        target=_listen, args=(connection, chunks, interruption), daemon=True
    )
    listener.start()
    try:
        _work(order, connection, chunks, interruption)
    except ReturnsError as error:
        _report(connection, Broken(str(error)))
    except Exception as error:  # noqa: BLE001 - the command must not wait for this job
        from returns_orchestration.defs.instance import fault_of_instance  # noqa: PLC0415

        known = fault_of_instance(error)
        if known is None:
            traceback.print_exc()
        _report(connection, Broken(str(known or "An error of the program; it stands above.")))


def _work(
    order: Order,
    connection: Connection[Any, Any],
    chunks: SimpleQueue[list[Window]],
    interruption: threading.Event,
) -> None:
    from returns_orchestration.defs.code_location import build_defs  # noqa: PLC0415 - Dagster is slow to import
    from returns_orchestration.defs.instance import open_instance, run_range  # noqa: PLC0415
    from returns_orchestration.defs.keys import Keys  # noqa: PLC0415

    def on_outcome(outcome: Outcome) -> None:
        if (news := news_of(outcome)) is not None:
            _report(connection, news)

    settings = order.settings
    keys = Keys.of_settings(settings)
    with open_instance(settings) as instance:
        definitions = build_defs(settings, on_outcome=on_outcome, interruption=interruption)
        while chunk := chunks.get():
            result = run_range(
                definitions, instance, chunk, missing_only=order.missing_only, keys=keys
            )
            _report(connection, Ran("" if result.success else result.failure))


def _listen(
    connection: Connection[Any, Any],
    chunks: SimpleQueue[list[Window]],
    interruption: threading.Event,
) -> None:
    """Take in the messages to this job, in a thread of its own; end with the command."""
    while True:
        try:
            message = connection.recv()
        except (EOFError, OSError):
            os._exit(1)
        if message == STOP:
            interruption.set()
        else:
            chunks.put(message)


def _report(connection: Connection[Any, Any], message: object) -> None:
    try:
        connection.send(message)
    except OSError:  # the command is gone
        os._exit(1)
