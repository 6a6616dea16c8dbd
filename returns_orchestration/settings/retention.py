"""Settings of retention: how long runs and personal data are kept."""

from __future__ import annotations

from datetime import timedelta

from pydantic import BaseModel, Field, field_validator

from returns_orchestration.settings.forms import NONE, form


class RetentionSettings(BaseModel):
    """The days for which runs and personal data are kept."""

    keep_runs_days: int = Field(
        30,
        ge=1,
        le=3650,
        alias="RETURNS_KEEP_RUNS_DAYS",
        description="how long runs, their logs, ticks and superseded events stay in DAGSTER_HOME; "
        "the newest of each hour stay for ever; what there is most of goes earlier: superseded "
        "events, and successful runs of polls again and of webhooks, after 2 days",
        json_schema_extra=form("days, 1 to 3650"),
    )
    raw_days: int | None = Field(
        None,
        ge=1,
        le=3650,
        alias="RETURNS_RAW_DAYS",
        description="how long personal data stays in the raw records of an hour; older ones are "
        "blanked once a day",
        json_schema_extra=form("days, 1 to 3650, or `none`"),
    )

    @field_validator("raw_days", mode="before")
    @classmethod
    def _days_or_none(cls, value: object) -> object:
        return None if isinstance(value, str) and value.strip().lower() == NONE else value

    @property
    def keep_raw(self) -> timedelta | None:
        """How long personal data stays in raw records; None: for ever."""
        return None if self.raw_days is None else timedelta(days=self.raw_days)

    @property
    def keep_runs(self) -> timedelta:
        """How long Dagster's runs are kept."""
        return timedelta(days=self.keep_runs_days)
