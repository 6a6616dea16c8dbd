"""The page as files of the lake: one for each day with which a report ended, and the newest."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from returns_orchestration.lake.lake import REPORT_PAGES
from returns_orchestration.report.page import nothing, page

if TYPE_CHECKING:
    from datetime import date

    from returns_orchestration.lake import Lake
    from returns_orchestration.report.figures import Figures

LATEST: Final = f"{REPORT_PAGES}/latest.html"


def path_of(day: date) -> str:
    """Where the report stands that ends with ``day``."""
    return f"{REPORT_PAGES}/date={day.isoformat()}/report.html"


def put(lake: Lake, figures: Figures | None) -> str:
    """Put the page; its path, which is LATEST for the newest days. Raises LakeError.

    Without figures the page says that there are none yet.
    """
    if figures is None:
        lake.store.create(LATEST, nothing().encode())  # a report that is there stays
        return LATEST
    content = page(figures).encode()
    path = path_of(figures.now.last)
    paths = [path, LATEST] if figures.is_newest else [path]
    lake.store.put_many(dict.fromkeys(paths, content))
    return paths[-1]
