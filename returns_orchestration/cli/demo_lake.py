"""The demo's lake: where it lies, and its settings. ``demo_simulator`` answers for ClickPost.

`demo` makes it; every other command uses it with ``--demo``. Its settings are a file of their own,
so nothing of the user's own settings reaches it: no key, no channel of alerts.
"""

from __future__ import annotations

import os
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Final

from returns_orchestration.env_file import ENV_FILE_VARIABLE, names_in, project_folder
from returns_orchestration.errors import SettingsError
from returns_orchestration.window import Window, last_settled

if TYPE_CHECKING:
    from pathlib import Path

HOURS: Final = 48
OLDEST: Final = timedelta(days=7)
"""A demo that began longer ago begins anew: its lake would take minutes to catch up."""

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
    from returns_orchestration.cli.demo_simulator import OPTIONS  # noqa: PLC0415 - slow to import

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
