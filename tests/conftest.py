"""Fixtures that several rooms share: lakes, and hypothesis with few examples."""

from __future__ import annotations

import os
import uuid
from contextlib import ExitStack
from functools import cache
from typing import TYPE_CHECKING

import hypothesis
import pytest
from obstore.store import MemoryStore
from support import postgres as servers
from support import real_stores as stores
from support.gcs_server import GcsServer
from support.records import at
from support.s3_server import S3Server

from returns_orchestration.lake import Lake
from returns_orchestration.lake.store import FolderStore, ObjectStore, open_store
from returns_orchestration.settings import VARIABLES

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from returns_orchestration.lake.store import Store

    Starts = Callable[[str], stores.Running]

hypothesis.settings.register_profile("modest", max_examples=100, deadline=None)
hypothesis.settings.load_profile("modest")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "lake"


@pytest.fixture
def lake(folder: Path) -> Lake:
    """A lake in a folder; its clock does not move, so that two writes give the same bytes."""
    return Lake(FolderStore(folder), lambda: at(20))


@pytest.fixture
def memory_lake() -> Lake:
    """A lake in an object store."""
    return Lake(ObjectStore(MemoryStore(), "memory://lake"), lambda: at(20))


@pytest.fixture
def s3(monkeypatch: pytest.MonkeyPatch) -> Iterator[S3Server]:
    """An S3 server on loopback; the environment leads to it and to no other."""
    for name in [name for name in os.environ if name.startswith("AWS_")]:
        monkeypatch.delenv(name)
    with S3Server().running() as server:
        for name, value in server.variables.items():
            monkeypatch.setenv(name, value)
        yield server


@pytest.fixture
def gcs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[GcsServer]:
    """A server that answers as Google Cloud Storage; the environment leads to it."""
    for name in [name for name in os.environ if name.startswith("GOOGLE_")]:
        monkeypatch.delenv(name)
    with GcsServer(tmp_path).running() as server:
        for name, value in server.variables.items():
            monkeypatch.setenv(name, value)
        yield server


@pytest.fixture(scope="session")
def postgres_of_session() -> Iterator[servers.PostgresServer]:
    """A PostgreSQL that all tests share, each with a database of its own."""
    if servers.missing():
        pytest.skip("there is no PostgreSQL")
    with servers.PostgresServer.running() as server:
        yield server


@pytest.fixture
def own_server() -> Iterator[servers.PostgresServer]:
    """A PostgreSQL that one test may stop."""
    if servers.missing():
        pytest.skip("there is no PostgreSQL")
    with servers.PostgresServer.running() as server:
        yield server


@pytest.fixture
def database(
    postgres_of_session: servers.PostgresServer, monkeypatch: pytest.MonkeyPatch
) -> servers.Database:
    """An empty database; the environment names it, for deploy/postgres/dagster.yaml."""
    new = postgres_of_session.new_database()
    for name, value in new.variables.items():
        monkeypatch.setenv(name, value)
    return new


@pytest.fixture(scope="session")
def real_stores(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Starts]:
    """Starts a store that others have written, once, by its name. Skips the test without it."""
    with ExitStack() as stack:

        @cache
        def started(name: str) -> stores.Running:
            return stack.enter_context(stores.running(name, tmp_path_factory.mktemp(name)))

        def needed(name: str) -> stores.Running:
            if lacks := stores.missing(name):
                pytest.skip(lacks)
            return started(name)

        yield needed


@pytest.fixture
def real_lake(real_stores: Starts, monkeypatch: pytest.MonkeyPatch) -> Callable[[str], str]:
    """An address in such a store where nothing is yet; the environment leads to it."""

    def address(name: str) -> str:
        started = real_stores(name)
        for variable in [v for v in os.environ if v.startswith(("AWS_", "AZURE_", "GOOGLE_"))]:
            monkeypatch.delenv(variable)
        for variable, value in started.variables.items():
            monkeypatch.setenv(variable, value)
        return f"{started.address}/{uuid.uuid4().hex}"

    return address


@pytest.fixture
def real_store(real_lake: Callable[[str], str]) -> Callable[[str], Store]:
    """The store there."""
    return lambda name: open_store(real_lake(name))


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty project folder as the current one, and no setting in the environment."""
    for name in VARIABLES:
        monkeypatch.delenv(name, raising=False)
    (tmp_path / "workspace.yaml").touch()
    monkeypatch.chdir(tmp_path)
    return tmp_path


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Start tests that take minutes first, so that they do not end the run on one core."""
    items.sort(key=lambda item: item.get_closest_marker("long") is None)
