"""Opening an object store: invalid settings are refused in words, before any request."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

import pytest

from returns_orchestration.errors import SettingsError
from returns_orchestration.lake.remote import open_remote
from returns_orchestration.lake.store import ObjectStore, open_store
from returns_orchestration.settings import load_settings

if TYPE_CHECKING:
    from pathlib import Path

CANARY = "canary9f3c"


@pytest.fixture(autouse=True)
def nothing_set(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [n for n in os.environ if n.startswith(("AWS_", "AZURE_", "GOOGLE_"))]:
        monkeypatch.delenv(name)


SECRETIVE = [
    f"s3://bucket/lake?X-Amz-Signature={CANARY}",
    f"s3://bucket/lake#{CANARY}",
    f"s3://key:{CANARY}@bucket/",
    f"s3://{CANARY}@bucket/lake",
    f"s3://key:{CANARY}/x@bucket/lake",
    f"az://container/lake?sv=2022&sig={CANARY}",
    f"az://{CANARY}@container/lake",
    f"gs://bucket/{CANARY} lake",
    f"s3:///{CANARY}",
]


@pytest.mark.parametrize("address", SECRETIVE)
def test_an_address_that_may_hold_a_secret_is_refused_without_it(
    address: str, tmp_path: Path
) -> None:
    for opens in (
        lambda: load_settings(env_file=tmp_path / "none", RETURNS_LAKE=address),
        lambda: open_store(address),
    ):
        with pytest.raises(SettingsError, match="RETURNS_LAKE") as raised:
            opens()
        assert CANARY not in str(raised.value)
        assert "s3://BUCKET/PATH" in str(raised.value)
        assert "the store's own variables" in " ".join(str(raised.value).split())


@pytest.mark.parametrize(
    "address", ["s3://bucket", "gs://bucket/a/b c".replace(" ", "-"), "s3://b/"]
)
def test_a_plain_address_is_accepted(address: str, tmp_path: Path) -> None:
    settings = load_settings(env_file=tmp_path / "none", RETURNS_LAKE=address)
    assert settings.lake == address


@pytest.mark.parametrize(
    ("address", "variables", "text"),
    [
        ("s3://bucket/a//b", {}, "the address makes no sense"),
        ("az://container/lake", {}, "AZURE_STORAGE_ACCOUNT_NAME is not set"),
        (
            "az://container/lake",
            {"AZURE_STORAGE_ACCOUNT_NAME": "a", "AZURE_STORAGE_ACCOUNT_KEY": f"{CANARY}!"},
            "AZURE_STORAGE_ACCOUNT_KEY is not base64",
        ),
        (
            "az://container/lake",
            {"AZURE_STORAGE_ACCOUNT_NAME": "a", "AZURE_STORAGE_ENDPOINT": CANARY},
            "AZURE_STORAGE_ENDPOINT is not a plain",
        ),
        (
            "gs://bucket/lake",
            {"GOOGLE_APPLICATION_CREDENTIALS": f"/not/there/{CANARY}"},
            "Set GOOGLE_APPLICATION_CREDENTIALS to a file that this user may read",
        ),
        ("s3://b/l", {"AWS_ACCESS_KEY_ID": CANARY}, "AWS_SECRET_ACCESS_KEY is not set"),
        ("s3://b/l", {"AWS_SECRET_ACCESS_KEY": CANARY}, "AWS_ACCESS_KEY_ID is not set"),
        ("s3://b/l", {"AWS_ACCESS_KEY_ID": f"{CANARY}\n"}, "AWS_ACCESS_KEY_ID has white space"),
        ("s3://b/l", {"AWS_SECRET_ACCESS_KEY": f" {CANARY}"}, "AWS_SECRET_ACCESS_KEY has white"),
        ("s3://b/l", {"AWS_SESSION_TOKEN": f"{CANARY}\nx"}, "AWS_SESSION_TOKEN has white space"),
        ("s3://b/l", {"AWS_REGION": "us-east-1\r"}, "AWS_REGION has white space"),
        ("s3://b/l", {"AWS_ENDPOINT": CANARY}, "AWS_ENDPOINT is not a plain http://"),
        ("s3://b/l", {"AWS_ENDPOINT": ""}, "AWS_ENDPOINT is not a plain http://"),
        ("s3://b/l", {"AWS_ENDPOINT_URL": f"https://u:{CANARY}@h"}, "AWS_ENDPOINT_URL is not a"),
        ("s3://b/l", {"AWS_ENDPOINT_URL_S3": f"https://h/?x={CANARY}"}, "AWS_ENDPOINT_URL_S3 is"),
        ("s3://b/l", {"AWS_ALLOW_HTTP": CANARY}, "AWS_ALLOW_HTTP is not true or false"),
        ("s3://b/l", {"AWS_TIMEOUT": CANARY}, "AWS_TIMEOUT is not a time such as 60s"),
        ("s3://b/l", {"AWS_PROXY_URL": f"{CANARY}:: "}, "the HTTP client cannot be set up"),
    ],
)
def test_an_invalid_variable_is_named_without_its_value(
    address: str, variables: dict[str, str], text: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    with pytest.raises(SettingsError) as raised:
        open_store(address)
    assert text in str(raised.value)
    assert CANARY not in str(raised.value)
    assert raised.value.__context__ is None


def test_the_file_of_a_service_account_is_checked_and_not_shown(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "account.json"
    file.write_text(f'{{"type": "{CANARY}"}}')
    monkeypatch.setenv("GOOGLE_APPLICATION_CREDENTIALS", str(file))
    with pytest.raises(SettingsError, match="not one of Google's") as raised:
        open_store("gs://bucket/lake")
    assert CANARY not in str(raised.value)


def test_variables_of_another_store_do_not_matter(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AZURE_STORAGE_ENDPOINT", CANARY)
    monkeypatch.setenv("AZURE_STORAGE_ACCOUNT_NAME", " ")
    assert isinstance(open_store("s3://bucket/lake"), ObjectStore)


@pytest.mark.parametrize(("brief", "timeout"), [(False, "120s"), (True, "10s")])
def test_a_request_has_time_for_a_large_file_and_repeats_are_bounded(
    *, brief: bool, timeout: str
) -> None:
    opened: Any = open_remote("s3://bucket/lake", brief=brief)
    assert opened.client_options == {"connect_timeout": "5s", "timeout": timeout}
    assert opened.retry_config["retry_timeout"].total_seconds() == 5
    assert opened.retry_config["max_retries"] >= 8


def test_options_of_the_http_client_may_be_set_as_variables(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """obstore reads them itself, and ignores them if it gets a single other option."""
    chosen = {"allow_http": "true", "timeout": "7m", "proxy_url": "http://127.0.0.1:1"}
    for name, value in chosen.items():
        monkeypatch.setenv(f"AWS_{name.upper()}", value)
    opened: Any = open_remote("s3://bucket/lake")
    assert opened.client_options == {"connect_timeout": "5s"} | chosen


def test_a_store_is_shown_by_its_plain_address() -> None:
    store = open_store("s3://bucket/lake/")
    assert repr(store) == "ObjectStore('s3://bucket/lake')"
    assert store.uri("t/f") == "s3://bucket/lake/t/f"
