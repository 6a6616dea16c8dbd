"""Proxies, their exceptions and certificates, as the usual variables give them."""

from __future__ import annotations

import ssl
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest
import trustme
from pydantic import SecretStr
from support.receiver import Receiver, receiving

from returns_orchestration.alerts.delivery import Channels, beat
from returns_orchestration.alerts.messages import Author
from returns_orchestration.clickpost import ClickPostClient, RetryPolicy
from returns_orchestration.errors import MalformedReply, NoConnection, SettingsError
from returns_orchestration.network import (
    NETWORK_VARIABLES,
    proxy_for,
    proxy_host,
    trusted_certificates,
)
from returns_orchestration.settings.wording import SINGLE
from returns_orchestration.window import Window

MESSAGE = Author("", "", ZoneInfo("UTC"), SINGLE).test()
PROXY = "http://user:canary-4d@proxy.example:3128"


@pytest.fixture(autouse=True)
def _unset(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in (*NETWORK_VARIABLES, "REQUESTS_CA_BUNDLE"):
        monkeypatch.delenv(name, raising=False)
    # What a call leaves in the environment goes with the test.
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", "")
    monkeypatch.delenv("REQUESTS_CA_BUNDLE")


@pytest.mark.parametrize(
    ("url", "no_proxy", "excepted"),
    [
        ("https://api.example/x", "", False),
        ("https://api.example/x", "api.example", True),
        ("https://api.example/x", "other.example, API.EXAMPLE ", True),
        ("https://api.example/x", ".example", True),
        ("https://api.example/x", "example", True),
        ("https://myapi.example/x", "api.example", False),
        ("https://api.example/x", "*", True),
        ("https://api.example:8443/x", "api.example:8443", True),
        ("https://api.example:8443/x", "api.example:443", False),
        ("https://api.example/x", "api.example:443", True),
        ("http://api.example/x", "api.example:80", True),
        ("http://10.1.2.3/x", "10.0.0.0/8", True),
        ("http://11.1.2.3/x", "10.0.0.0/8", False),
        ("http://10.1.2.3:8080/x", "10.1.2.3:8080", True),
        ("http://10.1.2.3:8080/x", "10.1.2.3:80", False),
        ("http://[::1]:9000/x", "[::1]", True),
        ("http://[::1]:9000/x", "::1", True),
        ("http://[::1]:9000/x", "[::1]:9000", True),
        ("http://[::1]:9000/x", "[::1]:9001", False),
        ("http://[2001:db8::5]/x", "2001:db8::/32", True),
        ("http://[2001:db9::5]/x", "2001:db8::/32", False),
    ],
)
def test_no_proxy_excepts_names_ports_addresses_and_networks(
    monkeypatch: pytest.MonkeyPatch, url: str, no_proxy: str, *, excepted: bool
) -> None:
    monkeypatch.setenv("ALL_PROXY", PROXY)
    monkeypatch.setenv("NO_PROXY", no_proxy)
    assert proxy_for(url) == (None if excepted else PROXY)
    assert proxy_host(url) == ("" if excepted else "proxy.example:3128")


def test_the_proxy_of_the_scheme_comes_before_the_one_for_all(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("ALL_PROXY", "http://all.example:1")
    monkeypatch.setenv("HTTPS_PROXY", "secure.example:2")
    assert proxy_for("https://api.example") == "http://secure.example:2"
    assert proxy_for("http://api.example") == "http://all.example:1"


@pytest.mark.parametrize(
    ("variable", "content", "fault"),
    [
        ("SSL_CERT_FILE", None, "SSL_CERT_FILE names .*, which cannot be read: No such file"),
        ("SSL_CERT_FILE", "garbage", "SSL_CERT_FILE names .*, which holds no certificates"),
        ("SSL_CERT_DIR", None, "SSL_CERT_DIR names .*, which is no folder"),
    ],
)
def test_certificates_that_cannot_be_read_are_named(
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    variable: str,
    content: str | None,
    fault: str,
) -> None:
    file = tmp_path / "authorities.pem"
    if content is not None:
        file.write_text(content)
    monkeypatch.setenv(variable, str(file))
    with pytest.raises(SettingsError, match=fault) as raised:
        trusted_certificates()
    assert raised.value.__context__ is None
    assert "unset it" in str(raised.value)


def test_the_usual_certificates_are_read_once_and_named_ones_each_time(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, authority: trustme.CA
) -> None:
    usual = trusted_certificates()
    assert trusted_certificates() is usual
    file = tmp_path / "company.pem"
    authority.cert_pem.write_to_path(str(file))
    monkeypatch.setenv("SSL_CERT_FILE", str(file))
    assert [c["subject"] for c in trusted_certificates().get_ca_certs()] != [
        c["subject"] for c in usual.get_ca_certs()
    ]
    file.write_text("garbage")
    with pytest.raises(SettingsError):
        trusted_certificates()


@pytest.fixture(scope="module")
def authority() -> trustme.CA:
    """An authority of a company, which no machine trusts by itself."""
    return trustme.CA()


@pytest.fixture
def secure(authority: trustme.CA) -> Iterator[Receiver]:
    """A receiver whose certificate that authority has signed."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("127.0.0.1").configure_cert(context)
    with receiving(context) as receiver:
        yield receiver


def poll(address: str) -> None:
    """One poll of the API at ``address``."""
    with ClickPostClient(
        f"{address}/api",
        lambda: ("a-key", "a-user"),
        zone=ZoneInfo("UTC"),
        retry=RetryPolicy(attempts=1),
    ) as client:
        client.poll(Window(datetime(2026, 11, 1, tzinfo=UTC)))


def test_polls_alerts_and_the_heartbeat_trust_the_same_authority(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, authority: trustme.CA, secure: Receiver
) -> None:
    address = f"https://127.0.0.1:{secure.port}"
    channels = Channels([SecretStr(f"jsons://127.0.0.1:{secure.port}/hook")])
    with pytest.raises(NoConnection, match="certificate not accepted"):
        poll(address)
    assert channels.post("jsons 1", MESSAGE)
    assert not beat(SecretStr(address))
    assert not secure.messages

    file = tmp_path / "company.pem"
    authority.cert_pem.write_to_path(str(file))
    monkeypatch.setenv("SSL_CERT_FILE", str(file))
    with pytest.raises(MalformedReply):  # it is no ClickPost, and it was reached
        poll(address)
    assert channels.post("jsons 1", MESSAGE) == ""
    assert beat(SecretStr(address))
    assert [message["title"] for message in secure.messages] == [MESSAGE.title]
