"""Settings of accounts: a TOML file with a table for each, where a brand has several at ClickPost.

A key of such a table is a setting in small letters, without CLICKPOST_ or RETURNS_: `start` is
RETURNS_START of this account. The file may be read by everybody: instead of a secret it holds the
name of the variable with the secret. What a table does not say is as in the environment, but for
what must not be shared: another account's key, or its dead man's switch.

Each account has a lake of its own, `<lake>/<account>`, and asset keys that begin with its name.
"""

from __future__ import annotations

import os
import re
import tomllib
from datetime import date, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from pydantic import BaseModel, Field

from returns_orchestration.env_file import SECRET, names_in, project_folder
from returns_orchestration.errors import SettingsError
from returns_orchestration.settings.forms import form
from returns_orchestration.settings.wording import Wording

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Mapping

OF_DEPLOYMENT: Final = (
    "RETURNS_ACCOUNTS",
    "RETURNS_ACCOUNT",
    "RETURNS_LAKE",
    "RETURNS_DAGSTER_URL",
    "RETURNS_RUNBOOK_URL",
    "RETURNS_KEY_PREFIX",
    "RETURNS_UI_HOSTS",
    "RETURNS_KEEP_RUNS_DAYS",
    "RETURNS_WEBHOOK_LISTEN",
    "RETURNS_WEBHOOK_PATH",
    "RETURNS_WEBHOOK_SPOOL",
    "RETURNS_WEBHOOK_SPOOL_MB",
    "RETURNS_WEBHOOK_MAX_BYTES",
)
"""What is the same for all accounts: no account's table sets it."""

NOT_SHARED: Final = tuple(name for name in SECRET if name != "RETURNS_ALERT_URLS")
"""What an account has only where its table names it."""

REQUIRED: Final = ("CLICKPOST_KEY", "CLICKPOST_USER_NAME")

RESERVED: Final = ("t", "reports")
"""Names that cannot be an account's, beside those of tables: a part of the receiver's paths, and a
folder of the lake."""

BEGINNINGS: Final = ("returns", "webhook", "webhook_tables_of")
"""Beginnings of names in Dagster whose rest is such a name, too: `webhook_days` and `days`."""

_NAME: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9_]{0,39}")
_VARIABLE: Final = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")


class AccountSettings(BaseModel):
    """Several accounts in one deployment."""

    accounts: Path | None = Field(
        None,
        alias="RETURNS_ACCOUNTS",
        description="file with a table for each account, where there are several; relative to "
        "workspace.yaml",
        json_schema_extra=form("path of a TOML file"),
    )
    account: str = Field(
        "",
        alias="RETURNS_ACCOUNT",
        description="the one account of RETURNS_ACCOUNTS that this process is about, as with "
        "`--account`; without it all",
        json_schema_extra=form("name of an account"),
    )


def place_of(file: Path) -> Path:
    """Where the file of accounts is."""
    return project_folder() / file.expanduser()


def key_of(variable: str) -> str:
    """The key in an account's table for the setting ``variable``."""
    return variable.partition("_")[2].lower()


def read_accounts(
    file: Path, variables: Mapping[str, Any], env_file: Path
) -> dict[str, dict[str, object]]:
    """Each account of ``file`` to its settings, by variable, secrets from the environment included.

    ``variables`` are all settings with their defaults. Raises SettingsError, which never repeats a
    value: it may be a secret at a wrong place.
    """
    known = {key_of(variable): variable for variable in variables if variable not in OF_DEPLOYMENT}
    file = place_of(file)
    in_file = names_in(env_file)
    found: dict[str, dict[str, object]] = {}
    for name, table in _tables(file).items():
        _check_name(file, name, found)
        if not isinstance(table, dict):
            raise _fault(file, f"{name} is no table", f"Begin it with the line [{name}].")
        if strange := sorted(table.keys() - known.keys()):
            raise _fault(
                file,
                f"{', '.join(strange)} of the account {name} is no setting of an account",
                f"Take it out, or correct it. There are: {', '.join(sorted(known))}.",
            )
        if absent := [key_of(v) for v in REQUIRED if key_of(v) not in table]:
            raise _fault(
                file,
                f"the account {name} has no {' and no '.join(absent)}",
                "Set it to the name of the variable that holds it.",
            )
        values: dict[str, object] = {variable: variables[variable] for variable in NOT_SHARED}
        for key, value in table.items():
            variable = known[key]
            if variable in SECRET:
                held = _named(file, name, key, value)
                secret = os.environ.get(held) or in_file.get(held.upper())
                values[variable] = secret or variables[variable]
            else:
                values[variable] = _text(file, name, key, value)
        found[name] = values
    if not found:
        raise _fault(file, "it has no account", "Add a table for each, such as [brand].")
    return found


