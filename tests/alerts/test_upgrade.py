"""An upgrade neither loses nor repeats an alert: the original files of release 0.2."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

import polars as pl
from alerts.conftest import START, Desk, evaluated, hour, unread

from returns_orchestration.alerts.state import STATE, WATCH
from returns_orchestration.state.failing_claims import Evaluation

BEFORE = Path(__file__).parents[1] / "data" / "alerts_of_0.2"
"""A tick that was killed after its state was put: hours 05 to 07 are missing, three incidents were
notified and their messages wait for a channel that was down, and six rows are in no file yet."""

OPEN = ["hours missing", "returns rejected", "check failed", "channel down"]


def upgraded(desk: Desk) -> None:
    desk.lake.store.put(STATE, (BEFORE / "state.json").read_bytes())
    desk.lake.store.put(WATCH, (BEFORE / "seen.json").read_bytes())
    desk.gone = {hour(5), hour(6), hour(7)}
    desk.last_tick = START + timedelta(hours=8.5)
    desk.now = desk.last_tick + timedelta(minutes=10)


def failing(desk: Desk) -> list[Evaluation]:
    return [unread(window, desk.now, "ServerFault") for window in sorted(desk.gone)]


def test_open_incidents_stay_and_are_not_notified_again(desk: Desk, folder: Path) -> None:
    upgraded(desk)
    desk.down = {"mail 1": "it answered HTTP 500"}
    desk.tick(*failing(desk))
    assert desk.kinds == OPEN
    assert not [path for path in desk.lake.store.list("_alerts") if "unreadable" in path]
    rows = pl.read_parquet(f"{folder}/alerts/**/*.parquet")
    # Its unfiled rows are filed with its words, and no incident is opened or notified again.
    assert rows.get_column("event").to_list() == ["opened"] * 3 + ["told"] * 3 + ["failed"]
    assert [incident.number for incident in desk.state.incidents] == [0, 1, 2, 3, 4]


def test_waiting_messages_are_delivered_with_their_old_words(desk: Desk) -> None:
    upgraded(desk)
    desk.tick(*failing(desk))
    assert desk.titles == [
        "[over] New hours of returns are complete again",
        "[problem] 2 hours of returns are missing: the API fails on ClickPost's side",
        "[problem] ClickPost sends returns that cannot be used, in 1 hour",
        "[notice] A check of returns fails: keys are known",
    ]


def test_open_incidents_are_resolved_once_with_current_words(desk: Desk) -> None:
    upgraded(desk)
    desk.tick(*failing(desk))
    desk.gone = set()
    desk.live(1 / 6)
    assert desk.titles[4:] == ["[resolved] The 3 hours of returns that were missing are there"]
    desk.tick(evaluated(hour(4), desk.now, asset="rejected_returns"), evaluated(hour(4), desk.now))
    assert desk.kinds == []
    assert sorted(desk.titles[5:]) == [
        "[resolved] ClickPost sends no more returns that cannot be used",
        "[resolved] returns: no new failure of 'keys are known'",
    ]


def test_a_claim_that_only_moved_to_another_check_is_not_notified(
    desk: Desk,
) -> None:
    """The release before did not note the check of a claim, as each asset had one."""
    upgraded(desk)
    desk.gone = set()
    desk.live(60)
    sent = len(desk.sent)
    assert desk.kinds == []
    other = Evaluation("returns", hour(4).key, desk.now, check="another")
    desk.tick(other, evaluated(hour(4), desk.now, "keys_are_known", weight="warning"))
    desk.live(1)
    assert len(desk.sent) == sent
    assert desk.kinds == []


def test_known_hours_are_not_looked_at_again(desk: Desk) -> None:
    upgraded(desk)
    desk.tick()
    assert desk.watch.complete.pairs() == [[hour(0).key, hour(5).key]]
    assert desk.watch.missing.pairs() == [[hour(5).key, hour(8).key]]
    assert desk.watch.began_at == START + timedelta(minutes=10)
