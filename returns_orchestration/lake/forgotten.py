"""Receipts of `forget`: whose records are to be blanked, in hashes, and which of that is done.

A receipt has two files, which are put once and never changed: ``_forgotten/<when>-<digest>.json``
before the first record is blanked, so that polls from then on are blanked as they land, and an
``.ended`` beside it when no file holds the person any more. Both are sealed. A receipt holds no
personal data; its hashes are keyed by a salt that lies beside them, so they hide a telephone number
from readers and not from somebody who tries all numbers.

``stages/erasure`` decides which records a receipt means; ``flow/forget`` carries it out.
"""

from __future__ import annotations

import hashlib
import hmac
import secrets
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Final, Literal

import msgspec

from returns_orchestration.errors import LakeDamaged
from returns_orchestration.lake import journal
from returns_orchestration.lake.many import side_by_side

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from returns_orchestration.lake.store import Store

FORGOTTEN: Final = "_forgotten"
ENDED: Final = ".ended"
RECEIPT: Final = ".json"
SALT_BYTES: Final = 16


def hashed(person: str, salt: bytes) -> str:
    """A keyed hash of an address, number or reference, so that what is kept is none."""
    data = person.encode(errors="surrogatepass")
    return hmac.new(salt, data, hashlib.sha256).hexdigest()


class Receipt(msgspec.Struct, frozen=True, kw_only=True, order=True):
    """What `forget` was given ``at`` that time: hashes under ``salt``, both hexadecimal."""

    at: datetime
    salt: str
    hashes: list[str]

    @property
    def name(self) -> str:
        """The path of its files, without the suffix: a pure function of its content."""
        digest = hashlib.sha256("\n".join([self.salt, *self.hashes]).encode()).hexdigest()[:16]
        return f"{FORGOTTEN}/{self.at.astimezone(UTC):%Y%m%dT%H%M%S%f}-{digest}"

    @property
    def path(self) -> str:
        """The path of the receipt itself."""
        return f"{self.name}{RECEIPT}"


class _End(msgspec.Struct, frozen=True, kw_only=True):
    """When no file held the person any more, and how many records the last call blanked."""

    at: datetime
    records: int


class Receipts:
    """The receipts of one lake."""

    def __init__(self, store: Store) -> None:
        self._store = store

    def all(self) -> list[Receipt]:
        """Every receipt, oldest first. Raises LakeDamaged, naming one that is not as written."""
        return sorted(side_by_side(self._read, self._paths(RECEIPT)))

    def open(self) -> list[Receipt]:
        """The receipts that a killed `forget` has not carried out."""
        ended = {
            path.removesuffix(ENDED)
            for path in self._paths(ENDED)
            if is_receipt(path, self._store.get(path) or b"")
        }
        return [receipt for receipt in self.all() if receipt.name not in ended]

    def add(self, receipt: Receipt) -> None:
        """Put a receipt. Raises LakeUnwritable."""
        self._store.create(receipt.path, journal.sealed(msgspec.json.encode(receipt)))

    def end(self, receipt: Receipt, at: datetime, records: int) -> None:
        """Note that a receipt is carried out. Raises LakeUnwritable."""
        end = _End(at=at, records=records)
        self._store.put(f"{receipt.name}{ENDED}", journal.sealed(msgspec.json.encode(end)))

    def of(self, people: Iterable[str], at: datetime) -> Receipt:
        """A receipt for ``people``, under the salt of those before. Raises LakeDamaged."""
        known = self.all()
        salt = known[-1].salt if known else secrets.token_hex(SALT_BYTES)
        hashes = sorted(hashed(person, bytes.fromhex(salt)) for person in people)
        return Receipt(at=at, salt=salt, hashes=hashes)

    def faults(self) -> Iterator[tuple[str, Literal["altered", "missing", "foreign"]]]:
        """The path of each file that is not as it was written, and why."""
        paths = list(self._store.list(FORGOTTEN))
        for path, content in zip(paths, self._store.get_many(paths), strict=True):
            name, dot, suffix = path.rpartition(".")
            if f"{dot}{suffix}" not in {RECEIPT, ENDED}:
                yield path, "foreign"
            elif path.endswith(ENDED):
                if f"{name}{RECEIPT}" not in paths:
                    yield f"{name}{RECEIPT}", "missing"
            elif not is_receipt(path, content or b""):
                yield path, "altered"

    def _paths(self, suffix: str) -> list[str]:
        return [path for path in self._store.list(FORGOTTEN) if path.endswith(suffix)]

    def _read(self, path: str) -> Receipt:
        content = self._store.get(path) or b""
        if not is_receipt(path, content):
            message = f"The receipt {path} is not what was written."
            raise LakeDamaged(message, next_step=ADVICE)
        return msgspec.json.decode(content, type=Receipt)


ADVICE: Final = (
    "Restore it from a backup. Without one, move it and its `.ended` away and run "
    "`returns-orchestration forget` again for the people whom you forgot at that time; the file "
    "names them in hashes only."
)


def is_receipt(path: str, content: bytes) -> bool:
    """Whether a file of ``_forgotten`` is as it was written."""
    if journal.unsealed(content) is None:
        return False
    try:
        if path.endswith(ENDED):
            msgspec.json.decode(content, type=_End)
            return True
        return msgspec.json.decode(content, type=Receipt).path == path
    except (msgspec.MsgspecError, UnicodeDecodeError):
        return False
