"""What the script of a peer is given, and what it prints; the standard library alone.

The clock starts when everything is imported and prepared, so that no start-up counts.
"""

from __future__ import annotations

import json
import resource
import sys
import time
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Callable

CONNECTIONS: Final = 4
"""Requests in flight, of a peer that sends several at once."""

HOUR: Final = timedelta(hours=1)


@dataclass(frozen=True, slots=True)
class Asked:
    """The hours to be polled, at which address, and the folder for what is made of them."""

    base_url: str
    starts: list[datetime]
    folder: Path

    @property
    def url(self) -> str:
        """The address of the Returns Polling Delta API."""
        return f"{self.base_url}/v1/return_order_poll/"

    @staticmethod
    def parameters(start: datetime) -> dict[str, str]:
        """The parameters of the request for one hour, as the simulator accepts them."""
        return {
            "key": "simulator-key",
            "user_name": "simulator-user",
            "start_time": f"{start:%Y-%m-%dT%H:%M:%S}",
            "end_time": f"{start + HOUR:%Y-%m-%dT%H:%M:%S}",
        }


def run(prepare: Callable[[Asked], Callable[[], object]]) -> None:
    """Prepare the work, then do it; print its seconds, and those of the processor."""
    base_url, first, hours, folder = sys.argv[1:5]
    start = datetime.fromisoformat(first)
    asked = Asked(base_url, [start + at * HOUR for at in range(int(hours))], Path(folder))
    work = prepare(asked)
    began, spent = time.perf_counter(), _processor_seconds()
    work()
    seconds = time.perf_counter() - began
    spent = _processor_seconds() - spent
    sys.stdout.write(json.dumps({"seconds": seconds, "processor_seconds": spent}) + "\n")


def _processor_seconds() -> float:
    """Processor seconds of this process and of those that it started and that have ended."""
    both = map(resource.getrusage, (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
    return sum(usage.ru_utime + usage.ru_stime for usage in both)
