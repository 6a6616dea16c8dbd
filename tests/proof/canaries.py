"""Secrets stay hidden: each way to fail with fresh canaries for secrets, and its traces searched.

Also for personal data: the returns that every path gets are odd and partly unusable.
"""

from __future__ import annotations

import random
import tempfile
from collections import Counter
from pathlib import Path

from proof.failure_paths import PATHS, FailurePath
from proof.result import Result
from proof.scene import Scene, played
from proof.search import PROCESSES, processes_seen
from proof.warm import Warm

GOOD_ALL_THE_SAME = frozenset(
    f"fault {name}" for name in ("null-result", "bom", "gzip", "bad-record", "not-json-utf8")
)
"""Replies that are odd and usable: no call fails, and still no secret may appear."""


def nothing_is_told(cases: int, seed: int) -> Result:
    """That many failure paths, in random order; all of them once in each full round."""
    dice, result, seen = random.Random(seed), Result(seed), Counter[str]()
    order = sorted(PATHS)
    dice.shuffle(order)
    commands = Warm()
    for number in range(cases):
        name = order[number % len(order)]
        with tempfile.TemporaryDirectory() as folder:
            wrong = _played(name, PATHS[name], Path(folder), dice, commands, seen)
        result.faults += [f"{name}: {'; '.join(wrong)}"] if wrong else []
        result.tried += 1
    if cases >= len(PATHS) and seen["served"] < len(PATHS) // 2:
        # Personal data must be found where it is allowed: a broken search would find nothing.
        result.faults.append(f"personal data was served on {seen['served']} paths only")
    result.notes = (
        f"{seen['files']:,} files of {seen['bytes'] / 1e6:,.0f} MB, {seen['texts']:,} outputs, "
        f"errors and logs, {seen['pages']:,} pages of the UI and "
        + (f"{seen['lines']:,} command lines searched" if PROCESSES.is_dir() else "no /proc here")
    )
    return result


def _played(  # noqa: PLR0917 - the parts of a path
    name: str,
    path: FailurePath,
    folder: Path,
    dice: random.Random,
    commands: Warm,
    seen: Counter[str],
) -> list[str]:
    """The faults after one path, shortened to a line."""
    with played(folder, dice, commands) as scene:
        with processes_seen() as lines:
            try:
                path(scene)
            except Exception as error:  # noqa: BLE001 - a path that breaks is a separate fault
                return [f"broke: {type(error).__name__} {str(error)[:300]!r}"]
        wrong = _found(scene, lines)
        if scene.failed == (name in GOOD_ALL_THE_SAME):
            wrong.append("something failed" if scene.failed else "nothing failed")
        seen.update(files=scene.files, bytes=scene.bytes, pages=scene.pages)
        seen["served"] += scene.served
        seen.update(texts=len(scene.told) - scene.pages, lines=len(lines))
    return wrong


def _found(scene: Scene, lines: set[bytes]) -> list[str]:
    found = sorted(set(scene.wrong(lines)))
    return [*found[:6], *([f"and {len(found) - 6} more places"] if len(found) > 6 else [])]
