"""The ``.env`` beside workspace.yaml: where it lies, and whether others may read what it holds.

What stands in it is read by ``settings``. Nothing here writes, logs or keeps a value: the command
line and ``definitions`` say the warning, each in its own way.
"""

from __future__ import annotations

import os
import stat
from pathlib import Path
from typing import Final

from dotenv import dotenv_values

ENV_FILE: Final = ".env"

SECRET: Final = (
    "CLICKPOST_KEY",
    "CLICKPOST_USER_NAME",
    "RETURNS_ALERT_URLS",
    "RETURNS_HEARTBEAT_URL",
)
"""The variables whose values are nobody else's business; URLs of alerts hold passwords."""

_OF_OTHERS: Final = stat.S_IROTH | stat.S_IWOTH


def project_folder() -> Path:
    """The folder that holds workspace.yaml: the current one or one above it, else the current one.

    It is where ``.env`` is looked for and what a relative RETURNS_LAKE is relative to.
    """
    here = Path.cwd()
    for folder in (here, *here.parents):
        if (folder / "workspace.yaml").is_file():
            return folder
    return here


def env_file() -> Path:
    """Where the ``.env`` is, if there is one."""
    return project_folder() / ENV_FILE


def exposed_env_file() -> str:
    """A warning where every user of the machine may read or write a ``.env`` with secrets, or "".

    It names the variables and never a value. A file that cannot be read is for ``load_settings``
    to complain of. Without POSIX modes (Windows) nothing can be told, and nothing is said.
    """
    file = env_file()
    if os.name != "posix":
        return ""
    try:
        mode = file.stat().st_mode
        values = dotenv_values(file) if mode & _OF_OTHERS else {}
    except (OSError, UnicodeError):
        return ""
    held = {name.upper() for name, value in values.items() if value}
    exposed = [name for name in SECRET if name in held]
    if not exposed:
        return ""
    does = {stat.S_IROTH: "read", stat.S_IWOTH: "write"}.get(mode & _OF_OTHERS, "read and write")
    return (
        f"{file} holds {' and '.join(exposed)}, and every user of this machine may {does} it. "
        f"To do: chmod 600 {file}"
    )
