"""Every variable the product reads: name, unit, default, meaning; built once, passed down.

Each topic has a module with its settings and the rules of their values: ``api`` (address, key and
pace of ClickPost's API), ``lake`` (its place, its first hour, when an hour is polled), ``report``
(the report and the daily tables), ``alerts`` (channels, patience, quiet hours), ``dagster``
(addresses, names and owners there), ``retention`` (how long runs and personal data are kept) and
``webhooks`` (the receiver, and webhooks that are sent again). ``forms`` has the forms that several
topics share, such as minutes and time zones. This module puts all together and loads them;
``sources`` finds where each value comes from, and probable mistakes.

Values come from the environment and from a ``.env`` beside workspace.yaml (the environment wins).
``VARIABLES`` is the one list from which the table of settings and ``.env.example`` are checked.
Loading has no side effect: no socket, no folder, no log line. Credentials are held apart, inside
an object whose repr hides them, and are asked for only when a request is about to be sent.
"""

from __future__ import annotations

import hashlib
import json
import os
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pydantic import SecretStr, ValidationError
from pydantic_settings import BaseSettings, SettingsConfigDict

from returns_orchestration.env_file import ENV_FILE_VARIABLE, project_folder
from returns_orchestration.env_file import env_file as usual_env_file
from returns_orchestration.errors import SettingsError
from returns_orchestration.network import NETWORK_VARIABLES
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
from returns_orchestration.settings.webhooks import WebhookSettings

if TYPE_CHECKING:
    from zoneinfo import ZoneInfo

__all__ = [
    "VARIABLES",
    "AlertPolicy",
    "QuietHours",
    "Settings",
    "dagster_home",
    "load_settings",
]


# Pydantic collects fields from the last class to the first: documents and messages begin with the
# settings of the API.
class Settings(
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

    @property
    def alert_policy(self) -> AlertPolicy:
        """How patient alerts are to be."""
        quiet = QuietHours(*self.alert_quiet_hours, self.report_time_zone)
        return AlertPolicy(self.alert_grace, self.alert_cooldown, quiet, self.settle)

    @property
    def spool(self) -> Path:
        """The file of the receiver's spool."""
        beside = dagster_home(self).parent / "webhook_spool.db"
        return self.webhook_spool or beside

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
    """Read the environment and ``env_file`` (default: ``.env`` beside workspace.yaml).

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
    unreadable = "is a folder" if file.is_dir() else ""
    try:
        settings = Settings(_env_file=file, **overrides)  # type: ignore[call-arg, arg-type]
    except UnicodeError:  # its repr would hold the whole file
        unreadable = "holds bytes that are no UTF-8 text"
    except OSError as error:
        unreadable = f"cannot be read: {error.strerror or type(error).__name__}"
    except ValidationError as error:
        faults = "; ".join(f"{fault['loc'][0]} {_plain(fault['msg'])}" for fault in error.errors())
        raise SettingsError(
            f"{faults}.", next_step="Correct the environment or the .env beside workspace.yaml."
        ) from None
    if unreadable:  # raised here, so that nothing of the library becomes its context
        raise SettingsError(f"{file} {unreadable}.", next_step="Write it as a file of UTF-8 text.")
    if settings.lake_is_a_folder:
        folder = project_folder() / Path(settings.lake).expanduser()
        return settings.model_copy(update={"lake": str(folder)})
    return settings


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
