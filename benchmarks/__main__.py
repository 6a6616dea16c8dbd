"""`python -m benchmarks`: run the parts, print the table; see --help.

Everything is made in a new folder beside the lake's default place, so on the same kind of disk, and
removed at the end. The machine should run no other work meanwhile; processor seconds far below the
elapsed seconds show that it did.
"""

from __future__ import annotations

import os
import platform
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from benchmarks import extremes, looks, quarter, reading, receiver, year
from benchmarks.figures import YEAR_HOURS, Figure, in_words, table, timed
from benchmarks.peers import comparison
from benchmarks.site import ROOT

if TYPE_CHECKING:
    from collections.abc import Callable

app = typer.Typer(pretty_exceptions_enable=False, add_completion=False)

QUICK_HOURS, QUICK_RUNS = 336, 3
SINGLE_RUNS = 50


def measure(
    folder: Path,
    hours: int = YEAR_HOURS,
    single_runs: int = SINGLE_RUNS,
    say: Callable[[str], None] = print,
) -> tuple[list[Figure], str]:
    """Every figure, for ``hours`` and five times as many, and the table of the peers.

    ``folder`` is used and not removed.
    """
    part = min(1.0, hours / YEAR_HOURS)
    beside = max(4, min(comparison.HOURS, hours // 7))
    of_peers, peers = comparison.measure(folder / "peers", beside, say)
    of_extremes = extremes.measure(folder / "extremes", say, part)
    of_looks = looks.measure(folder / "looks", hours, say)
    of_year, lake = year.measure(folder / "year", hours, single_runs, say)
    of_alerts = quarter.measure(say)
    of_receiver = receiver.measure(folder / "receiver", say, part)
    of_reading = reading.measure(lake, folder / "reading", say)
    figures = [*of_year, *of_peers, *of_extremes, *of_looks, *of_reading, *of_alerts, *of_receiver]
    return figures, peers


@app.command()
def main(  # noqa: PLR0913, PLR0917 - one parameter for each option
    hours: Annotated[int, typer.Option(help="Hours of the year.", min=12)] = YEAR_HOURS,
    single_runs: Annotated[
        int, typer.Option(help="Hours that are made one by one.", min=1)
    ] = SINGLE_RUNS,
    quick: Annotated[  # noqa: FBT002 - how typer declares a flag
        bool, typer.Option("--quick", help="A fortnight for the year: some minutes in all.")
    ] = False,
    folder: Annotated[
        Path, typer.Option(help="Where lakes are made and taken away again; some 3 GB.")
    ] = ROOT / "data",
    out: Annotated[Path | None, typer.Option(help="File for the tables, in Markdown.")] = None,
    docs: Annotated[  # noqa: FBT002
        bool, typer.Option("--docs", help="Put the table of the peers into the documents, too.")
    ] = False,
) -> None:
    """Measure and print: each figure, its comparison and the ratio; the table of the peers."""
    if quick:
        hours, single_runs = QUICK_HOURS, QUICK_RUNS
    folder.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="bench-", dir=folder) as new:
        seconds, (figures, peers) = timed(
            lambda: measure(Path(new), hours, single_runs, typer.echo)
        )
    machine = f"{os.cpu_count()} cores, {platform.system()}, Python {platform.python_version()}"
    text = f"{table(figures)}\n{peers}\n{machine}; all of it took {in_words(seconds)}.\n"
    typer.echo(f"\n{text}")
    if out:
        out.write_text(text)
    if docs:
        comparison.PAGE.write_text(comparison.write_into(comparison.PAGE.read_text(), peers))


if __name__ == "__main__":
    app()
