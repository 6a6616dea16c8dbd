"""Every variable the product reads: name, unit, default, meaning; built once, passed down.

Each topic has a module with its settings and the rules of their values: ``api`` (address, key and
pace of ClickPost's API), ``lake`` (its place, its first hour, when an hour is polled), ``report``
(the report and the daily tables), ``alerts`` (channels, patience, quiet hours), ``dagster``
(addresses, names and owners there), ``retention`` (how long runs and personal data are kept),
``webhooks`` (the receiver, and webhooks that are sent again) and ``accounts`` (several accounts in
one deployment, from a file). ``forms`` has the forms that several topics share, such as minutes and
time zones; ``wording`` puts messages into the words of an account. This module puts all together
and loads them; ``sources`` finds where each value comes from, and probable mistakes.

Values come from the environment and from a ``.env`` beside workspace.yaml (the environment wins).
``VARIABLES`` is the one list from which the table of settings and ``.env.example`` are checked.
Loading has no side effect: no socket, no folder, no log line. Credentials are held apart, inside
an object whose repr hides them, and are asked for only when a request is about to be sent.
"""

from __future__ import annotations

import hashlib
import json
import os
from datetime import datetime  # noqa: TC003 - pydantic reads the annotations
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pydantic import PrivateAttr, SecretStr, ValidationError
from pydantic_settings import BaseSettings, SettingsConfigDict

from returns_orchestration.env_file import ENV_FILE_VARIABLE, project_folder
from returns_orchestration.env_file import env_file as usual_env_file
from returns_orchestration.errors import SettingsError
from returns_orchestration.network import NETWORK_VARIABLES
from returns_orchestration.settings.accounts import (
    AccountSettings,
    key_of,
    place_of,
    read_accounts,
    wordings,
)
from returns_orchestration.settings.alerts import (
    AlertChannelSettings,
    AlertPatienceSettings,
    AlertPolicy,
    QuietHours,
    QuietHoursSettings,
)
from returns_orchestration.settings.api import ApiSettings
from returns_orchestration.settings.dagster import DagsterSettings, dagster_home
from returns_orchestration.settings.lake import LakeSettings
from returns_orchestration.settings.report import ReportSettings
from returns_orchestration.settings.retention import RetentionSettings
from returns_orchestration.settings.webhooks import SPOOL, WebhookSettings
from returns_orchestration.settings.wording import SINGLE, Wording

if TYPE_CHECKING:
    from zoneinfo import ZoneInfo

__all__ = [
    "VARIABLES",
    "AlertPolicy",
    "QuietHours",
    "Settings",
    "dagster_home",
    "load_accounts",
    "load_settings",
]


# Pydantic collects fields from the last class to the first: documents and messages begin with the
# settings of the API.
class Settings(
    AccountSettings,
    QuietHoursSettings,
    WebhookSettings,
    RetentionSettings,
    AlertPatienceSettings,
    DagsterSettings,
    AlertChannelSettings,
    ReportSettings,
    LakeSettings,
    ApiSettings,
    BaseSettings,
):
    """All settings, validated together; frozen. Build it with :func:`load_settings`.

    Its own methods are those that need settings of more than one topic.
    """

    model_config = SettingsConfigDict(
        frozen=True,
        extra="ignore",
        env_ignore_empty=True,
        arbitrary_types_allowed=True,
        hide_input_in_errors=True,
    )

    _starts: dict[str, datetime] = PrivateAttr(default_factory=dict)
    """Each account of the deployment with its first hour, in the order of their file."""

    _wording: Wording = PrivateAttr(SINGLE)

    @property
    def is_first(self) -> bool:
        """Whether this is the account that looks after what all share: disks and DAGSTER_HOME."""
        return not self._starts or next(iter(self._starts)) == self.account

    @property
    def starts(self) -> list[datetime]:
        """The first hour of each account of the deployment."""
        return list(self._starts.values()) or [self.start]

    @property
    def account_names(self) -> list[str]:
        """The names of the accounts of the deployment; none where there is a single one."""
        return list(self._starts)

    @property
    def wording(self) -> Wording:
        """What puts a message into the words of this account."""
        return self._wording

    @property
    def lakes(self) -> str:
        """The place of RETURNS_LAKE, in which each account has its lake; else the lake itself."""
        return self.lake.removesuffix(f"/{self.account}") if self.account else self.lake

    @property
    def alert_policy(self) -> AlertPolicy:
        """How patient alerts are to be."""
        quiet = QuietHours(*self.alert_quiet_hours, self.report_time_zone)
        return AlertPolicy(self.alert_grace, self.alert_cooldown, quiet, self.settle)

    @property
    def spool(self) -> Path:
        """The file of the receiver's spool; each account has one."""
        path = self.webhook_spool or dagster_home(self).parent / SPOOL
        return path.with_stem(f"{path.stem}_{self.account}") if self.account else path

    def credentials(self) -> tuple[str, str]:
        """Key and user name, for the moment a request is sent.

        Raises SettingsError naming the variable that is absent.
        """
        values = self.credentials_or_none
        absent = [name for name, value in values.items() if value is None]
        if not absent:
            key, user_name = map(str, values.values())
            return key, user_name
        cause = f"{' and '.join(absent)} not set."
        if self.account:
            names = " and ".join(f"`{key_of(name)}`" for name in absent)
            cause = (
                f"{self.accounts} names variables for {names} of the account {self.account}, which "
                "are not set."
            )
        raise SettingsError(
            cause, next_step="Set them in the environment or in the .env beside workspace.yaml."
        )

    @property
    def path_of_webhooks(self) -> str:
        """The path at which `receive` takes the webhooks of this account."""
        return f"{self.webhook_path}/{self.account}" if self.account else self.webhook_path

    @property
    def zone_of_webhooks(self) -> ZoneInfo:
        """The zone of naive times in webhooks."""
        return self.webhook_time_zone or self.time_zone

    def digest(self) -> str:
        """Eight hex digits that change with any setting, the network's, or the package's version.

        Secrets are part of it, as a corrected key is a change. Four bytes are too few to give one
        away: one in four billion other settings has the same.
        """
        values = {name: _told(getattr(self, name)) for name in type(self).model_fields}
        network = {name: os.environ.get(name, "") for name in NETWORK_VARIABLES}
        plain = json.dumps([values, network, _version()], sort_keys=True)
        return hashlib.blake2b(plain.encode(errors="surrogateescape"), digest_size=4).hexdigest()


