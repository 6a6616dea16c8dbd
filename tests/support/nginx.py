"""A shipped configuration of nginx, with the certificate, paths and ports of a test."""

from __future__ import annotations

import getpass
import re
import shutil
from collections.abc import Mapping
from pathlib import Path

import pytest
import trustme

ROOT = Path(__file__).parents[2]
needed = pytest.mark.skipif(shutil.which("nginx") is None, reason="there is no nginx")


def command_for(
    shipped: str,
    folder: Path,
    port: int,
    certificate: trustme.LeafCert,
    changes: Mapping[str, str],
) -> list[str]:
    """The command that serves ``shipped``, a file in deploy/nginx, over TLS at ``port``.

    Each of ``changes`` is a text that stands once in that file, and what takes its place.
    """
    text = (ROOT / "deploy/nginx" / shipped).read_text()
    (name,) = re.findall(r"ssl_certificate +/etc/nginx/(\w+)\.crt;", text)
    certificate.private_key_pem.write_to_path(folder / f"{name}.key")
    certificate.cert_chain_pems[0].write_to_path(folder / f"{name}.crt")
    of_test = {
        "listen 443 ssl": f"listen 127.0.0.1:{port} ssl",
        "    ssl_certificate     /etc/nginx/": f"    ssl_certificate {folder}/",
        "    ssl_certificate_key /etc/nginx/": f"    ssl_certificate_key {folder}/",
    }
    for there, here in {**of_test, **changes}.items():
        assert text.count(there) == 1, there
        text = text.replace(there, here)
    (folder / shipped).write_text(text)
    paths = ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
    temporary = "".join(f"{name}_temp_path {folder}/{name};" for name in paths)
    (folder / "nginx.conf").write_text(
        f"user {getpass.getuser()}; daemon off; pid {folder}/pid; error_log {folder}/error.log;"
        f" events {{}} http {{ access_log off; {temporary} include {folder}/{shipped}; }}"
    )
    return [str(shutil.which("nginx")), "-p", str(folder), "-c", str(folder / "nginx.conf")]
