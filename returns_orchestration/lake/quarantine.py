"""Bad files are quarantined, never deleted: where they go, and the advice about them.

A file goes to ``_quarantine/``, under its path and the first digits of its own sha256, so that no
file there is ever replaced and the same content is quarantined once. Readers of tables and runs do
not look there; the files are evidence, to be removed by hand when they are no longer needed.
"""

from __future__ import annotations

import hashlib
import re
from datetime import date, timedelta
from typing import TYPE_CHECKING, Final

from returns_orchestration.window import Window

if TYPE_CHECKING:
    from returns_orchestration.lake.store import Store

QUARANTINE: Final = "_quarantine"
QUARANTINE_BEFORE: Final = "_aside"
"""The folder of releases before 0.3; its files stay."""

_DATE: Final = re.compile(r"(?:^|/)date=([0-9]{4}-[0-9]{2}-[0-9]{2})/")
_ENTRY: Final = re.compile(r"/([0-9]{2})\.[^/]*$")
"""The name of a journal's entry that is about an hour, up to its kind."""


def copy_to_quarantine(store: Store, path: str) -> str | None:
    """Copy the file at ``path``; returns the new path, or None without a file. Raises LakeError."""
    content = store.get(path)
    if content is None:
        return None
    place = f"{QUARANTINE}/{path}.{hashlib.sha256(content).hexdigest()[:8]}"
    store.create(place, content)
    return place


def move_to_quarantine(store: Store, path: str) -> str | None:
    """Move the file at ``path``; returns the new path, or None without a file. Raises LakeError.

    After a kill in between, both copies exist, and a second call completes the move.
    """
    place = copy_to_quarantine(store, path)
    if place is not None:
        store.delete(path)
    return place


def rebuild_advice(path: str) -> str:
    """The advice for a damaged file, with the span that it belongs to."""
    return f"Mend it with `returns-orchestration rebuild {span_of(path)}`."


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
