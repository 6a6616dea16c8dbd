"""Ninety minutes of the shipped services, through each incident twice: `python -m proof.incidents`.

Three machines side by side, each with a lake, a home, a simulator and a receiver of alerts.
EXPECTED was written before: which alert an incident causes, and within how many minutes all is well
by itself. It needs root (a small file system that is full) and a C compiler (a wrong clock).
"""

from __future__ import annotations

import shutil
import signal
import socket
import sqlite3
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, closing, contextmanager, suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path

import httpx
import typer
from proof.corruption import findings
from proof.truth import wrong_with_tables
from support.receiver import Receiver, receiving
from support.supervisor import CODE_SERVER, DAEMON, WEBSERVER, Supervisor, materialized, supervised
from support.world import World

from returns_orchestration.alerts.state import read_state
from returns_orchestration.lake import Lake, open_store
from returns_orchestration.simulator import Simulator, SimulatorOptions
from returns_orchestration.state.status import states
from returns_orchestration.window import Window, last_settled, windows_between

ROUND = timedelta(minutes=45)
ROUNDS = 2
QUIET = 60.0
"""Seconds between one incident and the next."""

WRONG_CLOCK = Path(__file__).with_name("wrong_clock.c")
TWO_DAYS = timedelta(days=2)
WELL = frozenset({"complete", "empty"})


@dataclass(frozen=True)
class Expected:
    """What is to come of an incident: an alert whose title has ``alert``, "" for none at all.

    ``minutes``: until all is well, counted from the end of the cause.
    """

    alert: str
    minutes: float


EXPECTED = {
    "the daemon is killed for 60 s; RETURNS_START is 48 hours earlier": Expected("", 6),
    "the code server is killed": Expected("", 3),
    "the API is down for 10 min 45 s, over the hour's poll": Expected("", 5),
    "the webserver is killed for 45 s": Expected("", 2),
    "the lake is full for 5 min 30 s; 48 hours wait": Expected("cannot be read or written", 6),
    "the key is revoked for 4 min 12 s, over the hour's poll": Expected("refuse", 4),
    "all services are stopped for 5 min, as in sleep": Expected("", 4),
    "all services are stopped for 1 min": Expected("", 3),
    "DAGSTER_HOME is deleted": Expected("", 5),
    "all services are killed while a run is starting": Expected("", 6),
    "the clock is 2 days ahead for 3.5 min, then 2 days behind": Expected("", 6),
}


@dataclass
class Row:
    """What came of one incident."""

    machine: str
    name: str
    began: datetime
    minutes: float
    alerts: list[str]
    faults: list[str] = field(default_factory=list)


