"""Settings of the lake: where it is, which hours are in it, and when each is polled."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Annotated, Final

from pydantic import BaseModel, Field, field_validator
from pydantic_settings import NoDecode

from returns_orchestration.address import is_plain_store_address
from returns_orchestration.settings.forms import MINUTES, Minutes, form
from returns_orchestration.window import Window

OBJECT_STORES: Final = ("s3://", "gs://", "az://")


class LakeSettings(BaseModel):
    """The place of the lake, and its hours."""

    lake: str = Field(
        "data/lake",
        alias="RETURNS_LAKE",
        description="place of the lake; a relative folder is relative to workspace.yaml",
        json_schema_extra=form("folder, s3://BUCKET/PATH, gs://BUCKET/PATH or az://CONTAINER/PATH"),
    )
    start: datetime = Field(
        datetime(2026, 1, 1, tzinfo=UTC),
        alias="RETURNS_START",
        description="first hour of the lake; earlier hours are never polled",
        json_schema_extra=form("whole hour, UTC"),
    )
    settle: Minutes = Field(
        timedelta(minutes=10),
        alias="RETURNS_SETTLE_MINUTES",
        description="time from the end of an hour to its first poll",
        json_schema_extra=form(MINUTES),
    )
    repoll_after_hours: Annotated[tuple[int, ...], NoDecode] = Field(
        (1, 6, 24, 72, 168, 336, 720),
        alias="RETURNS_REPOLL_AFTER_HOURS",
        description="ages at which an hour is polled again for late and changed returns; an age "
        "that is new counts for hours that reach it from then on",
        json_schema_extra=form("rising whole hours, with commas between"),
    )

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

    @property
    def lake_is_a_folder(self) -> bool:
        """Whether RETURNS_LAKE names a folder and not an object store."""
        return not self.lake.startswith(OBJECT_STORES)
