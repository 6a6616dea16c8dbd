"""Settings of alerts: their channels, names that raise none, how long they wait, quiet hours.

They stand at three places of the documented order. Hence three classes: the settings of a class
stand side by side there.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Annotated

from pydantic import BaseModel, Field, SecretStr, field_validator
from pydantic_settings import NoDecode

from returns_orchestration.settings.forms import (
    MINUTES,
    NONE,
    Minutes,
    Names,
    SecretAddress,
    form,
)

if TYPE_CHECKING:
    from zoneinfo import ZoneInfo


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


class AlertChannelSettings(BaseModel):
    """The channels of alerts, and new names that raise none."""

    acknowledged: Names = Field(
        (),
        alias="RETURNS_ACKNOWLEDGED",
        description="new keys, status codes and refund modes that you know; "
        "the check `new_names_are_acknowledged` does not warn of them",
        json_schema_extra=form("names, with commas between"),
    )
    alert_urls: Annotated[tuple[SecretStr, ...], NoDecode] = Field(
        (),
        alias="RETURNS_ALERT_URLS",
        description="channels of alerts; without one, alerts go to the log and the table `alerts`",
        json_schema_extra=form("Apprise URLs, with commas between, or `none`"),
    )

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


class AlertPatienceSettings(BaseModel):
    """The heartbeat, and how long alerts wait."""

    heartbeat_url: SecretAddress = Field(
        None,
        alias="RETURNS_HEARTBEAT_URL",
        description="a dead man's switch: the sensor `incidents` calls it (GET) after each good "
        "look",
        json_schema_extra=form("http:// or https:// address, or `none`"),
    )
    alert_grace: Minutes = Field(
        timedelta(minutes=120),
        alias="RETURNS_ALERT_GRACE_MINUTES",
        description="time from when an hour is due to the alert that it is missing",
        json_schema_extra=form(MINUTES),
    )
    alert_cooldown: Minutes = Field(
        timedelta(minutes=60),
        alias="RETURNS_ALERT_COOLDOWN_MINUTES",
        description="time for which an incident that comes back sends no message",
        json_schema_extra=form(MINUTES),
    )


class QuietHoursSettings(BaseModel):
    """The hours in which notices wait."""

    alert_quiet_hours: Annotated[tuple[int, int], NoDecode] = Field(
        (22, 8),
        alias="RETURNS_ALERT_QUIET_HOURS",
        description="hours of RETURNS_REPORT_TIME_ZONE in which notices wait",
        json_schema_extra=form("two full hours, such as 22-8, or none"),
    )

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
