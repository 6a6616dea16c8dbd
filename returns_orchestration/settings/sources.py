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
    NamedVariable,
    key_of,
    keys_in,
    place_of,
    variables_named_in,
)
from returns_orchestration.settings.lake import OBJECT_STORES

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Iterator

    from returns_orchestration.settings import Settings

_OF_OTHERS: Final = stat.S_IROTH | stat.S_IWOTH


def warnings() -> list[str]:
    """What is probably not meant: unknown variables, exposed secrets, a lake in a chance folder.

    Settings are read all the same. No value is repeated. Where one account was chosen, what other
    accounts name is left out.
    """
    named = _named_by_accounts()
    account = _value("RETURNS_ACCOUNT")
    of_account = [each for each in named if account in {"", each.account}]
    found = [
        _exposed_file(each.variable for each in named),
        *_unknown_variables({each.variable.upper() for each in named}),
        *_quoted_values(each.variable for each in of_account),
        *_absent_variables(of_account),
    ]
    lake = _value("RETURNS_LAKE") or "data/lake"
    relative = not lake.startswith(OBJECT_STORES) and not Path(lake).expanduser().is_absolute()
    if relative and workspace_folder() is None:
        found.append(
            f"RETURNS_LAKE is not an absolute path, and there is no workspace.yaml here or above: "
            f"the lake is {project_folder() / lake}. To do: set RETURNS_LAKE to an absolute path."
        )
    return [text for text in found if text]


def _value(variable: str) -> str:
    """Its value, from the environment or the file of settings; "" where it is not set."""
    return os.environ.get(variable) or names_in(env_file()).get(variable.upper(), "")


def _unknown_variables(named: Collection[str]) -> Iterator[str]:
    """A warning for each variable with our prefixes that is none of ours, with the nearest one.

    ``named`` are known, but not suggested: one of them may be a secret by mistake.
    """
    file = env_file()
    ours = {*VARIABLES, ENV_FILE_VARIABLE}
    for names, place in ((os.environ, "the environment"), (names_in(file), str(file))):
        for name in sorted({name.upper() for name in names} - {*ours, *named}):
            if name.startswith(("CLICKPOST_", "RETURNS_")):
                near = difflib.get_close_matches(name, ours, 1, cutoff=0.6)
                meant = f"; did you mean {near[0]}?" if near else "."
                yield f"{name} in {place} is not a setting{meant}"


def _named_by_accounts() -> list[NamedVariable]:
    """The variables that the file of RETURNS_ACCOUNTS names."""
    file = _value("RETURNS_ACCOUNTS")
    return variables_named_in(Path(file)) if file else []


def _absent_variables(named: Iterable[NamedVariable]) -> Iterator[str]:
    """A warning for each variable that an account names and that is not set.

    It is named by its place: the value there may be a secret by mistake.
    """
    for each in named:
        if not _value(each.variable):
            yield (
                f"The variable that {each.place} names in the file of RETURNS_ACCOUNTS is not set."
            )


def _quoted_values(named: Iterable[str]) -> Iterator[str]:
    """A warning for each variable whose value stands in quotation marks, which are sent with it.

    A shell and a ``.env`` take them off; `docker run --env-file` does not.
    """
    for name in dict.fromkeys((*VARIABLES, *named)):
        value = _value(name).strip()
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


def _exposed_file(named: Iterable[str]) -> str:
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
    exposed = [name for name in dict.fromkeys((*SECRET, *named)) if name.upper() in held]
    if not exposed:
        return ""
    does = {stat.S_IROTH: "read", stat.S_IWOTH: "write"}.get(mode & _OF_OTHERS, "read and write")
    return (
        f"{file} holds {', '.join(exposed)}, and every user of this machine may {does} it. "
        f"To do: chmod 600 {file}"
    )
