"""The messages: what is wrong, since when, what it means, what to do and where to look.

The words of each kind are in ``kinds``; here they become at most ten lines with the title.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from returns_orchestration.alerts.kinds import RECOVERY
from returns_orchestration.alerts.outbox import Message
from returns_orchestration.settings.wording import SINGLE
from returns_orchestration.words import utc

if TYPE_CHECKING:
    from datetime import datetime
    from zoneinfo import ZoneInfo

    from returns_orchestration.alerts.life_cycle import Incident
    from returns_orchestration.settings import Settings
    from returns_orchestration.settings.wording import Wording

LONGEST_LINE: Final = 300


@dataclass(frozen=True, slots=True)
class Author:
    """Writes messages for one deployment or account, with its addresses and its people's zone.

    ``assets`` is the address of the pages of its assets.
    """

    assets: str
    runbook_url: str
    zone: ZoneInfo
    wording: Wording

    @classmethod
    def of(cls, settings: Settings) -> Author:
        """The author of the deployment of ``settings``."""
        assets = "/".join((settings.dagster_url.rstrip("/"), "assets", *settings.key_prefix))
        zone = settings.report_time_zone
        return cls(assets, settings.runbook_url, zone, settings.wording)

    def opened(self, incident: Incident) -> Message:
        """What is wrong."""
        words = incident.finding.words()
        lines = [f"Since {self._both(incident.since)}.", words.means, f"To do: {words.to_do}"]
        return self._message(incident, incident.severity, words.title, lines)

    def resolved(self, incident: Incident) -> Message:
        """It is over."""
        words, end = incident.finding.words(), incident.resolved_at or incident.opened_at
        span = f"From {self._both(incident.since)} to {self._both(end)}."
        lines = [f"It was: {words.title}.", span, words.then]
        return self._message(incident, "resolved", words.resolved, lines)

    def test(self) -> Message:
        """Whether a channel is reached."""
        lines = [
            "Nothing is wrong: somebody ran `returns-orchestration alert --test`.",
            "Alerts about ClickPost's returns arrive here: one for each fault, one for its end.",
        ]
        title = "returns-orchestration can reach this channel"
        return written("test", title, lines, wording=self.wording)

    def _message(self, incident: Incident, tone: str, title: str, lines: list[str]) -> Message:
        finding = incident.finding
        runbook = f"Runbook: {self.runbook_url}#{finding.runbook}"
        look = f"Look: {self.assets}/{finding.page}"
        lines = [*lines, runbook, look]
        return written(tone, title, lines, incident.number, wording=self.wording)

    def lake_fails(self, error: str) -> Message:
        """The one message that cannot be kept: the lake itself fails."""
        why = "No new returns are kept, and no other alert is sent."
        runbook = f"Runbook: {self.runbook_url}#the-lake-cannot-be-read-or-written"
        title = "The lake cannot be read or written"
        return written("urgent", title, [error, why, runbook], wording=self.wording)

    def lake_works(self) -> Message:
        """The lake is well again."""
        title = "The lake can be read and written"
        return written("resolved", title, [RECOVERY], wording=self.wording)

    def _both(self, moment: datetime) -> str:
        """UTC, as in the names of hours, and the local time where that differs."""
        there = moment.astimezone(self.zone)
        if not there.utcoffset():
            return f"{utc(moment)} UTC"
        return f"{utc(moment)} UTC ({there:%H:%M} in {self.zone.key})"


def written(
    tone: str, title: str, lines: list[str], incident: int = 0, *, wording: Wording = SINGLE
) -> Message:
    """At most nine lines below the title, each cut to ``LONGEST_LINE`` characters.

    The account of ``wording`` is named in the title, as some channels show no more. What its words
    add to a line takes nothing from it.
    """
    title = f"{wording.account}: {title}" if wording.account else title
    title, *cut = [
        wording(line) if len(line) <= LONGEST_LINE else wording(line)[: LONGEST_LINE - 1] + "…"
        for line in (f"[{tone}] {title}", *lines[:9])
    ]
    return Message(incident=incident, tone=tone, title=title, text="\n".join(cut))
