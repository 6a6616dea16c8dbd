"""How large a reply may be, and the words for one that is larger.

A window is at most an hour, and the largest hour known has 12,000 records in 28 MB. Each bound is a
multiple of that and does not depend on how well the reply was compressed: a few kilobytes, however
far they expand, are read or refused within a second of processor time and 150 MB of memory. A reply
that exceeds a bound is refused at once and not asked for again, as the same reply would come.

What lives here: the bounds. What does not: their enforcement (``body.py``, ``charsets.py``,
``records.py``, ``reply.py``, ``client.py``).
"""

from __future__ import annotations

from typing import Final

from returns_orchestration.errors import RequestRefused

MAX_BODY_BYTES: Final = 112 * 2**20
"""Bytes of all pages of a window, decompressed."""

LARGE_BYTES: Final = 2**20
"""A larger reply that is no answer is asked for once more, not four times: each takes long."""

MAX_ERROR_BYTES: Final = 2**18
"""Bytes of the body of a failure, which is read for its meta only."""

MAX_GZIP_MEMBERS: Final = 10_000
"""Parts of one gzip body, each with a head of its own."""

MAX_RECORDS: Final = 100_000
"""Records of all pages of a window."""

MAX_VALUES: Final = 2_000_000
"""Commas and opening brackets of a reply, those inside texts too; a record has about 70."""

MAX_DEPTH: Final = 5_000
"""Levels of nested lists and objects."""

MAX_BRACKETS: Final = 500_000
"""Brackets of a reply that has to be cut without the JSON library; a record has about 14."""

MAX_MEMBERS: Final = 1_000
"""Members of the envelope; two are documented."""

MAX_META_BYTES: Final = 2**18
"""Bytes of ``meta``, and of anything beside it that is looked at."""

MAX_DAMAGED_BYTES: Final = 5_000_000
"""Bytes of a reply that are invalid in its encoding; each takes six characters."""


class BeyondBoundsError(ValueError):
    """A reply exceeds a bound; its text completes "The reply ..."."""


def too_large(excess: BeyondBoundsError) -> RequestRefused:
    """``excess`` as an error that is not worth a repeat."""
    return RequestRefused(
        f"The reply {excess}.",
        next_step="No hour should be: ask ClickPost what it sends for this one.",
    )
