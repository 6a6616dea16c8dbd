"""Access to the UI: a hostile page in a browser, nginx with a login, a webserver for viewers."""

from __future__ import annotations

import base64
import http.server
import json
import os
import shutil
import signal
import socket
import ssl
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest
import trustme
from support import nginx
from support.world import World

SCRIPT = str(Path(sys.executable).with_name("returns-orchestration"))
NAME = "returns.example.com"
CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")
SECONDS = 60

browser = pytest.mark.skipif(CHROMIUM is None, reason="there is no chromium")

HOSTILE = """<!doctype html><title>hostile</title><body>waiting<script>
const ui = "%s", found = {};
const mutation = key => `mutation { setConcurrencyLimit(concurrencyKey: "${key}", limit: 1) }`;
const query = "{ version }";
const post = (body, type, mode) =>
  fetch(ui + "/graphql", {method: "POST", mode, body, headers: {"content-type": type}});
const socket = () => new Promise((resolve, reject) => {
  const opened = new WebSocket(ui.replace("http", "ws") + "/graphql", "graphql-ws");
  opened.onopen = () => resolve("opened");
  opened.onerror = () => reject("refused");
});
const image = () => new Promise(resolve => {
  const loaded = new Image();
  loaded.onload = loaded.onerror = () => resolve("asked");
  loaded.src = ui + "/graphql?query=" + encodeURIComponent(mutation("image"));
});
const tries = {
  "simple post": () => post(JSON.stringify({query: mutation("post")}), "text/plain", "no-cors"),
  "post of a form": () => post("query=" + encodeURIComponent(mutation("form")),
    "application/x-www-form-urlencoded", "no-cors"),
  "post of json": () => post(JSON.stringify({query}), "application/json").then(r => r.text()),
  "get": () => fetch(ui + "/graphql?query=" + encodeURIComponent(query)).then(r => r.text()),
  "page": () => fetch(ui + "/server_info").then(r => r.text()),
  "image": image,
  "websocket": socket,
};
(async () => {
  for (const [name, attempt] of Object.entries(tries))
    found[name] = await attempt().then(String, () => "refused");
  await fetch("/found", {method: "POST", body: JSON.stringify(found)});
})();
</script>"""


