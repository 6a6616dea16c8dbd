from __future__ import annotations

import inspect
import re

import pytest

from returns_orchestration import errors
from returns_orchestration.errors import (
    ApiError,
    DataError,
    HourBlocked,
    LakeDamaged,
    LakeError,
    LakeNewer,
    LakeOlder,
    NeverPolled,
    PermanentApiError,
    ReturnsError,
    Throttled,
    TransientApiError,
)

ALL = [
    kind
    for _, kind in inspect.getmembers(errors, inspect.isclass)
    if issubclass(kind, ReturnsError)
]
LEAVES = [kind for kind in ALL if not kind.__subclasses__()]


def test_the_tree_in_the_docstring_is_the_tree() -> None:
    drawn: dict[str, str] = {}
    above: list[str] = []
    for line in (errors.__doc__ or "").splitlines():
        found = re.match(r"    ([│├└─ ]*)([A-Z]\w+)(?:  |$)", line)
        if found:
            depth = len(found[1]) // 4
            above[depth:] = [found[2]]
            drawn[found[2]] = above[depth - 1] if depth else "Exception"
    assert drawn == {kind.__name__: kind.__bases__[0].__name__ for kind in ALL}


def test_an_api_error_is_either_transient_or_permanent() -> None:
    for kind in LEAVES:
        if issubclass(kind, ApiError):
            assert issubclass(kind, TransientApiError) != issubclass(kind, PermanentApiError)


@pytest.mark.parametrize("kind", [k for k in LEAVES if issubclass(k, ApiError)])
def test_an_api_error_gives_hour_cause_tries_and_next_step(kind: type[ApiError]) -> None:
    error = kind("The cause.", http_status=503)
    error.window, error.attempts = "2026-11-09-11:00", 4
    assert kind.next_step
    text = str(error)
    assert text.startswith("Hour 2026-11-09-11:00: The cause")
    assert "4 attempts" in text
    assert text.endswith(f". {kind.next_step}")


def test_a_single_try_is_not_counted_and_an_absent_hour_is_not_named() -> None:
    assert str(Throttled("Slow down.", next_step="Wait.")) == "Slow down. Wait."


def test_errors_about_data_name_the_hour_and_the_remedy() -> None:
    blocked = HourBlocked("2026-11-09-11:00", {"returns": []}, "returns are conserved: fails")
    assert "2026-11-09-11:00" in str(blocked)
    assert "returns are conserved: fails" in str(blocked)
    assert str(blocked).endswith(HourBlocked.next_step)
    never = NeverPolled("2026-11-09-11:00")
    assert "2026-11-09-11:00" in str(never)
    assert str(never).endswith(NeverPolled.next_step)
    assert isinstance(blocked, DataError)
    assert isinstance(never, DataError)


def test_a_damaged_lake_names_the_remedy() -> None:
    assert "rebuild FROM TO" in str(LakeDamaged("The file x is missing."))


def test_a_lake_of_another_format_is_named_with_a_remedy() -> None:
    older, newer = LakeOlder("s3://b/lake"), LakeNewer("s3://b/lake", "format-3.json")
    assert "s3://b/lake was made by an earlier release" in str(older)
    assert "`returns-orchestration upgrade`" in str(older)
    assert "s3://b/lake was made by a later release (format-3.json)" in str(newer)
    assert newer.found == "format-3.json"
    assert str(newer).endswith(LakeNewer.next_step)
    assert all(isinstance(error, LakeError) for error in (older, newer))
