"""The demo's lake: where it lies, its settings, and the simulator that answers for ClickPost.

`demo` makes it; every other command uses it with ``--demo``. Its settings are a file of their own,
so nothing of the user's own settings reaches it: no key, no channel of alerts.
"""

from __future__ import annotations

import json
import os
import threading
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Final

from returns_orchestration.env_file import ENV_FILE_VARIABLE, names_in, project_folder
from returns_orchestration.errors import SettingsError
from returns_orchestration.simulator import (
    AddressTakenError,
    Dataset,
    Sender,
    Simulator,
    SimulatorOptions,
    WebhookOptions,
    Webhooks,
)
from returns_orchestration.window import Window, last_settled

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from pathlib import Path

HOURS: Final = 48
OLDEST: Final = timedelta(days=7)
"""A demo that began longer ago begins anew: its lake would take minutes to catch up."""

OPTIONS: Final = SimulatorOptions(returns_per_hour=6, shop=True)
WEBHOOKS: Final = WebhookOptions(loss=0.02, states=False)
"""The webhooks of its returns, a few of which are lost."""

SIMULATOR_PORT: Final = 8350
"""Where the simulator of `dev` listens."""


def folder() -> Path:
    """Where everything of the demo lies."""
    return project_folder() / "data" / "demo"


def settings_file() -> Path:
    """The file of the demo's settings."""
    return folder() / "settings.env"


def is_used() -> bool:
    """Whether this process uses the demo's settings."""
    return os.environ.get(ENV_FILE_VARIABLE) == str(settings_file())


def prepare(now: datetime | None = None) -> None:
    """Write the settings, unless they are there and recent; the demo begins 48 hours ago."""
    now = now or datetime.now(UTC)
    newest = last_settled(now, timedelta(minutes=10))
    begun = names_in(settings_file()).get("RETURNS_START")
    if begun and now - datetime.fromisoformat(begun) < OLDEST:
        return
    start = Window.from_number(newest.number - HOURS + 1).start
    folder().mkdir(parents=True, exist_ok=True)
    variables = {
        "CLICKPOST_BASE_URL": f"http://127.0.0.1:{SIMULATOR_PORT}/api",
        "CLICKPOST_KEY": OPTIONS.key,
        "CLICKPOST_USER_NAME": OPTIONS.user_name,
        "CLICKPOST_TIME_ZONE": OPTIONS.zone,
        "CLICKPOST_MAX_REQUESTS_PER_SECOND": "50",
        "RETURNS_LAKE": str(folder() / "lake"),
        "RETURNS_START": f"{start:%Y-%m-%dT%H:00:00Z}",
        "RETURNS_STYLE_PATTERN": "^(ST[0-9]+)-",
        "RETURNS_ALERT_URLS": "none",
        "RETURNS_HEARTBEAT_URL": "none",
    }
    lines = ["# The settings of the demo: `returns-orchestration COMMAND --demo` uses them."]
    lines += [f"{name}='{value}'" for name, value in variables.items()]
    settings_file().touch(mode=0o600)
    settings_file().write_text("\n".join([*lines, ""]))


def use() -> None:
    """Let this process and those that it starts use the demo's settings, and no others."""
    if not settings_file().is_file():
        raise SettingsError(
            f"There is no demo in {folder()}.",
            next_step="Make one with `returns-orchestration demo`.",
        )
    for name in list(os.environ):
        if name.upper().startswith(("CLICKPOST_", "RETURNS_")):
            del os.environ[name]
    os.environ[ENV_FILE_VARIABLE] = str(settings_file())
    os.environ["DAGSTER_HOME"] = str(folder() / "dagster_home")


def received(windows: Iterable[Window]) -> Iterator[Path]:
    """Files of the webhooks of some hours, as a receiver of these days would have written them.

    A file for each hour, so that a later demo imports those of its new hours only.
    """
    webhooks = Webhooks(Dataset(OPTIONS), WEBHOOKS)
    place = folder() / "received"
    place.mkdir(parents=True, exist_ok=True)
    for window in windows:
        events = webhooks.of_returns(window.start, window.end)
        lines = (
            json.dumps({"received_at": at.isoformat(), "body": event.body.decode()})
            for event in events
            for at in event.sent_at
        )
        file = place / f"{window.text.replace(':', '')}.ndjson"
        file.write_text("".join(f"{line}\n" for line in lines))
        yield file


@contextmanager
def receiver() -> Iterator[str]:
    """A receiver of webhooks in this process, and the simulator's sender to it; its address."""
    from returns_orchestration.lake import Lake, open_store  # noqa: PLC0415 - polars is slow to import
    from returns_orchestration.receiver.serving import Address, Intake, serve  # noqa: PLC0415

    stop, started, ports = threading.Event(), threading.Event(), list[int]()

    def on_start(port: int) -> None:
        ports.append(port)
        started.set()

    def run() -> None:
        lake = Lake(open_store(str(folder() / "lake")))
        spool = folder() / "webhook_spool.db"
        serve(
            [Intake(lake=lake, keys=[OPTIONS.key], spool=spool)],
            Address("127.0.0.1", 0, "/clickpost"),
            spool_bytes=100_000_000,
            max_bytes=1_048_576,
            stop=stop,
            on_start=on_start,
        )

    with ThreadPoolExecutor(max_workers=1) as one:
        receiving = one.submit(run)
        try:
            while not started.wait(0.1):
                if receiving.done():
                    receiving.result()  # raises why it does not listen
            url = f"http://127.0.0.1:{ports[0]}/clickpost"
            webhooks = Webhooks(Dataset(OPTIONS), WEBHOOKS)
            sender = Sender(webhooks, url, OPTIONS.key, lambda: datetime.now(UTC))
            sender.start()
            try:
                yield url
            finally:
                sender.stop()
        finally:
            stop.set()
        receiving.result()


@contextmanager
def simulator(port: int = 0) -> Iterator[str]:
    """The simulator in this process, for every request that the settings send; its address."""
    try:
        with Simulator(OPTIONS).running(port=port) as base_url:
            os.environ["CLICKPOST_BASE_URL"] = base_url
            yield base_url
    except AddressTakenError as error:
        raise SettingsError(
            f"Port {error.port} is taken, and the simulator needs it.",
            next_step="Choose another with --simulator-port.",
        ) from None
