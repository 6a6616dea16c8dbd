"""Where each setting comes from, and what in them is probably a mistake.

``load_settings`` reads the values; here they are only compared with what was meant. No value is
repeated: `doctor` and the code location print these warnings.
"""

from __future__ import annotations

import difflib
import os
import stat
from pathlib import Path
from typing import TYPE_CHECKING, Final

from returns_orchestration.env_file import (
    ENV_FILE_VARIABLE,
    SECRET,
    env_file,
    names_in,
    project_folder,
    workspace_folder,
)
from returns_orchestration.settings import VARIABLES
from returns_orchestration.settings.accounts import (
    NOT_SHARED,
    key_of,
    keys_in,
    place_of,
    variables_named_in,
)
from returns_orchestration.settings.lake import OBJECT_STORES

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from returns_orchestration.settings import Settings

_OF_OTHERS: Final = stat.S_IROTH | stat.S_IWOTH


def warnings() -> list[str]:
    """What is probably not meant: unknown variables, exposed secrets, a lake in a chance folder.

    Settings are read all the same. No value is repeated.
    """
    of_accounts = _of_accounts()
    found = [
        _exposed_file(of_accounts),
        *_unknown_variables(of_accounts),
        *_quoted_values(of_accounts),
        *_absent_variables(of_accounts),
    ]
    in_file = names_in(env_file())
    lake = os.environ.get("RETURNS_LAKE") or in_file.get("RETURNS_LAKE") or "data/lake"
    relative = not lake.startswith(OBJECT_STORES) and not Path(lake).expanduser().is_absolute()
    if relative and workspace_folder() is None:
        found.append(
            f"RETURNS_LAKE is not an absolute path, and there is no workspace.yaml here or above: "
            f"the lake is {project_folder() / lake}. To do: set RETURNS_LAKE to an absolute path."
        )
    return [text for text in found if text]


def _unknown_variables(of_accounts: Mapping[str, str]) -> Iterator[str]:
    """A warning for each variable with our prefixes that is none of ours, with the nearest one."""
    file = env_file()
    known = {*VARIABLES, ENV_FILE_VARIABLE, *(name.upper() for name in of_accounts)}
    for names, place in ((os.environ, "the environment"), (names_in(file), str(file))):
        for name in sorted({name.upper() for name in names} - known):
            if name.startswith(("CLICKPOST_", "RETURNS_")):
                near = difflib.get_close_matches(name, known, 1, cutoff=0.6)
                meant = f"; did you mean {near[0]}?" if near else "."
                yield f"{name} in {place} is not a setting{meant}"


def _of_accounts() -> dict[str, str]:
    """The variables that the file of RETURNS_ACCOUNTS names, each to its place there."""
    file = os.environ.get("RETURNS_ACCOUNTS") or names_in(env_file()).get("RETURNS_ACCOUNTS")
    return variables_named_in(Path(file)) if file else {}


def _absent_variables(of_accounts: Mapping[str, str]) -> Iterator[str]:
    """A warning for each variable that an account names and that is not set.

    It is named by its place: the value there may be a secret by mistake.
    """
    in_file = names_in(env_file())
    for name, place in of_accounts.items():
        if not (os.environ.get(name) or in_file.get(name.upper())):
            yield f"The variable that {place} names in the file of RETURNS_ACCOUNTS is not set."


def _quoted_values(of_accounts: Mapping[str, str]) -> Iterator[str]:
    """A warning for each variable whose value stands in quotation marks, which are sent with it.

    A shell and a ``.env`` take them off; `docker run --env-file` does not.
    """
    in_file = names_in(env_file())
    for name in (*VARIABLES, *of_accounts):
        value = (os.environ.get(name) or in_file.get(name) or "").strip()
        if len(value) > 1 and value[0] == value[-1] and value[0] in "\"'":
            yield (
                f"The value of {name} is in quotation marks, which count as part of it. "
                "To do: remove them."
            )


def sources(settings: Settings) -> dict[str, str]:
    """Each variable to where its value comes from: the environment, a file, or "default"."""
    file = env_file()
    in_environment = {name.upper() for name, value in os.environ.items() if value}
    in_file = names_in(file)
    found = dict.fromkeys(VARIABLES, "default")
    found |= {name: str(file) for name in VARIABLES if name in in_file}
    found |= {name: "environment" for name in VARIABLES if name in in_environment}
    if settings.accounts is None:
        return found
    keys, place = keys_in(settings.accounts, settings.account), str(place_of(settings.accounts))
    of_account = {*NOT_SHARED, *(name for name in VARIABLES if key_of(name) in keys)}
    return found | dict.fromkeys(of_account, place)


def _exposed_file(of_accounts: Iterable[str]) -> str:
    """A warning where every user of the machine may read or write a ``.env`` with secrets, or "".

    It names the variables and never a value. Windows has no POSIX modes, so it gets no warning.
    """
    file = env_file()
    if os.name != "posix":
        return ""
    try:
        mode = file.stat().st_mode
    except OSError:
        return ""
    held = names_in(file) if mode & _OF_OTHERS else {}
    exposed = [name for name in (*SECRET, *of_accounts) if name.upper() in held]
    if not exposed:
        return ""
    does = {stat.S_IROTH: "read", stat.S_IWOTH: "write"}.get(mode & _OF_OTHERS, "read and write")
    return (
        f"{file} holds {', '.join(exposed)}, and every user of this machine may {does} it. "
        f"To do: chmod 600 {file}"
    )
