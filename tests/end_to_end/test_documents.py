"""Every code block of the documents is run or parsed, or carries the mark `<!-- not run: WHY -->`.

The blocks of a page are run in order, in a project folder with a lake of one day and an
environment that leads to the simulator.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
import tomllib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import duckdb
import pytest
import yaml
from dotenv import dotenv_values, set_key
from support import documents
from support.receiver import Receiver
from support.world import World
from typer.core import TyperGroup
from typer.main import get_command

from returns_orchestration.cli import build_app
from returns_orchestration.settings import VARIABLES, load_settings

ROOT = documents.ROOT
PAGES = [ROOT / name for name in ("README.md", "CONTRIBUTING.md", "SECURITY.md")] + sorted(
    (ROOT / "docs").rglob("*.md")
)

NOT_RUN = {
    (
        "docs/how-to/scale-out.md",
        "PYTHONPATH=tests:. .venv/bin/python -m benchmarks.workers",
        "it takes six minutes, and needs PostgreSQL and Redis",
    ),
    (
        "docs/bi.md",
        "returns-orchestration export returns_daily 2026-11-01 2026-12-01 --format xlsx",
        "the dates are examples; tests/report/test_exports.py writes and reads each format",
    ),
    (
        "docs/bi.md",
        "pip install duckdb",
        "it needs the package duckdb; tests/report/test_views.py makes and reads the views",
    ),
    ("README.md", "make report", "it serves until it is stopped; make test runs this test"),
    ("docs/architecture.md", "errors", "a map; tests/test_house.py compares it with the code"),
    (
        "docs/explanation/guarantees.md",
        'make prove PROVE="--only kills --seed 7"',
        "it takes minutes; tests/proof/test_promises.py runs a few cases of each line",
    ),
    (
        "docs/how-to/one-return.md",
        "$ returns-orchestration show RE58231794222055",
        "an example; tests/end_to_end/test_show.py reads such an output",
    ),
    (
        "docs/how-to/report.md",
        "returns-orchestration report",
        "the dates are examples; make test makes a report of a shop",
    ),
    (
        "docs/how-to/run-for-real.md",
        ".venv/bin/returns-orchestration serve code-server",
        "they serve until they are stopped",
    ),
    (
        "docs/how-to/scale-out.md",
        "PGHOST=postgres.example.com",
        "variables of PostgreSQL and Celery; tests/test_deploy.py reads them",
    ),
    (
        "docs/how-to/scale-out.md",
        '/opt/returns-orchestration/bin/pip install --constraint constraints.txt "$(ls dist/returns_orchestration-*.whl)[celery]"',  # noqa: E501 - a command
        "it needs root; tests/end_to_end/test_workers.py runs workers",
    ),
    (
        "docs/how-to/scale-out.md",
        "install -d -m 700 -o returns -g returns /var/lib/returns-orchestration/dagster_home",
        "it needs root and systemd; tests/test_deploy.py compares the folders with the units",
    ),
    (
        "docs/how-to/scale-out.md",
        "install -d -m 700 -o returns -g returns /var/lib/returns-orchestration/worker-1",
        "it needs root and systemd; tests/test_deploy.py compares the folders with the units",
    ),
    (
        "docs/how-to/scale-out.md",
        "install -m 640 -o redis -g redis deploy/celery/redis.conf /etc/redis/returns-orchestration.conf",  # noqa: E501 - a command
        "it needs root and systemd; tests/test_deploy.py starts Redis with this file",
    ),
    (
        "docs/how-to/scale-out.md",
        "docker compose --env-file deploy/docker/settings.env -f deploy/docker/compose.yaml up --detach --build",  # noqa: E501 - a command
        "it needs Docker",
    ),
    (
        "docs/how-to/scale-out.md",
        "kubectl create secret generic returns-settings --from-env-file=settings.env",
        "it needs a cluster and Helm",
    ),
    (
        "docs/how-to/scale-out.md",
        "kubectl create namespace returns",
        "it needs a cluster",
    ),
    (
        "docs/how-to/services.md",
        "python3 -m pip wheel --no-deps --wheel-dir dist .",
        "it needs root and systemd; tests/end_to_end/test_services.py runs each ExecStart",
    ),
    (
        "docs/how-to/services.md",
        "cp deploy/systemd/*.service /etc/systemd/system/",
        "it needs root and systemd; tests/end_to_end/test_services.py runs each ExecStart",
    ),
    (
        "docs/how-to/services.md",
        "systemd-run --quiet --wait --collect --pipe --uid=returns --gid=returns --property=UMask=0077 \\",  # noqa: E501 - a command
        "it needs root and systemd; tests/test_deploy.py compares it with the units",
    ),
    (
        "docs/how-to/accounts.md",
        "returns-orchestration backfill 2026-11-01 2026-11-08 --account brand_a",
        "the accounts are examples; tests/end_to_end/test_accounts.py runs such commands",
    ),
    (
        "docs/how-to/accounts.md",
        "mkdir data/lakes && mv data/lake data/lakes/brand_a",
        "the paths are examples; tests/end_to_end/test_accounts.py moves a lake so",
    ),
    (
        "docs/how-to/accounts.md",
        "mv -T data/lakes/brand_a data/lakes/brand_x",
        "the paths are examples; tests/end_to_end/test_accounts.py renames a lake so",
    ),
    (
        "docs/how-to/accounts.md",
        (
            "RETURNS_ACCOUNTS=removed.toml returns-orchestration forget --email addresses.txt "
            "--account brand_a"
        ),
        "the account is an example; tests/end_to_end/test_accounts.py forgets so",
    ),
    (
        "docs/how-to/webhooks.md",
        "returns-orchestration receive",
        "it serves until it is stopped; tests/end_to_end/test_receive.py starts it",
    ),
    (
        "docs/how-to/webhooks.md",
        "returns-orchestration receive --check https://hooks.example.com/clickpost",
        "it needs the address; tests/end_to_end/test_receive_check.py asks through nginx",
    ),
    (
        "docs/how-to/webhooks.md",
        "returns-orchestration redeliver 2026-11-09 2026-11-10 --dry-run",
        "it needs a system that listens; tests/end_to_end/test_webhooks.py runs it",
    ),
    (
        "docs/how-to/one-return.md",
        "returns-orchestration show --email -",
        "it waits for input; tests/end_to_end/test_show.py asks like this",
    ),
    (
        "docs/operations.md",
        "systemctl stop 'returns-orchestration-*'",
        "it needs systemd and two releases; tests/end_to_end/test_upgrade.py upgrades lakes",
    ),
    (
        "docs/operations.md",
        "export RETURNS_LAKE=/srv/restored/lake DAGSTER_HOME=/srv/restored/dagster_home",
        "the name of the copy has its time; tests/end_to_end/test_backup.py checks copies",
    ),
    (
        "docs/operations.md",
        "RETURNS_LAKE=../returns-backup-2026-11-09-110000 returns-orchestration verify",
        "the name of the copy has its time; tests/end_to_end/test_backup.py checks copies",
    ),
    (
        "docs/security.md",
        "returns-orchestration serve webserver --port 3001 --read-only",
        "it serves until it is stopped; tests/end_to_end/test_security.py starts it",
    ),
    ("docs/tutorial.md", "python -m pip install duckdb", "it installs a package"),
    ("docs/tutorial.md", "make dev", "it serves until it is stopped"),
    (
        "docs/tutorial.md",
        "returns-orchestration webhooks --demo",
        "it exits with 1 for lost ones; tests/end_to_end/test_first_hour.py reads the same line",
    ),
    ("docs/tutorial.md", "returns-orchestration dev --demo", "it serves until it is stopped"),
}
"""Page, first word or line, reason. A new mark needs a line here, so that a review shows it."""

BEGIN_WITHOUT_A_LAKE = {"docs/tutorial.md", "docs/how-to/run-for-real.md"}
PROJECT = (".env.example", "Makefile", "constraints.txt",
           "pyproject.toml", "workspace.yaml")  # fmt: skip
GENERATED = frozenset(documents.blocks())
PROGRESS = re.compile(r"\d+ of \d+ hours tried")
OTHER_NUMBERS = "output with other numbers"
"""The mark of an output that differs from day to day."""

FENCE = re.compile(r"^( *)```(.*)$")


@dataclass(frozen=True)
class Block:
    page: str
    line: int
    language: str
    text: str
    mark: str
    generated: bool

    @property
    def reason(self) -> str:
        """Why it is not run; "" where it is run."""
        return self.mark.removeprefix("not run: ") if self.mark.startswith("not run: ") else ""

    def __str__(self) -> str:
        return f"{self.page}:{self.line}"


def blocks_of(path: Path) -> Iterator[Block]:
    page = str(path.relative_to(ROOT))
    lines, mark, generated, at = path.read_text().splitlines(), "", False, 0
    while at < len(lines):
        line = lines[at]
        comment = re.fullmatch(r" *<!-- (.*) -->", line)
        fence = FENCE.match(line)
        if comment:
            mark = comment[1]
            generated = mark in GENERATED or (generated and not mark.startswith("end of "))
        elif fence:
            end = next(n for n in range(at + 1, len(lines)) if lines[n] == f"{fence[1]}```")
            inner = (text.removeprefix(fence[1]) for text in lines[at + 1 : end])
            yield Block(page, at + 1, fence[2], "\n".join(inner) + "\n", mark, generated)
            mark, at = "", end
        elif line.strip():
            mark = ""
        at += 1


BLOCKS = {str(path.relative_to(ROOT)): list(blocks_of(path)) for path in PAGES}


def make_project(folder: Path) -> Path:
    """A checkout as `make` leaves it, with the environment of this test for its `.venv`."""
    for name in PROJECT:
        copy = shutil.copytree if (ROOT / name).is_dir() else shutil.copy2
        copy(ROOT / name, folder / name)
    (folder / ".venv").mkdir()
    (folder / ".venv/bin").symlink_to(Path(sys.executable).parent)
    (folder / ".venv/installed").touch()
    return folder


class Reader:
    """A reader who follows a page, block by block."""

    def __init__(self, folder: Path, environment: dict[str, str]) -> None:
        self.folder = folder
        self.environment = environment
        self.printed = ""

    def follow(self, block: Block) -> None:
        if block.generated or block.reason:
            return
        follow: dict[str, Callable[[Block], object]] = {
            "bash": self.bash,
            "python": self.python,
            "sql": self.sql,
            "ini": self.ini,
            "text": self.text,
            "json": lambda block: json.loads(block.text),
            "toml": lambda block: tomllib.loads(block.text),
            "yaml": lambda block: yaml.safe_load(block.text),
        }
        assert block.language in follow, f"{block}: use a language of {', '.join(follow)}"
        follow[block.language](block)

    def bash(self, block: Block) -> None:
        self._run(block, "bash", "-euo", "pipefail", "-c", block.text)

    def python(self, block: Block) -> None:
        self._run(block, sys.executable, "-c", block.text)

    def sql(self, block: Block) -> None:
        # DuckDB takes relative paths from the folder of the process.
        text = re.sub(r"'(data/[^']*)'", rf"'{self.folder}/\1'", block.text)
        assert duckdb.sql(text).fetchall(), f"{block}: no rows"

    def ini(self, block: Block) -> None:
        file = self.folder / "block.env"
        file.write_text(block.text)
        names = dotenv_values(file)
        assert names, f"{block}: no variable"
        assert names.keys() <= VARIABLES.keys(), f"{block}"
        load_settings(file)
        self._edit()

    def _edit(self) -> None:
        """Fill in `.env`, where the page has made one: this reader's account is the simulator's."""
        file = self.folder / ".env"
        if file.exists():
            for name in VARIABLES.keys() & self.environment.keys():
                set_key(file, name, self.environment[name])

    def text(self, block: Block) -> None:
        left_out = (PROGRESS.fullmatch, THIS_MACHINE.match)
        printed = [line for line in plain(self.printed) if not any(out(line) for out in left_out)]
        shown = plain(block.text)
        assert block.mark in {"output", OTHER_NUMBERS}, f"{block}: mark it as output, or as not run"
        if block.mark == OTHER_NUMBERS:
            printed, shown = without_numbers(printed), without_numbers(shown)
        assert printed == shown, f"{block}"

    def _run(self, block: Block, *command: str) -> None:
        done = subprocess.run(  # noqa: S603 - what the documents tell the reader to run
            command,
            cwd=self.folder,
            env=self.environment,
            capture_output=True,
            text=True,
            timeout=300,
            check=False,
        )
        assert done.returncode == 0, f"{block}\n{block.text}{done.stdout}{done.stderr}"
        self.printed = done.stdout


THIS_MACHINE = re.compile("warn .*is this machine and not")
"""The output of `doctor` for every simulator."""


def plain(text: str) -> list[str]:
    """The lines of an output without varying parts: addresses, paths, durations."""
    text = re.sub(r"https?://\S+", "URL", text)
    text = re.sub(r"(?<![\w.])/[\w./-]+", "PATH", text)
    text = re.sub(r"\b\d+(\.\d+)? s(econds?)?\b", "N s", text)
    text = re.sub(r"hour [\dT:-]+", "hour H", text)
    # The newest hour may have one record or none: it is that of the clock, and nights are quiet.
    text = re.sub(r"with \d+ records?", "with N records", text)
    return [stripped for line in text.splitlines() if (stripped := line.rstrip())]


def without_numbers(lines: list[str]) -> list[str]:
    """The lines without numbers, and without the rows of groups, some of which may be absent."""
    found = [re.sub(r"\d[\d,.:T-]*", "N", " ".join(line.split())) for line in lines]
    return [line for line in found if not re.fullmatch(r"[A-Z][A-Za-z ]+ N N N", line)]


@pytest.fixture(scope="module")
def lake_of_a_day(new_world_of_module: Callable[..., World]) -> Path:
    """The UTC day 2026-11-07, and the hours before it that the Indian day of that date touches."""
    world = new_world_of_module()
    done = world.run("backfill", "2026-11-06T18:00", "2026-11-08")
    assert done.returncode == 0, done.stdout + done.stderr
    return world.lake


@pytest.mark.parametrize("page", [page for page, blocks in BLOCKS.items() if blocks])
def test_the_commands_of_a_page_work(
    page: str,
    new_world: Callable[..., World],
    lake_of_a_day: Path,
    receiver: Receiver,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    world = new_world({"RETURNS_ALERT_URLS": receiver.url})
    folder = make_project(world.folder)
    if page not in BEGIN_WITHOUT_A_LAKE:
        shutil.copytree(lake_of_a_day, folder / "data/lake")
    environment = world.environment_of_processes
    for name in ("DAGSTER_HOME", "RETURNS_LAKE"):
        del environment[name]
    scripts = f"{folder}/.venv/bin{os.pathsep}{environment['PATH']}"
    reader = Reader(folder, environment | {"PATH": scripts, "PYTHONPATH": str(ROOT)})
    monkeypatch.chdir(folder)
    for block in BLOCKS[page]:
        reader.follow(block)


def test_a_block_that_is_not_run_gives_a_reason_and_is_listed() -> None:
    marked = [block for blocks in BLOCKS.values() for block in blocks if block.reason]
    found = {(b.page, b.text.split("\n")[0].split("  ")[0], b.reason) for b in marked}
    assert found == NOT_RUN


SHOWN = re.compile(r"`(?:\.venv/bin/)?((?:returns-orchestration|make) [^`]*)`")


def commands_of(path: Path) -> Iterator[list[str]]:
    """The commands that the sentences and tables of a page show, as words."""
    for shown in SHOWN.findall(path.read_text()):
        yield shown.split()


@pytest.mark.parametrize("path", PAGES, ids=lambda path: str(path.relative_to(ROOT)))
def test_a_command_in_a_sentence_exists_with_its_options(path: Path) -> None:
    group = get_command(build_app())
    assert isinstance(group, TyperGroup)
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    for program, name, *arguments in commands_of(path):
        if program == "make":
            assert name in targets | {".venv/installed", ".venv/tested"}, f"make {name}"
            continue
        parameters = group.commands[name].params if not name.startswith("-") else group.params
        options = {o for p in parameters for o in (*p.opts, *p.secondary_opts)} | {"--help"}
        used = {word.strip("[]").split("=")[0] for word in arguments if "--" in word}
        assert used <= options, f"{name}: {used - options}"
