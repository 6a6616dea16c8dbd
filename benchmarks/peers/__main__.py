"""`python -m benchmarks.peers [HOURS] [--docs]`: the peers and the extremes alone."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Annotated

import typer

from benchmarks import extremes
from benchmarks.figures import table
from benchmarks.peers import comparison
from benchmarks.site import ROOT


def main(
    hours: Annotated[int, typer.Argument(help="Hours of each line.", min=4)] = comparison.HOURS,
    docs: Annotated[  # noqa: FBT002 - how typer declares a flag
        bool, typer.Option("--docs", help="Put the table into the documents, too.")
    ] = False,
) -> None:
    """Measure and print both tables."""
    with tempfile.TemporaryDirectory(prefix="bench-", dir=ROOT / "data") as new:
        figures, peers = comparison.measure(Path(new) / "peers", hours, typer.echo)
        part = hours / comparison.HOURS
        figures += extremes.measure(Path(new) / "extremes", typer.echo, part)
    typer.echo(f"\n{table(figures)}\n{peers}")
    if docs:
        comparison.PAGE.write_text(comparison.write_into(comparison.PAGE.read_text(), peers))


if __name__ == "__main__":
    typer.run(main)
