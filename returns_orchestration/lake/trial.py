"""Whether a store meets the needs of a poll, tried with small files without meaning.

Put, get, list, a create that replaces nothing, a replacement of one version, delete. A store that
ignores If-None-Match takes every create: two writers would then take one number, and the reply of
one of them would be lost without an error. One that ignores If-Match takes every replacement: two
daemons would lose alerts. A later trial removes the files of a killed one, and ``verify`` ignores
them.
"""

from __future__ import annotations

import re
import uuid
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Final

from returns_orchestration.errors import LakeError, LakeUnwritable
from returns_orchestration.lake.journal import JOURNAL
from returns_orchestration.lake.refusals import HONOURING

if TYPE_CHECKING:
    from returns_orchestration.lake.store import Store

TRIAL: Final = ".writable-"
"""The beginning of its files' names; the files are in ``_journal`` itself, beside the dates."""

ABANDONED: Final = timedelta(days=1)
_NAME: Final = re.compile(re.escape(TRIAL) + r"([0-9]{8}T[0-9]{6})-.*")


def try_store(store: Store, now: datetime) -> None:
    """Try ``store``; eleven requests. Removes its own files afterwards, and abandoned ones, too.

    Raises LakeUnwritable, naming the consequence, or LakeDamaged where it cannot be read.
    """
    name = f"{TRIAL}{now.astimezone(UTC):%Y%m%dT%H%M%S}-{uuid.uuid4().hex[:8]}"
    placed: list[str] = []
    try:
        _try_put(store, f"{name}-put", placed)
        _try_create(store, f"{name}-create", placed)
    except LakeError:
        with suppress(LakeError):
            _delete(store, placed)
        raise
    _delete(store, placed)
    left = [other for other in store.children(JOURNAL)[1] if _is_abandoned(other, now)]
    _delete(store, [f"{JOURNAL}/{other}" for other in left])
    store.sweep()


def _try_put(store: Store, name: str, placed: list[str]) -> None:
    path, content = f"{JOURNAL}/{name}", name.encode()
    store.put(path, content)
    placed.append(path)
    if store.get(path) != content:
        raise LakeUnwritable(
            f"The lake does not give back what was put at {store.uri(path)}.",
            next_step="Set RETURNS_LAKE to another store or folder.",
        )
    if name not in store.children(JOURNAL)[1]:
        raise LakeUnwritable(
            f"The lake does not list what was put at {store.uri(path)}: a poll would be missed.",
            next_step="Set RETURNS_LAKE to a store that lists what it holds at once.",
        )


def _try_create(store: Store, name: str, placed: list[str]) -> None:
    path, first, second = f"{JOURNAL}/{name}", b"first", b"second"
    placed.append(path)
    won = store.create(path, first), store.create(path, second)
    found, tag = store.get_tagged(path) or (b"", "")
    if won != (True, False) or found != first:
        raise LakeUnwritable(
            f"Of two creates of one file at {store.uri(path)} the lake must take the first and "
            "refuse the second, and it did not: two runs could take one poll's number, and one "
            "reply of ClickPost would be lost.",
            next_step=HONOURING,
        )
    if store.replace(path, second, tag) is None or store.replace(path, first, tag) is not None:
        raise LakeUnwritable(
            f"The lake must replace a file at {store.uri(path)} only where nobody else has changed "
            "it, and it did not: two daemons could lose alerts, or send them twice.",
            next_step=HONOURING,
        )


def _delete(store: Store, paths: list[str]) -> None:
    for path in paths:
        store.delete(path)


def _is_abandoned(name: str, now: datetime) -> bool:
    """Whether a trial of an earlier day left it; one without a time was left by an old version."""
    if not name.startswith(TRIAL):
        return False
    begun = _NAME.fullmatch(name)
    if begun is None:
        return True
    try:
        time = datetime.strptime(begun[1], "%Y%m%dT%H%M%S").replace(tzinfo=UTC)
    except ValueError:
        return True
    return now - time > ABANDONED
