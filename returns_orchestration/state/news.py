"""News about the data that are no fault: keys, status codes and refund modes never seen before.

No number is wrong because of them. They wait in the lake until a person acknowledges them, by
command or by RETURNS_ACKNOWLEDGED. A name that may hold something personal is not repeated.
"""

from __future__ import annotations

import re
from functools import partial
from typing import TYPE_CHECKING, Any, Final

from returns_orchestration import tables
from returns_orchestration.lake.news import NewName
from returns_orchestration.stages import vocabulary
from returns_orchestration.state.claims import Claim, judge
from returns_orchestration.words import count, listed

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Mapping, Sequence

    import polars as pl

    from returns_orchestration.lake.news import Kind

WORDS: Final[dict[Kind, str]] = {
    "key": "new key",
    "code": "unknown status code",
    "mode": "unknown refund mode",
}
"""Kind to the term for one of it."""

CHECK: Final = "new_names_are_acknowledged"
"""The check of `returns` that warns of them."""

CLAIMS: Final[dict[str, Kind]] = {f"new_{kind}s_are_acknowledged": kind for kind in WORDS}
"""The claims of that check."""

NO_CODE: Final = 100_000
"""Status codes have up to four digits, as far as is known; from here on a number is no code."""

LONG_NUMBER: Final = "(long number)"
LONG_TEXT: Final = "(long text)"
_MODE: Final = re.compile(r"[^\W\d]+(?:[ _&/-]{1,3}[^\W\d]+){0,3}")
"""The form of a mode: up to four words without digits; else it may be a person's own text."""

LONGEST_MODE: Final = 40


def new_names(
    frames: Mapping[str, pl.DataFrame], keys: Iterable[str], hour: str = ""
) -> set[NewName]:
    """The names in the tables of one hour that are not known; ``keys`` are its new keys."""
    returns, items = frames[tables.RETURNS.name], frames[tables.RETURN_ITEMS.name]
    codes = _values(returns, "webhook_clickpost_status_code")
    codes |= _values(returns, "latest_clickpost_status_code")
    modes = _values(returns, "refund_mode") | _values(items, "refund_mode")
    unknown_codes = codes - vocabulary.STATUS_CODES
    unknown_modes = modes - set(vocabulary.REFUND_MODES)
    found: set[tuple[Kind, str]] = {("key", key) for key in keys}
    found |= {("code", str(code) if abs(code) < NO_CODE else LONG_NUMBER) for code in unknown_codes}
    found |= {("mode", _mode(mode)) for mode in unknown_modes}
    return {NewName(kind=kind, name=name, hour=hour) for kind, name in found}


def _values(frame: pl.DataFrame, column: str) -> set[Any]:
    return set(frame.get_column(column).to_list()) - {None}


def _mode(mode: str) -> str:
    plain = _MODE.fullmatch(mode) and len(mode) <= LONGEST_MODE
    return mode if plain else LONG_TEXT


def unacknowledged(names: Iterable[NewName], acknowledged: Collection[str]) -> list[NewName]:
    """Those of ``names`` that are not in ``acknowledged``, the setting, nor known by now.

    A later release may include a name that was new to the one that noted it.
    """
    return [name for name in names if name.name not in acknowledged and not _is_known(name)]


def _is_known(name: NewName) -> bool:
    if name.kind == "key":
        place, _, key = name.name.rpartition(".")
        return key in vocabulary.KEYS.get(place, ())
    known = map(str, vocabulary.STATUS_CODES) if name.kind == "code" else vocabulary.REFUND_MODES
    return name.name in known


def judged(waiting: Sequence[NewName]) -> list[Claim]:
    """For each kind the claim that all names are known or acknowledged."""
    return [judge(name, "warning", partial(_look, kind, waiting)) for name, kind in CLAIMS.items()]


def _look(kind: Kind, waiting: Sequence[NewName]) -> tuple[bool, str]:
    names = [name.name for name in waiting if name.kind == kind]
    if not names:
        return True, f"no {WORDS[kind]}"
    return False, f"ClickPost sends {count_of(kind, names)}: {listed(names)}"


def count_of(kind: Kind, names: Sequence[str]) -> str:
    """``2 new keys``."""
    return count(len(names), WORDS[kind])
