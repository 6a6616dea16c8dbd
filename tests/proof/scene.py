"""The scene of a failure path: a world with canaries, and all its output.

Key and user name are drawn again for every path: odd characters around tokens that occur in no
other text, so that a value that is cut, encoded or quoted still holds a token to be found.
"""

from __future__ import annotations

import logging
import os
import random
import re
import sys
import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path

from proof.search import ANYWHERE, Search, nowhere
from proof.warm import SAID, Warm
from support.world import World, hours

from returns_orchestration.defs.registry import HOURLY
from returns_orchestration.env_file import ENV_FILE
from returns_orchestration.flow.outcomes import Failed, Stopped
from returns_orchestration.simulator import Simulator, SimulatorOptions
from returns_orchestration.simulator.contents import contents_of
from returns_orchestration.simulator.moments import to_micros
from returns_orchestration.simulator.planning import plan_hour
from returns_orchestration.window import Window, read_hour

FROM, FAILING, TO = "2026-11-07T00:00", "2026-11-07T01:00", "2026-11-07T03:00"
HOURS = hours(FROM, TO)

LETTERS = "ghjkmnpqrstvwxyz"
"""No vowels, so no words; no hexadecimal digits, so no hashes and no ids."""

ODD = ("+&%/ ", "é=", "\"'<", "\\n%2B", "#?;", "  ü$")

LOCATIONS = frozenset({"webhook_location", "latest_location"})
"""The columns of `returns` and `returns_daily` that are documented to hold an address."""

AS_SERVED = ("raw_returns", "rejected_returns")
"""The tables that keep records as received, with all that is personal in them."""


def token(dice: random.Random) -> str:
    """Ten letters that no other text holds."""
    return "".join(dice.choices(LETTERS, k=10))


@dataclass(frozen=True)
class Canary:
    """A secret of odd characters around ``tokens``."""

    text: str
    tokens: tuple[str, str]


def canary(dice: random.Random) -> Canary:
    """A fresh secret in a realistic form."""
    first, second = token(dice), token(dice)
    return Canary(f"{first}{dice.choice(ODD)}{second.upper()}{dice.choice(ODD)}z", (first, second))


@dataclass
class Scene:
    """One path's world: its output, and the values that must not appear in it."""

    dice: random.Random
    folder: Path
    commands: Warm
    world: World
    key: Canary
    user_name: Canary
    told: list[tuple[str, str]] = field(default_factory=list)
    secrets: set[str] = field(default_factory=set)
    personal: set[str] = field(default_factory=set)
    columns: set[str] = field(default_factory=set)
    pages: int = 0
    files: int = 0
    bytes: int = 0
    failed: bool = False
    served: bool = False

    def canary(self) -> Canary:
        """One more secret to search for."""
        found = canary(self.dice)
        self.secrets |= {*found.tokens}
        return found

    def tell(self, where: str, text: str) -> None:
        """Note an output."""
        self.told.append((where, text))

    def run(self, *arguments: str) -> None:
        """A command of the package, started warm."""
        process = self.commands.start(self.world, *arguments)
        process.join()
        self.failed |= process.exitcode != 0
        self.tell(f"output of {arguments[0]}", (self.folder / SAID).read_text(errors="replace"))

    def process(self, program: str, *arguments: str) -> None:
        """A command of this environment in a separate process, as a user starts it."""
        script = Path(sys.executable).with_name(program)
        done = self.world.process(str(script), *arguments)
        self.failed |= done.returncode != 0
        self.tell(f"standard output of {program} {arguments[0]}", done.stdout)
        self.tell(f"standard error of {program} {arguments[0]}", done.stderr)

    def ours(self, *arguments: str) -> None:
        """A command of the package in a separate process."""
        self.process("returns-orchestration", *arguments)

    def each(self, *commands: tuple[str, ...]) -> None:
        """Commands of the package, one after another, started warm."""
        for command in commands:
            self.run(*command)

    def materialize(self) -> None:
        """Dagster's own command for the failing hour, as the contract has it."""
        home = self.folder / "dagster_home"
        if not home.exists():
            home.mkdir()
        chosen = ("--select", ",".join(HOURLY), "--partition", Window(read_hour(FAILING)).key)
        module = ("-m", "returns_orchestration.definitions")
        self.process("dagster", "asset", "materialize", *chosen, *module)

    def pipeline(self) -> None:
        """The hours polled in this process, with every logger open and every error examined."""
        with every_log() as lines:
            outcomes = list(self.world.pipeline().run(HOURS))
        for outcome in outcomes:
            if isinstance(outcome, Failed | Stopped):
                self.failed = True
                self.tell("an error", error_told(outcome.error))
        self.tell("the log", "\n".join(lines))

    def wrong(self, command_lines: set[bytes]) -> Iterator[str]:
        """The values that leaked; searches all files and output of the path."""
        secrets = Search({*self.key.tokens, *self.user_name.tokens, *self.secrets})
        personal = Search({*self.personal, *served_personal(self.world)}, coded=False)
        for search, what, exempt in (
            (secrets, "a secret", self._may_hold_secrets),
            (personal, "personal data", self._may_be_personal),
        ):
            yield from (f"{where} holds {what}" for where in search.below(self.folder, exempt))
            for where, text in self.told:
                if search.holds(text):
                    yield f"{where} holds {what}"
            if any(map(search.holds, command_lines)):
                yield f"a command line holds {what}"
        self.served = any(personal.below(self.world.lake / AS_SERVED[0]))
        self.files, self.bytes = secrets.files, secrets.bytes

    def _may_hold_secrets(self, file: Path) -> frozenset[str]:
        return ANYWHERE if file == self.folder / ENV_FILE else nowhere(file)

    def _may_be_personal(self, file: Path) -> frozenset[str]:
        parts = file.relative_to(self.folder).parts
        if file.suffix == ".parquet" and set(AS_SERVED) & {*parts}:
            return ANYWHERE
        is_typed = not {"returns", "returns_daily", "return_states"}.isdisjoint(parts)
        return LOCATIONS | self.columns if is_typed else nowhere(file)


