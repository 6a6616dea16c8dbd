"""The words of one account: a message to its people names what they can run, and can correct.

A text is written as for a single account. Where there are several, its commands get `--account`,
and a setting that the account's table has is named by its place there. Every message about an
account passes through its ``Wording`` where it is given out: the alerts, the commands, the events
of Dagster. No value is named.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Mapping

ABOUT_ALL: Final = frozenset({"dev", "serve", "prune", "demo", "simulate"})
"""Commands that look after what all accounts share, or know no account: they get no --account."""

COMMAND: Final = re.compile(r"`returns-orchestration ([a-z]+)\b([^`]*)`")
_VARIABLE: Final = re.compile(r"\b((?:CLICKPOST|RETURNS)_[A-Z_]+)\b(?! \(`)(?:=(\S+))?")
"""A variable and its value, if that follows; none that is followed by its place already, so that a
text may pass through twice."""


@dataclass(frozen=True, slots=True)
class Wording:
    """The words of ``account``, "" for a single one, whose texts stay as they are.

    ``places`` are the variables whose values this account has elsewhere, each with the words for
    that place.
    """

    account: str = ""
    places: Mapping[str, str] = field(default_factory=dict)

    def __call__(self, text: str) -> str:
        """``text`` in the words of the account."""
        if not self.account:
            return text
        return _VARIABLE.sub(self._placed, COMMAND.sub(self._chosen, text))

    def _chosen(self, found: re.Match[str]) -> str:
        name, rest = found.groups()
        if name in ABOUT_ALL or "--account" in rest:
            return found[0]
        return f"`returns-orchestration {name}{rest} --account {self.account}`"

    def _placed(self, found: re.Match[str]) -> str:
        variable, value = found.groups()
        if variable not in self.places:
            return found[0]
        place = self.places[variable] + (f" ({value})" if value else "")
        begins = found.string[: found.start()].endswith((". ", "\n")) or not found.start()
        return f"The{place[3:]}" if begins and place.startswith("the ") else place


SINGLE: Final = Wording()
"""The words of a single account: every text as it is."""
