"""The server: starts at once, ends cleanly, goes down and up, reports its errors."""

from __future__ import annotations

import logging
import os
import signal
import socket
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor

import httpx
import pytest

from returns_orchestration.simulator import AddressTakenError, Simulator, SimulatorOptions, serve

from .conftest import KEY, USER_NAME, Start

FOREGROUND = """
from returns_orchestration.simulator import SimulatorOptions, serve
serve(SimulatorOptions(), "127.0.0.1", 0, on_ready=lambda url: print(url, flush=True))
print("ended", flush=True)
"""


def test_it_answers_as_soon_as_it_is_entered_and_not_after() -> None:
    simulator = Simulator()
    with simulator.running() as base_url:
        assert base_url.startswith("http://127.0.0.1:")
        assert base_url.endswith("/api")
        assert httpx.get(f"{base_url}/v1/return_order_poll/").status_code == 200
    with pytest.raises(httpx.ConnectError):
        httpx.get(f"{base_url}/v1/return_order_poll/")


def test_it_can_be_started_again_and_remembers_its_polls() -> None:
    simulator = Simulator()
    query = {"key": KEY, "user_name": USER_NAME, "start_time": "2026-11-09T11:00:00"}
    query["end_time"] = "2026-11-09T12:00:00"
    for _ in range(2):
        with simulator.running() as base_url:
            httpx.get(f"{base_url}/v1/return_order_poll/", params=query)
    assert [request.call for request in simulator.requests] == [1, 2]


def test_two_run_side_by_side() -> None:
    with Simulator().running() as one, Simulator().running() as other:
        assert one != other


def test_a_taken_port_is_named() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with (
            pytest.raises(AddressTakenError, match=f"127.0.0.1:{port} is taken") as caught,
            Simulator().running(port=port),
        ):
            pass
        assert (caught.value.host, caught.value.port) == ("127.0.0.1", port)
        with pytest.raises(AddressTakenError):
            serve(SimulatorOptions(), "127.0.0.1", port, on_ready=print)


def test_down_resets_new_and_kept_connections_and_up_is_up(start: Start) -> None:
    api = start()
    assert api.poll().status_code == 200
    api.simulator.down = True
    for _ in range(3):
        with pytest.raises(httpx.TransportError):
            api.poll()
    assert len(api.simulator.requests) == 1
    api.simulator.down = False
    assert api.poll().status_code == 200


def test_a_client_that_hangs_does_not_keep_the_server_from_ending() -> None:
    simulator = Simulator(faults=["hang:*"])
    query = "start_time=2026-11-09T11:00:00&end_time=2026-11-09T12:00:00"
    with simulator.running() as base_url:
        url = httpx.URL(f"{base_url}/v1/return_order_poll/?key={KEY}&user_name={USER_NAME}&{query}")
        client = socket.create_connection((url.host, url.port or 0), timeout=10)
        client.sendall(b"GET %b HTTP/1.1\r\nhost: x\r\n\r\n" % url.raw_path)
        # A second request has its answer only after the first has been judged.
        assert httpx.get(base_url).status_code == 404
        assert simulator.requests[0].fault == "hang"
    with client:
        assert client.recv(1) == b""


def test_many_clients_at_once_are_all_served(start: Start) -> None:
    api = start(returns_per_hour=50, rhythm=False)
    hours = [f"2026-11-09T{hour:02d}:00:00" for hour in range(24)]

    def ask(index: int) -> int:
        return len(api.records(start_time=hours[index], end_time=hours[index + 1]))

    with ThreadPoolExecutor(8) as pool:
        counts = list(pool.map(ask, range(23)))
    assert min(counts) >= 50
    assert len(api.simulator.requests) == 23


def test_latency_comes_before_the_reply(start: Start) -> None:
    api = start(latency=0.05)
    assert api.poll().elapsed.total_seconds() >= 0.05


def test_no_log_line_holds_the_key(start: Start, caplog: pytest.LogCaptureFixture) -> None:
    httpx_log = logging.getLogger("httpx")
    httpx_log.disabled = True  # the client's own log is not tested here
    try:
        with caplog.at_level(logging.DEBUG):
            api = start(faults=["echo:1", "short-body:2"])
            api.poll()
            with pytest.raises(httpx.RemoteProtocolError):
                api.poll()
            api.poll()
    finally:
        httpx_log.disabled = False
    server_lines = [line for line in caplog.records if not line.name.startswith("httpcore")]
    assert not any(KEY in line.getMessage() for line in server_lines)
    assert not any(line.levelno >= logging.WARNING for line in server_lines)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_in_the_foreground_a_signal_ends_it_cleanly(number: signal.Signals) -> None:
    with subprocess.Popen(  # noqa: S603 - our own interpreter and text
        [sys.executable, "-W", "error", "-c", FOREGROUND],
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdout is not None
        base_url = process.stdout.readline().strip()
        assert httpx.get(f"{base_url}/v1/return_order_poll/").status_code == 200
        process.send_signal(number)
        out, err = process.communicate(timeout=20)
    assert (process.returncode, out, err) == (0, "ended\n", "")


def test_no_thread_is_left_behind() -> None:
    before = threading.active_count()
    with Simulator().running():
        assert threading.active_count() == before + 1
    assert threading.active_count() == before
