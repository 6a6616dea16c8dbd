"""Every message that names a command or a setting, in the words of an account."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest
from support.accounts import (
    PLACES,
    WORDING,
    assert_in_words_of_account,
    commands_in,
    error_names,
)

from returns_orchestration.cli import COMMANDS
from returns_orchestration.errors import LakeDamaged, Throttled, error_named
from returns_orchestration.lake.advice import rebuild_advice
from returns_orchestration.settings.wording import ABOUT_ALL, SINGLE

PACKAGE = Path(__file__).parents[1] / "returns_orchestration"


def texts(tree: ast.AST) -> Iterator[str]:
    """Each text of a module but its docstrings; a value in it is X."""
    docs = {
        id(node.body[0].value)
        for node in ast.walk(tree)
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef)
        and isinstance(node.body[0], ast.Expr)
    }
    formatted = [node for node in ast.walk(tree) if isinstance(node, ast.JoinedStr)]
    passed_over = docs | {id(part) for node in formatted for part in node.values}
    for node in ast.walk(tree):
        if isinstance(node, ast.JoinedStr):
            yield "".join(
                str(part.value) if isinstance(part, ast.Constant) else "X" for part in node.values
            )
        elif isinstance(node, ast.Constant) and id(node) not in passed_over:
            yield node.value if isinstance(node.value, str) else ""


def test_every_text_with_a_command_or_a_setting_can_be_put_into_the_words_of_an_account() -> None:
    named = 0
    for path in PACKAGE.rglob("*.py"):
        for text in texts(ast.parse(path.read_text())):
            if text in PLACES or not (commands_in(text) or any(name in text for name in PLACES)):
                continue
            named += 1
            assert_in_words_of_account(WORDING(text))
            assert WORDING(WORDING(text)) == WORDING(text)
            assert SINGLE(text) == text
    assert named > 60


@pytest.mark.parametrize("name", error_names())
def test_every_error_gives_its_next_step_in_the_words_of_an_account(name: str) -> None:
    error = error_named(name)
    assert_in_words_of_account(
        "\n".join(map(WORDING, (error.next_step, error.missing_because, error.missing_to_do)))
    )


def test_an_error_is_put_into_the_words_of_an_account() -> None:
    damaged = LakeDamaged("A file is damaged.", next_step=rebuild_advice("t/date=2026-11-09/x"))
    damaged.reword(WORDING)
    assert str(damaged).endswith(
        "`returns-orchestration rebuild 2026-11-09 2026-11-10 --account brand_b`."
    )
    throttled = Throttled("Too fast.")
    throttled.window = "2026-11-09-11:00"
    throttled.reword(WORDING)
    assert_in_words_of_account(str(throttled))
    assert "lower `max_requests_per_second` of brand_b in accounts.toml and run" in str(throttled)


def test_a_value_follows_the_place_of_its_setting() -> None:
    assert WORDING("CLICKPOST_MAX_REQUESTS_PER_SECOND=5 is what") == (
        "`max_requests_per_second` of brand_b in accounts.toml (5) is what"
    )
    assert WORDING("CLICKPOST_USER_NAME is not set.").startswith("The variable for `user_name` of")


def test_commands_about_all_accounts_exist() -> None:
    assert set(COMMANDS) > ABOUT_ALL


OF_THE_DEPLOYMENT = {
    "__init__", "config", "demo", "demo_lake", "demo_simulator", "dev", "metrics", "output",
    "receive", "serve", "services", "simulate",
}  # fmt: skip
"""Modules of commands whose messages are about what all accounts share, or about data."""


def test_commands_print_in_the_words_of_their_account() -> None:
    """By `say`, or by backfill's console; JSON alone is printed as it is."""
    for path in (PACKAGE / "cli").glob("*.py"):
        if path.stem in OF_THE_DEPLOYMENT:
            continue
        tree = ast.parse(path.read_text())
        functions = [node for node in ast.walk(tree) if isinstance(node, ast.FunctionDef)]
        exempt = {
            id(node)
            for function in functions
            if (path.stem, function.name) == ("doctor", "_instance")  # it names pools
            for node in ast.walk(function)
        }
        for call in ast.walk(tree):
            if isinstance(call, ast.Call) and id(call) not in exempt:
                name = ast.unparse(call.func)
                assert name != "Console", f"{path}: a console has the words of the account"
                assert name != "print", path
                assert name != "typer.echo" or ast.unparse(call).startswith(
                    "typer.echo(json.dumps("
                ), f"{path}:{call.lineno}: print it by `say`"
