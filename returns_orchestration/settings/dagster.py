"""Settings of the deployment in Dagster: its addresses, the names of its assets, their owners."""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from pydantic import BaseModel, Field, field_validator
from pydantic_settings import NoDecode

from returns_orchestration.env_file import project_folder
from returns_orchestration.settings.forms import Names, WebAddress, form

if TYPE_CHECKING:
    from returns_orchestration.settings import Settings


class DagsterSettings(BaseModel):
    """Addresses of the UI and the runbook; names and owners of assets."""

    dagster_url: WebAddress = Field(
        "http://127.0.0.1:3000",
        alias="RETURNS_DAGSTER_URL",
        description="address of Dagster's UI for people; links in alerts begin with it",
        json_schema_extra=form("http:// or https:// address"),
    )
    runbook_url: str = Field(
        "docs/operations.md",
        alias="RETURNS_RUNBOOK_URL",
        description="where people read docs/operations.md; each alert names its heading there",
        json_schema_extra=form("address or path"),
    )
    key_prefix: Annotated[tuple[str, ...], NoDecode] = Field(
        (),
        alias="RETURNS_KEY_PREFIX",
        description="first parts of all asset keys, so that two deployments fit into one Dagster",
        json_schema_extra=form("names of letters, digits and `_`, with `/` between"),
    )
    owners: Names = Field(
        ("team:returns",),
        alias="RETURNS_OWNERS",
        description="owners of the assets in Dagster",
        json_schema_extra=form("addresses of mail or `team:NAME`, with commas between"),
    )
    ui_hosts: Names = Field(
        (),
        alias="RETURNS_UI_HOSTS",
        description="names under which people reach Dagster's UI, beside `localhost`; requests to "
        "another name are refused",
        json_schema_extra=form("host names without a port, with commas between"),
    )

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


def dagster_home(settings: Settings) -> Path:
    """DAGSTER_HOME, or ``dagster_home`` beside the lake, or in data/ for an object store.

    It is the same for all accounts.
    """
    named = os.environ.get("DAGSTER_HOME", "")
    if named:
        return Path(named).expanduser()
    if settings.lake_is_a_folder:
        return Path(settings.lakes).parent / "dagster_home"
    return project_folder() / "data" / "dagster_home"
