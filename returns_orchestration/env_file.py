"""The ``.env`` beside workspace.yaml: where it is, and which variables it sets.

``settings`` reads its values. RETURNS_ENV_FILE names another file in its place. This module does
not write, log or keep a value.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Final

from dotenv import dotenv_values

ENV_FILE: Final = ".env"
ENV_FILE_VARIABLE: Final = "RETURNS_ENV_FILE"

SECRET: Final = (
    "CLICKPOST_KEY",
    "CLICKPOST_USER_NAME",
    "RETURNS_ALERT_URLS",
    "RETURNS_HEARTBEAT_URL",
    "RETURNS_WEBHOOK_KEYS",
    "RETURNS_REDELIVER_URL",
    "RETURNS_REDELIVER_KEY",
)
"""The variables whose values other users must not see; URLs of alerts hold passwords."""


def workspace_folder() -> Path | None:
    """The folder that holds workspace.yaml: the current one or one above it; None without one."""
    here = Path.cwd()
    folders = (here, *here.parents)
    return next((folder for folder in folders if (folder / "workspace.yaml").is_file()), None)


def project_folder() -> Path:
    """The folder of ``.env`` and of a relative RETURNS_LAKE: that of workspace.yaml, else here."""
    return workspace_folder() or Path.cwd()


def env_file() -> Path:
    """The path of the file of settings, which may be absent."""
    named = os.environ.get(ENV_FILE_VARIABLE, "")
    return Path(named).expanduser() if named else project_folder() / ENV_FILE


def names_in(file: Path) -> dict[str, str]:
    """The variables that ``file`` sets, in capitals as settings are read; empty if unreadable."""
    try:
        values = dotenv_values(file)
    except (OSError, UnicodeError):
        return {}  # `load_settings` names the fault
    return {name.upper(): value for name, value in values.items() if value}
