"""The name of an entry, read: its hour, its kind and its arguments, without opening it.

A name that holds all of an entry is read as that entry, another one as the values in it. What
does not live here: the entries (``entry_kinds``), and which names there are (``names``).
"""

from __future__ import annotations

import re
from datetime import UTC, datetime
from typing import Final, NamedTuple

from returns_orchestration.lake.entry_kinds import (
    MARKS,
    Blanked,
    Entry,
    Erased,
    Listened,
    Lost,
    Poll,
    Received,
    Rezoned,
)
from returns_orchestration.lake.journal import folder_of
from returns_orchestration.window import Window

_NAME: Final = re.compile(r"(?P<at>[0-9]{2}|day|ever)\.(?P<kind>[a-z]+)(?:-(?P<rest>[^/]+))?\.json")
_ARGUMENTS: Final = {
    "poll": re.compile(
        r"(?P<number>[0-9]{4,})-(?P<polled_at>[0-9]{8}T[0-9]{12})-(?P<noted_at>[0-9]{8}T[0-9]{6})-"
        r"(?P<rows>[0-9]+)-(?P<size>[0-9]+)-(?P<sha>[0-9a-f]{16})-(?P<zone>[A-Za-z0-9_+~-]+)"
    ),
    "lost": re.compile(r"(?P<number>[0-9]{4,})-(?P<sha>[0-9a-f]{16})-(?P<next>[0-9]{4,})"),
    "from": re.compile(r"(?P<hour>[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2})"),
    "to": re.compile(r"(?P<hour>[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2})"),
    "again": re.compile(r"(?P<at>[0-9]{8}T[0-9]{12})-(?P<sha>[0-9a-f]{16})"),
    "rezoned": re.compile(
        r"(?P<number>[0-9]{4,})-(?P<change>[0-9]{4,})-(?P<zone>[A-Za-z0-9_+~-]+)"
    ),
    "erased": re.compile(
        r"(?P<number>[0-9]{4,})-(?P<change>[0-9]{4,})-(?P<what>some|all)-(?P<size>[0-9]+)-"
        r"(?P<sha>[0-9a-f]{16})"
    ),
    "received": re.compile(
        r"(?P<instance>[0-9a-f]{8})-(?P<first>[0-9]{10,})-(?P<rows>[0-9]+)-(?P<size>[0-9]+)-"
        r"(?P<sha>[0-9a-f]{16})"
    ),
    "listened": re.compile(r"(?P<instance>[0-9a-f]{8})-(?P<begin>[0-9]{4})-(?P<until>[0-9]{4})"),
    "waived": re.compile(r""),
    "damaged": re.compile(r"(?P<sha>[0-9a-f]{16})"),
    "blanked": re.compile(r"(?P<files>[0-9a-f]{12})"),
    "webhooks": re.compile(r"(?P<hour>[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2})"),
    "placed": re.compile(
        r"(?P<hour>[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2})-(?P<newest>[0-9]{8}T[0-9]{12})-"
        r"(?P<sha>[0-9a-f]{16})"
    ),
} | dict.fromkeys(
    ("made", "events", "matched"),
    re.compile(
        r"(?P<inputs>[0-9a-f]{12})-(?P<rules>[0-9a-f]{8})-(?P<sizes>[0-9a-f]{8})-(?P<returns>[0-9]+)"
    ),
)


class Name(NamedTuple):
    """The name of an entry, in its parts; ``at`` is the hour of the day, ``day`` or ``ever``."""

    at: str
    kind: str
    arguments: dict[str, str]


class PlacedName(NamedTuple):
    """The values in the name of a Placed, and its ``path``; ``came`` is the hour of receipt."""

    came: Window
    newest: datetime
    path: str


def read_name(name: str) -> Name | None:
    """The name of a file in a date's folder, in its parts; None for a foreign file."""
    read = _NAME.fullmatch(name)
    pattern = _ARGUMENTS.get(read["kind"]) if read else None
    arguments = pattern.fullmatch(read["rest"] or "") if read and pattern else None
    if read is None or arguments is None or (read["at"].isdigit() and int(read["at"]) > 23):
        return None
    return Name(read["at"], read["kind"], arguments.groupdict())


