"""Warnings about settings: what others may read, and never a value."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from returns_orchestration.settings.sources import warnings

CANARY = "canary-7f3a"

pytestmark = pytest.mark.usefixtures("project")


POSIX = pytest.mark.skipif(os.name != "posix", reason="there are no modes")


@POSIX
@pytest.mark.parametrize(
    ("mode", "may"),
    [(0o644, "read"), (0o662, "write"), (0o666, "read and write"), (0o660, ""), (0o600, "")],
)
def test_an_exposed_file_of_secrets_gives_a_warning(project: Path, mode: int, may: str) -> None:
    file = project / ".env"
    file.write_text(f"CLICKPOST_KEY={CANARY}\nRETURNS_LAKE=x\nRETURNS_ALERT_URLS=json://{CANARY}\n")
    file.chmod(mode)
    said = "".join(warnings())
    if may:
        assert f"{file} holds CLICKPOST_KEY, RETURNS_ALERT_URLS" in said
        assert f"may {may} it. To do: chmod 600 {file}" in said
    else:
        assert not said
    assert CANARY not in said
    assert "\n" not in said


@POSIX
@pytest.mark.parametrize("text", ["", "RETURNS_LAKE=x\n", "CLICKPOST_KEY=\nRETURNS_ALERT_URLS=\n"])
def test_a_file_without_secrets_gives_no_warning(project: Path, text: str) -> None:
    assert not warnings()
    (project / ".env").write_text(text)
    (project / ".env").chmod(0o644)
    assert not warnings()


@pytest.mark.parametrize("quote", ['"', "'"])
def test_a_value_in_quotation_marks_gives_a_warning(
    monkeypatch: pytest.MonkeyPatch, quote: str
) -> None:
    monkeypatch.setenv("CLICKPOST_KEY", f"{quote}{CANARY}{quote}")
    (text,) = warnings()
    assert "CLICKPOST_KEY is in quotation marks" in text
    assert CANARY not in text


def test_quotation_marks_of_the_file_are_no_part_of_a_value(project: Path) -> None:
    (project / ".env").write_text(f'CLICKPOST_KEY="{CANARY}"\n')
    (project / ".env").chmod(0o600)
    assert not warnings()
