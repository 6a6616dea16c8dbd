"""What `redeliver` has sent: a note before each attempt and one after its answer.

``_redelivered/date=.../HH-<target>-<return>-<attempt>.<begun|refused|done>``, each put once. Target
and return are digests: no note holds an address or a reference. So a command that was killed knows
which attempts may have arrived.
"""

from __future__ import annotations

import hashlib
import re
from typing import TYPE_CHECKING, Final, Literal, NamedTuple

from returns_orchestration.lake.names import date_of

if TYPE_CHECKING:
    from datetime import date

    from returns_orchestration.lake.store import Store
    from returns_orchestration.window import Window

REDELIVERED: Final = "_redelivered"
_NAME: Final = re.compile(
    r"(?P<what>[0-9]{2}-[0-9a-f]{8}-[0-9a-f]{16})-(?P<attempt>[0-9]{4})\.(?P<kind>begun|refused|done)"
)

Kind = Literal["begun", "refused", "done"]


class Sent(NamedTuple):
    """How often a return was sent, how many of these had no answer, and whether one was taken.

    ``was_refused``: an attempt was answered with another status than success, or reached nobody.
    """

    attempts: int = 0
    unanswered: int = 0
    is_done: bool = False
    was_refused: bool = False


class Redelivered:
    """The notes of one lake."""

    def __init__(self, store: Store) -> None:
        self._store = store

    def of(self, day: date) -> dict[str, Sent]:
        """What was sent of returns that were requested on a UTC date, by ``name_of``."""
        kinds: dict[str, dict[str, set[str]]] = {}
        for path in self._store.list(f"{REDELIVERED}/date={day.isoformat()}"):
            read = _NAME.fullmatch(path.rpartition("/")[2])
            if read is not None and date_of(path) == day:
                of_kind = kinds.setdefault(read["what"], {})
                of_kind.setdefault(read["kind"], set()).add(read["attempt"])
        return {what: _sent(of_one) for what, of_one in kinds.items()}

    def note(self, window: Window, name: str, attempt: int, kind: Kind) -> None:
        """Note an attempt, from 1, or its answer. Idempotent. Raises LakeUnwritable."""
        folder = f"{REDELIVERED}/date={window.start.date().isoformat()}"
        self._store.create(f"{folder}/{name}-{attempt:04d}.{kind}", b"\n")


def name_of(window: Window, target: str, reference: str) -> str:
    """What notes about a return and a target begin with."""
    of_target = hashlib.sha256(target.encode()).hexdigest()[:8]
    of_return = hashlib.sha256(reference.encode(errors="surrogatepass")).hexdigest()[:16]
    return f"{window.start:%H}-{of_target}-{of_return}"


def _sent(kinds: dict[str, set[str]]) -> Sent:
    begun, refused = kinds.get("begun", set()), kinds.get("refused", set())
    done = kinds.get("done", set())
    attempts = max(map(int, begun | refused | done), default=0)
    return Sent(attempts, len(begun - refused - done), bool(done), bool(refused))