def read_erased(window: Window, arguments: dict[str, str]) -> Erased:
    """The erasure that a name describes."""
    return Erased(
        period=window.key,
        number=int(arguments["number"]),
        change=int(arguments["change"]),
        what="all" if arguments["what"] == "all" else "some",
        size=int(arguments["size"]),
        sha256=arguments["sha"],
    )


def read_poll(window: Window, arguments: dict[str, str]) -> Poll | None:
    """The poll that a name describes; None where its times are invalid."""
    try:
        return Poll(
            period=window.key,
            number=int(arguments["number"]),
            polled_at=read_time(arguments["polled_at"]),
            noted_at=read_time(arguments["noted_at"]),
            rows=int(arguments["rows"]),
            size=int(arguments["size"]),
            sha256=arguments["sha"],
            zone=arguments["zone"].replace("~", "/"),
        )
    except ValueError:
        return None


def read_received(window: Window, arguments: dict[str, str]) -> Received:
    """The file of webhooks that a name describes."""
    return Received(
        period=window.key,
        instance=arguments["instance"],
        first=int(arguments["first"]),
        rows=int(arguments["rows"]),
        size=int(arguments["size"]),
        sha256=arguments["sha"],
    )


def read_listened(window: Window, arguments: dict[str, str]) -> Listened:
    """The time of listening that a name describes."""
    return Listened(
        period=window.key,
        instance=arguments["instance"],
        begin=int(arguments["begin"]),
        until=int(arguments["until"]),
    )


def read_placed(window: Window, arguments: dict[str, str]) -> PlacedName | None:
    """The webhooks that a name describes; None where its hour or time is invalid."""
    came, newest, sha = arguments["hour"], arguments["newest"], arguments["sha"]
    hour = hour_named(came)
    try:
        path = f"{folder_of(window.key)}placed-{came}-{newest}-{sha}.json"
        return PlacedName(hour, read_time(newest), path) if hour else None
    except ValueError:
        return None


def entry_named(path: str) -> Entry | None:
    """The entry that is, or was, at ``path``; None where its name does not hold all of it."""
    read, window = read_name(path.rpartition("/")[2]), hour_of(path)
    if read is None or window is None:
        return None
    values, period = read.arguments, window.key
    found: Entry | None = None
    if read.kind == "poll":
        found = read_poll(window, values)
    elif read.kind == "lost":
        number, following = int(values["number"]), int(values["next"])
        found = Lost(period=period, number=number, sha256=values["sha"], next_number=following)
    elif read.kind in MARKS and hour_named(values["hour"]) is not None:
        found = MARKS[read.kind](period=period, hour=values["hour"])
    elif read.kind == "rezoned":
        number, change = int(values["number"]), int(values["change"])
        zone = values["zone"].replace("~", "/")
        found = Rezoned(period=period, number=number, change=change, zone=zone)
    elif read.kind == "erased":
        found = read_erased(window, values)
    elif read.kind == "received":
        found = read_received(window, values)
    elif read.kind == "listened":
        found = read_listened(window, values)
    elif read.kind == "blanked":
        found = Blanked(period=period, files=values["files"])
    return found


def hour_of(path: str) -> Window | None:
    """The hour that the entry at ``path`` is about; None where it is not about an hour."""
    folder, _, name = path.rpartition("/")
    read = read_name(name)
    return Window.from_path(f"{folder}/hour={read.at}/") if read and read.at.isdigit() else None


def came_of(path: str) -> Window | None:
    """The hour of receipt that a `placed` entry at ``path`` is about; None for another kind."""
    read = read_name(path.rpartition("/")[2])
    return hour_named(read.arguments["hour"]) if read and read.kind == "placed" else None


def read_time(text: str) -> datetime:
    """``20261109T121003`` or, with microseconds, ``20261109T121003000000``; else ValueError."""
    # Not strptime: a look at years reads a hundred thousand of them.
    day, time = text.split("T")
    return datetime(
        int(day[:4]),
        int(day[4:6]),
        int(day[6:]),
        int(time[:2]),
        int(time[2:4]),
        int(time[4:6]),
        int(time[6:] or 0),
        tzinfo=UTC,
    )


def hour_named(text: str) -> Window | None:
    """The hour of ``2026-11-09T11``; None for any other text."""
    return Window.from_path(f"date={text[:10]}/hour={text[11:]}")


def name_of_hour(window: Window) -> str:
    """As marks name an hour, ``2026-11-09T11``."""
    return window.text[:-3]