VARIABLES: dict[str, tuple[Any, str]] = {
    str(field.alias): (field.default, str(field.description))
    for field in Settings.model_fields.values()
}
"""Variable name to (default, meaning), in the order in which they are documented."""


def load_settings(env_file: Path | None = None, **overrides: object) -> Settings:
    """The settings of one account; ``load_accounts`` says from where.

    Raises SettingsError also where there are several accounts and RETURNS_ACCOUNT names none.
    """
    found = load_accounts(env_file, **overrides)
    if len(found) == 1:
        return found[0]
    raise SettingsError(
        f"{found[0].accounts} has {len(found)} accounts, and this is about one.",
        next_step=f"Add --account NAME: {', '.join(each.account for each in found)}.",
    )


def load_accounts(env_file: Path | None = None, **overrides: object) -> list[Settings]:
    """The settings of each account, of one where RETURNS_ACCOUNTS is not set.

    They are read from the environment and ``env_file`` (default: ``.env`` beside workspace.yaml);
    ``overrides`` are variable names with values that beat both; tests build variants with them.
    Raises SettingsError naming every variable that makes no sense and what it may be, or the file
    that cannot be read.
    """
    file = usual_env_file() if env_file is None else env_file
    if env_file is None and os.environ.get(ENV_FILE_VARIABLE) and not file.is_file():
        raise SettingsError(
            f"{ENV_FILE_VARIABLE} names {file}, which is no file.",
            next_step="Correct it, or leave it out to use the .env beside workspace.yaml.",
        )
    common = _read(file, overrides)
    if common.accounts is None:
        if common.account:
            raise SettingsError(
                f"There is no account {common.account}: RETURNS_ACCOUNTS is not set.",
                next_step="Leave out --account and RETURNS_ACCOUNT, or set RETURNS_ACCOUNTS.",
            )
        return [common]
    defaults = {variable: default for variable, (default, _) in VARIABLES.items()}
    tables = read_accounts(common.accounts, defaults, file)
    if common.account and common.account not in tables:
        raise SettingsError(
            f"{common.accounts} has no account {common.account}.",
            next_step=f"It has: {', '.join(tables)}.",
        )
    place = place_of(common.accounts)
    common = common.model_copy(update={"accounts": place})
    found = [_of_account(file, common, name, overrides | tables[name]) for name in tables]
    starts = {each.account: each.start for each in found}
    words = wordings(place, VARIABLES, file)
    for settings in found:  # known only now
        settings._starts, settings._wording = starts, words[settings.account]  # noqa: SLF001
    return [each for each in found if common.account in {"", each.account}]


def _of_account(file: Path, common: Settings, name: str, variables: dict[str, object]) -> Settings:
    own = {
        "RETURNS_ACCOUNTS": common.accounts,
        "RETURNS_ACCOUNT": name,
        "RETURNS_LAKE": f"{common.lake.rstrip('/')}/{name}",
        "RETURNS_KEY_PREFIX": "/".join((*common.key_prefix, name)),
    }
    return _read(file, variables | own, name)


def _read(file: Path, overrides: dict[str, object], account: str = "") -> Settings:
    unreadable = "is a folder" if file.is_dir() else ""
    try:
        settings = Settings(_env_file=file, **overrides)  # type: ignore[call-arg, arg-type]
    except UnicodeError:  # its repr would hold the whole file
        unreadable = "holds bytes that are no UTF-8 text"
    except OSError as error:
        unreadable = f"cannot be read: {error.strerror or type(error).__name__}"
    except ValidationError as error:
        faults = "; ".join(
            f"{_place(str(fault['loc'][0]), account)} {_plain(fault['msg'])}"
            for fault in error.errors()
        )
        where = "the file of RETURNS_ACCOUNTS" if account else "the environment"
        raise SettingsError(
            f"{faults}.", next_step=f"Correct {where} or the .env beside workspace.yaml."
        ) from None
    if unreadable:  # raised here, so that nothing of the library becomes its context
        raise SettingsError(f"{file} {unreadable}.", next_step="Write it as a file of UTF-8 text.")
    if settings.lake_is_a_folder:
        folder = project_folder() / Path(settings.lake).expanduser()
        return settings.model_copy(update={"lake": str(folder)})
    return settings


def _place(variable: str, account: str) -> str:
    return f"{key_of(variable)} of the account {account}" if account else variable


def _told(value: object) -> str:
    """A setting as text, secrets included: for the digest alone."""
    if isinstance(value, SecretStr):
        return value.get_secret_value()
    if isinstance(value, tuple):
        return json.dumps([_told(part) for part in value])
    return str(value)


def _version() -> str:
    """The version of the installed package; "" where it is run without being installed."""
    try:
        return version("returns-orchestration")
    except PackageNotFoundError:
        return ""


def _plain(text: str) -> str:
    text = text.removeprefix("Value error, ").removeprefix("Input ")
    return text[0].lower() + text[1:]
