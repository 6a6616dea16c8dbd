"""The results of the current rules for a fixed set of odd records, and the noted results.

``data/odd-records.json`` has the records, by name, each as one or several polls of one hour;
``data/rules.json`` has, beside the version of the rules, a digest of each result: its rows in every
table of the hour, rejected records with their reasons, and its counts. Nulls are left out, so that
a new, empty column changes nothing here; columns are rules by themselves.

A record never changes: another oddity is another name. After raising ``stages/rules.VERSION``, or
for new records, run::

    PYTHONPATH=.:tests python tests/support/odd_records.py
"""

from __future__ import annotations

import hashlib
import json
import sys
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, Final
from zoneinfo import ZoneInfo

from obstore.store import MemoryStore

from returns_orchestration.flow.build import HourBuilder
from returns_orchestration.lake import Lake
from returns_orchestration.lake.store import ObjectStore
from returns_orchestration.stages import rules
from returns_orchestration.stages.landing import land
from returns_orchestration.stages.typing import RecordReader
from support.records import on_the_wire
from support.rows import HOUR

DATA: Final = Path(__file__).parents[1] / "data"
RECORDS: Final = DATA / "odd-records.json"
NOTED: Final = DATA / "rules.json"
COMMAND: Final = "PYTHONPATH=.:tests python tests/support/odd_records.py"

Digests = dict[str, str]


def cases() -> list[dict[str, Any]]:
    """The odd records: a name, the polls, and the zone of naive times if it is not UTC."""
    read: list[dict[str, Any]] = json.loads(RECORDS.read_text())
    return read


def made_of(case: dict[str, Any]) -> dict[str, Any]:
    """The result of its polls: the rows of each table of the hour without nulls, and the counts."""
    lake = Lake(ObjectStore(MemoryStore(), "memory://lake"), lambda: HOUR.end)
    reader = RecordReader(ZoneInfo(case.get("zone", "UTC")))
    names = lake.names()
    for number, served in enumerate(case["polls"], start=1):
        texts = tuple(r if isinstance(r, str) else on_the_wire(r) for r in served)
        land(lake, names, reader, HOUR, HOUR.end + timedelta(minutes=10 * number), texts)
    built = HourBuilder(lake, reader).build(names, HOUR)
    assert built
    rows: dict[str, Any] = {
        table: [
            {column: value for column, value in row.items() if value is not None}
            for row in frame.rows(named=True)
        ]
        for table, frame in built.frames.items()
    }
    return rows | {"facts": built.record.facts}


def digest_of(made: Any) -> str:
    """Sixteen digits that change with anything in ``made``, and not with a release of polars."""
    text = json.dumps(made, default=datetime.isoformat, sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def digests(of: str = "") -> Digests:
    """The results of the current rules for each odd record whose name begins so, by table.

    A new table is new, and changes no noted result.
    """
    return {
        f"{case['name']} | {part}": digest_of(rows)
        for case in cases()
        if case["name"].startswith(of)
        for part, rows in made_of(case).items()
    }


def verdict(found: Digests, version: int, noted: Digests, noted_version: int) -> str:
    """The remedy, in words; "" where all results are as noted."""
    changed = sorted(name for name in noted if found.get(name) != noted[name])
    new = sorted(found.keys() - noted.keys())
    if changed and version == noted_version:
        return (
            f"{len(changed)} odd records become something else than under version {version} of the "
            f"rules: {'; '.join(changed[:5])}{'; ...' if len(changed) > 5 else ''}. If that is "
            "meant, raise VERSION in returns_orchestration/stages/rules.py by one, so that the "
            f"hours that were made before are made again, and run `{COMMAND}`."
        )
    if version < noted_version:
        return f"The rules have version {version}, and {NOTED.name} was written by {noted_version}."
    if changed or new or version != noted_version:
        return f"Note what the odd records become under version {version}: run `{COMMAND}`."
    return ""


def noted() -> tuple[Digests, int]:
    """The noted digests, and the version of the rules that gave them."""
    read = json.loads(NOTED.read_text())
    return read["records"], read["version"]


def write() -> str:
    """Note the results of the current rules; gives the reason where the version was not raised."""
    found = digests()
    if NOTED.exists():
        advice = verdict(found, rules.VERSION, *noted())
        if "raise VERSION" in advice:
            return advice
    content = {"version": rules.VERSION, "records": found}
    NOTED.write_text(json.dumps(content, indent=1, ensure_ascii=False) + "\n")
    return ""


if __name__ == "__main__":
    sys.exit(write() or None)
