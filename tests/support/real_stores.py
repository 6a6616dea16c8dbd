"""Object stores that others have written, each on a real port: emulators of S3 and of Azure.

They have an environment of their own, ``.venv-stores``, which ``.ci/run`` makes, as they must not
enter our pins. Tests that need one are skipped where it is not there. ``ministack`` and ``moto``
are of PyPI; ``azurite`` and ``s3rver`` are of npm. ``s3rver`` ignores If-None-Match and If-Match.

There is none for Google Cloud Storage: see ``gcs_server``.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import os
import socket
import subprocess
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from email.utils import format_datetime
from pathlib import Path
from typing import Final, NamedTuple

from support.receive_process import free_port
from support.s3_server import BUCKET, S3Server

STORES: Final = Path(__file__).parents[2] / ".venv-stores"
SERVERS: Final = {
    "ministack": "bin/ministack",
    "moto": "bin/moto_server",
    "s3rver": "node_modules/.bin/s3rver",
    "azurite": "node_modules/.bin/azurite-blob",
}

ACCOUNT: Final = "devstoreaccount1"
ACCOUNT_KEY: Final = base64.b64encode(b"the key of a store of a test").decode()


class Running(NamedTuple):
    """A store that runs: the address of its bucket, and the variables by which it is reached."""

    address: str
    variables: dict[str, str]


def missing(name: str) -> str:
    """Why the store ``name`` cannot be run here; "" if it can."""
    there = (STORES / SERVERS[name]).exists()
    return "" if there else f"there is no {name} in .venv-stores, which .ci/run makes"


@contextmanager
def s3(folder: Path) -> Iterator[tuple[str, Running]]:
    """An S3 server and its name: ministack where it is installed, and else one of our own."""
    if missing("ministack"):
        with S3Server().running() as own:
            yield "our own S3 server", Running(f"s3://{BUCKET}", own.variables)
    else:
        with running("ministack", folder) as other:
            yield "ministack", other


@contextmanager
def running(name: str, folder: Path) -> Iterator[Running]:
    """Run the store ``name``, with an empty bucket."""
    program = STORES / SERVERS[name]
    port = free_port()
    arguments: dict[str, list[str]] = {
        "ministack": [],
        "moto": ["-H", "127.0.0.1", "-p", str(port)],
        "s3rver": [
            *("-a", "127.0.0.1", "-p", str(port), "-d", str(folder), "--silent"),
            *("--configure-bucket", BUCKET),
        ],
        "azurite": [
            *("--blobHost", "127.0.0.1", "--blobPort", str(port)),
            *("--inMemoryPersistence", "--silent", "--skipApiVersionCheck", "--disableTelemetry"),
        ],
    }
    environment = {
        "PATH": os.environ["PATH"],
        "HOME": str(folder),
        "BIND_HOST": "127.0.0.1",
        "GATEWAY_PORT": str(port),
        "SERVICES": "s3",
        "AZURITE_ACCOUNTS": f"{ACCOUNT}:{ACCOUNT_KEY}",
    }
    process = subprocess.Popen(  # noqa: S603 - a program of a test
        [str(program), *arguments[name]],
        cwd=folder,
        env=environment,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        _wait_for(process, port)
        url = f"http://127.0.0.1:{port}"
        if name == "azurite":
            _put(f"{url}/{ACCOUNT}/{BUCKET}?restype=container", _signed())
            yield Running(f"az://{BUCKET}", _azure(f"{url}/{ACCOUNT}"))
        else:
            if name != "s3rver":  # it makes its bucket itself
                _put(f"{url}/{BUCKET}", {})
            yield Running(f"s3://{BUCKET}", _s3(url))
    finally:
        process.kill()
        process.wait()


def _wait_for(process: subprocess.Popen[bytes], port: int) -> None:
    """Return when ``port`` accepts connections."""
    end = time.monotonic() + 60
    while True:
        try:
            socket.create_connection(("127.0.0.1", port), timeout=1).close()
        except OSError:
            if process.poll() is not None or time.monotonic() > end:
                raise
            time.sleep(0.05)
        else:
            return


def _s3(url: str) -> dict[str, str]:
    return {
        "AWS_ACCESS_KEY_ID": "S3RVER",  # the only one that s3rver knows; the others take any
        "AWS_SECRET_ACCESS_KEY": "S3RVER",
        "AWS_REGION": "us-east-1",
        "AWS_ENDPOINT": url,
        "AWS_ALLOW_HTTP": "true",
    }


def _azure(url: str) -> dict[str, str]:
    return {
        "AZURE_STORAGE_ACCOUNT_NAME": ACCOUNT,
        "AZURE_STORAGE_ACCOUNT_KEY": ACCOUNT_KEY,
        "AZURE_ENDPOINT": url,
        "AZURE_ALLOW_HTTP": "true",
    }


def _put(url: str, headers: dict[str, str]) -> None:
    """Make a bucket or a container, which obstore cannot."""
    request = urllib.request.Request(url, method="PUT", headers=headers)  # noqa: S310 - loopback
    with urllib.request.urlopen(request) as answer:  # noqa: S310
        answer.read()


def _signed() -> dict[str, str]:
    """The headers by which Azure accepts that the container is made."""
    date, version = format_datetime(datetime.now(UTC), usegmt=True), "2021-08-06"
    lines = ["PUT", *[""] * 11, f"x-ms-date:{date}", f"x-ms-version:{version}"]
    lines += [f"/{ACCOUNT}/{ACCOUNT}/{BUCKET}", "restype:container"]
    key = base64.b64decode(ACCOUNT_KEY)
    digest = hmac.new(key, "\n".join(lines).encode(), hashlib.sha256).digest()
    signature = base64.b64encode(digest).decode()
    return {
        "x-ms-date": date,
        "x-ms-version": version,
        "Authorization": f"SharedKey {ACCOUNT}:{signature}",
    }
