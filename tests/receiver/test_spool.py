from __future__ import annotations

import asyncio
import sqlite3
import stat
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from returns_orchestration.errors import SettingsError, SpoolUnwritable
from returns_orchestration.receiver import spool_writer
from returns_orchestration.receiver.spool import Spool
from returns_orchestration.receiver.spool_tables import Batch, Delivery

CAP = 50_000_000


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "a folder" / "spool?#%.db"


@pytest.fixture
def spool(path: Path) -> Iterator[Spool]:
    with Spool(path, CAP) as found:
        yield found


def delivery(number: int, size: int = 3) -> Delivery:
    return Delivery(
        number, "application/json", redelivered=False, body=f"{number}".encode().ljust(size)
    )


def put(spool: Spool, *deliveries: Delivery) -> list[bool]:
    """Put ``deliveries`` at once; whether each is durable."""

    async def all_of_them() -> list[bool]:
        loop = asyncio.get_running_loop()
        return list(await asyncio.gather(*(spool.put(one, loop) for one in deliveries)))

    return asyncio.run(all_of_them())


def stored(spool: Spool) -> list[Delivery]:
    return [one.delivery for one in spool.of(Batch(0, 2**60))]


def on_disk(path: Path) -> list[int]:
    """Times of receipt by another connection, as another process sees the file."""
    with closing(sqlite3.connect(path)) as connection:
        return [row[0] for row in connection.execute("SELECT received_at FROM deliveries")]


def test_what_is_put_is_on_the_disk(path: Path, spool: Spool) -> None:
    sent = [delivery(number) for number in range(1_000)]
    assert put(spool, *sent) == [True] * 1_000
    assert stored(spool) == sent
    assert on_disk(path) == list(range(1_000))


def test_deliveries_that_wait_share_a_commit(spool: Spool, monkeypatch: pytest.MonkeyPatch) -> None:
    sizes: list[int] = []
    insert = spool_writer._insert

    def counted(some: list[spool_writer._Waiting], connection: sqlite3.Connection) -> None:
        sizes.append(len(some))
        insert(some, connection)

    monkeypatch.setattr(spool_writer, "_insert", counted)
    put(spool, *(delivery(number) for number in range(2_000)))
    assert sum(sizes) == 2_000
    assert len(sizes) < 200


def test_the_file_belongs_to_its_user_alone(path: Path, spool: Spool) -> None:
    put(spool, delivery(1))
    for suffix in ("", "-wal", "-shm", ".lock"):
        mode = path.with_name(path.name + suffix).stat().st_mode
        assert stat.S_IMODE(mode) == 0o600, suffix


def test_every_commit_waits_for_the_disk(spool: Spool) -> None:
    assert spool.call(lambda c: c.execute("PRAGMA synchronous").fetchone()) == (2,)
    assert spool.call(lambda c: c.execute("PRAGMA journal_mode").fetchone()) == ("wal",)
    assert spool.call(lambda c: c.execute("PRAGMA secure_delete").fetchone()) == (1,)


def test_numbers_and_instance_stay_when_it_is_opened_again(path: Path) -> None:
    with Spool(path, CAP) as first:
        put(first, delivery(1), delivery(2))
        instance = first.instance
        first.note(Batch(1, 2))
        first.remove(Batch(1, 2))
    with Spool(path, CAP) as again:
        assert again.instance == instance
        put(again, delivery(3))
        assert [one.id for one in again.of(Batch(0, 9))] == [3]


def test_a_second_process_is_refused(path: Path, spool: Spool) -> None:
    with pytest.raises(SettingsError, match="Another receiver uses the spool"), Spool(path, CAP):
        pass
    assert put(spool, delivery(1)) == [True]


def test_a_spool_of_a_later_release_is_refused(path: Path) -> None:
    with Spool(path, CAP):
        pass
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("PRAGMA user_version = 99")
    with pytest.raises(SettingsError, match="made by a later release"), Spool(path, CAP):
        pass


@pytest.mark.parametrize("damage", ["text", "header", "page"])
def test_a_spool_that_cannot_be_read_is_set_aside(path: Path, damage: str) -> None:
    with Spool(path, CAP) as first:
        put(first, *(delivery(number, 3_000) for number in range(100)))
    content = bytearray(path.read_bytes())
    if damage == "text":
        content = bytearray(b"no database")
    elif damage == "header":
        content[0:100] = bytes(100)
    else:
        content[4096 * 3 : 4096 * 4] = b"\xff" * 4096
    path.write_bytes(content)
    with Spool(path, CAP) as spool:
        assert put(spool, delivery(1)) == [True]
        assert spool.set_aside is not None
        assert spool.set_aside.read_bytes() == content
        assert spool.instance != first.instance
    with Spool(path, CAP) as spool:
        aside = spool.set_aside
        assert aside is not None
        aside.unlink()
        assert spool.set_aside is None


