"""Every promise and its proof: the contents page of the proofs.

A driver takes how many cases to try and a seed, and gives a `Result`. `make test` tries ``short``
of them, `make prove` ``long``; nothing else differs.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from proof import (
    canaries,
    clocks,
    corruption,
    crashes,
    delivery,
    disks,
    following,
    forgetting,
    growth,
    kills,
    life,
    losses,
    mending,
    network,
    odd_requests,
    outages,
    pauses,
    receiving,
    redelivering,
    replies,
    shop_days,
    showing,
    workers,
    writers,
)
from proof.result import Result

SEED = 20261123
"""The seed of `make test`; `make prove` takes another each time, and prints it."""


@dataclass(frozen=True)
class Proof:
    """One promise: its words, how it is tested, and how often in the short and long profile.

    ``minutes`` is about the time of the long profile: the longest proofs are started first.
    ``lacks`` says what this machine lacks for it, "" if nothing.
    """

    name: str
    promise: str
    how: str
    driver: Callable[[int, int], Result]
    unit: str
    short: int
    long: int
    minutes: float
    lacks: Callable[[], str] = lambda: ""


PROOFS = (
    Proof(
        "webhooks",
        "A webhook that was answered with 200 is in the lake, byte for byte",
        "SIGKILL of a receiver under load, in drains, too; numbers unique, `verify` content",
        receiving.killed_under_load,
        "SIGKILLs",
        short=6,
        long=500,
        minutes=5,
    ),
    Proof(
        "delivery",
        "A verdict about a webhook is the truth, once it is final",
        "lives of webhooks lost, doubled and late, of late returns, re-polls, downtime and kills",
        delivery.verdicts_are_true,
        "lives",
        short=6,
        long=300,
        minutes=5,
    ),
    Proof(
        "days",
        "Weeks of a shop are the truth in every table, and DuckDB finds the same in raw",
        "a shop with troubles and late returns, polled at all ages; tables as a whole, last states",
        shop_days.tables_are_true,
        "days",
        short=3,
        long=75,
        minutes=4,
    ),
    Proof(
        "losses",
        "Normal traffic of webhooks raises no alert, and a loss of 5 % raises one within a day",
        "400 returns a day, 1 of 1,000 webhooks lost, polls, tables and alerts each hour; then 5 %",
        losses.told_of_losses,
        "days",
        short=1,
        long=14,
        minutes=4,
    ),
    Proof(
        "redelivery",
        "Each lost webhook reaches a second receiver, or is reported as uncertain",
        "SIGKILL of `redeliver`; then the second receiver's lake, the report, and `verify`",
        redelivering.redelivered_under_kills,
        "SIGKILLs",
        short=6,
        long=100,
        minutes=3,
    ),
    Proof(
        "requests",
        "Whatever is sent to the receiver, it lives, stays under 150 MB and keeps what has the key",
        "slow, endless, torn and hostile requests over sockets; memory, log and lake afterwards",
        odd_requests.odd_requests,
        "requests",
        short=400,
        long=10_000,
        minutes=3,
    ),
    Proof(
        "kills",
        "Killed at any moment, started again: nothing lost, nothing twice",
        "SIGKILL during `backfill`, `--repoll`, `rebuild`; then tables = the simulator's truth",
        kills.random_kills,
        "SIGKILLs",
        short=12,
        long=500,
        minutes=12,
    ),
    Proof(
        "crashes",
        "Killed at every durable step, started again: the same",
        "SIGKILL at each named step of file, entry and event, in each state of the lake",
        crashes.crash_points,
        "crashes",
        short=12,
        long=1_000,
        minutes=14,
    ),
    Proof(
        "replies",
        "Every record served is kept, duplicate or rejected",
        "odd bytes over a socket: each is accounted for, nothing dies, twice gives the same bytes",
        replies.accounted_for,
        "replies",
        short=120,
        long=10_000,
        minutes=14,
    ),
    Proof(
        "model",
        "In whatever order things happen, the lake holds what was served",
        "lives of polls, kills, older copies, other zones and rules, of returns that move and come "
        "back, against dictionaries",
        life.model_runs,
        "lives",
        short=25,
        long=1_000,
        minutes=14,
    ),
    Proof(
        "show",
        "`show` gives each poll that served a return, and where each value is from",
        "the same lives, with records rejected and polls quarantined, against dictionaries",
        showing.shown_as_served,
        "lives",
        short=8,
        long=500,
        minutes=11,
    ),
    Proof(
        "changes",
        "A copy of the lake that follows `changes` is the lake",
        "kills, rebuilds, upgrades, two writers, loaders that are late or die: file for file",
        following.followed,
        "lives",
        short=8,
        long=500,
        minutes=12,
    ),
    Proof(
        "network",
        "A reply counts whole or not at all",
        "a proxy delays, slices, stalls, cuts and resets: each hour is the truth, or missing",
        network.hostile_network,
        "hours",
        short=32,
        long=480,
        minutes=3,
    ),
    Proof(
        "clocks",
        "No clock and no calendar loses or moves a return",
        "ends of years, leap days and seconds, other zones (said in words), clocks and dates wrong",
        clocks.whatever_the_clock,
        "scenes",
        short=11,
        long=120,
        minutes=3,
    ),
    Proof(
        "outages",
        "After an outage every hour is back within 70 minutes",
        "the API fails for 30 to 180 minutes, from each start minute; schedules by the clock",
        outages.back_after_outages,
        "outages",
        short=2,
        long=72,
        minutes=10,
    ),
    Proof(
        "pauses",
        "An hour that fails is asked for after growing pauses",
        "the real dagster-daemon, with and without a code server of its own; the API always fails",
        pauses.pauses_last,
        "minutes",
        short=2,
        long=20,
        minutes=21,
    ),
    Proof(
        "disks",
        "A disk that refuses costs nothing but time",
        "full, read-only, forbidden, broken at any step: told in words, old rows stay, then truth",
        disks.refusing_disk,
        "refusals",
        short=30,
        long=300,
        minutes=2,
    ),
    Proof(
        "writers",
        "Many may write at once",
        "8 processes fill the same 24 hours: a lone writer's bytes; what each was served, once",
        writers.by_pipeline,
        "rounds",
        short=2,
        long=45,
        minutes=8,
    ),
    Proof(
        "workers",
        "Machines that share only broker, database and store make every hour once",
        "SIGKILL of three Celery workers, the daemon and Redis; a lake in S3 is that of a folder, "
        "`verify` content, the rate limit kept",
        workers.on_workers,
        "hours",
        short=9,
        long=168,
        minutes=8,
        lacks=workers.lacks,
    ),
    Proof(
        "commands",
        "Many may type `backfill` at once",
        "8 commands, one lake, one DAGSTER_HOME: all end well, the simulator's truth stands",
        writers.by_command,
        "rounds",
        short=1,
        long=5,
        minutes=3,
    ),
    Proof(
        "corruption",
        "No damage goes unnoticed",
        "bit flips, truncations, deletions, foreign and swapped files: `verify` names each",
        corruption.corruptions,
        "corruptions",
        short=100,
        long=300,
        minutes=1,
    ),
    Proof(
        "mending",
        "Damage is mended or the hour is polled again",
        "after each, `rebuild` gives the same bytes, or names the hour whose poll is gone",
        mending.mendings,
        "corruptions",
        short=15,
        long=300,
        minutes=3,
    ),
    Proof(
        "growth",
        "DAGSTER_HOME stays small, and Dagster shows every hour",
        "days by a clock, RETURNS_KEEP_RUNS_DAYS=7: growth, runs left, partitions, requests",
        growth.bounded,
        "days",
        short=2,
        long=10,
        minutes=6,
    ),
    Proof(
        "forget",
        "A person who was forgotten is in no file, and every count stays",
        "SIGKILL during `forget`; then files searched, tables compared, rebuilt; later polls and "
        "webhooks bring the person again",
        forgetting.forgotten,
        "SIGKILLs",
        short=4,
        long=40,
        minutes=8,
    ),
    Proof(
        "secrets",
        "No secret and nothing personal is told, whatever fails",
        "canaries on every way to fail: files, databases, output, errors, logs, pages, processes",
        canaries.nothing_is_told,
        "failure paths",
        short=4,
        long=50,
        minutes=5,
    ),
)

BY_NAME = {proof.name: proof for proof in PROOFS}
