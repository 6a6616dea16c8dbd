"""The house rules as tests: the order of imports, the contents of the documents."""

from __future__ import annotations

import ast
import re
import tomllib
from itertools import chain
from pathlib import Path

import pytest
import yaml
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from support import documents

from returns_orchestration.cli import COMMANDS
from returns_orchestration.errors import ReturnsError

ROOT = Path(__file__).parents[1]
PACKAGE = ROOT / "returns_orchestration"
README = (ROOT / "README.md").read_text()
PYPROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())
PYTHON = "Programming Language :: Python :: "

ORDER = (
    "errors",
    "window",
    "env_file",
    "address",
    "words",
    "network",
    "tables",
    "settings",
    "clickpost",
    "lake",
    "receiver",
    "stages",
    "state",
    "flow",
    "report",
    "alerts",
    "defs",
    "definitions",
    "cli",
)
"""The rooms from the top down: a room imports from those before it, and from itself."""

MAY_IMPORT_DAGSTER = {"defs", "definitions", "cli"}
MAY_IMPORT_SIMULATOR = {"cli", "simulator"}
TOP_LEVEL = {
    ".ci", ".env.example", ".github", ".gitignore", ".pre-commit-config.yaml", "CHANGELOG.md",
    "CONTRIBUTING.md", "LICENSE", "Makefile", "README.md", "SECURITY.md", "benchmarks",
    "constraints.txt", "data", "deploy", "docs", "examples", "mkdocs.yml", "pyproject.toml",
    "returns_orchestration", "tests", "workspace.yaml",
}  # fmt: skip
NOT_NAMES = {"utils", "helpers", "common", "base", "manager", "misc"}

MODULES = sorted(PACKAGE.rglob("*.py"))
BENCHMARKS = sorted((ROOT / "benchmarks").rglob("*.py"))


def room(path: Path) -> str:
    return path.relative_to(PACKAGE).parts[0].removesuffix(".py")


def imports(path: Path) -> set[str]:
    """Every module that the file imports, anywhere in it."""
    found: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path} imports relatively"
            found |= {node.module or "", *(f"{node.module}.{a.name}" for a in node.names)}
    return found


def rooms_imported(path: Path) -> set[str]:
    inner = (name.split(".") for name in imports(path) if name.startswith("returns_orchestration."))
    return {parts[1] for parts in inner} & ({*ORDER, "simulator"})


@pytest.mark.parametrize("path", MODULES, ids=str)
def test_a_room_imports_only_from_rooms_above_it(path: Path) -> None:
    here = room(path)
    if here == "__init__":
        assert not rooms_imported(path)
        return
    allowed = {here} if here == "simulator" else {*ORDER[: ORDER.index(here) + 1]}
    if here in MAY_IMPORT_SIMULATOR:
        allowed |= {"simulator"}
    assert rooms_imported(path) <= allowed


@pytest.mark.parametrize("path", MODULES, ids=str)
def test_dagster_is_imported_in_one_place(path: Path) -> None:
    dagster = {name for name in imports(path) if name.split(".")[0].startswith("dagster")}
    assert not dagster or room(path) in MAY_IMPORT_DAGSTER


def test_every_room_has_a_place_in_the_order() -> None:
    assert {room(path) for path in MODULES} == {*ORDER, "simulator", "__init__"}


@pytest.mark.parametrize("path", [*MODULES, *BENCHMARKS], ids=str)
def test_a_module_has_a_docstring_and_a_descriptive_name(path: Path) -> None:
    assert ast.get_docstring(ast.parse(path.read_text()))
    assert not NOT_NAMES & set(re.split(r"[_/]", str(path.relative_to(ROOT).with_suffix(""))))


SIGNED = (
    "settings",
    "clickpost",
    "lake",
    "receiver",
    "stages",
    "state",
    "flow",
    "flow/webhooks",
    "alerts",
)
"""Rooms, and a folder in one, whose docstring is a contents page."""


@pytest.mark.parametrize("name", SIGNED)
def test_the_docstring_of_a_room_names_its_modules_and_no_others(name: str) -> None:
    sign = ast.get_docstring(ast.parse((PACKAGE / name / "__init__.py").read_text())) or ""
    named = set(re.findall(r"``([a-z][a-z0-9_]*)(?:\.py)?``", sign))
    here = PACKAGE / name
    there = {path.stem for path in here.glob("*.py")} - {"__init__"}
    there |= {path.parent.name for path in here.glob("*/__init__.py")}
    assert there <= named, "each is named in the sign"
    elsewhere = {*ORDER, *COMMANDS}
    assert named <= there | elsewhere, "and what is not there any more is not"


