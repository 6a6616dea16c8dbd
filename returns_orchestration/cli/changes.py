"""`changes [--since CURSOR]`: which hours and days of which tables were written since a cursor."""

from __future__ import annotations

import json
import os
from itertools import groupby
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from returns_orchestration.cli.output import say
from returns_orchestration.errors import SettingsError
from returns_orchestration.settings import load_settings

if TYPE_CHECKING:
    from collections.abc import Iterator

    from returns_orchestration.state.changes import Change, Changes, Cursor


def changes(
    since: Annotated[
        str | None,
        typer.Option("--since", help="A cursor of this command, or a file with cursors."),
    ] = None,
    follow: Annotated[
        Path | None,
        typer.Option("--follow", help="Since the cursors of this file; adds the new one to it."),
    ] = None,
    loaded: Annotated[
        Path | None,
        typer.Option("--loaded", help="Note that all is loaded that --follow listed last."),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print one object.")] = False,
) -> None:
    """List the hours and days of each table that were written since CURSOR, and the new cursor.

    Without --since everything is listed. Copy the files that are listed, remove what a listed
    folder no longer has, then keep the new cursor: the copy equals the lake. --follow keeps the
    cursor in a file, also where a load is killed; end each load with --loaded.
    """
    if sum(option is not None for option in (since, follow, loaded)) > 1:
        raise SettingsError(
            "--since, --follow and --loaded exclude each other.", next_step="Give one of them."
        )
    from returns_orchestration.lake import Lake, open_store  # noqa: PLC0415 - only where needed
    from returns_orchestration.state.changes import Cursor, changes_since  # noqa: PLC0415

    if loaded is not None:
        kept = _kept(loaded)
        if not kept:
            raise SettingsError(
                f"{loaded} holds no cursor.", next_step="Name the file that --follow has written."
            )
        _write(loaded, kept[-1:])
        say(f"{loaded}: loaded up to {kept[-1].name}.")
        return
    if follow is not None:
        # Before the first load the loader has nothing: should it die, that still holds.
        known = _kept(follow) or [Cursor()]
    else:
        known = [] if since is None else Cursor.read_all(_text_of(since))
    lake = Lake(open_store(load_settings().lake))
    lake.format.ensure()
    found = changes_since(lake.store, *known)
    if follow is not None:
        # Put before a file is copied: a loader that dies has some of the old and some of the new.
        _write(follow, [*(c for c in known if c != found.cursor), found.cursor])
    if as_json:
        plain = [_plain(change) for change in found.changes]
        typer.echo(json.dumps({"changes": plain, "cursor": found.cursor.text}, indent=1))
        return
    for line in _lines(found):
        say(line)
    say(found.cursor.text if follow is None else f"{follow} holds the new cursor.")


def _text_of(since: str) -> str:
    """The text itself, or that of the file of this name."""
    try:
        return Path(since).read_text()
    except (OSError, ValueError):  # a text is too long for a name, too
        return since


def _kept(file: Path) -> list[Cursor]:
    """The cursors of a file; none where it is not there. Raises SettingsError."""
    from returns_orchestration.state.changes import Cursor  # noqa: PLC0415 - only where needed

    try:
        return Cursor.read_all(file.read_text())
    except FileNotFoundError:
        return []
    except (OSError, UnicodeDecodeError):
        raise SettingsError(
            f"The cursor could not be read from {file}.", next_step="Check its permissions."
        ) from None


def _write(file: Path, cursors: list[Cursor]) -> None:
    """Put cursors whole, one a line: who is killed has the old ones or the new ones."""
    beside = file.with_name(f"{file.name}.new")
    try:
        with beside.open("w") as writing:
            writing.writelines(f"{cursor.text}\n" for cursor in cursors)
            writing.flush()
            os.fsync(writing.fileno())
        beside.replace(file)
    except OSError as error:
        raise SettingsError(
            f"The cursor could not be written to {file}: {error.strerror}.",
            next_step="Name a file in a folder that can be written.",
        ) from None


def _lines(found: Changes) -> Iterator[str]:
    """A line for each hour and day, and one that sums them up."""
    for period, of_period in groupby(found.changes, key=lambda change: change.period):
        listed = list(of_period)
        there = " ".join(change.table for change in listed if change.files)
        gone = " ".join(change.table for change in listed if not change.files)
        line = f"{period:<16}  {there}".rstrip()
        yield f"{line}  (no files: {gone})" if gone else line
    by_table = found.by_table()
    if not by_table:
        yield "Nothing was written since that cursor."
    for table, listed in by_table.items():
        yield f"{table}: {len(listed)} written, {listed[0].period} to {listed[-1].period}."


def _plain(change: Change) -> dict[str, object]:
    files = [file._asdict() for file in change.files]
    return {
        "table": change.table,
        "period": change.period,
        "folder": change.folder,
        "files": files,
    }
