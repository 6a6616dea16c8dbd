"""The way out of a company's network: its proxy, and the certificates that it trusts.

The usual variables decide, for polls and for alerts alike: HTTPS_PROXY, HTTP_PROXY, ALL_PROXY and
NO_PROXY, SSL_CERT_FILE and SSL_CERT_DIR. A netrc file is never read. A proxy's address may hold a
password, so no error repeats it.
"""

from __future__ import annotations

import ipaddress
import os
import ssl
import urllib.request
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Final
from urllib.parse import urlsplit

from returns_orchestration.errors import SettingsError

if TYPE_CHECKING:
    import httpx

_PROXIES: Final = ("HTTPS_PROXY", "HTTP_PROXY", "ALL_PROXY", "NO_PROXY")
CERTIFICATES: Final = ("SSL_CERT_FILE", "SSL_CERT_DIR")
NETWORK_VARIABLES: Final = (*_PROXIES, *map(str.lower, _PROXIES), *CERTIFICATES)
"""What is read of the environment beside our own variables."""

DEFAULT_PORTS: Final = {"http": 80, "https": 443}


def proxy_for(url: str) -> str | None:
    """The address of the proxy that requests for ``url`` take; None for none."""
    parts = urlsplit(url)
    port = parts.port or DEFAULT_PORTS.get(parts.scheme, 0)
    proxies = urllib.request.getproxies()
    host = parts.hostname or ""
    if _is_excepted(host, port, proxies.get("no", "")) or urllib.request.proxy_bypass(host):
        return None
    address = proxies.get(parts.scheme) or proxies.get("all")
    return f"http://{address}" if address and "://" not in address else address


def proxy_host(url: str) -> str:
    """Host and port of the proxy for ``url``, without user and password; "" for none."""
    return urlsplit(proxy_for(url) or "").netloc.rpartition("@")[2]


def _is_excepted(host: str, port: int, no_proxy: str) -> bool:
    """Whether an entry of NO_PROXY names the host.

    An entry is ``*``, a name or the end of one, an address or a network (10.0.0.0/8). All but a
    network may have a port, and IPv6 with a port stands in brackets.
    """
    for entry in filter(None, map(str.strip, no_proxy.casefold().split(","))):
        name, of_port = _name_and_port(entry)
        if of_port not in {None, port}:
            continue
        if name == "*" or _is_in(host, name):
            return True
        if host == name.lstrip(".") or host.endswith(f".{name.lstrip('.')}"):
            return True
    return False


def _name_and_port(entry: str) -> tuple[str, int | None]:
    """The parts of an entry; None for any port."""
    if entry.count(":") > 1 and not entry.startswith("["):  # an IPv6 address or network
        return entry, None
    name, _, port = entry.rpartition(":") if not entry.endswith("]") else (entry, "", "")
    if not port.isdigit():
        name, port = entry, ""
    return name.strip("[]"), int(port) if port else None


def _is_in(host: str, network: str) -> bool:
    try:
        return ipaddress.ip_address(host) in ipaddress.ip_network(network, strict=False)
    except ValueError:
        return False


def trusted_certificates() -> ssl.SSLContext:
    """What a server's certificate is checked with: SSL_CERT_FILE or SSL_CERT_DIR, else certifi's.

    Raises SettingsError where they name nothing that can be read.
    """
    file, folder = (os.environ.get(name) for name in CERTIFICATES)
    if folder and not Path(folder).is_dir():
        fault = f"SSL_CERT_DIR names {folder}, which is no folder."
    else:
        try:
            return _certificates() if file or folder else _usual_certificates()
        except ssl.SSLError:
            fault = f"SSL_CERT_FILE names {file}, which holds no certificates in PEM form."
        except OSError as error:
            reason = error.strerror or type(error).__name__
            fault = f"SSL_CERT_FILE names {file}, which cannot be read: {reason}."
    raise SettingsError(fault, next_step="Correct it, or unset it to trust the usual authorities.")


@cache
def _usual_certificates() -> ssl.SSLContext:
    """certifi's, which stay as they are while a process lives; to read them takes 40 ms."""
    return _certificates()


def _certificates() -> ssl.SSLContext:
    import httpx  # noqa: PLC0415 - settings import this module, and need no client

    return httpx.create_ssl_context()


def status_of(url: str, seconds: float, transport: httpx.BaseTransport | None = None) -> int:
    """The HTTP status of one GET. Raises httpx.HTTPError, and what ``trusted_certificates`` raises.

    ``seconds`` bounds each step; ``transport`` is for tests.
    """
    import httpx  # noqa: PLC0415 - see above

    below = transport or httpx.HTTPTransport(trusted_certificates(), proxy=proxy_for(url))
    with httpx.Client(timeout=seconds, transport=below) as client:
        return client.get(url).status_code


def share_certificates() -> None:
    """Let alerts trust the same: the library that sends them reads REQUESTS_CA_BUNDLE alone."""
    named = next(filter(None, map(os.environ.get, CERTIFICATES)), None)
    if named:
        os.environ.setdefault("REQUESTS_CA_BUNDLE", named)
