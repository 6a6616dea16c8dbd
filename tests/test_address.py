"""An address that holds the key or the user name is refused; a plain word in it is accepted."""

from __future__ import annotations

import pytest

from returns_orchestration.errors import SettingsError
from returns_orchestration.settings import load_settings

CANARY = "canary-9f3c"


pytestmark = pytest.mark.usefixtures("project")


@pytest.mark.parametrize(
    ("variable", "secret", "address"),
    [
        ("CLICKPOST_KEY", CANARY, f"https://proxy.example/{CANARY}/api"),
        ("CLICKPOST_KEY", CANARY, f"https://{CANARY}.example/api"),
        ("CLICKPOST_KEY", CANARY, f"https://proxy.example/for-{CANARY.upper()}-only/api"),
        ("CLICKPOST_KEY", CANARY, f"https://www.clickpost.in/api/{CANARY.replace('-', '%2D')}"),
        ("CLICKPOST_KEY", CANARY, f"https://proxy.example/{CANARY.replace('-', '%252d')}"),
        ("CLICKPOST_KEY", f"{CANARY} é+%/", f"https://a.example/{CANARY}%20%C3%A9%2B%25%2F/api"),
        ("CLICKPOST_KEY", f"{CANARY} x", f"https://a.example/{CANARY}+x/api"),
        ("CLICKPOST_KEY", f"{CANARY}+x", f"https://a.example/{CANARY}+x/api"),
        ("CLICKPOST_KEY", "k-9f", "https://a.example/k-9f"),
        ("CLICKPOST_USER_NAME", CANARY, f"https://proxy.example/{CANARY}/api"),
        ("CLICKPOST_USER_NAME", CANARY, f"https://proxy.example/api/{CANARY.title()}"),
        ("CLICKPOST_USER_NAME", CANARY, f"https://{CANARY}.clickpost.in/api"),
        ("CLICKPOST_USER_NAME", f"{CANARY}.shop", f"https://www.{CANARY}.shop/api"),
        ("CLICKPOST_USER_NAME", f"{CANARY} & co", f"https://a.example/{CANARY}%20%26%20co"),
    ],
)
def test_an_address_with_a_secret_in_it_is_refused_and_neither_is_shown(
    variable: str, secret: str, address: str
) -> None:
    with pytest.raises(SettingsError) as raised:
        load_settings(**{variable: secret, "CLICKPOST_BASE_URL": address})
    assert f"{variable} must not be part of CLICKPOST_BASE_URL" in str(raised.value)
    assert secret not in repr(raised.value)
    assert address not in repr(raised.value)
    assert CANARY not in repr(raised.value)


@pytest.mark.parametrize(
    ("key", "user_name", "address"),
    [
        ("k-9f", "api", "https://api.clickpost.in/api"),
        ("k-9f", "clickpost", "https://www.clickpost.in/api"),
        ("clickpost.in", "www", "https://www.clickpost.in/api"),
        ("k-9f", "acme", "https://acme-proxy.example/acmecorp/api"),
        ("k-9f", "example", "https://www.clickpost.in/api"),
        ("9f", "merchant", "http://127.0.0.1:19f/api-9f"),
        ("", " ", "http://127.0.0.1:8000/api"),
    ],
)
def test_an_address_with_a_harmless_word_is_accepted(
    key: str, user_name: str, address: str
) -> None:
    settings = load_settings(
        CLICKPOST_KEY=key, CLICKPOST_USER_NAME=user_name, CLICKPOST_BASE_URL=address
    )
    assert settings.base_url == address
