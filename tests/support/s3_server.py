"""A store on a real loopback port: the part of S3 that the lake uses, with switches for faults.

PUT (with If-None-Match or If-Match), GET, HEAD, DELETE, a listing (version 2, in pages) and the
bulk delete. Signatures are not checked, only the access key id in them.
"""

from __future__ import annotations

import hashlib
import re
import socket
import struct
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from html import escape, unescape
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Literal, Self
from urllib.parse import parse_qs, unquote, urlsplit

BUCKET = "returns"
KEY_ID = "canary-key-id"
SECRET = "canary-secret-access-key"
MODIFIED = "2026-11-09T11:00:00.000Z"

Reply = tuple[int, str]  # HTTP status and the store's own code, such as (503, "SlowDown")
STATUSES: dict[str, int] = {
    "NoSuchBucket": 404,
    "NoSuchKey": 404,
    "AccessDenied": 403,
    "InvalidAccessKeyId": 403,
    "PreconditionFailed": 412,
    "NotImplemented": 501,
}


class S3Server:
    """Objects by key. Its faults may be set at any time.

    ``refusal`` answers every request; ``hiccups`` strike the next requests, one each: a reply, or
    "reset" before anything is done, "reset after" it was done, "none". ``if_none_match`` is whether
    a PUT with that header is "honoured", "ignored" or "unknown" (501), and ``if_match`` likewise.
    ``allowed`` are the methods that the credentials give a right to. A listing does not show the
    last ``lists_late`` objects that were put, each ``busy_every``-th request is answered by 503,
    and ``prefixes`` are those that were listed.
    """

    def __init__(self, handler: type[Handler] | None = None) -> None:
        self._handler = handler or Handler
        self.objects: dict[str, bytes] = {}
        self.requests: list[str] = []
        self.prefixes: set[str] = set()
        self.refusal: Reply | None = None
        self.hiccups: list[Reply | Literal["reset", "reset after", "none"]] = []
        self.allowed = "GET HEAD PUT POST DELETE"
        self.if_none_match: Literal["honoured", "ignored", "unknown"] = "honoured"
        self.if_match: Literal["honoured", "ignored", "unknown"] = "honoured"
        self.lists_late = 0
        self.busy_every = 0
        self.page = 1000
        self.lock = threading.Lock()
        self.url = ""

    @property
    def variables(self) -> dict[str, str]:
        """The environment in which the lake reaches this store."""
        return {
            "AWS_ACCESS_KEY_ID": KEY_ID,
            "AWS_SECRET_ACCESS_KEY": SECRET,
            "AWS_REGION": "us-east-1",
            "AWS_ENDPOINT": self.url,
            "AWS_ALLOW_HTTP": "true",
        }

    @contextmanager
    def running(self) -> Iterator[Self]:
        """Serve in threads."""
        server = ThreadingHTTPServer(
            ("127.0.0.1", 0), type("Handler", (self._handler,), {"s3": self})
        )
        server.daemon_threads = True
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        self.url = f"http://127.0.0.1:{server.server_port}"
        try:
            yield self
        finally:
            server.shutdown()
            thread.join()
            server.server_close()

    def put(self, key: str, content: bytes, *, create: bool, replaces: str | None) -> str:
        """The error code of the request, or ""; ``replaces`` is the ETag in If-Match."""
        with self.lock:
            if replaces is not None and self.if_match == "unknown":
                return "NotImplemented"
            if replaces is not None and self.if_match == "honoured":
                if key not in self.objects:
                    return "NoSuchKey"
                if replaces != etag_of(self.objects[key]):
                    return "PreconditionFailed"
            if create and self.if_none_match == "unknown":
                return "NotImplemented"
            if create and self.if_none_match == "honoured" and key in self.objects:
                return "PreconditionFailed"
            self.objects.pop(key, None)  # so that the newest one is the last
            self.objects[key] = content
        return ""

    def listing(self, query: dict[str, str]) -> str:
        """A page of keys after a given one, and of their common prefixes up to the delimiter."""
        prefix, delimiter = query.get("prefix", ""), query.get("delimiter", "")
        self.prefixes.add(prefix)
        after = query.get("continuation-token", query.get("start-after", ""))
        with self.lock:
            shown = max(0, len(self.objects) - self.lists_late)
            keys = dict([*self.objects.items()][:shown])
        names: dict[str, bytes | None] = {}
        for key in sorted(key for key in keys if key.startswith(prefix)):
            head, found, _ = key[len(prefix) :].partition(delimiter or "\0")
            names[f"{prefix}{head}{delimiter}" if found else key] = None if found else keys[key]
        left = [name for name in names if name > after]
        page, more = left[: self.page], len(left) > self.page
        token = f"<NextContinuationToken>{escape(page[-1])}</NextContinuationToken>" if more else ""
        return (
            f"<ListBucketResult><Name>{BUCKET}</Name><Prefix>{escape(prefix)}</Prefix>"
            f"<IsTruncated>{str(more).lower()}</IsTruncated>{token}"
            f"{''.join(_entry(name, names[name]) for name in page)}</ListBucketResult>"
        )


