"""The weekly digest: the report leaves it in the lake, and the alerts send it, once a week.

So it has what each message has: an outbox for each channel, repeats, quiet hours.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import msgspec

from returns_orchestration.alerts.messages import written
from returns_orchestration.alerts.state import FOLDER

if TYPE_CHECKING:
    from returns_orchestration.alerts.outbox import Message
    from returns_orchestration.lake import Lake
    from returns_orchestration.settings.wording import Wording

PATH: Final = f"{FOLDER}/digest.json"


class Digest(msgspec.Struct, frozen=True, kw_only=True):
    """The digest of the week that ended with the Sunday ``week``, as ``YYYY-MM-DD``."""

    week: str
    title: str
    lines: list[str]

    def message(self, wording: Wording) -> Message:
        """As it is sent, in the words of an account."""
        return written("digest", self.title, self.lines, wording=wording)


def hand_over(lake: Lake, digest: Digest) -> None:
    """Leave ``digest`` for the alerts. Raises LakeError."""
    lake.store.put(PATH, msgspec.json.encode(digest))


def handed_over(lake: Lake) -> Digest | None:
    """The newest digest; None where there is none that can be read. Raises LakeError."""
    content = lake.store.get(PATH)
    try:
        return msgspec.json.decode(content or b"", type=Digest)
    except msgspec.MsgspecError:
        return None
