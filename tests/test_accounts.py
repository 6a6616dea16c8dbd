"""Several accounts: what their file may hold, and what each gets from it."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import pytest

from returns_orchestration import tables
from returns_orchestration.errors import LakeDamaged, SettingsError
from returns_orchestration.flow.from_settings import build_pipeline
from returns_orchestration.settings import (
    VARIABLES,
    Settings,
    dagster_home,
    load_accounts,
    load_settings,
)
from returns_orchestration.settings.accounts import NOT_SHARED, OF_DEPLOYMENT, key_of
from returns_orchestration.settings.sources import sources, warnings

TWO = """
[brand_a]
key = "A_KEY"
user_name = "A_USER"
webhook_keys = "A_HOOK"
start = 2026-11-01T00:00:00Z
owners = ["team:a", "a@b.example"]
max_requests_per_second = 2
weekly_digest = true

[brand_b]
key = "B_KEY"
user_name = "B_USER"
base_url = "https://b.example/api"
time_zone = "Asia/Kolkata"
"""
SECRET = "canary-3b1f"


@pytest.fixture
def file(project: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The file of two accounts, beside workspace.yaml; one variable comes from the .env."""
    path = project / "accounts.toml"
    path.write_text(TWO)
    monkeypatch.setenv("RETURNS_ACCOUNTS", "accounts.toml")
    monkeypatch.delenv("DAGSTER_HOME", raising=False)
    for name in ("A_KEY", "A_USER", "A_HOOK", "B_USER"):
        monkeypatch.setenv(name, f"{name} value")
    (project / ".env").write_text("b_key=from the file\n")
    (project / ".env").chmod(0o600)
    return path


def by_name() -> dict[str, Settings]:
    return {settings.account: settings for settings in load_accounts()}


