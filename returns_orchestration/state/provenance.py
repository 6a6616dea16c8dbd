"""All that the lake holds of one return: each poll and webhook that brought it, and its row.

For the first question of support, and as the proof in a dispute. ``candidate_hours`` finds where it
may be, ``return_sources`` follows it from there to all that served it, ``served_copies`` compares
what these held, and ``return_rows`` gives its rows in the tables.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from returns_orchestration.state.candidate_hours import candidate_hours
from returns_orchestration.state.return_rows import rows_of_return
from returns_orchestration.state.return_sources import ReturnSources
from returns_orchestration.state.served_copies import served_copies
from returns_orchestration.state.sought_return import SoughtReturn

if TYPE_CHECKING:
    from zoneinfo import ZoneInfo

    from returns_orchestration.lake import Lake
    from returns_orchestration.stages.ownership import Source
    from returns_orchestration.stages.typing import RecordReader
    from returns_orchestration.state.return_rows import Place, RejectedRecord
    from returns_orchestration.state.return_sources import Answered
    from returns_orchestration.state.served_copies import ServedCopy
    from returns_orchestration.window import Window


@dataclass(frozen=True, slots=True)
class Provenance:
    """What is known of one return.

    ``copies`` is in time order. ``places`` is one row, but for a reference that was used again for
    another return, or while hours wait to be made. ``silent`` are kept polls of the same windows
    that did not serve it, later than one that did. ``answered`` counts all answers for the windows
    that served it. ``quarantined`` are polls, by hour and number, that were found damaged and may
    have served it. ``missing`` are hours of the search without a good poll, ``waived`` those that
    need none; ``unread`` has the reason for each file that could not be read.
    """

    reference: str
    copies: list[ServedCopy]
    places: list[Place]
    rejected: list[RejectedRecord]
    silent: list[Source]
    answered: list[Answered]
    quarantined: list[tuple[Window, int]]
    missing: list[Window]
    waived: list[Window]
    unread: list[str]

    @property
    def is_known(self) -> bool:
        """Whether anything was ever served of it."""
        return bool(self.copies or self.places or self.rejected)


def find(
    lake: Lake,
    reader: RecordReader,
    reference: str,
    span: tuple[Window, Window],
    zone: ZoneInfo,
) -> Provenance:
    """All that is known of ``reference``, sought in the hours of ``span``, both included.

    A return that is found there is followed to hours outside of it. ``zone`` is that of the days.
    Raises LakeError where the lake cannot be listed.
    """
    sought = SoughtReturn(lake, reader, reference)
    hours = candidate_hours(sought, *span)
    sources = ReturnSources(sought, hours)
    held = sources.copies()
    copies = [copy for of in held for copy in of.copies]
    places, rejected = rows_of_return(sought, sources, copies, zone)
    return Provenance(
        reference=reference,
        copies=served_copies(held, sources.rejected()),
        places=places,
        rejected=rejected,
        silent=sources.silent(),
        answered=sources.answered(),
        # Of a return that a poll served, only those of the windows that were read are of interest.
        quarantined=sources.quarantined() if sources.is_polled else hours.quarantined,
        missing=hours.missing,
        waived=hours.waived,
        unread=sought.unread,
    )
