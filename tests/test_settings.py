from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from returns_orchestration.env_file import SECRET
from returns_orchestration.errors import SettingsError
from returns_orchestration.settings import VARIABLES, Settings, load_settings

CONTRACT = """
| CLICKPOST_BASE_URL | https://www.clickpost.in/api |
| CLICKPOST_KEY | none |
| CLICKPOST_USER_NAME | none |
| CLICKPOST_TIME_ZONE | UTC |
| CLICKPOST_MAX_CONCURRENCY | 8 |
| CLICKPOST_MAX_REQUESTS_PER_SECOND | 10 |
| RETURNS_LAKE | data/lake |
| RETURNS_START | 2026-01-01T00:00:00Z |
| RETURNS_SETTLE_MINUTES | 10 |
| RETURNS_REPOLL_AFTER_HOURS | 1,6,24,72,168,336,720 |
| RETURNS_REPORT_TIME_ZONE | Asia/Kolkata |
| RETURNS_REPORT_DAYS | 28 |
| RETURNS_STYLE_PATTERN | none |
| RETURNS_KEPT_MODES | Credits,Store Credit,Gift Card,Wallet,Exchange |
| RETURNS_STUCK_HOURS | 48,72,168 |
| RETURNS_WEEKLY_DIGEST | false |
| RETURNS_ACKNOWLEDGED | none |
| RETURNS_ALERT_URLS | none |
| RETURNS_DAGSTER_URL | http://127.0.0.1:3000 |
| RETURNS_RUNBOOK_URL | docs/operations.md |
| RETURNS_KEY_PREFIX | none |
| RETURNS_OWNERS | team:returns |
| RETURNS_UI_HOSTS | none |
| RETURNS_HEARTBEAT_URL | none |
| RETURNS_ALERT_GRACE_MINUTES | 120 |
| RETURNS_ALERT_COOLDOWN_MINUTES | 60 |
| RETURNS_KEEP_RUNS_DAYS | 30 |
| RETURNS_RAW_DAYS | none |
| RETURNS_WEBHOOK_KEYS | none |
| RETURNS_WEBHOOK_LISTEN | 127.0.0.1:8351 |
| RETURNS_WEBHOOK_PATH | /clickpost |
| RETURNS_WEBHOOK_SPOOL | none |
| RETURNS_WEBHOOK_SPOOL_MB | 1024 |
| RETURNS_WEBHOOK_MAX_BYTES | 1048576 |
| RETURNS_WEBHOOK_TIME_ZONE | none |
| RETURNS_WEBHOOK_LOST_AFTER_HOURS | 6 |
| RETURNS_WEBHOOK_EXPECTED | 0.99 |
| RETURNS_REDELIVER_URL | none |
| RETURNS_REDELIVER_KEY | none |
| RETURNS_ALERT_QUIET_HOURS | 22-8 |
| RETURNS_ACCOUNTS | none |
| RETURNS_ACCOUNT | none |
"""
DEFAULTS = dict(
    (cell.strip() for cell in line.split("|")[1:3]) for line in CONTRACT.strip().splitlines()
)
ATTRIBUTES = {str(field.alias): name for name, field in Settings.model_fields.items()}
CANARY = "canary-9f3c"

pytestmark = pytest.mark.usefixtures("project")


def value(settings: Settings, variable: str) -> object:
    return getattr(settings, ATTRIBUTES[variable])


def test_the_variables_are_those_of_the_contract_in_its_order() -> None:
    assert list(VARIABLES) == list(DEFAULTS)
    assert all(meaning for _, meaning in VARIABLES.values())