class NamedVariable(NamedTuple):
    """A variable that the table of an account names under a key, for a secret."""

    account: str
    key: str
    variable: str

    @property
    def place(self) -> str:
        """Where it is named, such as "`key` of brand"."""
        return f"`{self.key}` of {self.account}"


def variables_named_in(file: Path) -> list[NamedVariable]:
    """Each variable that ``file`` names, by account and key; none where it is unreadable."""
    try:
        tables = _tables(place_of(file))
    except SettingsError:
        return []  # `load_settings` names the fault
    secret = {key_of(variable) for variable in SECRET}
    return [
        NamedVariable(name, key, value)
        for name, table in tables.items()
        if isinstance(table, dict)
        for key, value in table.items()
        if key in secret and isinstance(value, str)
    ]


def wordings(file: Path, variables: Iterable[str], env_file: Path) -> dict[str, Wording]:
    """The words of each account of ``file``; ``variables`` are all settings. Raises SettingsError.

    A variable is named where it is set: the name of one that is not may be a secret by mistake.
    """
    in_file = names_in(env_file)
    keys = {key_of(variable): variable for variable in variables if variable not in OF_DEPLOYMENT}
    found: dict[str, Wording] = {}
    for account, table in _tables(place_of(file)).items():
        places: dict[str, str] = {}
        for key, variable in keys.items():
            place = f"`{key}` of {account} in {file.name}"
            if variable in NOT_SHARED or (variable in SECRET and key in table):
                held = str(table.get(key, ""))
                is_set = os.environ.get(held) or in_file.get(held.upper())
                places[variable] = f"{held} ({place})" if is_set else f"the variable for {place}"
            elif key in table:
                places[variable] = place
        found[account] = Wording(account, places)
    return found


def keys_in(file: Path, account: str) -> set[str]:
    """The keys that the table of ``account`` has. Raises SettingsError."""
    return set(_tables(place_of(file)).get(account, {}))


def _tables(file: Path) -> dict[str, Any]:
    try:
        return tomllib.loads(file.read_text(encoding="utf-8"))
    except OSError as error:
        reason = f"it cannot be read: {error.strerror or type(error).__name__}"
    except UnicodeError:
        reason = "it holds bytes that are no UTF-8 text"
    except tomllib.TOMLDecodeError as error:
        at = re.search(r"\(at (.*)\)$", str(error))
        reason = "it is no TOML" + (f" at {at[1]}" if at else "")
    raise _fault(file, reason, "Correct it, or leave RETURNS_ACCOUNTS out for a single account.")


def _check_name(file: Path, name: str, others: Collection[str]) -> None:
    from returns_orchestration import tables  # noqa: PLC0415 - polars is slow to import

    if not _NAME.fullmatch(name):
        raise _fault(
            file,
            f"{name!r} cannot be the name of an account",
            "Write 1 to 40 letters, digits and `_`, the first no `_`.",
        )
    if name.lower() in {*RESERVED, *tables.BY_NAME}:
        raise _fault(file, f"{name} is a name of this project's own", "Choose another.")
    if name.lower() in {other.lower() for other in others}:
        raise _fault(
            file,
            f"two accounts are named {name}, but for capitals",
            "Choose another: some disks know no difference.",
        )
    for beginning in BEGINNINGS:
        short, long = name.removesuffix(f"_{beginning}"), f"{name}_{beginning}"
        if short in others or long in others:
            short, long = (short, name) if short in others else (name, long)
            raise _fault(
                file,
                f"{long} and {short} would have parts of the same name in Dagster",
                f"Choose another name for {long}.",
            )


def _named(file: Path, account: str, key: str, value: object) -> str:
    if isinstance(value, str) and _VARIABLE.fullmatch(value):
        return value
    raise _fault(
        file,
        f"{key} of the account {account} is not the name of a variable",
        "Put the secret into the environment or the .env, and the name of its variable here.",
    )


def _text(file: Path, account: str, key: str, value: object) -> str:
    """A value of TOML as the environment would have it."""
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, datetime | date):
        return value.isoformat()
    if isinstance(value, str | int | float):
        return str(value)
    if isinstance(value, list) and all(isinstance(part, str | int) for part in value):
        return ",".join(str(part) for part in value)
    raise _fault(
        file,
        f"{key} of the account {account} is no text, number, date or list",
        "Write it as in the environment.",
    )


def _fault(file: Path, what: str, next_step: str) -> SettingsError:
    return SettingsError(f"RETURNS_ACCOUNTS names {file}, and {what}.", next_step=next_step)
