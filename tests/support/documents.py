"""The documents' blocks about settings, tables, checks, commands and alerts, made from the code.

`make docs` writes them again, and the whole of `.env.example`.

A block is between two comments, `<!-- NAME -->` and `<!-- end of NAME -->`; a test checks that
each equals the one that the code makes.
"""

from __future__ import annotations

import re
import textwrap
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import dagster as dg
from alerts.test_kinds import AUTHOR, FREQUENT, SAMPLES
from pydantic.fields import FieldInfo
from typer.core import TyperGroup
from typer.main import get_command

from returns_orchestration import tables
from returns_orchestration.alerts.kinds import KINDS, Reason
from returns_orchestration.alerts.outbox import Message
from returns_orchestration.cli import build_app
from returns_orchestration.cli.metrics import figures
from returns_orchestration.defs.code_location import build_defs
from returns_orchestration.defs.registry import ASSETS, NEW_NAMES
from returns_orchestration.env_file import SECRET
from returns_orchestration.settings import VARIABLES, Settings
from returns_orchestration.settings.accounts import OF_DEPLOYMENT, key_of
from returns_orchestration.simulator.faults import FAULT_NAMES, Fault
from returns_orchestration.stages.erasure import KEPT, PERSONAL
from returns_orchestration.stages.vocabulary import KEYS
from returns_orchestration.state import claims, news
from returns_orchestration.state.claims import Claim
from returns_orchestration.state.delivery import Delivery
from returns_orchestration.state.health import Disk, Facts
from returns_orchestration.window import Window
from support.rows import rows_of_day
from support.webhooks import receiver_note

TO_SET = ("CLICKPOST_KEY", "CLICKPOST_USER_NAME", "RETURNS_START")
"""What `.env.example` leaves for everybody to set; all else is a comment."""

MANY_OPTIONS = 8
"""With that many options a command's options are left to its --help."""

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
        "tables in short": _tables_in_short(),
        "checks": _checks(),
        "settings": _settings(),
        "commands": _commands(),
        "make targets": _targets(),
        "automation": _automation(),
        "options of simulate": _options("simulate"),
        "faults": _faults(),
        "personal keys": _personal_keys(),
        "metrics": _metrics(),
    }


def pages() -> dict[Path, str]:
    """Every document, with its blocks as the code makes them; each block is in one page."""
    made = {path: path.read_text() for path in (ROOT / "README.md", *sorted(DOCS.rglob("*.md")))}
    for name, block in blocks().items():
        whole = re.compile(rf"(<!-- {name} -->\n).*?(<!-- end of {name} -->)", re.DOTALL)
        there = [path for path, text in made.items() if whole.search(text)]
        if len(there) != 1:
            message = f"{len(there)} pages have a block called {name}"
            raise ValueError(message)
        (path,) = there
        made[path] = whole.sub(lambda match, block=block: match[1] + block + match[2], made[path])
    made[ROOT / ".env.example"] = _env_example()
    return made


def _settings() -> str:
    lines = [
        "| variable | default | form | secret | key of an account | meaning |",
        "|---|---|---|---|---|---|",
    ]
    for field in Settings.model_fields.values():
        name, default = str(field.alias), _default(str(field.alias))
        secret = "yes" if name in SECRET else "no"
        key = "no" if name in OF_DEPLOYMENT else f"`{key_of(name)}`"
        lines.append(
            f"| `{name}` | {f'`{default}`' if default else 'none'} | {_form(field)} | {secret} | "
            f"{key} | {field.description} |"
        )
    return "\n".join(lines) + "\n"


def _env_example() -> str:
    lines = [
        "# Copy this file to .env beside workspace.yaml. Set the key and the user name.",
        "# A variable of the environment has priority over this file.",
        "# All others have a default, shown here. To change one, remove the # before its name.",
    ]
    for field in Settings.model_fields.values():
        name, meaning = str(field.alias), str(field.description).replace("`", "")
        comment = f"{meaning[0].upper()}{meaning[1:]}. Form: {_form(field)}."
        lines += ["", *textwrap.wrap(comment, 98, initial_indent="# ", subsequent_indent="# ")]
        lines.append(f"{'' if name in TO_SET else '#'}{name}={_default(name)}")
    return "\n".join(lines) + "\n"


def _form(field: FieldInfo) -> str:
    extra = field.json_schema_extra
    assert isinstance(extra, dict)
    return str(extra["form"])


def _default(name: str) -> str:
    """The default as it is written in the environment; "" where there is none."""
    default = VARIABLES[name][0]
    if isinstance(default, datetime):
        return f"{default:%Y-%m-%dT%H:%M:%SZ}"
    if isinstance(default, timedelta):
        return f"{default / timedelta(minutes=1):g}"
    if isinstance(default, tuple):
        return ("-" if name == "RETURNS_ALERT_QUIET_HOURS" else ",").join(map(str, default))
    return "" if default is None else str(default)


