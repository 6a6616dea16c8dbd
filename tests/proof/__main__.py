"""`make prove`: every proof in its long profile, three at a time, and the table of results.

Each runs in a separate process, so that no proof depends on the state left by another.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import asdict

from proof.promises import BY_NAME, PROOFS, Proof
from proof.result import Result

LANES = 3
"""Of the three that run at once, on two cores, one mostly waits: `pauses`, then `outages`."""

HEAD = "| Promise | How it is tested | Number | Result | Seed |\n|---|---|---:|---|---:|"


def row(proof: Proof, result: Result) -> str:
    """One line of the table."""
    said = f"**{len(result.faults)} faults**" if result.faults else "all held"
    said += f"; {result.notes}" if result.notes else ""
    number = f"{result.tried:,} {proof.unit}"
    return f"| {proof.promise} | {proof.how} | {number} | {said} | {result.seed} |"


def prove(proof: Proof, cases: int, seed: int) -> tuple[Proof, Result, float]:
    """Run one proof in a separate process; the death of the process is a fault of that proof."""
    began = time.monotonic()
    command = [sys.executable, "-m", "proof", "--alone", proof.name]
    done = subprocess.run(  # noqa: S603 - this very file
        [*command, "--cases", str(cases), "--seed", str(seed)],
        capture_output=True,  # the product's logs are needed only if the proof dies
        text=True,
        check=False,
    )
    try:
        result = Result(**json.loads(done.stdout.splitlines()[-1]))
    except (ValueError, IndexError, TypeError):
        words = f"the proof itself died, exit {done.returncode}: {done.stderr[-1_500:]}"
        result = Result(seed, 1, [words])
    if not result.tried:
        result = Result(seed, 1, ["the proof tried nothing"])
    return proof, result, time.monotonic() - began


def main() -> int:
    """Run the requested proofs; gives 1 where a promise did not hold."""
    parser = argparse.ArgumentParser(prog="make prove", description=__doc__)
    parser.add_argument("--only", nargs="+", choices=sorted(BY_NAME), default=sorted(BY_NAME))
    parser.add_argument("--short", action="store_true", help="what `make test` runs")
    parser.add_argument("--cases", type=int, help="how many, instead of the profile's number")
    parser.add_argument("--seed", type=int, default=int(time.time()), help="repeats a run")
    parser.add_argument("--alone", choices=sorted(BY_NAME), help=argparse.SUPPRESS)
    asked = parser.parse_args()

    def cases(proof: Proof) -> int:
        return int(asked.cases or (proof.short if asked.short else proof.long))

    if asked.alone:
        result = BY_NAME[asked.alone].driver(asked.cases, asked.seed)
        print(json.dumps(asdict(result)), flush=True)
        return 0
    proofs = [BY_NAME[name] for name in asked.only]
    for proof in proofs:
        if lacks := proof.lacks():
            print(f"{proof.name}: not tried, as {lacks}", file=sys.stderr, flush=True)
    chosen = sorted((p for p in proofs if not p.lacks()), key=lambda proof: -proof.minutes)
    results: dict[str, Result] = {}
    began = time.monotonic()
    with ThreadPoolExecutor(LANES) as lanes:
        running = [lanes.submit(prove, proof, cases(proof), asked.seed) for proof in chosen]
        for ended in as_completed(running):
            proof, result, seconds = ended.result()
            results[proof.name] = result
            print(f"{proof.name}: {seconds:.0f} s: {result.words}", file=sys.stderr, flush=True)
    print(HEAD)
    for proof in PROOFS:
        if proof.name in results:
            print(row(proof, results[proof.name]))
    held = not any(result.faults for result in results.values())
    minutes = (time.monotonic() - began) / 60
    said = "Every promise held" if held else "Not every promise held"
    print(f"\n{said}; {minutes:.1f} minutes, seed {asked.seed}.")
    return 0 if held else 1


if __name__ == "__main__":
    sys.exit(main())
