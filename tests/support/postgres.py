"""A real PostgreSQL on a free port of loopback, with a database for each test.

It runs from a temporary folder and as another user than root, which it refuses. Users log in by a
password. Nothing is flushed to the disk: no test is about a crash of the machine.
"""

from __future__ import annotations

import os
import secrets
import shutil
import socket
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any
from urllib.parse import quote

import psycopg2

USER = "canary-database-user"
PASSWORD = "canary database/password"
CONFIGURATION = Path(__file__).parents[2] / "deploy/postgres/dagster.yaml"


def _program(name: str) -> str | None:
    """Where a program of PostgreSQL is; Debian keeps it out of PATH. The newest release counts."""
    of_releases = Path("/usr/lib/postgresql").glob(f"*/bin/{name}")
    found = sorted(of_releases, key=lambda path: int(path.parts[-3]))
    return shutil.which(name) or (str(found[-1]) if found else None)


def missing() -> bool:
    """Whether this machine has no PostgreSQL."""
    return _program("initdb") is None


@dataclass(frozen=True)
class Database:
    """How to reach a database; other values than the right ones are for tests of faults."""

    port: int
    name: str
    host: str = "127.0.0.1"
    user: str = USER
    password: str = PASSWORD

    @property
    def variables(self) -> dict[str, str]:
        """The environment of deploy/postgres/dagster.yaml."""
        return {
            "PGHOST": self.host,
            "PGPORT": str(self.port),
            "PGUSER": self.user,
            "PGPASSWORD": self.password,
            "PGDATABASE": self.name,
        }

    @property
    def url(self) -> str:
        """For SQLAlchemy."""
        login = f"{quote(self.user, safe='')}:{quote(self.password, safe='')}"
        return f"postgresql+psycopg2://{login}@{self.host}:{self.port}/{self.name}"

    def configure(self, home: Path) -> Path:
        """Put the configuration that we ship into a DAGSTER_HOME."""
        home.mkdir(parents=True, exist_ok=True)
        shutil.copy(CONFIGURATION, home / "dagster.yaml")
        return home

    @contextmanager
    def connected(self) -> Iterator[Any]:
        """A cursor; each statement is committed at once."""
        connection = psycopg2.connect(
            host=self.host,
            port=self.port,
            user=self.user,
            password=self.password,
            dbname=self.name,
        )
        connection.autocommit = True
        try:
            with connection.cursor() as cursor:
                yield cursor
        finally:
            connection.close()

    def rows(self, statement: str) -> list[tuple[Any, ...]]:
        with self.connected() as cursor:
            cursor.execute(statement)
            return list(cursor.fetchall())

    def do(self, *statements: str) -> None:
        with self.connected() as cursor:
            for statement in statements:
                cursor.execute(statement)


class PostgresServer:
    """One server. It may be stopped and started again; its data stay."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._runs = False
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.port = int(free.getsockname()[1])

    @classmethod
    @contextmanager
    def running(cls) -> Iterator[PostgresServer]:
        """A new server, which ends with the block."""
        # Not below pytest's folder, which only its own user can enter.
        folder = Path(tempfile.mkdtemp(prefix="postgres-"))
        server = cls(folder)
        try:
            server._initialise()
            server.start()
            yield server
        finally:
            server.stop()
            shutil.rmtree(folder, ignore_errors=True)

    def _initialise(self) -> None:
        secret = self._folder / "password"
        secret.write_text(PASSWORD)
        if os.geteuid() == 0:
            for path in (self._folder, secret):
                shutil.chown(path, "postgres")
        initdb = str(_program("initdb"))
        login = ("-U", USER, "-A", "scram-sha-256", "--pwfile", str(secret))
        self._run([initdb, "-D", self._data, *login, "--no-sync", "--no-locale", "-E", "UTF8"])

    @property
    def _data(self) -> str:
        return str(self._folder / "data")

    @property
    def _user(self) -> dict[str, Any]:
        """Who the programs run as."""
        return {"user": "postgres", "group": "postgres"} if os.geteuid() == 0 else {}

    def _run(self, command: list[str]) -> None:
        subprocess.run(  # noqa: S603 - a program of the system
            command,
            check=True,
            cwd=self._folder,
            # The server inherits its outputs from pg_ctl, so a pipe would stay open.
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            **self._user,
        )

    def start(self, **settings: str) -> None:
        """Start it, with ``settings`` of its own, and wait until it accepts connections."""
        options = {
            "port": self.port,
            "listen_addresses": "127.0.0.1",
            "unix_socket_directories": "",
            "fsync": "off",
            "max_connections": 200,
            "shared_buffers": "16MB",
        } | settings
        given = " ".join(f"-c {name}='{value}'" for name, value in options.items())
        self._control("start", "-w", "-o", given, "-l", str(self._folder / "log"))
        self._runs = True

    def stop(self) -> None:
        """End it at once, and all connections with it, as when its machine goes down."""
        if self._runs:
            self._control("stop", "-m", "immediate")
            self._runs = False

    def _control(self, *arguments: str) -> None:
        self._run([str(_program("pg_ctl")), "-D", self._data, *arguments])

    def new_database(self) -> Database:
        """An empty database."""
        new = Database(self.port, f"returns-{secrets.token_hex(4)}")
        replace(new, name="postgres").do(f'CREATE DATABASE "{new.name}"')
        return new
