"""Alerts end to end: real API, runs, lake and receiver, and a clock that the test sets."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from typing import Any

import dagster as dg
import pytest
from support.receiver import Receiver
from support.unattended import START
from support.watched import Watched

from returns_orchestration.simulator import Dataset


def after(hours: float) -> Any:
    return START + timedelta(hours=hours)


def test_messages_reach_a_receiver_that_was_down_once_each_and_in_order(
    watch: Callable[..., Watched], receiver: Receiver
) -> None:
    daemon = watch({"RETURNS_ALERT_GRACE_MINUTES": "30"})
    daemon.live_to(after(2))
    receiver.status = 503
    daemon.world.simulator.faults = ["meta-400-repr:*"]
    daemon.live_to(after(4))
    daemon.world.simulator.faults = []
    daemon.live_to(after(6))
    assert receiver.messages == []
    assert receiver.refused
    receiver.status = 200
    daemon.live_to(after(6.5))
    missing = [title for title in receiver.titles if "returns" in title]
    assert [title.split()[0] for title in missing] == ["[problem]", "[resolved]"]
    assert [title for title in receiver.titles if title not in missing] == []
    attempts = daemon.world.scan("alerts").filter(event="failed")
    assert attempts.height == receiver.refused
    assert set(attempts.get_column("channel")) == {"json 1"}


def test_a_lake_that_could_not_be_written_for_minutes_is_no_standstill(
    watch: Callable[..., Watched], receiver: Receiver
) -> None:
    daemon = watch({"RETURNS_ALERT_GRACE_MINUTES": "5", "RETURNS_ALERT_COOLDOWN_MINUTES": "1"})
    daemon.live_to(after(2))
    lake = daemon.world.lake
    lake.rename(lake.with_name("away"))
    lake.write_text("a file where the folder was")
    daemon.only = {"incidents"}  # the other sensors fail as a whole
    minute = timedelta(minutes=1)
    daemon.live_to(after(2) + 16 * minute, step=minute)
    lake.unlink()
    lake.with_name("away").rename(lake)
    daemon.live_to(after(2) + 18 * minute, step=minute)
    daemon.only = None
    daemon.live_to(after(3), step=minute)
    assert [title.split("]")[0] for title in receiver.titles] == ["[urgent", "[resolved"]
    assert "The lake cannot be read or written" in receiver.titles[0]
    assert [incident.kind for incident in daemon.state.incidents if incident.notified_at] == []


def test_a_wrong_key_is_notified_at_once_and_so_is_its_correction(
    watch: Callable[..., Watched], receiver: Receiver
) -> None:
    daemon = watch()
    daemon.live_to(after(2))
    daemon.world.simulator.faults = ["auth:*"]
    daemon.live_to(after(2.2))
    assert receiver.titles == ["[urgent] ClickPost refuses our key or user name"]
    daemon.live_to(after(5))
    daemon.world.simulator.faults = []
    daemon.live_to(after(8.5))
    assert receiver.titles[1:] == ["[resolved] ClickPost accepts our key and user name"]
    assert not [incident for incident in daemon.state.incidents if incident.is_open]


def test_an_api_on_india_time_is_exactly_one_incident(
    watch: Callable[..., Watched], receiver: Receiver
) -> None:
    daemon = watch(zone="Asia/Kolkata", returns_per_hour=6, rhythm=False)
    daemon.live_to(after(3.5))
    assert receiver.titles == ["[urgent] Request times do not fit the configured time zone"]
    assert "CLICKPOST_TIME_ZONE" in receiver.messages[0]["message"]
    assert [incident.kind for incident in daemon.state.incidents] == ["times not as configured"]


def test_returns_that_a_later_poll_lost_are_notified(
    watch: Callable[..., Watched], receiver: Receiver
) -> None:
    daemon = watch(returns_per_hour=4, rhythm=False)
    daemon.live_to(after(1.5))
    desk = daemon.world.simulator._desk
    desk.dataset = Dataset(replace(desk.options, seed=7))  # other returns than before
    daemon.live_to(after(2.2))
    assert receiver.titles == [
        "[problem] Returns that ClickPost had sent are no longer sent, in 1 hour"
    ]
    assert [incident.kind for incident in daemon.state.incidents] == ["returns vanished"]


def test_records_that_cannot_be_used_are_notified(
    watch: Callable[..., Watched], receiver: Receiver
) -> None:
    daemon = watch(returns_per_hour=5, rhythm=False, unusable=0.5)
    daemon.live_to(after(2.5))
    assert [title.split(",")[0] for title in receiver.titles] == [
        "[problem] ClickPost sends returns that cannot be used"
    ]


def test_open_incidents_are_shown_in_the_ui_the_lake_and_the_command_line(
    watch: Callable[..., Watched],
) -> None:
    daemon = watch({"RETURNS_ALERT_URLS": ""}, returns_per_hour=5, rhythm=False, unusable=0.5)
    daemon.live_to(after(1.2))
    (shown,) = [event for event in daemon.shown if event.asset_key == dg.AssetKey("alerts")]
    assert "cannot be used" in shown.metadata["incidents"].value
    assert shown.metadata["open"].value == 1
    assert daemon.world.scan("alerts").get_column("event").to_list() == ["opened", "notified"]
    listed = daemon.world.run("incidents")
    assert listed.returncode == 1
    assert "cannot be used" in listed.stdout


def test_the_heartbeat_is_called_at_each_look_and_no_alert_depends_on_it(
    watch: Callable[..., Watched], receiver: Receiver
) -> None:
    daemon = watch({"RETURNS_HEARTBEAT_URL": f"http://127.0.0.1:{receiver.port}/ping/canary-9"})
    daemon.live_to(after(0.5))
    assert receiver.beats == ["/ping/canary-9"] * 3
    receiver.status = 500
    daemon.live_to(after(1))
    assert len(receiver.beats) == 6


def test_no_secret_is_in_any_message_log_or_file(
    watch: Callable[..., Watched], receiver: Receiver, caplog: pytest.LogCaptureFixture
) -> None:
    canary = "canary-hook-51"
    daemon = watch(
        {
            "RETURNS_ALERT_URLS": f"{receiver.url}/{canary},json://user:{canary}@127.0.0.1:1/",
            "RETURNS_HEARTBEAT_URL": f"http://127.0.0.1:1/{canary}",
        },
        unusable=0.5,
        returns_per_hour=5,
        rhythm=False,
    )
    daemon.live_to(after(1.5))
    daemon.world.simulator.faults = ["echo:*"]
    daemon.live_to(after(2.3))
    assert receiver.messages
    secrets = (canary, daemon.world.simulator.options.key, daemon.world.simulator.options.user_name)
    files = [path for path in daemon.world.folder.rglob("*") if path.is_file()]
    texts = [path.read_bytes() for path in files] + [caplog.text.encode()]
    texts += [str(receiver.messages).encode()]
    assert not [s for s in secrets if any(s.encode() in text for text in texts)]
    failed = daemon.world.scan("alerts").filter(event="failed")
    assert set(failed.get_column("channel")) == {"json 2"}
    assert failed.get_column("text").str.ends_with(": no connection, or no answer in time").all()


def test_the_commands_show_open_incidents_and_report_a_stopped_sensor(
    watch: Callable[..., Watched], receiver: Receiver
) -> None:
    daemon = watch()
    never = daemon.world.run("incidents")
    assert (never.returncode, never.stdout) == (1, "")
    assert "has not looked at this lake yet" in never.stderr
    daemon.live_to(after(0.5))
    asleep = daemon.world.run("incidents")  # the clock of the test is not today's
    assert asleep.returncode == 1
    assert asleep.stdout.splitlines()[1:] == ["0 incidents are open."]
    assert "The last look was at 2026-11-01" in asleep.stderr
    sent = daemon.world.run("alert", "--test")
    assert (sent.returncode, sent.stdout) == (0, "ok    json 1: the message was accepted\n")
    assert receiver.titles == ["[test] returns-orchestration can reach this channel"]
    assert daemon.world.run("alert").returncode == 2
    assert daemon.world.run("alert", "--test", RETURNS_ALERT_URLS="").returncode == 2


def test_altered_files_of_the_table_are_detected(
    watch: Callable[..., Watched],
) -> None:
    daemon = watch()
    daemon.world.simulator.faults = ["meta-400-repr:*"]
    daemon.live_to(after(4))
    daemon.world.simulator.faults = []
    daemon.live_to(after(6))
    clean = daemon.world.run("verify")
    assert clean.returncode == 0, clean.stdout
    file = next(daemon.world.lake.glob("alerts/*/*.parquet"))
    content = bytearray(file.read_bytes())
    content[len(content) // 2] ^= 1
    file.write_bytes(content)
    altered = daemon.world.run("verify")
    assert altered.returncode == 1
    assert file.name in altered.stdout


@pytest.mark.long
def test_days_of_outages_are_two_incidents_and_four_messages(
    watch: Callable[..., Watched], receiver: Receiver
) -> None:
    """The outages of test_unattended, closer together: recovery within the grace is no news."""
    daemon = watch(
        {"RETURNS_REPOLL_AFTER_HOURS": "1,6"},
        returns_per_hour=3,
        late_share=0.3,
        late_by=(timedelta(minutes=15), timedelta(hours=20)),
    )
    daemon.live_to(after(5))
    daemon.world.simulator.faults = ["meta-400-repr:*"]  # the API is down for six hours
    daemon.live_to(after(7))
    assert receiver.titles == []
    daemon.live_to(after(7) + timedelta(minutes=10))  # 04:00 was due at 05:10
    assert len(receiver.titles) == 1
    daemon.live_to(after(11))
    daemon.world.simulator.faults = []
    daemon.live_to(after(16))
    daemon.live_to(after(21), daemon=False)
    daemon.live_to(after(24))
    daemon.kill_next = True
    daemon.live_to(after(28))
    daemon.world.simulator.faults = ["meta-400-repr:*:2026-11-02T05:00"]  # one hour always fails
    daemon.live_to(after(37))
    daemon.world.simulator.faults = []
    daemon.live_to(after(39))
    # Two ages, the last of six hours, are too few for returns that come up to twenty hours late.
    too_early = [title for title in receiver.titles if title.startswith("[notice] lateness: ")]
    assert len(too_early) == 1
    about_lateness = [i.subject for i in daemon.state.incidents if i.subject.startswith("lateness")]
    assert about_lateness == ["lateness: hardly_any_return_comes_at_the_last_age"]
    assert [title for title in receiver.titles if title not in too_early] == [
        "[problem] 2 hours of returns are missing: the API refuses the requests",
        "[resolved] The 6 hours of returns that were missing are there",
        "[problem] 1 hour of returns is missing: the API refuses the requests",
        "[resolved] The 1 hour of returns that was missing is there",
    ]


def test_a_failed_check_is_notified_and_a_notice_waits_for_the_morning(
    watch: Callable[..., Watched], receiver: Receiver
) -> None:
    # It is half past five in the morning in India.
    daemon = watch(returns_per_hour=60, rhythm=False)
    daemon.world.simulator.faults = ["not-json-utf8:*"]
    daemon.live_to(after(2.3))
    assert [incident.kind for incident in daemon.state.incidents] == ["check failed"]
    assert receiver.titles == []
    daemon.live_to(after(2.5))
    (title,) = receiver.titles
    assert title.startswith("[notice] raw_returns: ")
    assert title.endswith(", in 2 hours")
    assert daemon.state.incidents[0].subject == "raw_returns: the_text_is_utf_8"


def test_a_lake_that_cannot_be_written_is_notified_once_and_so_is_its_end(
    watch: Callable[..., Watched], receiver: Receiver
) -> None:
    daemon = watch()
    daemon.live_to(after(1))
    place = daemon.world.lake / "_alerts"
    place.rename(place.with_name("aside"))
    place.write_text("no folder")
    for _ in range(2):
        daemon.now += timedelta(minutes=10)
        daemon.look("incidents")
    assert receiver.titles == ["[urgent] The lake cannot be read or written"]
    place.unlink()
    place.with_name("aside").rename(place)
    daemon.look("incidents")
    daemon.look("incidents")
    assert receiver.titles[1:] == ["[resolved] The lake can be read and written"]