def test_too_many_that_wait_are_refused(spool: Spool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(spool_writer, "MOST_WAITING", 0)
    with pytest.raises(SpoolUnwritable, match="deliveries wait to be stored"):
        put(spool, delivery(1))


def test_a_full_spool_takes_no_more_until_it_is_drained(path: Path) -> None:
    with Spool(path, 1_000_000) as spool:
        put(spool, *(delivery(number, 10_000) for number in range(150)))
        assert spool.is_full
        with pytest.raises(SpoolUnwritable, match="RETURNS_WEBHOOK_SPOOL_MB"):
            put(spool, delivery(999))
        batch = Batch(1, 150)
        spool.note(batch)
        spool.remove(batch)
        assert not spool.is_full
        assert put(spool, delivery(999)) == [True]


def test_what_was_removed_is_in_no_file(path: Path) -> None:
    with Spool(path, CAP) as spool:
        put(
            spool,
            *(Delivery(1, "", redelivered=False, body=b"canary-7731 " * 300) for _ in range(50)),
        )
        spool.note(Batch(1, 50))
        spool.remove(Batch(1, 50))
        spool.compact()
        files = list(path.parent.iterdir())
        assert not [file for file in files if b"canary-7731" in file.read_bytes()]
        assert path.stat().st_size < 100_000


def test_a_failed_change_leaves_nothing_and_the_next_one_is_done(spool: Spool) -> None:
    def fail(connection: sqlite3.Connection) -> None:
        connection.execute("INSERT INTO batches VALUES (1, 2, 0)")
        connection.execute("INSERT INTO nowhere VALUES (1)")

    with pytest.raises(SpoolUnwritable, match="no such table"):
        spool.call(fail)
    assert spool.problem
    assert spool.batches() == []
    spool.note(Batch(3, 4))
    assert spool.problem == ""
    assert spool.batches() == [Batch(3, 4)]


def test_after_a_failure_deliveries_are_refused_for_a_second(
    spool: Spool, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(SpoolUnwritable):
        spool.call(lambda c: c.execute("nonsense"))
    with pytest.raises(SpoolUnwritable, match="syntax error"):
        put(spool, delivery(1))
    monkeypatch.setattr(spool_writer, "RETRY_SECONDS", 0.0)
    assert put(spool, delivery(2)) == [True]
    assert stored(spool) == [delivery(2)]


@pytest.mark.parametrize("how", ["deleted", "replaced"])
def test_a_spool_that_is_deleted_meanwhile_acknowledges_nothing(
    path: Path, spool: Spool, how: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(spool_writer, "RETRY_SECONDS", 0.0)
    put(spool, delivery(1))
    for file in list(path.parent.glob(f"{path.name}*")):
        if not file.name.endswith(".lock"):
            file.unlink()
    if how == "replaced":
        path.touch()
    assert put(spool, delivery(2)) == [False]
    assert put(spool, delivery(3)) == [True]
    assert on_disk(path) == [3]
    assert spool.set_aside is None, "the log was deleted, too"


def test_the_log_of_a_spool_that_is_replaced_is_set_aside(
    path: Path, spool: Spool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(spool_writer, "RETRY_SECONDS", 0.0)
    put(spool, delivery(1))
    path.unlink()
    assert put(spool, delivery(2)) == [False]
    assert put(spool, delivery(3)) == [True]
    assert spool.set_aside is not None
    assert spool.set_aside.name.startswith(f"{path.name}-wal.replaced-")


def test_a_folder_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(SpoolUnwritable) as raised, Spool(tmp_path / "file/s", CAP):
        pass
    assert "cannot be written" in str(raised.value)
    assert "then start the receiver again" in str(raised.value)


def test_a_folder_in_the_place_of_the_file_is_named_and_no_lock_is_made(path: Path) -> None:
    path.mkdir(parents=True)
    with pytest.raises(SettingsError, match="is a folder"), Spool(path, CAP):
        pass
    assert list(path.parent.iterdir()) == [path]


def test_what_waits_is_written_before_it_is_closed(path: Path) -> None:
    with Spool(path, CAP) as spool:
        loop = asyncio.new_event_loop()
        futures = [spool.put(delivery(number), loop) for number in range(100)]
    loop.run_until_complete(asyncio.gather(*futures))
    loop.close()
    assert all(future.result() for future in futures)
    assert on_disk(path) == list(range(100))
    with pytest.raises(SpoolUnwritable, match="is stopping"):
        put(spool, delivery(1))


def test_no_descriptor_is_left_open(path: Path) -> None:
    before = len(list(Path("/proc/self/fd").iterdir()))
    for _ in range(5):
        with Spool(path, CAP) as spool:
            put(spool, delivery(1))
            with pytest.raises(SpoolUnwritable):
                spool.call(lambda c: c.execute("nonsense"))
    assert len(list(Path("/proc/self/fd").iterdir())) == before
