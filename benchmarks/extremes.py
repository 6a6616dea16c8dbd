"""The ends of what comes: a very large hour, a large shop, and one hour alone.

The first two are compared with the bare loop of ``peers`` on the same hours, as are peers: without
start-up, on a simulator without latency, a ceiling or oddities. The third is what a live run or a
`backfill` of one hour takes from the start of its process to the last event in Dagster's log, on a
warm disk; the floor is an import of Dagster.
"""

from __future__ import annotations

import time
from functools import partial
from typing import TYPE_CHECKING, Final

from benchmarks.figures import Figure, in_words
from benchmarks.history import hours_from
from benchmarks.peers.comparison import BARE, backfilled, run_peer, start_up_of, variables
from benchmarks.site import Memory, Site
from returns_orchestration.defs.instance import open_instance

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from returns_orchestration.window import Window

LARGEST_HOUR: Final = 12_000
LARGE_SHOP: Final = 1_400
SHOP_HOURS: Final = 24
PEAK_ASKED_MB: Final = 300
IMPORTS_ASKED: Final = 2.0
TIMES: Final = 3


def measure(folder: Path, say: Callable[[str], None], part: float = 1.0) -> list[Figure]:
    """The figures; ``part`` of the returns is enough for a trial."""
    folder.mkdir(parents=True)
    largest = max(1, round(LARGEST_HOUR * part))
    shop = max(1, round(LARGE_SHOP * part))
    with Site(folder / "simulator").simulator("--returns", "20", "--no-rhythm") as base_url:
        first = Site(folder / "one-hour", variables(base_url))
        before, *windows = hours_from(first.settings.start, 1 + TIMES)
        start_up_of(first, before)
        found = [_of_one_hour(first, windows, is_full=part >= 1)]
        say("made one hour alone")
        for name, returns, hours in (("hour", largest, 1), ("shop", shop, SHOP_HOURS)):
            site = Site(folder / name, variables(base_url))
            found += _of_large(site, returns, hours, is_full=part >= 1)
            say(f"made {hours} hours of {returns:,} returns")
    return found


def _of_one_hour(site: Site, windows: list[Window], *, is_full: bool) -> Figure:
    """The time to the last event of an hour, each in a process of its own; the least counts."""
    seconds = min(_to_last_event(site, window) for window in windows)
    imports = [site.run("python", "-c", "import dagster").or_die() for _ in range(TIMES)]
    floor = min(one.seconds for one in imports)
    return Figure(
        "`backfill` of one hour, from the start of its process to its last event",
        in_words(seconds),
        f"`import dagster` alone: {in_words(floor)}",
        seconds / floor,
        f"at most {IMPORTS_ASKED:g}",
        seconds <= IMPORTS_ASKED * floor if is_full else None,
    )


def _to_last_event(site: Site, window: Window) -> float:
    began = time.time()
    backfilled(site, [window])
    with site.entered(), open_instance(site.settings) as instance:
        (run,) = instance.get_runs(limit=1)
        return instance.all_logs(run.run_id)[-1].timestamp - began


def _of_large(site: Site, returns: int, hours: int, *, is_full: bool) -> list[Figure]:
    """``hours`` of ``returns`` each, beside the bare loop; the simulator is warm for both."""
    before, *windows = hours_from(site.settings.start, 1 + hours)
    start_up = start_up_of(site, before)
    served = "--returns", str(returns), "--no-rhythm", "--oddities", "0"
    memory = Memory()
    with Site(site.folder / "simulator").simulator(*served) as base_url:
        peer = partial(run_peer, base_url, site.folder, BARE, "bare_loop", skipped=1)
        bare = [peer(hours=hours) for _ in range(2)]
        site.variables["CLICKPOST_BASE_URL"] = base_url
        ended = backfilled(site, windows, at_look=memory.look)
    memory.mark()
    floor = min(one.seconds for one in bare)
    seconds = ended.seconds - start_up.seconds
    spent = ended.processor_seconds - start_up.processor_seconds
    what = f"`backfill` of {hours} hour{'s' * (hours > 1)} of {returns:,} returns"
    return [
        Figure(
            f"{what}, start-up left out, {in_words(spent)} of the processor",
            f"{in_words(seconds)}, {returns * hours / seconds:,.0f} records a second",
            f"bare loop: {in_words(floor)}, {returns * hours / floor:,.0f} a second",
            seconds / floor,
        ),
        Figure(
            f"{what}, peak memory",
            f"{memory.peaks[0]:.0f} MB",
            asked=f"< {PEAK_ASKED_MB} MB",
            met=memory.peaks[0] < PEAK_ASKED_MB if is_full and hours == 1 else None,
        ),
    ]