@pytest.mark.usefixtures("file")
def test_each_account_has_its_values_and_shares_the_others(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("RETURNS_SETTLE_MINUTES", "5")
    accounts = by_name()
    assert list(accounts) == ["brand_a", "brand_b"]
    a, b = accounts.values()
    assert a.credentials() == ("A_KEY value", "A_USER value")
    assert b.credentials() == ("from the file", "B_USER value")
    assert a.start == datetime(2026, 11, 1, tzinfo=UTC)
    assert a.owners == ("team:a", "a@b.example")
    assert a.max_requests_per_second == 2
    assert a.weekly_digest
    assert (b.base_url, b.time_zone.key) == ("https://b.example/api", "Asia/Kolkata")
    assert b.start == datetime(2026, 1, 1, tzinfo=UTC)
    assert {s.settle.total_seconds() for s in (a, b)} == {300}
    assert warnings() == []


def test_places_differ_and_dagster_home_does_not(file: Path) -> None:
    a, b = load_accounts()
    lakes = file.parent / "data" / "lake"
    assert (a.lake, b.lake) == (f"{lakes}/brand_a", f"{lakes}/brand_b")
    assert {a.lakes, b.lakes} == {str(lakes)}
    assert (a.key_prefix, b.key_prefix) == (("brand_a",), ("brand_b",))
    assert (a.spool.name, b.spool.name) == ("webhook_spool_brand_a.db", "webhook_spool_brand_b.db")
    assert a.path_of_webhooks == "/clickpost/brand_a"
    assert {dagster_home(a), dagster_home(b)} == {file.parent / "data" / "dagster_home"}
    assert (a.is_first, b.is_first) == (True, False)


@pytest.mark.usefixtures("file")
def test_a_prefix_and_an_object_store_stay_in_front(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RETURNS_KEY_PREFIX", "india")
    monkeypatch.setenv("RETURNS_LAKE", "s3://bucket/lake/")
    a = load_accounts()[0]
    assert a.key_prefix == ("india", "brand_a")
    assert a.lake == "s3://bucket/lake/brand_a"
    assert a.lakes == "s3://bucket/lake"


@pytest.mark.usefixtures("file")
def test_what_must_not_be_shared_is_not(monkeypatch: pytest.MonkeyPatch) -> None:
    for variable in NOT_SHARED:
        monkeypatch.setenv(variable, f"https://{SECRET}.example/")
    a, b = load_accounts()
    for settings in (a, b):
        assert SECRET not in str([getattr(settings, name) for name in Settings.model_fields])
        assert settings.heartbeat_url is settings.redeliver_url is settings.redeliver_key is None
    assert [key.get_secret_value() for key in a.webhook_keys] == ["A_HOOK value"]
    assert b.webhook_keys == ()


@pytest.mark.usefixtures("file")
def test_one_account_is_chosen(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(SettingsError, match=r"2 accounts.*--account NAME: brand_a, brand_b"):
        load_settings()
    monkeypatch.setenv("RETURNS_ACCOUNT", "brand_b")
    assert load_settings().account == "brand_b"
    assert not load_settings().is_first
    monkeypatch.setenv("RETURNS_ACCOUNT", "brand_c")
    with pytest.raises(SettingsError, match=r"no account brand_c.*It has: brand_a, brand_b"):
        load_settings()


@pytest.mark.usefixtures("project")
def test_an_account_without_a_file_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RETURNS_ACCOUNT", "brand_a")
    with pytest.raises(SettingsError, match="RETURNS_ACCOUNTS is not set"):
        load_settings()


def test_sources_name_the_file(file: Path) -> None:
    a, b = load_accounts()
    assert sources(a)["RETURNS_START"] == str(file)
    assert sources(b)["RETURNS_START"] == "default"
    assert sources(b)["RETURNS_ACCOUNTS"] == "environment"


NEEDED = 'key = "A_KEY"\nuser_name = "A_USER"\n'


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "it has no account"),
        ("[brand", "it is no TOML"),
        ("brand = 1", "brand is no table"),
        ('[brand]\nuser_name = "A_USER"', "the account brand has no key"),
        ("[brand]", "has no key and no user_name"),
        (f"[brand]\n{NEEDED}lake = 'x'", "lake of the account brand is no setting of an account"),
        (f"[brand]\n{NEEDED}strat = 'x'", "strat of the account brand is no setting"),
        (f"[brand]\n{NEEDED}start = 'soon'", "start of the account brand must be a whole hour"),
        (f"[brand]\n{NEEDED}start = {{}}", "start of the account brand is no text"),
        (f"[t]\n{NEEDED}", "t is a name of this project's own"),
        (f"[reports]\n{NEEDED}", "reports is a name of this project's own"),
        (f"[Returns]\n{NEEDED}", "Returns is a name of this project's own"),
        (f"[_x]\n{NEEDED}", "'_x' cannot be the name"),
        (f"[x]\n{NEEDED}[x_webhook]\n{NEEDED}", "x_webhook and x would have parts of the same"),
        (f"[x_webhook]\n{NEEDED}[x]\n{NEEDED}", "x_webhook and x would have parts of the same"),
        (f"['a b']\n{NEEDED}", "'a b' cannot be the name"),
        (f"[brand]\n{NEEDED}[BRAND]\n{NEEDED}", "two accounts are named BRAND"),
        (f'[b]\nkey = "{SECRET}"\nuser_name = "U"', "key of the account b is not the name of a"),
    ],
)
def test_a_wrong_file_is_refused_in_words(text: str, said: str, file: Path) -> None:
    file.write_text(text)
    with pytest.raises(SettingsError) as error:
        load_accounts()
    assert said in str(error.value)
    assert SECRET not in str(error.value)


@pytest.mark.parametrize("content", [None, b"\xff[brand]"])
def test_an_unreadable_file_is_named(content: bytes | None, file: Path) -> None:
    file.unlink()
    if content is not None:
        file.write_bytes(content)
    with pytest.raises(SettingsError, match=r"accounts\.toml"):
        load_accounts()


def test_the_name_of_every_table_is_refused(file: Path) -> None:
    for name in tables.BY_NAME:
        file.write_text(f"[{name}]\n{NEEDED}")
        with pytest.raises(SettingsError, match="project's own"):
            load_accounts()


