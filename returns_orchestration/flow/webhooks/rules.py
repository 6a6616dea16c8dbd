"""The rules of the tables of webhooks: the settings, and whether tables follow from them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from returns_orchestration.lake.journal import digest_of_inputs
from returns_orchestration.stages.rules import Rules

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime, timedelta

    import polars as pl

    from returns_orchestration.lake import Lake, Made, Names
    from returns_orchestration.lake.entry_kinds import MadeName
    from returns_orchestration.window import Day, Window


@dataclass(frozen=True, slots=True)
class WebhookRules:
    """The settings by which webhooks are judged.

    ``lost_after`` is the age from which a webhook counts as lost; ``polls_late``: an age of
    RETURNS_REPOLL_AFTER_HOURS is 24 or more; ``start`` is the first hour there is.
    """

    lost_after: timedelta
    polls_late: bool
    start: datetime


def follows(made: Sequence[MadeName], made_of: list[str]) -> bool:
    """Whether there is one entry, made of these and by the rules of today."""
    wanted = digest_of_inputs(made_of), Rules.of_today().webhooks
    return len(made) == 1 and (made[0].inputs, made[0].rules) == wanted


def publish(  # noqa: PLR0913, PLR0917 - what its entry says
    lake: Lake,
    names: Names,
    period: Window | Day,
    frames: dict[str, pl.DataFrame],
    made_of: list[str],
    facts: dict[str, int],
) -> Made:
    """Put the tables made of ``period`` by the rules of today. Raises LakeError."""
    made, _ = lake.publish(
        names,
        period,
        frames,
        inputs=digest_of_inputs(made_of),
        rules=Rules.of_today().webhooks,
        made_of=made_of,
        facts=facts,
    )
    return made
