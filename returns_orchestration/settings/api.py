"""Settings of the API: its address, key and user name, its time zone, and how fast it is polled."""

from __future__ import annotations

from zoneinfo import ZoneInfo

from pydantic import BaseModel, Field, SecretStr, ValidationInfo, field_validator

from returns_orchestration.address import holds_key, holds_user_name
from returns_orchestration.settings.forms import SecretText, WebAddress, Zone, form


class ApiSettings(BaseModel):
    """ClickPost's API, and the limits of its requests."""

    base_url: WebAddress = Field(
        "https://www.clickpost.in/api",
        alias="CLICKPOST_BASE_URL",
        description="address of the API; `/v1/return_order_poll/` is appended; messages show it, "
        "so it must not hold the key or the user name",
        json_schema_extra=form("http:// or https:// address"),
    )
    key: SecretText = Field(
        None,
        alias="CLICKPOST_KEY",
        description="licence key from ClickPost; without it every poll fails with a message",
        json_schema_extra=form("text"),
    )
    user_name: SecretText = Field(
        None,
        alias="CLICKPOST_USER_NAME",
        description="user name from ClickPost; without it every poll fails with a message",
        json_schema_extra=form("text"),
    )
    time_zone: Zone = Field(
        ZoneInfo("UTC"),
        alias="CLICKPOST_TIME_ZONE",
        description="zone of the naive start_time and end_time, and of naive times in replies",
        json_schema_extra=form("IANA name"),
    )
    max_concurrency: int = Field(
        8,
        ge=1,
        le=64,
        alias="CLICKPOST_MAX_CONCURRENCY",
        description="requests in flight",
        json_schema_extra=form("number, 1 to 64"),
    )
    max_requests_per_second: float = Field(
        10,
        ge=0.01,
        le=10_000,
        alias="CLICKPOST_MAX_REQUESTS_PER_SECOND",
        description="ceiling over all requests of a deployment",
        json_schema_extra=form("requests per second, 0.01 to 10,000"),
    )

    @field_validator("key", "user_name")
    @classmethod
    def _not_in_the_address(cls, value: SecretStr | None, info: ValidationInfo) -> SecretStr | None:
        holds = holds_key if info.field_name == "key" else holds_user_name
        # An address that was refused is absent here: it is named anyway.
        if value and holds(info.data.get("base_url", ""), value.get_secret_value()):
            message = "must not be part of CLICKPOST_BASE_URL, which is told: take it out there"
            raise ValueError(message)
        return value

    @property
    def credentials_or_none(self) -> dict[str, str | None]:
        """Key and user name by their variables; None where one is not set."""
        values = {"CLICKPOST_KEY": self.key, "CLICKPOST_USER_NAME": self.user_name}
        texts = {name: value.get_secret_value() for name, value in values.items() if value}
        return {name: text if (text := texts.get(name, "")).strip() else None for name in values}
