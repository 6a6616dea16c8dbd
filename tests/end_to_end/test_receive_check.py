"""`receive --check`, straight to the receiver and through nginx with the shipped configuration."""

from __future__ import annotations

import http.server
import os
import ssl
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import pytest
import trustme
from support import forked, nginx
from support.receive_process import free_port
from support.receivers import KEY, Listening, bodies, listening

from returns_orchestration.lake.webhooks import CHECK

NAME = "hooks.example.com"
UNDERSCORES = "    underscores_in_headers on;\n"
CONNECTION = '        proxy_set_header Connection "";\n'
NO_LOGIN = '        proxy_set_header Authorization "";\n'


def check(url: str, folder: Path, listen: str, **variables: str) -> tuple[int, str]:
    """Exit code and output of `receive --check`."""
    environment = os.environ | {
        "RETURNS_LAKE": str(folder / "lake"),
        "RETURNS_WEBHOOK_KEYS": KEY,
        "RETURNS_WEBHOOK_LISTEN": listen,
        "NO_PROXY": "*",
        **variables,
    }
    done = forked.run(("receive", "--check", url), folder, environment, 120)
    assert KEY not in done.stdout + done.stderr
    return done.returncode, done.stdout + done.stderr


def address(receiver: Listening) -> str:
    url = httpx.URL(receiver.url)
    return f"{url.host}:{url.port}"


@contextmanager
def through_nginx(
    receiver: Listening, folder: Path, changes: dict[str, str]
) -> Iterator[tuple[str, Path]]:
    """The address behind nginx, and the file of certificates that trusts it."""
    authority, port = trustme.CA(), free_port()
    authority.cert_pem.write_to_path(folder / "trusted.pem")
    command = nginx.command_for(
        "returns-webhooks.conf",
        folder,
        port,
        authority.issue_cert(NAME, "127.0.0.1"),
        {"http://127.0.0.1:8351": f"http://{address(receiver)}", **changes},
    )
    with subprocess.Popen(command, cwd=folder) as process:  # noqa: S603
        try:
            url = f"https://127.0.0.1:{port}"
            context = ssl.create_default_context(cafile=str(folder / "trusted.pem"))
            for _ in range(600):
                try:
                    httpx.get(f"{url}/clickpost", verify=context, trust_env=False)
                    break
                except httpx.HTTPError:
                    threading.Event().wait(0.05)
            yield f"{url}/clickpost", folder / "trusted.pem"
        finally:
            process.terminate()


def test_a_good_way_stores_one_marked_test(tmp_path: Path) -> None:
    with listening(tmp_path) as receiver:
        code, said = check(receiver.url, tmp_path, address(receiver))
        assert (code, said.splitlines()) == (
            0,
            [
                f"The receiver at {address(receiver)} of this machine is well.",
                "OK: the test was stored.",
            ],
        )
        with_token = check(f"{receiver.url}/t/{KEY}", tmp_path, address(receiver))[0]
        assert with_token == 0
    assert [CHECK.encode() in body for body in bodies(tmp_path / "lake")] == [True, True]


def test_a_receiver_with_other_keys_is_named(tmp_path: Path) -> None:
    with listening(tmp_path, keys=("another",)) as receiver:
        code, said = check(receiver.url, tmp_path, "127.0.0.1:1")
    assert code == 1
    assert "No receiver listens at 127.0.0.1:1 of this machine." in said
    assert "The receiver answered, and no key was accepted." in said


def test_each_key_is_tried_and_one_that_the_receiver_lacks_is_named(tmp_path: Path) -> None:
    with listening(tmp_path) as receiver:
        keys = {"RETURNS_WEBHOOK_KEYS": f"not-there-yet,{KEY}"}
        code, said = check(receiver.url, tmp_path, address(receiver), **keys)
    assert code == 1
    assert "OK: the test was stored." in said
    assert "the receiver did not take number 1: it was started with others. Restart it" in said
    assert "not-there-yet" not in said


def test_another_path_is_told_from_another_key(tmp_path: Path) -> None:
    with listening(tmp_path) as receiver:
        code, said = check(f"{receiver.url}s", tmp_path, address(receiver))
        assert code == 1
        assert "not at this path: it takes webhooks at /clickpost." in said
        code, said = check(f"{receiver.url}/t/another", tmp_path, address(receiver))
        assert code == 1
        assert "no key was accepted" in said


def test_an_address_without_a_receiver_is_named(tmp_path: Path) -> None:
    port = free_port()
    code, said = check(f"http://127.0.0.1:{port}/clickpost", tmp_path, f"127.0.0.1:{port}")
    assert code == 1
    assert "cannot be reached: ConnectError" in said
    assert check("clickpost", tmp_path, f"127.0.0.1:{port}")[0] == 2


@pytest.mark.parametrize(
    ("status", "words"),
    [(301, "It is redirected (301)"), (200, "A proxy or another server answered with 200")],
)
def test_another_server_is_told_from_the_receiver(tmp_path: Path, status: int, words: str) -> None:
    class Other(http.server.BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            self.rfile.read(int(self.headers["Content-Length"]))
            self.send_response(status)
            self.send_header("Location", "/elsewhere")
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, *_: object) -> None:
            pass

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Other) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        url = f"http://127.0.0.1:{server.server_port}/clickpost"
        code, said = check(url, tmp_path, "127.0.0.1:1")
        server.shutdown()
        thread.join()
    assert code == 1
    assert words in said


@nginx.needed
@pytest.mark.parametrize(
    ("changes", "code", "words"),
    [
        ({}, 0, "OK: the test was stored."),
        ({UNDERSCORES: ""}, 1, "drops it; nginx needs `underscores_in_headers on;` to pass it"),
        (
            {UNDERSCORES: "", CONNECTION: CONNECTION + NO_LOGIN},
            1,
            "Neither `webhook_key` nor Authorization arrives",
        ),
    ],
    ids=["as shipped", "without underscores", "without Authorization, too"],
)
def test_the_hop_that_loses_the_key_is_named(
    tmp_path: Path, changes: dict[str, str], code: int, words: str
) -> None:
    with (
        listening(tmp_path) as receiver,
        through_nginx(receiver, tmp_path, changes) as (url, trusted),
    ):
        found, said = check(url, tmp_path, address(receiver), SSL_CERT_FILE=str(trusted))
        assert words in said
        assert found == code
    logged = "".join(file.read_text() for file in tmp_path.glob("*.log"))
    assert KEY not in logged
    assert len(bodies(tmp_path / "lake")) == 1
