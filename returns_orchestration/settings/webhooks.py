"""Settings of webhooks: how they are received, when one counts as lost, how it is sent again."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Annotated, Final

from pydantic import BaseModel, Field, SecretStr, field_validator
from pydantic_settings import NoDecode

from returns_orchestration.settings.forms import SecretAddress, SecretText, Zone, form

LISTENS: Final = re.compile(r"(?P<host>\[[0-9A-Fa-f:.]+\]|[^\s:\[\]/]+):(?P<port>[0-9]{1,5})")
MAX_PORT: Final = 65_535
SPOOL: Final = "webhook_spool.db"
"""The usual name of the file of webhooks that are not in the lake yet."""


def _is_folder(path: Path) -> bool:
    try:
        return path.is_dir()
    except OSError:  # of a user who may not look there
        return False


class WebhookSettings(BaseModel):
    """Webhooks that `receive` takes and `redeliver` sends again."""

    webhook_keys: Annotated[tuple[SecretStr, ...], NoDecode] = Field(
        (),
        alias="RETURNS_WEBHOOK_KEYS",
        description="secrets that `receive` accepts in the header `webhook_key`; ClickPost sends "
        "one of them; several while one replaces another",
        json_schema_extra=form("texts, with commas between"),
    )
    webhook_listen: str = Field(
        "127.0.0.1:8351",
        alias="RETURNS_WEBHOOK_LISTEN",
        description="address and port of `receive`; a proxy with TLS is in front of it",
        json_schema_extra=form("host:port"),
    )
    webhook_path: str = Field(
        "/clickpost",
        alias="RETURNS_WEBHOOK_PATH",
        description="path at which `receive` takes webhooks; with `/t/` and a key behind it no "
        "header is needed",
        json_schema_extra=form("path of letters, digits, `-`, `_` and `.`"),
    )
    webhook_spool: Path | None = Field(
        None,
        alias="RETURNS_WEBHOOK_SPOOL",
        description="file of webhooks that are not in the lake yet, on a local disk; without it "
        f"`{SPOOL}` beside DAGSTER_HOME",
        json_schema_extra=form("absolute path of a file"),
    )
    webhook_spool_mb: int = Field(
        1024,
        ge=16,
        le=1_000_000,
        alias="RETURNS_WEBHOOK_SPOOL_MB",
        description="size of that file from which `receive` answers 503",
        json_schema_extra=form("MB, 16 to 1,000,000"),
    )
    webhook_max_bytes: int = Field(
        1_048_576,
        ge=1_024,
        le=8_388_608,
        alias="RETURNS_WEBHOOK_MAX_BYTES",
        description="largest body of one webhook, inflated",
        json_schema_extra=form("bytes, 1,024 to 8,388,608"),
    )
    webhook_time_zone: Zone | None = Field(
        None,
        alias="RETURNS_WEBHOOK_TIME_ZONE",
        description="zone of naive times in webhooks; without it CLICKPOST_TIME_ZONE; after a "
        "change the tables of webhooks are made again",
        json_schema_extra=form("IANA name"),
    )
    webhook_lost_after_hours: int = Field(
        6,
        ge=1,
        le=168,
        alias="RETURNS_WEBHOOK_LOST_AFTER_HOURS",
        description="age of an hour from which a webhook that did not come counts as lost",
        json_schema_extra=form("hours, 1 to 168"),
    )
    webhook_expected: float = Field(
        0.99,
        gt=0,
        lt=1,
        alias="RETURNS_WEBHOOK_EXPECTED",
        description="share of webhooks below which an alert says that some are lost",
        json_schema_extra=form("share, between 0 and 1"),
    )
    redeliver_url: SecretAddress = Field(
        None,
        alias="RETURNS_REDELIVER_URL",
        description="where `redeliver` sends lost webhooks; it sends personal data, so nothing is "
        "sent without it",
        json_schema_extra=form("http:// or https:// address, or `none`"),
    )
    redeliver_key: SecretText = Field(
        None,
        alias="RETURNS_REDELIVER_KEY",
        description="the header `webhook_key` of what `redeliver` sends",
        json_schema_extra=form("text"),
    )

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

    @field_validator("webhook_spool", mode="after")
    @classmethod
    def _from_every_folder(cls, value: Path | None) -> Path | None:
        """The receiver and `forget` have to mean the same file, wherever they are started."""
        if value is None:
            return None
        path = value.expanduser()
        if not path.is_absolute():
            message = "must be an absolute path"
            raise ValueError(message)
        if _is_folder(path):
            message = f"must be a file, and {path} is a folder: use {path / SPOOL}"
            raise ValueError(message)
        return path

    @field_validator("redeliver_key")
    @classmethod
    def _of_a_header(cls, value: SecretStr | None) -> SecretStr | None:
        """Another text cannot be sent as a header."""
        text = value.get_secret_value() if value else ""
        if not (text.isascii() and text.isprintable()):
            message = "must be printable ASCII, as it is sent as a header"
            raise ValueError(message)
        return value

    @property
    def spool_bytes(self) -> int:
        """Size of the spool from which nothing is stored any more."""
        return self.webhook_spool_mb * 1_000_000

    @property
    def listens_at(self) -> tuple[str, int]:
        """Host and port of the receiver."""
        host, _, port = self.webhook_listen.rpartition(":")
        return host.strip("[]"), int(port)