@pytest.mark.usefixtures("file")
def test_absent_secrets_are_named_by_their_place(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("A_KEY")
    with pytest.raises(SettingsError, match="`key` of the account brand_a"):
        by_name()["brand_a"].credentials()
    assert by_name()["brand_b"].credentials()
    assert [text for text in warnings() if "`key` of brand_a" in text]
    assert not [text for text in warnings() if "A_KEY" in text]  # it may be a secret by mistake


def test_the_variables_that_the_file_names_are_known(
    file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file.write_text('[a]\nkey = "CLICKPOST_KEY_A"\nuser_name = "RETURNS_A_USER"\n')
    monkeypatch.setenv("CLICKPOST_KEY_A", "x")
    monkeypatch.setenv("RETURNS_A_USER", "y")
    assert warnings() == []
    monkeypatch.setenv("CLICKPOST_KEY_B", "x")
    assert [text for text in warnings() if "CLICKPOST_KEY_B" in text]


def test_secrets_of_accounts_in_an_exposed_file_are_warned_of(file: Path) -> None:
    (file.parent / ".env").chmod(0o644)
    assert [text for text in warnings() if "B_KEY" in text and "chmod 600" in text]


def test_a_message_names_the_places_of_the_values_of_an_account(
    file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("B_USER")
    a, b = load_accounts()
    credentials = "Check CLICKPOST_KEY and CLICKPOST_USER_NAME."
    assert a.wording(credentials) == (
        "Check A_KEY (`key` of brand_a in accounts.toml) and A_USER (`user_name` of brand_a in "
        "accounts.toml)."
    )
    assert b.wording(credentials) == (
        "Check B_KEY (`key` of brand_b in accounts.toml) and the variable for `user_name` of "
        "brand_b in accounts.toml."  # the name of an absent variable may be a secret by mistake
    )
    url = "CLICKPOST_BASE_URL does not answer."
    assert a.wording(url) == url  # its value is in the environment
    assert b.wording(url) == "`base_url` of brand_b in accounts.toml does not answer."
    alerts = "RETURNS_ALERT_URLS, RETURNS_HEARTBEAT_URL, RETURNS_LAKE"
    assert b.wording(alerts) == (
        "RETURNS_ALERT_URLS, the variable for `heartbeat_url` of brand_b in accounts.toml, "
        "RETURNS_LAKE"  # channels are taken over from the environment, a dead man's switch is not
    )
    status = "See `returns-orchestration status`, then run `returns-orchestration prune`."
    assert b.wording(status) == (
        "See `returns-orchestration status --account brand_b`, then run `returns-orchestration "
        "prune`."
    )
    file.unlink()
    assert b.wording(url) != url  # the words are those of the settings that were read


@pytest.mark.usefixtures("file")
def test_what_a_run_raises_is_in_the_words_of_its_account() -> None:
    pipeline = build_pipeline(by_name()["brand_b"])
    command = "`returns-orchestration verify --account brand_b`"
    with pytest.raises(LakeDamaged, match=command), pipeline.in_its_words():
        raise LakeDamaged("A file is missing.")


@pytest.mark.usefixtures("project")
def test_a_single_account_has_the_usual_words() -> None:
    text = "Check CLICKPOST_KEY with `returns-orchestration doctor`."
    assert load_settings().wording(text) == text


def test_warnings_are_about_the_chosen_account_alone(
    file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file.write_text(TWO.replace("B_USER", "SHARED").replace("A_USER", "SHARED"))
    monkeypatch.setenv("A_HOOK", "'quoted'")
    both = [f"`user_name` of {name}" for name in ("brand_a", "brand_b")]
    found = warnings()
    assert [place for place in both if place in "".join(found)] == both
    assert "A_HOOK is in quotation marks" in "".join(found)
    monkeypatch.setenv("RETURNS_ACCOUNT", "brand_b")
    (only,) = warnings()
    assert both[1] in only


def test_a_variable_of_another_account_stays_known(
    file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file.write_text(TWO.replace("A_KEY", "CLICKPOST_KEY_OF_A"))
    monkeypatch.setenv("CLICKPOST_KEY_OF_A", "x")
    monkeypatch.setenv("RETURNS_ACCOUNT", "brand_b")
    assert warnings() == []


def test_a_secret_in_the_place_of_a_name_is_not_suggested(
    file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file.write_text(TWO.replace("A_KEY", "CLICKPOST_KEYAAAMISTAKENSECRET"))
    monkeypatch.setenv("CLICKPOST_KEYAAAMISTAKENSECRE", "x")
    found = "\n".join(warnings())
    assert "CLICKPOST_KEYAAAMISTAKENSECRE in the environment is not a setting" in found
    assert "MISTAKENSECRET" not in found
    assert "MISTAKENSECRET" not in load_accounts()[0].wording("Check CLICKPOST_KEY.")


def test_the_example_of_the_documents_is_read(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    page = Path(__file__).parents[1] / "docs/how-to/accounts.md"
    file.write_text(page.read_text().split("```toml\n")[1].split("```")[0])
    monkeypatch.setenv("BRAND_B_ALERT_URLS", "json://alerts.example")
    a, b = load_accounts()
    assert (a.account, b.account) == ("brand_a", "brand_b")
    assert len(b.alert_urls) == 1


def test_every_setting_is_of_an_account_or_of_the_deployment_by_one_key() -> None:
    assert set(OF_DEPLOYMENT) < set(VARIABLES)
    keys = [key_of(variable) for variable in VARIABLES if variable not in OF_DEPLOYMENT]
    assert len(keys) == len(set(keys))
