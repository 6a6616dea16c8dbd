"""What is found bad is quarantined, never deleted: where it goes, and what is said of it.

It goes to ``_quarantine/``, under its path and the first digits of its own sha256, so that nothing
there is ever replaced and the same content is quarantined once. Readers of tables do not look
there, and neither do runs; it is evidence, to be removed by hand when nobody wants it any more.
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
"""Where releases before 0.3 put it; what lies there stays."""

_DATE: Final = re.compile(r"(?:^|/)date=([0-9]{4}-[0-9]{2}-[0-9]{2})/")
_ENTRY: Final = re.compile(r"/([0-9]{2})\.[^/]*$")
"""How the name of a journal's entry begins that is about an hour."""


def copy_to_quarantine(store: Store, path: str) -> str | None:
    """Copy what stands at ``path``; where to, or None where nothing stands. Raises LakeError."""
    content = store.get(path)
    if content is None:
        return None
    place = f"{QUARANTINE}/{path}.{hashlib.sha256(content).hexdigest()[:8]}"
    store.create(place, content)
    return place


def move_to_quarantine(store: Store, path: str) -> str | None:
    """Move what stands at ``path``; where to, or None where nothing stands. Raises LakeError.

    Killed in between, both copies stand, and the same again ends it.
    """
    place = copy_to_quarantine(store, path)
    if place is not None:
        store.delete(path)
    return place


def rebuild_advice(path: str) -> str:
    """What to do about a file that is not as it should be, with the span that it belongs to."""
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
