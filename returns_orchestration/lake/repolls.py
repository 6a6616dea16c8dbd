"""Since when each age of RETURNS_REPOLL_AFTER_HOURS is in force: one file of the lake.

An age counts for hours that reach it after it came into the settings. Without that, a later age
would ask again for every hour there ever was. ``_repolls/ages.json`` holds the ages of the settings
by which the lake was last polled again.
"""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING, Final

import msgspec

if TYPE_CHECKING:
    from collections.abc import Iterable

    from returns_orchestration.lake.store import Store

    Since = dict[int, datetime | None]

REPOLLS: Final = "_repolls"
_AGES: Final = f"{REPOLLS}/ages.json"
ALWAYS: Final = 72
"""Hours. Where nothing is noted, ages up to this one were in force: the releases before had it."""


class Repolls:
    """The ages of one lake."""

    def __init__(self, store: Store) -> None:
        self._store = store

    def since(self, ages: Iterable[int], now: datetime) -> Since:
        """Note the ages that are new since ``now``; all as ``in_force`` gives them.

        Raises LakeError.
        """
        found = self.in_force(ages, now)
        if found != self._read():
            self._store.put(_AGES, msgspec.json.encode(found))
        return found

    def in_force(self, ages: Iterable[int], now: datetime) -> Since:
        """Since when each of ``ages`` is in force: None for always, ``now`` for one that is new.

        Raises LakeError.
        """
        wanted = list(ages)
        there = self._read()
        if there is None:
            there = {age: None for age in wanted if age <= ALWAYS}
        # A clock that was ahead may have noted a time to come.
        return {age: _until(there.get(age, now), now) for age in wanted}

    def _read(self) -> Since | None:
        content = self._store.get(_AGES)
        try:
            return msgspec.json.decode(content or b"", type=dict[int, datetime | None])
        except msgspec.MsgspecError:
            return None


def _until(at: datetime | None, now: datetime) -> datetime | None:
    return None if at is None else min(at, now)
