"""What the documents show of tables, checks, commands and alerts, made from the code.

`make docs` writes it anew.

A block stands between two comments, `<!-- NAME -->` and `<!-- end of NAME -->`; a test holds that
each is as the code makes it.
"""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from alerts.test_kinds import AUTHOR, FREQUENT, SAMPLES
from typer.core import TyperGroup
from typer.main import get_command

from returns_orchestration import tables
from returns_orchestration.alerts.kinds import KINDS, Reason
from returns_orchestration.alerts.outbox import Message
from returns_orchestration.cli import app
from returns_orchestration.defs.registry import ASSETS, NEW_NAMES
from returns_orchestration.state import claims, news
from returns_orchestration.state.claims import Claim
from returns_orchestration.window import Window

MANY_OPTIONS = 8
"""So many options of a command are left to its --help."""

ROOT = Path(__file__).parents[2]
DOCS = ROOT / "docs"


def blocks() -> dict[str, str]:
    """Each block by its name."""
    first = [AUTHOR.opened(SAMPLES[0]), AUTHOR.resolved(SAMPLES[0])]
    opened = [AUTHOR.opened(sample) for sample in SAMPLES]
    return {
        "frequent messages": _shown([*first, *opened[1:FREQUENT]]),
        "other messages": _shown(opened[FREQUENT:]),
        "kinds of incidents": _kinds(),
        "reasons for silence": _reasons(),
        "tables": _tables(),
        "checks": _checks(),
        "commands": _commands(),
    }


def pages() -> dict[Path, str]:
    """Every page, as the code makes its blocks; each block stands in one page."""
    made = {path: path.read_text() for path in (ROOT / "README.md", *sorted(DOCS.rglob("*.md")))}
    for name, block in blocks().items():
        whole = re.compile(rf"(<!-- {name} -->\n).*?(<!-- end of {name} -->)", re.DOTALL)
        there = [path for path, text in made.items() if whole.search(text)]
        if len(there) != 1:
            message = f"{len(there)} pages have a block called {name}"
            raise ValueError(message)
        (path,) = there
        made[path] = whole.sub(lambda match, block=block: match[1] + block + match[2], made[path])
    return made


def _shown(messages: list[Message]) -> str:
    text = "\n\n".join(f"{message.title}\n{message.text}" for message in messages)
    return f"```text\n{text}\n```\n"


def _kinds() -> str:
    lines = ["| kind | severity | inhibited by | open while |", "|---|---|---|---|"]
    for kind in KINDS.values():
        inhibitors = ", ".join(other.name for other in kind.inhibited_by)
        doc = " ".join((kind.__doc__ or "").split("\n\n", maxsplit=1)[0].split())
        lines.append(f"| {kind.name} | {kind.usual_severity} | {inhibitors} | {doc} |")
    return "\n".join(lines) + "\n"


def _reasons() -> str:
    shown = [
        f"`{reason} ...`" if reason is Reason.INHIBITED else f"`{reason}`" for reason in Reason
    ]
    return f"  {', '.join(shown)}.\n  "


def _tables() -> str:
    return "\n".join(line for table in tables.TABLES for line in (*table.markdown(), ""))


def _checks() -> str:
    """Every check, with what its claims are; they are judged here over empty tables."""
    hourly = {table.name: table.empty() for table in tables.MADE_HOURLY}
    daily = {table.name: table.empty() for table in tables.MADE_DAILY}
    of_poll = claims.of_poll(damaged_text=0, vanished=0, far=0, clock_ahead=timedelta(0))
    found: dict[str, list[Claim]] = {
        "raw_returns": [claims.accounted_for(0, 0, 0, 0, 0), claims.PUBLISHED, *of_poll],
        **claims.of_hour(Window(datetime(2026, 1, 1, tzinfo=UTC)), hourly),
        **claims.of_day(daily, tables.RETURNS.empty(), tables.RETURN_ITEMS.empty(), []),
    }
    lines = ["| asset | check | it passes when | claims |", "|---|---|---|---|"]
    for name, asset in ASSETS.items():
        for check in filter(None, (asset.check, asset.news)):
            judged = [
                c for c in found.get(name, []) if (c.weight == "warning") == (check is asset.news)
            ]
            shown = ", ".join(
                f"**{_words(claim)}**" if claim.weight == "blocks" else _words(claim)
                for claim in judged
            )
            lines.append(f"| {name} | `{check.name}` | {check.meaning} | {shown} |")
    about = ", ".join(map(_words, news.judged([])))
    lines.append(f"| returns | `{NEW_NAMES.name}` | {NEW_NAMES.meaning} | {about} |")
    return "\n".join(lines) + "\n"


def _words(claim: Claim) -> str:
    return claim.name.replace("_", " ")


def _commands() -> str:
    lines = ["| command | what it does |", "|---|---|"]
    group = get_command(app)
    assert isinstance(group, TyperGroup)
    for name, command in group.commands.items():
        usage = " ".join(["returns-orchestration", name, *_usage(command)])
        lines.append(f"| `{usage}` | {' '.join((command.help or '').split())} |")
    return "\n".join(lines) + "\n"


def _usage(command: Any) -> list[str]:
    """The arguments and options, as they are written."""
    found = []
    for parameter in command.params:
        if parameter.param_type_name == "argument":
            found.append(parameter.metavar or "")
        else:
            value = (
                ""
                if getattr(parameter, "is_flag", False)
                else f" {parameter.opts[0].strip('-').upper()}"
            )
            text = f"{parameter.opts[0]}{value}"
            found.append(text if parameter.required else f"[{text}]")
    return found if len(found) < MANY_OPTIONS else ["[OPTION]..."]


if __name__ == "__main__":
    for path, text in pages().items():
        path.write_text(text)