def _automation() -> str:
    """Every schedule and sensor, with how often it runs."""
    lines = ["| name | kind | when | what it does |", "|---|---|---|---|"]
    defs = build_defs(Settings.model_construct())
    for schedule in defs.schedules or ():
        assert isinstance(schedule, dg.ScheduleDefinition)
        minute, hour = str(schedule.cron_schedule).split()[:2]
        when = f"every hour at minute {minute}" if hour == "*" else f"every day at {hour}:{minute}"
        lines.append(f"| `{schedule.name}` | schedule | {when} | {schedule.description} |")
    for sensor in defs.sensors or ():
        assert isinstance(sensor, dg.SensorDefinition)
        when = f"every {sensor.minimum_interval_seconds} seconds"
        lines.append(f"| `{sensor.name}` | sensor | {when} | {sensor.description} |")
    return "\n".join(lines) + "\n"


def _targets() -> str:
    makefile = (ROOT / "Makefile").read_text()
    found = re.findall(r"^([a-z-]+):.*?## (.*)$", makefile, re.MULTILINE)
    lines = ["| make | what it does |", "|---|---|"]
    lines += [f"| `make {target}` | {about[0].upper()}{about[1:]}. |" for target, about in found]
    return "\n".join(lines) + "\n"


def _options(name: str) -> str:
    lines = ["| option | default | meaning |", "|---|---|---|"]
    group = get_command(build_app())
    assert isinstance(group, TyperGroup)
    for option in group.commands[name].params:
        written = " or ".join(f"`{text}`" for text in (*option.opts, *option.secondary_opts))
        default = option.default
        if isinstance(default, bool):
            default = "yes" if default else "no"
        elif isinstance(default, tuple):
            default = " ".join(map(str, default))
        shown = "none" if default in (None, "") else f"`{default}`"
        # The names of faults have a separate table.
        help_text = str(getattr(option, "help", "")).split(" Names: ")[0]
        lines.append(f"| {written} | {shown} | {help_text} |")
    return "\n".join(lines) + "\n"


def _faults() -> str:
    lines = ["| fault | what happens |", "|---|---|"]
    lines += [f"| `{name}` | {Fault(name).about} |" for name in FAULT_NAMES]
    return "\n".join(lines) + "\n"


def _personal_keys() -> str:
    """Every known key of a record, and whether `forget` keeps its value."""
    lines = ["| in | blanked | kept |", "|---|---|---|"]
    for place, keys in KEYS.items():
        blanked, kept = (
            ", ".join(f"`{k}`" for k in sorted(some)) for some in (keys & PERSONAL, keys & KEPT)
        )
        lines.append(f"| {PLACES[place]} | {blanked} | {kept} |")
    other = "everything that is not named here, such as all keys in `pickup_info`"
    return "\n".join([*lines, f"| anywhere | {other} | |", ""])


def _metrics() -> str:
    """Every name of `metrics`, of an hour with all there is to tell."""
    hour = Window.of(datetime(2026, 11, 9, 11, tzinfo=UTC))
    facts = Facts(
        now=hour.end,
        newest_complete=hour,
        oldest_missing=hour,
        states={"complete": 1},
        incidents={"urgent": 1},
        heartbeat=hour.end,
        disks=(Disk("lake", 1, 1, 1, 1),),
        delivery=Delivery([], [receiver_note()]),
    )
    lines = ["| name | labels | meaning |", "|---|---|---|"]
    for gauge in figures(facts):
        labels = ", ".join(f"`{label}`" for label in gauge.samples[0].labels)
        lines.append(f"| `{gauge.name}` | {labels} | {gauge.documentation} |")
    return "\n".join([*lines, ""])


PLACES = {
    tables.RECORD: "the record",
    tables.WEBHOOK: "`webhook_payload`",
    tables.ADDITIONAL: "`additional`",
    tables.LATEST: "`latest_status`",
    tables.ITEM: "an item",
}


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
    return f"{', '.join(shown)}.\n"


def _tables_in_short() -> str:
    lines = ["| table | one row per |", "|---|---|"]
    lines += [f"| `{table.name}` | {table.grain} |" for table in tables.TABLES]
    return "\n".join(lines) + "\n"


def _tables() -> str:
    return "\n".join(line for table in tables.TABLES for line in (*table.markdown(), ""))


def _checks() -> str:
    """Every check, with its claims; they are judged here on empty tables."""
    hourly = {table.name: table.empty() for table in tables.MADE_HOURLY}
    daily = {table.name: table.empty() for table in tables.MADE_DAILY}
    of_poll = claims.of_poll(damaged_text=0, vanished=0, far=0, clock_ahead=timedelta(0))
    found: dict[str, list[Claim]] = {
        "raw_returns": [claims.accounted_for(0, 0, 0, 0, 0), claims.PUBLISHED, *of_poll],
        **claims.of_hour(Window(datetime(2026, 1, 1, tzinfo=UTC)), hourly),
        **claims.of_day(daily, rows_of_day([]), []),
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
    group = get_command(build_app())
    assert isinstance(group, TyperGroup)
    for name, command in group.commands.items():
        usage = " ".join(["returns-orchestration", name, *_usage(command)])
        lines.append(f"| `{usage}` | {' '.join((command.help or '').split())} |")
    return "\n".join(lines) + "\n"


def _usage(command: Any) -> list[str]:
    """The arguments and options, as they are written."""
    found = []
    for parameter in command.params:
        if parameter.name == "demo":  # the page states once that every command takes it
            continue
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
