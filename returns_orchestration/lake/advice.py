"""The advice about a damaged or missing file: which command mends it, and for which hours."""

from __future__ import annotations

import re
from datetime import date, timedelta
from typing import Final

from returns_orchestration.errors import LakeDamaged
from returns_orchestration.window import Window

_DATE: Final = re.compile(r"(?:^|/)date=([0-9]{4}-[0-9]{2}-[0-9]{2})/")
_ENTRY: Final = re.compile(r"/([0-9]{2})\.[^/]*$")
"""The name of a journal's entry that is about an hour, up to its kind."""


def rebuild_advice(path: str) -> str:
    """The advice for a damaged file, with the span that it belongs to."""
    return f"Mend it with `returns-orchestration rebuild {span_of(path)}`."


def missing(path: str) -> LakeDamaged:
    """The error about a file that is not there."""
    return LakeDamaged(f"The file {path} is missing.", next_step=rebuild_advice(path))


def span_of(path: str) -> str:
    """The hour or the day that ``path`` names, as FROM and TO; those words where it names none."""
    window = Window.from_path(_ENTRY.sub(r"/hour=\1/", path))
    if window is not None:
        return f"{window.text} {window.next.text}"
    named = _DATE.search(path)
    if named is None:
        return "FROM TO"
    try:
        day = date.fromisoformat(named[1])
        return f"{day} {day + timedelta(days=1)}"
    except (ValueError, OverflowError):
        return "FROM TO"