@contextmanager
def played(folder: Path, dice: random.Random, commands: Warm) -> Iterator[Scene]:
    """A scene in ``folder``: a simulator of odd and unusable returns that requires the canaries."""
    key, user_name = canary(dice), canary(dice)
    options = SimulatorOptions(
        seed=dice.randrange(1_000_000),
        returns_per_hour=6,
        rhythm=False,
        oddities=0.3,
        unusable=0.1,
        key=key.text,
        user_name=user_name.text,
    )
    simulator = Simulator(options)
    with simulator.running() as base_url:
        yield Scene(dice, folder, commands, World(folder, simulator, base_url), key, user_name)


@contextmanager
def every_log(level: int = 1) -> Iterator[list[str]]:
    """The lines of every logger meanwhile from ``level`` on, without the simulator's server."""
    lines: list[str] = []

    class Keeping(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            if not record.name.startswith(("uvicorn", "asyncio")):
                lines.append(f"{self.format(record)} {record.__dict__}")

    known = [logging.getLogger(), *map(logging.getLogger, logging.root.manager.loggerDict)]
    before = {logger: logger.level for logger in known}
    keeping = Keeping(level)
    logging.root.addHandler(keeping)
    for logger in known:
        logger.setLevel(level)
    try:
        yield lines
    finally:
        logging.root.removeHandler(keeping)
        for logger, its_own in before.items():
            logger.setLevel(its_own)


@contextmanager
def output_kept(folder: Path) -> Iterator[None]:
    """Redirect the output of this process and of its children to a file below ``folder``."""
    sys.stdout.flush()
    kept = [os.dup(number) for number in (1, 2)]
    file = os.open(folder / "output.txt", os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    try:
        for number in (1, 2):
            os.dup2(file, number)
        yield
    finally:
        sys.stdout.flush()
        for number, before in zip((1, 2), kept, strict=True):
            os.dup2(before, number)
            os.close(before)
        os.close(file)


def error_told(error: BaseException) -> str:
    """All that can be read from an error: text, facts, stack, and its causes."""
    told, links, seen = ["".join(traceback.format_exception(error))], [error], set[int]()
    while links:
        link = links.pop()
        if id(link) not in seen:
            seen.add(id(link))
            told += [str(link), repr(link), repr(link.__dict__), repr(link.args)]
            links += [cause for cause in (link.__cause__, link.__context__) if cause is not None]
    return "\n".join(told)


@contextmanager
def environment(world: World) -> Iterator[None]:
    """The settings of ``world`` in this process, for its children and loaded code."""
    before = dict(os.environ)
    os.environ.clear()
    os.environ.update(world.environment_of_processes)
    try:
        yield
    finally:
        os.environ.clear()
        os.environ.update(before)


def served_personal(world: World) -> set[str]:
    """The personal and distinctive values in the returns of every polled hour.

    Each name of a person, e-mail addresses without their host, the own digits of phone numbers,
    streets with their house number, photographs, comments of a sentence. Towns and postal codes
    are left out: they also occur in time zones and numbers.
    """
    starts = {str(request.start_time) for request in world.simulator.requests}
    asked = [Window(datetime.fromisoformat(f"{start}+00:00")) for start in starts - {"None"}]
    near = {hour for window in asked for hour in (window.previous, window, window.next)}
    found: set[str] = set()
    for window in near:
        for planned in plan_hour(world.simulator.options, to_micros(window.start)):
            contents = contents_of(planned)
            found |= {*re.findall(r"[^\W\d_]{5,}", contents.person), contents.email.split("@")[0]}
            found |= {contents.phone.removeprefix("+91-"), contents.street.splitlines()[0]}
            for item in contents.items:
                found |= {image.removeprefix("https://") for image in item.images}
                # The simulator's oddest texts are a comment and a reason, which is no secret.
                if item.comment != item.reason:
                    found |= {line for line in item.comment.splitlines() if len(line) >= 12}
    return found - {""}