def test_the_map_of_the_package_names_every_room_in_order() -> None:
    drawn = ast.get_docstring(ast.parse((PACKAGE / "__init__.py").read_text())) or ""
    named = re.findall(r"``([a-z_]+)/?``", drawn)
    assert sorted(named) == sorted({*ORDER, "simulator"})
    assert [room for room in named if room != "simulator"] == list(ORDER)


def test_the_top_level_holds_only_listed_files() -> None:
    ignored = {
        ".git",
        ".venv",
        ".venv-newest",
        ".venv-oldest",
        ".venv-peers",
        ".venv-stores",
        ".env",
        ".pytest_cache",
        ".mypy_cache",
        ".ruff_cache",
        ".hypothesis",
        "build",
        "settle",
    }
    found = {path.name for path in ROOT.iterdir()} - ignored
    assert {name for name in found if not name.endswith(".egg-info")} <= TOP_LEVEL


def test_every_error_is_in_the_tree_of_the_docstring() -> None:
    drawing = ast.get_docstring(ast.parse((PACKAGE / "errors.py").read_text())) or ""
    waiting = [ReturnsError]
    while waiting:
        error = waiting.pop()
        if error.__module__ == "returns_orchestration.errors":
            assert re.search(rf"\b{error.__name__}\b", drawing)
        waiting += error.__subclasses__()


def test_the_documents_match_the_code() -> None:
    for path, text in documents.pages().items():
        assert text == path.read_text(), f"{path}: make docs writes it anew"


def test_every_link_between_documents_leads_somewhere() -> None:
    for path in documents.pages():
        for target in re.findall(r"\]\(([^)#]+)[^)]*\)", path.read_text()):
            assert "://" in target or (path.parent / target).exists(), f"{path}: {target}"


def test_the_readme_is_short() -> None:
    assert len(README.splitlines()) < 200


def test_ci_runs_on_every_python_that_the_package_names() -> None:
    classifiers = PYPROJECT["project"]["classifiers"]
    named = [text.removeprefix(PYTHON) for text in classifiers if text.startswith(PYTHON)]
    assert PYPROJECT["project"]["requires-python"] == f">={named[0]}"
    job = yaml.safe_load((ROOT / ".github/workflows/ci.yml").read_text())["jobs"]["check"]
    assert job["strategy"]["matrix"]["python"] == named
    setup = next(step["with"] for step in job["steps"] if "setup-python" in step.get("uses", ""))
    assert setup["python-version"] == "${{ matrix.python }}"
    assert job["steps"][-1]["run"] == ".ci/run"


def test_pre_commit_runs_the_tools_of_make_quick_in_their_pinned_versions() -> None:
    (local,) = yaml.safe_load((ROOT / ".pre-commit-config.yaml").read_text())["repos"]
    assert local["repo"] == "local", "so that constraints.txt alone pins the tools"
    recipe = re.search(r"^quick:.*\n((?:\t.*\n)+)", (ROOT / "Makefile").read_text(), re.MULTILINE)
    assert recipe
    lines = [line.strip().removesuffix(" .") for line in recipe[1].splitlines()]
    *tools, tests = (line.replace("$(BIN)", ".venv/bin") for line in lines)
    assert "pytest" in tests
    assert [hook["entry"] for hook in local["hooks"]] == tools


def test_every_pinned_version_is_within_the_bounds_of_the_package() -> None:
    lines = (ROOT / "constraints.txt").read_text().splitlines()
    pinned = {canonicalize_name(line.split("==")[0]): line.split("==")[1] for line in lines}
    extras = PYPROJECT["project"]["optional-dependencies"].values()
    for text in (*PYPROJECT["project"]["dependencies"], *chain(*extras)):
        requirement = Requirement(text)
        assert requirement.specifier.contains(pinned[canonicalize_name(requirement.name)]), text


def test_no_file_names_a_package_registry_or_a_path_of_one_machine() -> None:
    for name in ("constraints.txt", "pyproject.toml"):
        assert not re.search(r"https?://|file:", (ROOT / name).read_text()), name
    for path in (*documents.pages(), ROOT / "data" / "README.md", ROOT / "constraints.txt"):
        assert not re.search(
            r"file:|/(home|root|tmp|work)/|/opt/(?!returns-orchestration)", path.read_text()
        ), path
