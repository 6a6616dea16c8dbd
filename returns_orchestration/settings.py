"""Every variable the product reads: name, unit, default, meaning; built once, passed down.

Values come from the environment and from a ``.env`` beside workspace.yaml (the environment wins).
``VARIABLES`` is the one list from which the table of settings and ``.env.example`` are checked.
Loading has no side effect: no socket, no folder, no log line. Credentials are held apart, inside
an object whose repr hides them, and are asked for only when a request is about to be sent.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Annotated, Any
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from pydantic import Field, JsonValue, SecretStr, ValidationError, ValidationInfo, field_validator
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict

from returns_orchestration.address import (
    holds_key,
    holds_user_name,
    is_plain_store_address,
    is_plain_web_address,
)
from returns_orchestration.env_file import ENV_FILE_VARIABLE, project_folder
from returns_orchestration.env_file import env_file as usual_env_file
from returns_orchestration.errors import SettingsError
from returns_orchestration.network import NETWORK_VARIABLES
from returns_orchestration.window import Window

OBJECT_STORES = ("s3://", "gs://", "az://")
LISTENS = re.compile(r"(?P<host>\[[0-9A-Fa-f:.]+\]|[^\s:\[\]/]+):(?P<port>[0-9]{1,5})")
MAX_PORT = 65_535
NONE = "none"
"""The value that switches something off, whatever a file of settings says."""


@dataclass(frozen=True, slots=True)
class QuietHours:
    """From ``begin`` to ``end`` o'clock in ``zone`` notices wait; equal: there are none."""

    begin: int
    end: int
    zone: ZoneInfo

    def hold(self, moment: datetime) -> bool:
        """Whether ``moment`` lies in them."""
        hour = moment.astimezone(self.zone).hour
        if self.begin <= self.end:
            return self.begin <= hour < self.end
        return hour >= self.begin or hour < self.end


@dataclass(frozen=True, slots=True)
class AlertPolicy:
    """How patient alerts are.

    ``grace`` is how long after it was due an hour may be missing, ``cooldown`` how long after its
    end an incident that comes back stays silent, ``settle`` when an hour is due after its end.
    """

    grace: timedelta
    cooldown: timedelta
    quiet: QuietHours
    settle: timedelta


_MINUTES = "minutes, 0 to 1440"


def names_a_group(pattern: str) -> bool:
    """Whether ``pattern`` is a regular expression, of both Python and polars, with a group."""
    import polars as pl  # noqa: PLC0415 - only where the setting is set

    try:
        groups = re.compile(pattern).groups
        pl.select(pl.lit("x").str.extract(pattern, 1))
    except (re.error, pl.exceptions.PolarsError):
        return False
    return groups > 0


def _form(text: str) -> dict[str, JsonValue]:
    """The unit or form of a setting, for the reference."""
    return {"form": text}