class Machine:
    """A lake, a home, a simulator, a receiver, and the three services."""

    def __init__(self, name: str, folder: Path, stack: ExitStack) -> None:
        self.name = name
        self.rows: list[Row] = []
        self.receiver: Receiver = stack.enter_context(receiving())
        # States stay: an hour is polled once, and is compared with the truth when all is over.
        options = SimulatorOptions(returns_per_hour=4, rhythm=False, oddities=0, progress=False)
        simulator = Simulator(options)
        base_url = stack.enter_context(simulator.running())
        self.began = datetime.now(UTC)
        # The newest hour is polled six minutes from now, and then every hour.
        self.settle = timedelta(minutes=(self.began.minute + 6) % 60)
        self.start = Window(last_settled(self.began, self.settle).start - timedelta(hours=2))
        variables = {
            "RETURNS_SETTLE_MINUTES": str(int(self.settle.total_seconds() // 60)),
            "RETURNS_REPOLL_AFTER_HOURS": "",
            "RETURNS_ALERT_URLS": self.receiver.url,
            "RETURNS_HEARTBEAT_URL": f"http://127.0.0.1:{self.receiver.port}/beat",
            "RETURNS_ALERT_GRACE_MINUTES": "5",
            "RETURNS_ALERT_COOLDOWN_MINUTES": "1",
            "RETURNS_ALERT_QUIET_HOURS": "none",
            "CLICKPOST_MAX_REQUESTS_PER_SECOND": "10",
        }
        self.world = World(folder, simulator, base_url, variables)
        self.home = Path(self.world.environment_of_processes["DAGSTER_HOME"])
        stack.enter_context(small_disk(self.world.lake))
        self.since(self.start)
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.port = int(free.getsockname()[1])
        self.services: Supervisor = stack.enter_context(
            supervised(self.world, self.port, folder / "services.log")
        )

    def since(self, start: Window) -> None:
        """Set RETURNS_START, for this process and for services that start from now on."""
        self.start = start
        self.world.variables["RETURNS_START"] = f"{start.start:%Y-%m-%dT%H:%M}"
        if hasattr(self, "services"):
            self.services.variables = dict(self.world.environment_of_processes)

    @property
    def windows(self) -> list[Window]:
        """The hours that are to be complete now."""
        newest = last_settled(datetime.now(UTC), self.settle)
        return list(windows_between(self.start.start, newest.end))

    def unwell(self, since: float) -> str:
        """What is not well, "" for nothing; beats before ``since`` do not count."""
        windows = self.windows
        zone = self.world.settings.report_time_zone
        with suppress(OSError):
            lake = Lake(open_store(str(self.world.lake)))
            bad = [line.hour for line in states(lake, windows, zone) if line.state not in WELL]
            if bad:
                return f"{len(bad)} hours are not complete"
        if self.beats <= since:
            return "no heartbeat"
        with suppress(httpx.HTTPError):
            info = httpx.get(f"http://127.0.0.1:{self.port}/server_info", trust_env=False)
            if info.status_code == 200 and materialized(self.port) >= len(windows):
                return "" if not self.open_alerts else f"open: {self.open_alerts}"
        return "the UI does not show every hour"

    @property
    def beats(self) -> int:
        """How many heartbeats came so far."""
        return len(self.receiver.beats)

    @property
    def open_alerts(self) -> int:
        """Incidents that are notified and not resolved; notices do not count."""
        state = read_state(Lake(open_store(str(self.world.lake))))
        incidents = state.incidents if state else []
        told = [one for one in incidents if one.is_open and one.notified_at is not None]
        return sum(one.severity != "notice" for one in told)

    def wait_until_well(self, minutes: float) -> tuple[float, str]:
        """The minutes until all is well, and what is not when ``minutes`` are over."""
        began, beats = time.monotonic(), self.beats
        while True:
            unwell = self.unwell(beats)
            passed = (time.monotonic() - began) / 60
            if not unwell or passed > minutes:
                return passed, unwell
            threading.Event().wait(2)

    def suffer(self, name: str, incident: Callable[[Machine], None]) -> None:
        """One incident, held to what is expected of it."""
        expected, told = EXPECTED[name], len(self.receiver.titles)
        began = datetime.now(UTC)
        with suppress(AssertionError):  # then nothing is as expected
            incident(self)
        minutes, unwell = self.wait_until_well(expected.minutes)
        threading.Event().wait(QUIET)
        titles = self.receiver.titles[told:]
        row = Row(self.name, name, began, minutes, titles)
        if unwell:
            row.faults.append(f"after {expected.minutes} minutes: {unwell}")
        loud = [title for title in titles if not title.startswith(("[resolved]", "[notice]"))]
        meant = [title for title in loud if expected.alert and expected.alert in title]
        row.faults += [f"unexpected: {title}" for title in loud if title not in meant]
        if expected.alert and not meant:
            row.faults.append(f"no alert says {expected.alert!r}")
        self.rows.append(row)
        typer.echo(
            f"{began:%H:%M:%S} {self.name}: {name}: {minutes:.1f} min, {titles}, {row.faults}"
        )

    def until(self, minute: float) -> None:
        """Wait until that many minutes after the beginning."""
        left = minute * 60 - (datetime.now(UTC) - self.began).total_seconds()
        if left > 0:
            threading.Event().wait(left)

    def wrong_in_the_end(self) -> Iterator[str]:
        """What was lost, doubled or damaged."""
        yield from (finding.text for finding in findings(self.world))
        now = datetime.now(UTC)
        yield from wrong_with_tables(self.world, self.windows, now, with_status=False)


@contextmanager
def small_disk(folder: Path) -> Iterator[None]:
    """A file system of 40 MB at ``folder``."""
    folder.mkdir(parents=True)
    mount, umount = str(shutil.which("mount")), str(shutil.which("umount"))
    subprocess.run([mount, "-t", "tmpfs", "-o", "size=40m", "tmpfs", str(folder)], check=True)  # noqa: S603
    try:
        yield
    finally:
        subprocess.run([umount, "--lazy", str(folder)], check=True)  # noqa: S603


def rest(seconds: float) -> None:
    """As long as a cause lasts."""
    threading.Event().wait(seconds)


# ---- the incidents


def earlier_start(machine: Machine) -> None:
    machine.services.held |= {DAEMON, CODE_SERVER}
    machine.services.signal(DAEMON, signal.SIGKILL)
    machine.services.signal(CODE_SERVER, signal.SIGKILL)
    machine.since(Window(machine.start.start - timedelta(hours=48)))
    rest(60)
    machine.services.held.clear()


def code_server_killed(machine: Machine) -> None:
    machine.services.signal(CODE_SERVER, signal.SIGKILL)


def webserver_killed(machine: Machine) -> None:
    machine.services.held.add(WEBSERVER)
    machine.services.signal(WEBSERVER, signal.SIGKILL)
    rest(45)
    machine.services.held.clear()


def api_down(machine: Machine) -> None:
    machine.world.simulator.faults = ["reset:*:*"]
    rest(10 * 60 + 45)
    machine.world.simulator.faults = []


def key_revoked(machine: Machine) -> None:
    machine.world.simulator.faults = ["auth:*:*"]
    rest(4 * 60 + 12)
    machine.world.simulator.faults = []


def lake_full(machine: Machine) -> None:
    for part in (CODE_SERVER, DAEMON):
        machine.services.held.add(part)
        machine.services.signal(part, signal.SIGKILL)
    machine.since(Window(machine.start.start - timedelta(hours=48)))
    filler = machine.world.lake / ".filler"
    with suppress(OSError), filler.open("wb", buffering=0) as file:
        while True:
            file.write(b"\0" * 4096)
    machine.services.held.clear()
    rest(5 * 60 + 30)
    filler.unlink()


def sleeping(seconds: float) -> Callable[[Machine], None]:
    def asleep(machine: Machine) -> None:
        for part in (DAEMON, CODE_SERVER, WEBSERVER):
            machine.services.signal(part, signal.SIGSTOP)
        rest(seconds)
        for part in (CODE_SERVER, DAEMON, WEBSERVER):
            machine.services.signal(part, signal.SIGCONT)

    return asleep


def home_deleted(machine: Machine) -> None:
    shutil.rmtree(machine.home, ignore_errors=True)


def killed_while_starting(machine: Machine) -> None:
    machine.since(Window(machine.start.start - timedelta(hours=2)))
    for part in (CODE_SERVER, DAEMON):
        machine.services.signal(part, signal.SIGKILL)
    deadline = time.monotonic() + 120
    while time.monotonic() < deadline:
        if is_starting(machine):
            break
        rest(0.02)
    else:
        raise AssertionError
    for part in (DAEMON, CODE_SERVER, WEBSERVER):
        machine.services.signal(part, signal.SIGKILL)


def is_starting(machine: Machine) -> bool:
    """Whether a run was handed to its process and has not ended."""
    database = machine.home / "history" / "runs.db"
    with suppress(sqlite3.Error), closing(sqlite3.connect(database, timeout=1)) as runs:
        found = runs.execute("select 1 from runs where status in ('STARTING', 'STARTED')")
        return found.fetchone() is not None
    return False


def wrong_clock(machine: Machine) -> None:
    library = machine.world.folder / "wrong_clock.so"
    compiler = str(shutil.which("cc"))
    subprocess.run(  # noqa: S603 - our own source
        [compiler, "-shared", "-fPIC", "-o", str(library), str(WRONG_CLOCK), "-ldl"], check=True
    )
    right = dict(machine.services.variables)
    for ahead in (TWO_DAYS, -TWO_DAYS):
        seconds = str(int(ahead.total_seconds()))
        machine.services.variables = right | {
            "LD_PRELOAD": str(library),
            "CLOCK_AHEAD_SECONDS": seconds,
        }
        for part in (CODE_SERVER, DAEMON):
            machine.services.signal(part, signal.SIGKILL)
        rest(3.5 * 60)
    machine.services.variables = right
    for part in (CODE_SERVER, DAEMON):
        machine.services.signal(part, signal.SIGKILL)


NAMES = list(EXPECTED)
START, CODE, API, WEB, FULL, KEY, SLEEP, NAP, HOME, STARTING, CLOCK = NAMES
DOES: dict[str, Callable[[Machine], None]] = {
    START: earlier_start,
    CODE: code_server_killed,
    API: api_down,
    WEB: webserver_killed,
    FULL: lake_full,
    KEY: key_revoked,
    SLEEP: sleeping(300),
    NAP: sleeping(60),
    HOME: home_deleted,
    STARTING: killed_while_starting,
    CLOCK: wrong_clock,
}
POLLED_AT = 6
"""Minutes after the beginning at which the hour is polled, and 60 later."""

MACHINES: dict[str, list[list[tuple[float, str]]]] = {
    "one": [
        [(4, API), (0, START), (0, WEB), (0, CODE)],
        [(0, CODE), (0, WEB), (64, API), (0, START)],
    ],
    "two": [[(4, KEY), (0, FULL), (0, HOME)], [(0, FULL), (64, KEY), (0, HOME)]],
    "three": [[(3, SLEEP), (0, CLOCK), (0, NAP), (0, STARTING)]] * ROUNDS,
}
"""Each machine's incidents in both rounds, with the minute before which one does not begin."""


def lived(name: str, only: set[str]) -> Machine:
    """The life of one machine."""
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix=f"incidents-{name}-")))
        machine = Machine(name, folder, stack)
        minutes, unwell = machine.wait_until_well(4)
        typer.echo(f"{name}: begun after {minutes:.1f} min {unwell}")
        whole = len(only) == len(NAMES)
        for number, incidents in enumerate(MACHINES[name][: ROUNDS if whole else 1]):
            machine.until(number * ROUND.total_seconds() / 60)
            for minute, incident in incidents:
                if incident in only:
                    machine.until(minute)
                    machine.suffer(incident, DOES[incident])
        machine.until(ROUNDS * ROUND.total_seconds() / 60 if whole else 0)
        machine.rows[-1].faults += machine.wrong_in_the_end()
        shutil.copyfile(folder / "services.log", f"incidents-{name}.log")
    return machine


def main() -> int:
    """Live all machines at once and print the table; 1 where one line is not as expected."""
    only = set(NAMES) if len(sys.argv) == 1 else {NAMES[int(n)] for n in sys.argv[1:]}
    chosen = [name for name, rounds in MACHINES.items() if only & {i for r in rounds for _, i in r}]
    typer.echo("| incident | alert expected | minutes at most |\n|---|---|---:|")
    for name in NAMES:
        typer.echo(f"| {name} | {EXPECTED[name].alert or 'none'} | {EXPECTED[name].minutes} |")
    with ThreadPoolExecutor(len(chosen)) as pool:
        machines = list(pool.map(lambda name: lived(name, only), chosen))
    typer.echo("| incident | alerts | minutes until well |\n|---|---|---:|")
    rows = [row for machine in machines for row in machine.rows]
    for row in sorted(rows, key=lambda row: (NAMES.index(row.name), row.began)):
        typer.echo(f"| {row.name} | {', '.join(row.alerts) or 'none'} | {row.minutes:.1f} |")
    faults = [f"{row.name}: {fault}" for row in rows for fault in row.faults]
    typer.echo("\n".join(faults) or "All as expected.")
    return 1 if faults else 0


if __name__ == "__main__":
    sys.exit(main())