def etag_of(content: bytes) -> str:
    """The ETag of an object: a digest of its content, as in S3."""
    return f'"{hashlib.sha256(content).hexdigest()}"'


def _entry(name: str, content: bytes | None) -> str:
    if content is None:
        return f"<CommonPrefixes><Prefix>{escape(name)}</Prefix></CommonPrefixes>"
    return (
        f"<Contents><Key>{escape(name)}</Key><Size>{len(content)}</Size>"
        f"<LastModified>{MODIFIED}</LastModified>"
        f"<ETag>{escape(etag_of(content))}</ETag></Contents>"
    )


class Handler(BaseHTTPRequestHandler):
    """One connection; it serves the objects of ``s3``."""

    s3: S3Server
    key = ""
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True

    @property
    def signed_by(self) -> str:
        """The access key id of the request; "" without one."""
        found = re.search(r"Credential=([^/]+)/", self.headers.get("Authorization", ""))
        return found[1] if found else ""

    @property
    def creates(self) -> bool:
        """Whether a PUT must find no object."""
        return self.headers.get("If-None-Match") == "*"

    @property
    def replaces(self) -> str | None:
        """The ETag of the object that a PUT must find."""
        return self.headers.get("If-Match")

    def _serve(self) -> None:
        content = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        parts = urlsplit(self.path)
        _, bucket, *rest = unquote(parts.path).split("/", 2)
        key = self.key = rest[0] if rest else ""
        query = {name: values[0] for name, values in parse_qs(parts.query).items()}
        with self.s3.lock:
            self.s3.requests.append(f"{self.command} {key or '?' + ' '.join(sorted(query))}")
            hiccup = self.s3.hiccups.pop(0) if self.s3.hiccups else None
            if self.s3.busy_every and len(self.s3.requests) % self.s3.busy_every == 0:
                hiccup = (503, "SlowDown")
        if hiccup == "reset":
            self._reset()
        elif refusal := (hiccup if isinstance(hiccup, tuple) else self.s3.refusal):
            self._refuse(refusal[1], refusal[0])
        elif not self.signed_by or self.command not in self.s3.allowed.split():
            self._refuse("AccessDenied")
        elif self.signed_by != KEY_ID:
            self._refuse("InvalidAccessKeyId")
        elif bucket != BUCKET:
            self._refuse("NoSuchBucket")
        else:
            self._do(key, query, content, lost=hiccup == "reset after")

    do_GET = do_HEAD = do_PUT = do_DELETE = do_POST = _serve  # noqa: N815

    def _do(self, key: str, query: dict[str, str], content: bytes, *, lost: bool) -> None:
        """The request is valid: do it. With ``lost`` its answer never arrives."""
        status, code, body, etag = 200, "", b"", ""
        if self.command == "PUT":
            code = self.s3.put(key, content, create=self.creates, replaces=self.replaces)
            etag = etag_of(content)
        elif self.command == "POST":
            gone = re.findall(r"<Key>(.*?)</Key>", content.decode())
            for name in gone:
                self.s3.objects.pop(unescape(name), None)
            deleted = "".join(f"<Deleted><Key>{name}</Key></Deleted>" for name in gone)
            body = f"<DeleteResult>{deleted}</DeleteResult>".encode()
        elif self.command == "DELETE":
            self.s3.objects.pop(key, None)
            status = 204
        elif not key:
            body = self.s3.listing(query).encode()
        elif (found := self.s3.objects.get(key)) is None:
            code = "NoSuchKey"
        else:
            body = found
        if lost:
            self._reset()
        elif code:
            self._refuse(code)
        else:
            self._answer(status, body, etag or etag_of(body))

    def _refuse(self, code: str, status: int | None = None) -> None:
        content = f"<Error><Code>{code}</Code><Message>by {SECRET}</Message></Error>"
        self._answer(status or STATUSES[code], content.encode(), etag_of(content.encode()))

    def _answer(self, status: int, body: bytes, etag: str) -> None:
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        self.send_header("ETag", etag)
        self.send_header("Last-Modified", "Mon, 09 Nov 2026 11:00:00 GMT")
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def _reset(self) -> None:
        self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.close_connection = True

    def log_message(self, *_: object) -> None:
        """Nothing is logged."""