@pytest.mark.parametrize("variable", DEFAULTS)
def test_a_default_equals_its_text_in_the_contract(
    variable: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    by_default = value(load_settings(), variable)
    if DEFAULTS[variable] == "none":
        assert not by_default
    else:
        monkeypatch.setenv(variable, DEFAULTS[variable])
        assert value(load_settings(), variable) == by_default


def test_a_copy_of_env_example_changes_nothing() -> None:
    example = Path(__file__).parents[1] / ".env.example"
    assert load_settings(example) == load_settings()


def test_defaults_have_the_declared_types(project: Path) -> None:
    settings = load_settings()
    assert settings.settle == timedelta(minutes=10)
    assert settings.start == datetime(2026, 1, 1, tzinfo=UTC)
    assert settings.repoll_after_hours == (1, 6, 24, 72, 168, 336, 720)
    assert settings.lake == str(project / "data/lake")
    assert settings.lake_is_a_folder


@pytest.mark.parametrize(
    ("variable", "text", "expected"),
    [
        ("CLICKPOST_BASE_URL", "http://127.0.0.1:8000/api/", "http://127.0.0.1:8000/api"),
        ("CLICKPOST_MAX_REQUESTS_PER_SECOND", "0.5", 0.5),
        ("RETURNS_LAKE", "s3://bucket/lake", "s3://bucket/lake"),
        ("RETURNS_START", "2026-02-01", datetime(2026, 2, 1, tzinfo=UTC)),
        ("RETURNS_START", "2026-02-01T05:30:00+05:30", datetime(2026, 2, 1, tzinfo=UTC)),
        ("RETURNS_SETTLE_MINUTES", "0", timedelta(0)),
        ("RETURNS_SETTLE_MINUTES", "7.5", timedelta(minutes=7.5)),
        ("RETURNS_REPOLL_AFTER_HOURS", " 2, 48 ", (2, 48)),
        ("RETURNS_STYLE_PATTERN", "^([0-9]+)-", "^([0-9]+)-"),
        ("RETURNS_KEPT_MODES", "Credits, Wallet", ("Credits", "Wallet")),
        ("RETURNS_STUCK_HOURS", " 24, 48,72 ", (24, 48, 72)),
        ("RETURNS_WEEKLY_DIGEST", "true", True),
        ("RETURNS_KEY_PREFIX", "brand/clickpost", ("brand", "clickpost")),
        ("RETURNS_OWNERS", "team:data, a@b.example", ("team:data", "a@b.example")),
        ("RETURNS_UI_HOSTS", "a.example, b.example", ("a.example", "b.example")),
        ("RETURNS_KEEP_RUNS_DAYS", "7", 7),
        ("RETURNS_RAW_DAYS", "90", 90),
        ("RETURNS_RAW_DAYS", " None ", None),
        ("RETURNS_ALERT_QUIET_HOURS", "none", (0, 0)),
        ("RETURNS_ALERT_QUIET_HOURS", "1 - 06", (1, 6)),
        ("RETURNS_ALERT_GRACE_MINUTES", "0", timedelta(0)),
        ("RETURNS_WEBHOOK_LISTEN", "[::1]:8351", "[::1]:8351"),
        ("RETURNS_WEBHOOK_LISTEN", "0.0.0.0:80", "0.0.0.0:80"),
        ("RETURNS_WEBHOOK_PATH", "/hooks/click-post/", "/hooks/click-post"),
        ("RETURNS_WEBHOOK_SPOOL", "/srv/spool.db", Path("/srv/spool.db")),
    ],
)
def test_sensible_values_are_read(
    variable: str, text: str, expected: object, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(variable, text)
    assert value(load_settings(), variable) == expected


@pytest.mark.parametrize(
    ("variable", "nonsense", "allowed"),
    [
        ("CLICKPOST_BASE_URL", "www.clickpost.in/api", "http:// or https://"),
        ("CLICKPOST_BASE_URL", "ftp://x", "http:// or https://"),
        ("CLICKPOST_BASE_URL", f"https://user:{CANARY}@host/api", "without a query or a user"),
        ("CLICKPOST_BASE_URL", f"https://host/api?key={CANARY}", "without a query or a user"),
        ("CLICKPOST_TIME_ZONE", "IST/India", "IANA time zone"),
        ("CLICKPOST_TIME_ZONE", "../etc/passwd", "IANA time zone"),
        ("CLICKPOST_MAX_CONCURRENCY", "0", "greater than or equal to 1"),
        ("CLICKPOST_MAX_CONCURRENCY", "many", "integer"),
        ("CLICKPOST_MAX_CONCURRENCY", "1000", "less than or equal to 64"),
        ("CLICKPOST_MAX_REQUESTS_PER_SECOND", "0", "greater than or equal to 0.01"),
        ("CLICKPOST_MAX_REQUESTS_PER_SECOND", "0.009", "greater than or equal to 0.01"),
        ("CLICKPOST_MAX_REQUESTS_PER_SECOND", "nan", "less than or equal to"),
        ("CLICKPOST_MAX_REQUESTS_PER_SECOND", "fast", "number"),
        ("RETURNS_LAKE", "ftp://host/lake", "s3://, gs://, az://"),
        ("RETURNS_START", "soon", "2026-01-01T00:00:00Z"),
        ("RETURNS_START", "2026-01-01T00:30:00Z", "2026-01-01T00:00:00Z"),
        ("RETURNS_START", "0001-01-01T00:00:00+05:30", "2026-01-01T00:00:00Z"),
        ("RETURNS_SETTLE_MINUTES", "-5", "from 0 to 1440"),
        ("RETURNS_SETTLE_MINUTES", "nan", "from 0 to 1440"),
        ("RETURNS_SETTLE_MINUTES", "ten", "from 0 to 1440"),
        ("RETURNS_KEEP_RUNS_DAYS", "0", "greater than or equal to 1"),
        ("RETURNS_KEEP_RUNS_DAYS", "1.5", "integer"),
        ("RETURNS_KEEP_RUNS_DAYS", "never", "integer"),
        ("RETURNS_RAW_DAYS", "0", "greater than or equal to 1"),
        ("RETURNS_RAW_DAYS", "for ever", "integer"),
        ("RETURNS_REPOLL_AFTER_HOURS", "6,1", "1,6,24,72"),
        ("RETURNS_REPOLL_AFTER_HOURS", "1,1", "1,6,24,72"),
        ("RETURNS_REPOLL_AFTER_HOURS", "0", "1,6,24,72"),
        ("RETURNS_REPOLL_AFTER_HOURS", "1.5", "1,6,24,72"),
        ("RETURNS_REPOLL_AFTER_HOURS", "daily", "1,6,24,72"),
        ("RETURNS_REPORT_TIME_ZONE", "Kolkata", "IANA time zone"),
        ("RETURNS_REPORT_DAYS", "0", "greater than or equal to 1"),
        ("RETURNS_STYLE_PATTERN", "^[0-9]+", "with a group"),
        ("RETURNS_STYLE_PATTERN", "([0-9]+", "with a group"),
        ("RETURNS_STYLE_PATTERN", "(?=x)([0-9]+)", "with a group"),
        ("RETURNS_OWNERS", "the returns team", "team:returns"),
        ("RETURNS_STUCK_HOURS", "48,72", "48,72,168"),
        ("RETURNS_STUCK_HOURS", "48,72,0", "48,72,168"),
        ("RETURNS_WEEKLY_DIGEST", "monday", "boolean"),
        ("RETURNS_DAGSTER_URL", f"https://user:{CANARY}@host", "without a query or a user"),
        ("RETURNS_ALERT_GRACE_MINUTES", "soon", "from 0 to 1440"),
        ("RETURNS_ALERT_COOLDOWN_MINUTES", "-1", "from 0 to 1440"),
        ("RETURNS_ALERT_QUIET_HOURS", "night", "22-8, or none"),
        ("RETURNS_ALERT_QUIET_HOURS", "22-24", "22-8, or none"),
        ("RETURNS_WEBHOOK_LISTEN", "8351", "127.0.0.1:8351"),
        ("RETURNS_WEBHOOK_LISTEN", "127.0.0.1:99999", "127.0.0.1:8351"),
        ("RETURNS_WEBHOOK_PATH", "clickpost", "/clickpost"),
        ("RETURNS_WEBHOOK_PATH", "/", "/clickpost"),
        ("RETURNS_WEBHOOK_PATH", "/health/", "not /health"),
        ("RETURNS_WEBHOOK_SPOOL_MB", "1", "greater than or equal to 16"),
        ("RETURNS_WEBHOOK_TIME_ZONE", "India", "IANA time zone"),
        ("RETURNS_WEBHOOK_LOST_AFTER_HOURS", "0", "greater than or equal to 1"),
        ("RETURNS_WEBHOOK_LOST_AFTER_HOURS", "1.5", "integer"),
        ("RETURNS_WEBHOOK_EXPECTED", "99", "less than 1"),
        ("RETURNS_REDELIVER_URL", "hooks.example.com", "http:// or https://"),
    ],
)
def test_an_invalid_value_names_the_variable_and_what_is_allowed_and_no_secret(
    variable: str, nonsense: str, allowed: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    for secret in ("CLICKPOST_KEY", "CLICKPOST_USER_NAME", "RETURNS_ALERT_URLS"):
        monkeypatch.setenv(secret, CANARY)
    monkeypatch.setenv(variable, nonsense)
    with pytest.raises(SettingsError) as raised:
        load_settings()
    assert variable in str(raised.value)
    assert allowed in str(raised.value)
    assert "Correct the environment or the .env" in str(raised.value)
    assert CANARY not in str(raised.value)


def test_every_invalid_variable_is_named_at_once() -> None:
    with pytest.raises(SettingsError) as raised:
        load_settings(CLICKPOST_MAX_CONCURRENCY="0", RETURNS_START="soon")
    assert "CLICKPOST_MAX_CONCURRENCY" in str(raised.value)
    assert "RETURNS_START" in str(raised.value)


def test_the_env_file_is_read_and_the_environment_wins(
    project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (project / ".env").write_text("CLICKPOST_MAX_CONCURRENCY=3\nCLICKPOST_KEY=from-file\nX=1\n")
    (project / "below").mkdir()
    monkeypatch.chdir(project / "below")
    monkeypatch.setenv("CLICKPOST_KEY", "from-environment")
    monkeypatch.setenv("CLICKPOST_USER_NAME", "merchant")
    settings = load_settings()
    assert settings.max_concurrency == 3
    assert settings.credentials() == ("from-environment", "merchant")
    assert settings.lake == str(project / "data/lake")


def test_an_empty_variable_counts_as_absent(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in DEFAULTS:
        monkeypatch.setenv(name, "")
    settings = load_settings()
    assert settings.max_concurrency == 8
    assert settings.key is None


@pytest.mark.parametrize("absent", ["CLICKPOST_KEY", "CLICKPOST_USER_NAME"])
def test_absent_credentials_fail_only_when_needed_and_by_name(
    absent: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in {"CLICKPOST_KEY", "CLICKPOST_USER_NAME"} - {absent}:
        monkeypatch.setenv(name, CANARY)
    settings = load_settings()
    with pytest.raises(SettingsError) as raised:
        settings.credentials()
    assert str(raised.value).startswith(f"{absent} not set.")
    assert CANARY not in str(raised.value)


def test_secrets_appear_in_no_repr(monkeypatch: pytest.MonkeyPatch) -> None:
    for secret in SECRET:
        monkeypatch.setenv(secret, CANARY)
    for address in ("RETURNS_HEARTBEAT_URL", "RETURNS_REDELIVER_URL"):
        monkeypatch.setenv(address, f"https://{CANARY}")
    settings = load_settings()
    assert CANARY not in repr(settings) + str(settings) + settings.model_dump_json()
    assert [url.get_secret_value() for url in settings.alert_urls] == [CANARY]


def test_several_keys_of_webhooks_are_accepted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RETURNS_WEBHOOK_KEYS", f" old ,{CANARY},,")
    keys = load_settings().webhook_keys
    assert [key.get_secret_value() for key in keys] == ["old", CANARY]


def test_the_spool_is_beside_dagster_home(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DAGSTER_HOME", "/var/lib/returns/dagster_home")
    assert load_settings().spool == Path("/var/lib/returns/webhook_spool.db")
    monkeypatch.setenv("RETURNS_WEBHOOK_SPOOL", "/srv/spool.db")
    assert load_settings().spool == Path("/srv/spool.db")
    monkeypatch.setenv("RETURNS_WEBHOOK_SPOOL", "spool.db")
    with pytest.raises(SettingsError, match="must be an absolute path"):
        load_settings()


def test_a_spool_that_is_a_folder_is_refused_with_a_path_that_would_do(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("RETURNS_WEBHOOK_SPOOL", str(tmp_path))
    with pytest.raises(SettingsError, match="RETURNS_WEBHOOK_SPOOL must be a file") as raised:
        load_settings()
    better = tmp_path / "webhook_spool.db"
    assert f"{tmp_path} is a folder: use {better}" in str(raised.value)
    monkeypatch.setenv("RETURNS_WEBHOOK_SPOOL", str(better))
    assert load_settings().spool == better


def test_the_key_of_redeliver_is_a_header(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RETURNS_REDELIVER_KEY", f"{CANARY}\n")
    key = load_settings().redeliver_key
    assert key is not None
    assert key.get_secret_value() == CANARY
    monkeypatch.setenv("RETURNS_REDELIVER_KEY", "schl\u00fcssel")
    with pytest.raises(SettingsError, match="must be printable ASCII"):
        load_settings()


def test_an_alert_url_may_hold_commas(monkeypatch: pytest.MonkeyPatch) -> None:
    urls = ["mailto://u:p@host?to=a@b.example,c@d.example", "json://host/x"]
    for text in (",".join(urls), ", ".join(urls) + ","):
        monkeypatch.setenv("RETURNS_ALERT_URLS", text)
        assert [url.get_secret_value() for url in load_settings().alert_urls] == urls


@pytest.mark.parametrize("between", [";", " ", "|", "\n"])
def test_alert_urls_without_commas_between_are_refused(
    between: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("RETURNS_ALERT_URLS", f"json://{CANARY}@a/b{between}json://{CANARY}@c/d")
    with pytest.raises(SettingsError, match=r"RETURNS_ALERT_URLS.*commas") as raised:
        load_settings()
    assert CANARY not in str(raised.value)


def test_blanks_around_credentials_are_removed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CLICKPOST_KEY", f"{CANARY}\n")
    monkeypatch.setenv("CLICKPOST_USER_NAME", " a-user\t")
    assert load_settings().credentials() == (CANARY, "a-user")


@pytest.mark.parametrize("value", ["a/b c", "a//b", "a.b"])
def test_a_key_prefix_has_names_alone(value: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RETURNS_KEY_PREFIX", value)
    with pytest.raises(SettingsError, match="RETURNS_KEY_PREFIX must be names"):
        load_settings()


@pytest.mark.parametrize("value", [CANARY, f"ftp://{CANARY}/x", "http://", "https:///x"])
def test_a_heartbeat_is_a_web_address(value: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RETURNS_HEARTBEAT_URL", value)
    with pytest.raises(SettingsError, match="RETURNS_HEARTBEAT_URL") as raised:
        load_settings()
    assert CANARY not in str(raised.value)


def test_loading_touches_nothing(project: Path) -> None:
    load_settings()
    assert [path.name for path in project.iterdir()] == ["workspace.yaml"]


def test_an_env_file_that_is_not_text_is_named_and_not_shown(project: Path) -> None:
    (project / ".env").write_bytes(f"CLICKPOST_KEY={CANARY}".encode() + b"\xff")
    with pytest.raises(SettingsError, match=r"\.env holds bytes that are no UTF-8 text") as raised:
        load_settings()
    assert raised.value.__context__ is None
    assert CANARY not in repr(raised.value)


def test_every_secret_variable_is_checked_in_the_env_file() -> None:
    hidden = [str(f.alias) for f in Settings.model_fields.values() if "Secret" in str(f.annotation)]
    assert list(SECRET) == hidden


def test_the_digest_changes_with_every_setting_and_the_network_and_holds_no_secret(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    def digest(**overrides: str) -> str:
        return load_settings(env_file=tmp_path / "none", **overrides).digest()

    changed = {
        "CLICKPOST_BASE_URL": "https://api.clickpost.in/api",
        "CLICKPOST_KEY": "another-key",
        "CLICKPOST_USER_NAME": "another-user",
        "CLICKPOST_TIME_ZONE": "Asia/Kolkata",
        "RETURNS_START": "2026-02-01T00:00:00Z",
        "RETURNS_ALERT_URLS": "json://one.example,json://two.example",
    }
    digests = [digest(), *(digest(**{name: value}) for name, value in changed.items())]
    monkeypatch.setenv("HTTPS_PROXY", "http://proxy.example:3128")
    digests.append(digest())
    assert len(set(digests)) == len(digests)
    assert digest() == digests[-1]
    assert all(re.fullmatch("[0-9a-f]{8}", one) for one in digests)
