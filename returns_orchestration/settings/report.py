"""Settings of the report: its zone and days, and how a brand counts styles, refunds and waits."""

from __future__ import annotations

import re
from typing import Annotated
from zoneinfo import ZoneInfo

from pydantic import BaseModel, Field, field_validator
from pydantic_settings import NoDecode

from returns_orchestration.settings.forms import Names, Zone, form


class ReportSettings(BaseModel):
    """The report and the daily tables."""

    report_time_zone: Zone = Field(
        ZoneInfo("Asia/Kolkata"),
        alias="RETURNS_REPORT_TIME_ZONE",
        description="zone of the daily tables and of the report; after a change the sensor "
        "`missing_hours` rebuilds the days",
        json_schema_extra=form("IANA name"),
    )
    report_days: int = Field(
        28,
        ge=1,
        le=366,
        alias="RETURNS_REPORT_DAYS",
        description="days that the report shows, beside as many days before them",
        json_schema_extra=form("days, 1 to 366"),
    )
    style_pattern: str | None = Field(
        None,
        alias="RETURNS_STYLE_PATTERN",
        description="the part of a SKU that names its style, without size and colour, for the "
        "report; without it each SKU is a style",
        json_schema_extra=form("regular expression whose first group is the style"),
    )
    kept_modes: Names = Field(
        ("Credits", "Store Credit", "Gift Card", "Wallet", "Exchange"),
        alias="RETURNS_KEPT_MODES",
        description="refund modes by which the money stays with the brand, for the report",
        json_schema_extra=form("names, with commas between"),
    )
    stuck_hours: Annotated[tuple[int, int, int], NoDecode] = Field(
        (48, 72, 168),
        alias="RETURNS_STUCK_HOURS",
        description="when an open return is stuck: without a courier after the request, without a "
        "pickup after the AWB, without a new state; a wait counts to the last look",
        json_schema_extra=form("three whole hours, with commas between"),
    )
    weekly_digest: bool = Field(
        default=False,
        alias="RETURNS_WEEKLY_DIGEST",
        description="whether the figures of the report go to the channels of RETURNS_ALERT_URLS "
        "once a week, after the report of Sunday",
        json_schema_extra=form("true or false"),
    )

    @field_validator("style_pattern")
    @classmethod
    def _with_a_group(cls, value: str | None) -> str | None:
        """Polars uses the pattern: its engine takes no look-around and no back-reference."""
        if value is not None and not _names_a_group(value):
            message = "must be a regular expression with a group, such as ^([A-Z0-9]+)-"
            raise ValueError(message)
        return value

    @field_validator("stuck_hours", mode="before")
    @classmethod
    def _three_waits(cls, value: object) -> object:
        if not isinstance(value, str):
            return value
        if not re.fullmatch(r"\s*[1-9]\d{0,4}\s*(,\s*[1-9]\d{0,4}\s*){2}", value):
            message = "must be three whole hours with commas between, such as 48,72,168"
            raise ValueError(message)
        return tuple(int(part) for part in value.split(","))


def _names_a_group(pattern: str) -> bool:
    """Whether ``pattern`` is a regular expression, of both Python and polars, with a group."""
    import polars as pl  # noqa: PLC0415 - only where the setting is set

    try:
        groups = re.compile(pattern).groups
        pl.select(pl.lit("x").str.extract(pattern, 1))
    except (re.error, pl.exceptions.PolarsError):
        return False
    return groups > 0
