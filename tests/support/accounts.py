"""The words of an account as tests use them, and what a message of it must not hold."""

from __future__ import annotations

import re

from returns_orchestration.cli import COMMANDS
from returns_orchestration.errors import ReturnsError
from returns_orchestration.settings import VARIABLES
from returns_orchestration.settings.accounts import OF_DEPLOYMENT, key_of
from returns_orchestration.settings.wording import ABOUT_ALL, Wording

PLACES = {
    variable: f"`{key_of(variable)}` of brand_b in accounts.toml"
    for variable in VARIABLES
    if variable not in OF_DEPLOYMENT
} | {
    "CLICKPOST_KEY": "B_KEY (`key` of brand_b in accounts.toml)",
    "CLICKPOST_USER_NAME": "the variable for `user_name` of brand_b in accounts.toml",
}
WORDING = Wording("brand_b", PLACES)
"""Of an account whose table has every setting that it can have."""

COMMAND = re.compile(r"returns-orchestration ([a-z]+)\b([^`]*)")


def commands_in(text: str) -> list[tuple[str, str]]:
    """Each command that a text names, with what follows up to the end of its quotation."""
    return [found for found in COMMAND.findall(text) if found[0] in COMMANDS]


def assert_in_words_of_account(text: str) -> None:
    """Every command has `--account`, and no setting is named by a variable that is not read."""
    for name, rest in commands_in(text):
        assert name in ABOUT_ALL or rest.endswith(" --account brand_b"), (name, rest)
    assert not [variable for variable in PLACES if re.search(rf"\b{variable}\b", text)], text


def error_names() -> list[str]:
    """Every error of the tree, by name."""
    found, waiting = [], [ReturnsError]
    while waiting:
        error = waiting.pop()
        found.append(error.__name__)
        waiting += error.__subclasses__()
    return sorted(found)