@dataclass
class Ui:
    """The UI of `dev`, with ``NAME`` in RETURNS_UI_HOSTS."""

    world: World
    port: int

    @property
    def address(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def limits(self) -> set[str]:
        """The keys that a mutation has given a limit."""
        query = "{ instance { concurrencyLimits { concurrencyKey } } }"
        found = ask(self.address, query)["instance"]["concurrencyLimits"]
        return {limit["concurrencyKey"] for limit in found}


def ask(address: str, query: str, **options: Any) -> dict[str, Any]:
    with httpx.Client(trust_env=False, timeout=SECONDS, **options) as client:
        answer = client.post(f"{address}/graphql", json={"query": query})
    assert answer.status_code == 200, answer.text
    found: dict[str, Any] = answer.json()["data"]
    return found


def limit(key: str) -> str:
    return f'mutation {{ setConcurrencyLimit(concurrencyKey: "{key}", limit: 1) }}'


def free_port() -> int:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return int(free.getsockname()[1])


def wait_for(address: str, process: subprocess.Popen[bytes], **options: Any) -> None:
    deadline = time.monotonic() + 3 * SECONDS
    while time.monotonic() < deadline:
        assert process.poll() is None, "it ended by itself"
        with suppress(httpx.HTTPError):
            httpx.get(address, trust_env=False, **options)
            return
        threading.Event().wait(0.2)
    pytest.fail(f"{address} does not answer")


@contextmanager
def process(command: Sequence[str], world: World, **variables: str) -> Iterator[Any]:
    """A command that serves until it is stopped."""
    environment = world.environment_of_processes | variables
    with subprocess.Popen(command, cwd=world.folder, env=environment) as served:  # noqa: S603
        try:
            yield served
        finally:
            served.send_signal(signal.SIGTERM)
            served.wait()


@pytest.fixture(scope="module")
def ui(new_world_of_module: Callable[..., World]) -> Iterator[Ui]:
    world = new_world_of_module({"RETURNS_UI_HOSTS": NAME, "RETURNS_START": "2030-01-01T00:00:00Z"})
    port = free_port()
    with process([SCRIPT, "dev", "--port", str(port)], world) as served:
        found = Ui(world, port)
        wait_for(f"{found.address}/server_info", served)
        yield found


class Hostile:
    """A web site on another port, whose page attacks the UI and reports what came of it."""

    def __init__(self, ui: str) -> None:
        self.found: dict[str, str] = {}
        self.reported = threading.Event()
        self._content = (HOSTILE % ui).encode()

    @contextmanager
    def serving(self) -> Iterator[str]:
        """Gives the address of the page."""
        site = self

        class Page(http.server.BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                self._answer(site._content)

            def do_POST(self) -> None:
                site.found = json.loads(self.rfile.read(int(self.headers["content-length"])))
                self._answer(b"")
                site.reported.set()

            def _answer(self, content: bytes) -> None:
                self.send_response(200)
                self.send_header("content-type", "text/html")
                self.end_headers()
                self.wfile.write(content)

            def log_message(self, *_: object) -> None:
                pass

        with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Page) as server:
            thread = threading.Thread(target=server.serve_forever)
            thread.start()
            try:
                yield f"http://127.0.0.1:{server.server_port}/"
            finally:
                server.shutdown()
                thread.join()


@contextmanager
def chromium(address: str, *options: str, output: int = subprocess.DEVNULL) -> Iterator[Any]:
    """A browser that shows ``address``."""
    assert CHROMIUM
    with (
        tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as profile,
        subprocess.Popen(  # noqa: S603 - the browser of this machine
            [
                *(CHROMIUM, "--headless=new", "--no-sandbox", "--disable-gpu"),
                *("--disable-dev-shm-usage", f"--user-data-dir={profile}", "--no-first-run"),
                *(*options, address),
            ],
            env=os.environ | {"HOME": profile, "no_proxy": "*"},
            stdout=output,
            stderr=subprocess.DEVNULL,
            text=True,
        ) as process,
    ):
        try:
            yield process
        finally:
            process.kill()


def rendered(address: str, expected: str, *options: str) -> str:
    """The page as a browser shows it once its scripts have run; a busy machine gets more time."""
    shown = ""
    for _ in range(4):
        more = ("--dump-dom", "--virtual-time-budget=30000", f"--timeout={SECONDS * 1_000}")
        with chromium(address, *more, *options, output=subprocess.PIPE) as process:
            shown, _ = process.communicate(timeout=4 * SECONDS)
        if expected in shown:
            break
    return shown


@browser
def test_a_page_of_another_origin_can_neither_read_nor_change_anything(ui: Ui) -> None:
    ask(ui.address, limit("ours"))
    site = Hostile(ui.address)
    with site.serving() as page, chromium(page, "--remote-debugging-port=0"):
        assert site.reported.wait(4 * SECONDS)
    # A page is never shown the answer to a simple request: what counts is that it had no effect.
    silent = {"simple post", "post of a form", "image"}
    assert {name for name, result in site.found.items() if result != "refused"} == silent
    assert ui.limits() == {"ours"}


@browser
def test_a_foreign_name_for_this_machine_leads_to_a_refusal(ui: Ui) -> None:
    """A site whose name resolves to 127.0.0.1 would be of one origin with the UI."""
    rule = "--host-resolver-rules=MAP hostile.example 127.0.0.1"
    refusal = "This address is not known"
    shown = rendered(f"http://hostile.example:{ui.port}/server_info", refusal, rule)
    assert refusal in shown
    assert "dagster_version" not in shown


@browser
def test_the_ui_works_in_a_browser(ui: Ui) -> None:
    description = "record of each answer from ClickPost"  # it comes by GraphQL, after the page
    assert description in rendered(f"{ui.address}/assets/raw_returns", description)


@nginx.needed
def test_nginx_asks_for_a_login_and_the_ui_works_behind_it(ui: Ui, tmp_path: Path) -> None:
    authority = trustme.CA()
    port = free_port()
    with ExitStack() as stack:
        stack.enter_context(behind_nginx(ui, tmp_path, authority, port))
        context = ssl.create_default_context()
        authority.configure_trust(context)
        login = httpx.BasicAuth("viewer", "a password")
        address = f"https://127.0.0.1:{port}"

        def get(path: str, **more: Any) -> httpx.Response:
            with httpx.Client(verify=context, trust_env=False, timeout=SECONDS) as client:
                request = client.build_request(
                    "GET",
                    address + path,
                    headers={"Host": NAME} | more.pop("headers", {}),
                    extensions={"sni_hostname": NAME},
                )
                return client.send(request, **more)

        assert get("/server_info").status_code == 401
        assert get("/server_info", auth=httpx.BasicAuth("viewer", "wrong")).status_code == 401
        answer = get("/server_info", auth=login)
        assert answer.status_code == 200
        assert "dagster_version" in answer.json()
        foreign = {"Origin": "https://hostile.example"}
        assert get("/server_info", auth=login, headers=foreign).status_code == 403
        assert get("/server_info", auth=login, headers={"Origin": f"https://{NAME}"}).is_success

        handshake = websocket_handshake(port, context, f"https://{NAME}")
        assert handshake.startswith("HTTP/1.1 101 ")
        refused = websocket_handshake(port, context, "https://hostile.example")
        assert refused.startswith("HTTP/1.1 403 ")


@contextmanager
def behind_nginx(ui: Ui, folder: Path, authority: trustme.CA, port: int) -> Iterator[None]:
    """The shipped configuration, with the paths and ports of this test."""
    (folder / "returns.htpasswd").write_text("viewer:{PLAIN}a password\n")
    changes = {
        "auth_basic_user_file /etc/nginx/": f"auth_basic_user_file {folder}/",
        "http://127.0.0.1:3000": ui.address,
    }
    certificate = authority.issue_cert(NAME)
    command = nginx.command_for("returns-orchestration.conf", folder, port, certificate, changes)
    with process(command, ui.world) as served:
        wait_for(f"https://127.0.0.1:{port}/", served, verify=False)
        yield


def websocket_handshake(port: int, context: ssl.SSLContext, origin: str) -> str:
    """The first line of the answer to a handshake through nginx, with the login."""
    login = base64.b64encode(b"viewer:a password").decode()
    lines = (
        "GET /graphql HTTP/1.1",
        f"Host: {NAME}",
        f"Authorization: Basic {login}",
        f"Origin: {origin}",
        "Upgrade: websocket",
        "Connection: Upgrade",
        "Sec-WebSocket-Version: 13",
        "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==",
        "Sec-WebSocket-Protocol: graphql-ws",
    )
    with (
        socket.create_connection(("127.0.0.1", port), timeout=SECONDS) as plain,
        context.wrap_socket(plain, server_hostname=NAME) as secure,
    ):
        secure.sendall("\r\n".join((*lines, "", "")).encode())
        return secure.recv(4_096).decode("latin-1").splitlines()[0]


def test_the_webserver_for_viewers_refuses_changes(ui: Ui) -> None:
    port = free_port()
    command = [SCRIPT, "serve", "webserver", "--port", str(port), "--read-only"]
    with process(command, ui.world) as served:
        address = f"http://127.0.0.1:{port}"
        wait_for(f"{address}/server_info", served)
        assert ask(address, "{ version }")["version"]
        before = ui.limits()
        body = {"query": limit("viewer")}
        answer = httpx.post(f"{address}/graphql", json=body, trust_env=False, timeout=SECONDS)
        assert "errors" in answer.json() or "Unauthorized" in answer.text
        assert ui.limits() == before
