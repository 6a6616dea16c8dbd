"""What the sensor `missing_hours` finds and the alerts do not look for: handed over in the lake.

The alerts look at new and recent hours only. The sensor looks at every hour within a week, so it
notes here which hours are damaged and how many are outdated; the alerts read it at each look.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Final

import msgspec

from returns_orchestration.alerts.facts import Finding, Key
from returns_orchestration.window import Window

if TYPE_CHECKING:
    from datetime import datetime

    from returns_orchestration.lake import Lake

FOUND: Final = "_alerts/found.json"
OUTDATED: Final = Key("hours outdated", "")


class Found(msgspec.Struct, frozen=True, kw_only=True):
    """``damaged`` are partition keys, in order; ``outdated`` counts hours yet to be rebuilt."""

    damaged: list[str] = []
    outdated: Annotated[int, msgspec.Meta(ge=0)] = 0

    @property
    def windows(self) -> list[Window]:
        """The damaged hours. A wrong key raises ValueError."""
        return [Window.from_key(key) for key in self.damaged]

    def findings(self, now: datetime) -> list[Finding]:
        """The notice about outdated hours; the alerts look at damaged hours themselves."""
        if not self.outdated:
            return []
        return [Finding(kind=OUTDATED.kind, severity="notice", since=now, size=self.outdated)]


def hand_over(lake: Lake, found: Found) -> None:
    """Put what was found in the place of what was found before. Raises LakeUnwritable."""
    lake.store.put(FOUND, msgspec.json.encode(found))


def handed_over(lake: Lake) -> Found | None:
    """What was found last, nothing where no sensor has looked yet; None where it is unreadable.

    Raises LakeDamaged.
    """
    content = lake.store.get(FOUND)
    if content is None:
        return Found()
    try:
        found = msgspec.json.decode(content, type=Found)
        _ = found.windows  # each key must name an hour
    except (msgspec.MsgspecError, ValueError):  # the sensor puts it whole within the hour
        return None
    return found
