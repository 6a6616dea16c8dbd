"""The room's own rules: what it imports, and how large its files are."""

from __future__ import annotations

import ast
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

import returns_orchestration.simulator as room

if TYPE_CHECKING:
    from collections.abc import Iterator

FILES = sorted(Path(room.__file__).parent.glob("*.py"))
ALLOWED = {"starlette", "uvicorn", "msgspec"} | set(sys.stdlib_module_names)


def imported(path: Path) -> Iterator[str]:
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, "relative imports hide where a name comes from"
            yield node.module or ""


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.name)
def test_the_simulator_does_not_import_the_pipeline(path: Path) -> None:
    for name in imported(path):
        own = name.startswith("returns_orchestration.simulator")
        assert own or name.partition(".")[0] in ALLOWED, f"{path.name} imports {name}"


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.name)
def test_files_are_short_enough_to_read(path: Path) -> None:
    lines = len(path.read_text().splitlines())
    assert lines <= 300
    assert lines >= 40 or path.name == "__init__.py"


def test_the_docstring_of_the_room_names_every_file() -> None:
    sign = room.__doc__ or ""
    for path in FILES:
        assert path.stem == "__init__" or f"`{path.stem}`" in sign, path.stem


def test_every_public_name_exists() -> None:
    assert all(hasattr(room, name) for name in room.__all__)