class Settings(BaseSettings):
    """All settings, validated together; frozen. Build it with :func:`load_settings`."""

    model_config = SettingsConfigDict(
        frozen=True,
        extra="ignore",
        env_ignore_empty=True,
        arbitrary_types_allowed=True,
        hide_input_in_errors=True,
    )

    base_url: str = Field(
        "https://www.clickpost.in/api",
        alias="CLICKPOST_BASE_URL",
        description="address of the API; `/v1/return_order_poll/` is appended; messages show it, "
        "so it must not hold the key or the user name",
        json_schema_extra=_form("http:// or https:// address"),
    )
    key: SecretStr | None = Field(
        None,
        alias="CLICKPOST_KEY",
        description="licence key from ClickPost; without it every poll fails with a message",
        json_schema_extra=_form("text"),
    )
    user_name: SecretStr | None = Field(
        None,
        alias="CLICKPOST_USER_NAME",
        description="user name from ClickPost; without it every poll fails with a message",
        json_schema_extra=_form("text"),
    )
    time_zone: ZoneInfo = Field(
        ZoneInfo("UTC"),
        alias="CLICKPOST_TIME_ZONE",
        description="zone of the naive start_time and end_time, and of naive times in replies",
        json_schema_extra=_form("IANA name"),
    )
    max_concurrency: int = Field(
        8,
        ge=1,
        le=64,
        alias="CLICKPOST_MAX_CONCURRENCY",
        description="requests in flight",
        json_schema_extra=_form("number, 1 to 64"),
    )
    max_requests_per_second: float = Field(
        10,
        gt=0,
        le=10_000,
        alias="CLICKPOST_MAX_REQUESTS_PER_SECOND",
        description="ceiling over all requests of a deployment",
        json_schema_extra=_form("requests per second, up to 10,000"),
    )
    lake: str = Field(
        "data/lake",
        alias="RETURNS_LAKE",
        description="place of the lake; a relative folder is relative to workspace.yaml",
        json_schema_extra=_form(
            "folder, s3://BUCKET/PATH, gs://BUCKET/PATH or az://CONTAINER/PATH"
        ),
    )
    start: datetime = Field(
        datetime(2026, 1, 1, tzinfo=UTC),
        alias="RETURNS_START",
        description="first hour of the lake; earlier hours are never polled",
        json_schema_extra=_form("whole hour, UTC"),
    )
    settle: timedelta = Field(
        timedelta(minutes=10),
        alias="RETURNS_SETTLE_MINUTES",
        description="time from the end of an hour to its first poll",
        json_schema_extra=_form(_MINUTES),
    )
    repoll_after_hours: Annotated[tuple[int, ...], NoDecode] = Field(
        (1, 6, 24, 72, 168, 336, 720),
        alias="RETURNS_REPOLL_AFTER_HOURS",
        description="ages at which an hour is polled again for late and changed returns; an age "
        "that is new counts for hours that reach it from then on",
        json_schema_extra=_form("rising whole hours, with commas between"),
    )
    report_time_zone: ZoneInfo = Field(
        ZoneInfo("Asia/Kolkata"),
        alias="RETURNS_REPORT_TIME_ZONE",
        description="zone of the daily tables and of the report; after a change the sensor "
        "`missing_hours` rebuilds the days",
        json_schema_extra=_form("IANA name"),
    )
    report_days: int = Field(
        28,
        ge=1,
        le=366,
        alias="RETURNS_REPORT_DAYS",
        description="days that the report shows, beside as many days before them",
        json_schema_extra=_form("days, 1 to 366"),
    )
    style_pattern: str | None = Field(
        None,
        alias="RETURNS_STYLE_PATTERN",
        description="the part of a SKU that names its style, without size and colour, for the "
        "report; without it each SKU is a style",
        json_schema_extra=_form("regular expression whose first group is the style"),
    )
    kept_modes: Annotated[tuple[str, ...], NoDecode] = Field(
        ("Credits", "Store Credit", "Gift Card", "Wallet", "Exchange"),
        alias="RETURNS_KEPT_MODES",
        description="refund modes by which the money stays with the brand, for the report",
        json_schema_extra=_form("names, with commas between"),
    )
    stuck_hours: Annotated[tuple[int, int, int], NoDecode] = Field(
        (48, 72, 168),
        alias="RETURNS_STUCK_HOURS",
        description="when an open return is stuck: without a courier after the request, without a "
        "pickup after the AWB, without a new state; a wait counts to the last look",
        json_schema_extra=_form("three whole hours, with commas between"),
    )
    weekly_digest: bool = Field(
        default=False,
        alias="RETURNS_WEEKLY_DIGEST",
        description="whether the figures of the report go to the channels of RETURNS_ALERT_URLS "
        "once a week, after the report of Sunday",
        json_schema_extra=_form("true or false"),
    )
    acknowledged: Annotated[tuple[str, ...], NoDecode] = Field(
        (),
        alias="RETURNS_ACKNOWLEDGED",
        description="new keys, status codes and refund modes that you know; "
        "the check `new_names_are_acknowledged` does not warn of them",
        json_schema_extra=_form("names, with commas between"),
    )
    alert_urls: Annotated[tuple[SecretStr, ...], NoDecode] = Field(
        (),
        alias="RETURNS_ALERT_URLS",
        description="channels of alerts; without one, alerts go to the log and the table `alerts`",
        json_schema_extra=_form("Apprise URLs, with commas between, or `none`"),
    )

    dagster_url: str = Field(
        "http://127.0.0.1:3000",
        alias="RETURNS_DAGSTER_URL",
        description="address of Dagster's UI for people; links in alerts begin with it",
        json_schema_extra=_form("http:// or https:// address"),
    )
    runbook_url: str = Field(
        "docs/operations.md",
        alias="RETURNS_RUNBOOK_URL",
        description="where people read docs/operations.md; each alert names its heading there",
        json_schema_extra=_form("address or path"),
    )
    key_prefix: Annotated[tuple[str, ...], NoDecode] = Field(
        (),
        alias="RETURNS_KEY_PREFIX",
        description="first parts of all asset keys, so that two deployments fit into one Dagster",
        json_schema_extra=_form("names of letters, digits and `_`, with `/` between"),
    )
    owners: Annotated[tuple[str, ...], NoDecode] = Field(
        ("team:returns",),
        alias="RETURNS_OWNERS",
        description="owners of the assets in Dagster",
        json_schema_extra=_form("addresses of mail or `team:NAME`, with commas between"),
    )
    ui_hosts: Annotated[tuple[str, ...], NoDecode] = Field(
        (),
        alias="RETURNS_UI_HOSTS",
        description="names under which people reach Dagster's UI, beside `localhost`; requests to "
        "another name are refused",
        json_schema_extra=_form("host names without a port, with commas between"),
    )
    heartbeat_url: SecretStr | None = Field(
        None,
        alias="RETURNS_HEARTBEAT_URL",
        description="a dead man's switch: the sensor `incidents` calls it (GET) after each good "
        "look",
        json_schema_extra=_form("http:// or https:// address, or `none`"),
    )
    alert_grace: timedelta = Field(
        timedelta(minutes=120),
        alias="RETURNS_ALERT_GRACE_MINUTES",
        description="time from when an hour is due to the alert that it is missing",
        json_schema_extra=_form(_MINUTES),
    )
    alert_cooldown: timedelta = Field(
        timedelta(minutes=60),
        alias="RETURNS_ALERT_COOLDOWN_MINUTES",
        description="time for which an incident that comes back sends no message",
        json_schema_extra=_form(_MINUTES),
    )
    keep_runs_days: int = Field(
        30,
        ge=1,
        le=3650,
        alias="RETURNS_KEEP_RUNS_DAYS",
        description="how long runs, their logs, ticks and superseded events stay in DAGSTER_HOME; "
        "the newest of each hour stay for ever",
        json_schema_extra=_form("days, 1 to 3650"),
    )
    raw_days: int | None = Field(
        None,
        ge=1,
        le=3650,
        alias="RETURNS_RAW_DAYS",
        description="how long personal data stays in the raw records of an hour; older ones are "
        "blanked once a day",
        json_schema_extra=_form("days, 1 to 3650, or `none`"),
    )
    webhook_keys: Annotated[tuple[SecretStr, ...], NoDecode] = Field(
        (),
        alias="RETURNS_WEBHOOK_KEYS",
        description="secrets that `receive` accepts in the header `webhook_key`; ClickPost sends "
        "one of them; several while one replaces another",
        json_schema_extra=_form("texts, with commas between"),
    )
    webhook_listen: str = Field(
        "127.0.0.1:8351",
        alias="RETURNS_WEBHOOK_LISTEN",
        description="address and port of `receive`; a proxy with TLS is in front of it",
        json_schema_extra=_form("host:port"),
    )
    webhook_path: str = Field(
        "/clickpost",
        alias="RETURNS_WEBHOOK_PATH",
        description="path at which `receive` takes webhooks; with `/t/` and a key behind it no "
        "header is needed",
        json_schema_extra=_form("path of letters, digits, `-`, `_` and `.`"),
    )
    webhook_spool: Path | None = Field(
        None,
        alias="RETURNS_WEBHOOK_SPOOL",
        description="file of webhooks that are not in the lake yet, on a local disk; without it "
        "`webhook_spool.db` beside DAGSTER_HOME",
        json_schema_extra=_form("absolute path of a file"),
    )
    webhook_spool_mb: int = Field(
        1024,
        ge=16,
        le=1_000_000,
        alias="RETURNS_WEBHOOK_SPOOL_MB",
        description="size of that file from which `receive` answers 503",
        json_schema_extra=_form("MB, 16 to 1,000,000"),
    )
    webhook_max_bytes: int = Field(
        1_048_576,
        ge=1_024,
        le=8_388_608,
        alias="RETURNS_WEBHOOK_MAX_BYTES",
        description="largest body of one webhook, inflated",
        json_schema_extra=_form("bytes, 1,024 to 8,388,608"),
    )
    webhook_time_zone: ZoneInfo | None = Field(
        None,
        alias="RETURNS_WEBHOOK_TIME_ZONE",
        description="zone of naive times in webhooks; without it CLICKPOST_TIME_ZONE; after a "
        "change the tables of webhooks are made again",
        json_schema_extra=_form("IANA name"),
    )
    webhook_lost_after_hours: int = Field(
        6,
        ge=1,
        le=168,
        alias="RETURNS_WEBHOOK_LOST_AFTER_HOURS",
        description="age of an hour from which a webhook that did not come counts as lost",
        json_schema_extra=_form("hours, 1 to 168"),
    )
    webhook_expected: float = Field(
        0.99,
        gt=0,
        lt=1,
        alias="RETURNS_WEBHOOK_EXPECTED",
        description="share of webhooks below which an alert says that some are lost",
        json_schema_extra=_form("share, between 0 and 1"),
    )
    redeliver_url: SecretStr | None = Field(
        None,
        alias="RETURNS_REDELIVER_URL",
        description="where `redeliver` sends lost webhooks; it sends personal data, so nothing is "
        "sent without it",
        json_schema_extra=_form("http:// or https:// address, or `none`"),
    )
    redeliver_key: SecretStr | None = Field(
        None,
        alias="RETURNS_REDELIVER_KEY",
        description="the header `webhook_key` of what `redeliver` sends",
        json_schema_extra=_form("text"),
    )
    alert_quiet_hours: Annotated[tuple[int, int], NoDecode] = Field(
        (22, 8),
        alias="RETURNS_ALERT_QUIET_HOURS",
        description="hours of RETURNS_REPORT_TIME_ZONE in which notices wait",
        json_schema_extra=_form("two full hours, such as 22-8, or none"),
    )

    @field_validator("base_url", "dagster_url")
    @classmethod
    def _http_address(cls, value: str) -> str:
        if not is_plain_web_address(value):
            message = "must be an http:// or https:// address without a query or a user"
            raise ValueError(message)
        return value.rstrip("/")

    @field_validator("redeliver_key")
    @classmethod
    def _of_a_header(cls, value: SecretStr | None) -> SecretStr | None:
        """Another text cannot be sent as a header."""
        text = value.get_secret_value() if value else ""
        if not (text.isascii() and text.isprintable()):
            message = "must be printable ASCII, as it is sent as a header"
            raise ValueError(message)
        return value

    @field_validator("key", "user_name", "redeliver_key", mode="before")
    @classmethod
    def _without_blanks(cls, value: object) -> object:
        """A secret that is mounted as a file often ends with a line break."""
        return value.strip() if isinstance(value, str) else value

    @field_validator("raw_days", mode="before")
    @classmethod
    def _days_or_none(cls, value: object) -> object:
        return None if isinstance(value, str) and value.strip().lower() == NONE else value

    @field_validator("key", "user_name")
    @classmethod
    def _not_in_the_address(cls, value: SecretStr | None, info: ValidationInfo) -> SecretStr | None:
        holds = holds_key if info.field_name == "key" else holds_user_name
        # An address that was refused is absent here: it is named anyway.
        if value and holds(info.data.get("base_url", ""), value.get_secret_value()):
            message = "must not be part of CLICKPOST_BASE_URL, which is told: take it out there"
            raise ValueError(message)
        return value

    @field_validator("heartbeat_url", "redeliver_url")
    @classmethod
    def _called(cls, value: SecretStr | None) -> SecretStr | None:
        said = "" if value is None else value.get_secret_value()
        if said.strip().lower() == NONE:
            return None
        if said and not re.fullmatch(r"https?://[^\s/]+\S*", said):
            message = "must be an http:// or https:// address"
            raise ValueError(message)
        return value

    @field_validator("time_zone", "report_time_zone", "webhook_time_zone", mode="before")
    @classmethod
    def _zone(cls, value: object) -> object:
        if not isinstance(value, str):
            return value
        try:
            return ZoneInfo(value)
        except (ZoneInfoNotFoundError, ValueError, OSError):
            message = "must be an IANA time zone such as UTC or Asia/Kolkata"
            raise ValueError(message) from None

    @field_validator("lake")
    @classmethod
    def _folder_or_store(cls, value: str) -> str:
        if "://" in value and not value.startswith(OBJECT_STORES):
            message = f"must be a folder or begin with {', '.join(OBJECT_STORES)}"
            raise ValueError(message)
        if "://" in value and not is_plain_store_address(value):
            message = (
                "must be s3://BUCKET/PATH, gs://BUCKET/PATH or az://CONTAINER/PATH without a user, "
                "a password, a query or a space, as messages show it; credentials are set in the "
                "store's own variables, such as AWS_ACCESS_KEY_ID"
            )
            raise ValueError(message)
        return value

    @field_validator("start", mode="before")
    @classmethod
    def _whole_hour(cls, value: object) -> object:
        try:
            moment = value if isinstance(value, datetime) else datetime.fromisoformat(str(value))
            moment = moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment
            return Window(moment.astimezone(UTC)).start
        except (ValueError, OverflowError):
            message = "must be a whole hour in UTC such as 2026-01-01T00:00:00Z"
            raise ValueError(message) from None

    @field_validator("alert_quiet_hours", mode="before")
    @classmethod
    def _clock_hours(cls, value: object) -> object:
        if not isinstance(value, str):
            return value
        if value.strip().lower() == NONE:
            return (0, 0)
        match = re.fullmatch(r"\s*([01]?\d|2[0-3])\s*-\s*([01]?\d|2[0-3])\s*", value)
        if match is None:
            message = "must be two full hours such as 22-8, or none"
            raise ValueError(message)
        return int(match[1]), int(match[2])

    @field_validator("settle", "alert_grace", "alert_cooldown", mode="before")
    @classmethod
    def _minutes(cls, value: object) -> object:
        if isinstance(value, timedelta):
            return value
        try:
            minutes = float(str(value))
        except ValueError:
            minutes = -1.0
        if not 0 <= minutes <= 24 * 60:
            message = "must be a number of minutes from 0 to 1440"
            raise ValueError(message)
        return timedelta(minutes=minutes)

    @field_validator("repoll_after_hours", mode="before")
    @classmethod
    def _ages(cls, value: object) -> object:
        if not isinstance(value, str):
            return value
        try:
            ages = tuple(int(part) for part in value.split(",") if part.strip())
        except ValueError:
            ages = (0,)
        if any(age < 1 for age in ages) or list(ages) != sorted(set(ages)):
            message = "must be rising whole hours with commas between, such as 1,6,24,72"
            raise ValueError(message)
        return ages

    @field_validator("webhook_keys", mode="before")
    @classmethod
    def _secrets(cls, value: object) -> object:
        if not isinstance(value, str):
            return value
        return tuple(SecretStr(part) for text in value.split(",") if (part := text.strip()))

    @field_validator("webhook_listen")
    @classmethod
    def _host_and_port(cls, value: str) -> str:
        read = LISTENS.fullmatch(value.strip())
        if read is None or int(read["port"]) > MAX_PORT:
            message = "must be an address and a port such as 127.0.0.1:8351 or [::1]:8351"
            raise ValueError(message)
        return value.strip()

    @field_validator("webhook_path")
    @classmethod
    def _plain_path(cls, value: str) -> str:
        path = value.rstrip("/")
        if not re.fullmatch(r"(/[A-Za-z0-9_.-]+)+", path) or path == "/health":
            message = "must be a path such as /clickpost, and not /health"
            raise ValueError(message)
        return path

    @field_validator("stuck_hours", mode="before")
    @classmethod
    def _three_waits(cls, value: object) -> object:
        if not isinstance(value, str):
            return value
        if not re.fullmatch(r"\s*[1-9]\d{0,4}\s*(,\s*[1-9]\d{0,4}\s*){2}", value):
            message = "must be three whole hours with commas between, such as 48,72,168"
            raise ValueError(message)
        return tuple(int(part) for part in value.split(","))

    @field_validator("style_pattern")
    @classmethod
    def _with_a_group(cls, value: str | None) -> str | None:
        """Polars uses the pattern: its engine takes no look-around and no back-reference."""
        if value is not None and not names_a_group(value):
            message = "must be a regular expression with a group, such as ^([A-Z0-9]+)-"
            raise ValueError(message)
        return value

    @field_validator("owners")
    @classmethod
    def _owners(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        """As Dagster takes them."""
        if not all(
            re.fullmatch(r"team:[A-Za-z0-9_-]+|[^\s@,]+@[^\s@,]+\.[^\s@,]+", o) for o in value
        ):
            message = "must be addresses of mail, or team:NAME, such as team:returns"
            raise ValueError(message)
        return value

    @field_validator("acknowledged", "ui_hosts", "kept_modes", "owners", mode="before")
    @classmethod
    def _names(cls, value: object) -> object:
        if not isinstance(value, str):
            return value
        return tuple(name for part in value.split(",") if (name := part.strip()))

    @field_validator("key_prefix", mode="before")
    @classmethod
    def _parts(cls, value: object) -> object:
        if not isinstance(value, str):
            return value
        parts = tuple(value.strip().strip("/").split("/"))
        if not all(re.fullmatch(r"[A-Za-z0-9_]+", part) for part in parts):
            message = (
                "must be names of letters, digits and _ with / between, such as brand/clickpost"
            )
            raise ValueError(message)
        return parts

    @field_validator("alert_urls", mode="before")
    @classmethod
    def _urls(cls, value: object) -> object:
        if not isinstance(value, str):
            return value
        if value.strip().lower() == NONE:
            return ()
        # An address of mail may hold commas of its own: a URL begins with its scheme.
        parts = re.split(r",\s*(?=[A-Za-z][A-Za-z0-9]*://)|,\s*$", value)
        if any(re.search(r"[;|\s][A-Za-z][A-Za-z0-9]*://", part.strip()) for part in parts):
            message = "must have commas between its URLs"
            raise ValueError(message)
        return tuple(SecretStr(part.strip()) for part in parts if part.strip())

    @field_validator("webhook_spool", mode="after")
    @classmethod
    def _from_every_folder(cls, value: Path | None) -> Path | None:
        """The receiver and `forget` have to mean the same file, wherever they are started."""
        if value is None or (path := value.expanduser()).is_absolute():
            return value and path
        message = "must be an absolute path"
        raise ValueError(message)

    @property
    def lake_is_a_folder(self) -> bool:
        """Whether RETURNS_LAKE names a folder and not an object store."""
        return not self.lake.startswith(OBJECT_STORES)

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
    def spool_bytes(self) -> int:
        """Size of the spool from which nothing is stored any more."""
        return self.webhook_spool_mb * 1_000_000

    @property
    def zone_of_webhooks(self) -> ZoneInfo:
        """The zone of naive times in webhooks."""
        return self.webhook_time_zone or self.time_zone

    @property
    def listens_at(self) -> tuple[str, int]:
        """Host and port of the receiver."""
        host, _, port = self.webhook_listen.rpartition(":")
        return host.strip("[]"), int(port)

    @property
    def keep_raw(self) -> timedelta | None:
        """How long personal data stays in raw records; None: for ever."""
        return None if self.raw_days is None else timedelta(days=self.raw_days)

    @property
    def keep_runs(self) -> timedelta:
        """How long Dagster's runs are kept."""
        return timedelta(days=self.keep_runs_days)

    def digest(self) -> str:
        """Eight hex digits that change with any setting, the network's, or the package's version.

        Secrets are part of it, as a corrected key is a change. Four bytes are too few to give one
        away: one in four billion other settings has the same.
        """
        values = {name: _told(getattr(self, name)) for name in type(self).model_fields}
        network = {name: os.environ.get(name, "") for name in NETWORK_VARIABLES}
        plain = json.dumps([values, network, _version()], sort_keys=True)
        return hashlib.blake2b(plain.encode(errors="surrogateescape"), digest_size=4).hexdigest()

    def credentials(self) -> tuple[str, str]:
        """Key and user name, for the moment a request is sent.

        Raises SettingsError naming the variable that is absent.
        """
        absent = [
            name
            for name, value in (
                ("CLICKPOST_KEY", self.key),
                ("CLICKPOST_USER_NAME", self.user_name),
            )
            if value is None or not value.get_secret_value().strip()
        ]
        if absent or self.key is None or self.user_name is None:
            message = f"{' and '.join(absent)} not set."
            raise SettingsError(
                message,
                next_step="Set them in the environment or in the .env beside workspace.yaml.",
            )
        return self.key.get_secret_value(), self.user_name.get_secret_value()


VARIABLES: dict[str, tuple[Any, str]] = {
    str(field.alias): (field.default, str(field.description))
    for field in Settings.model_fields.values()
}
"""Variable name to (default, meaning), in the order in which they are documented."""


def dagster_home(settings: Settings) -> Path:
    """DAGSTER_HOME, or ``dagster_home`` beside the lake, or in data/ for an object store."""
    named = os.environ.get("DAGSTER_HOME", "")
    if named:
        return Path(named).expanduser()
    if settings.lake_is_a_folder:
        return Path(settings.lake).parent / "dagster_home"
    return project_folder() / "data" / "dagster_home"


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
