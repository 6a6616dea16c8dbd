"""An object store that refuses: reason, remedy, and no secret; over real HTTP."""

from __future__ import annotations

import re
import socket
import time
from collections.abc import Callable
from typing import Any

import pytest
from obstore.exceptions import GenericError
from support.s3_server import BUCKET, KEY_ID, SECRET, S3Server

from returns_orchestration.errors import LakeDamaged, LakeUnwritable
from returns_orchestration.lake import remote
from returns_orchestration.lake.objects import ATTEMPTS
from returns_orchestration.lake.refusals import refusal_of
from returns_orchestration.lake.store import Store, open_store

LAKE = f"s3://{BUCKET}/lake"
CALLS: dict[str, Callable[[Store], Any]] = {
    "put": lambda store: store.put("t/f", b"content"),
    "create": lambda store: store.create("t/f", b"content"),
    "put_many": lambda store: store.put_many({"t/f": b"content"}),
    "delete": lambda store: store.delete("t/f"),
    "delete_many": lambda store: store.delete_many(["t/f", "t/g"]),
    "get": lambda store: store.get("t/f"),
    "get_many": lambda store: store.get_many(["t/f"]),
    "list": lambda store: list(store.list("t")),
    "between": lambda store: list(store.between("t", "t/a", "t/z")),
    "children": lambda store: store.children("t"),
}
DELETES = ("delete", "delete_many")
WRITES = ("put", "put_many", "create", *DELETES)


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """A request is repeated only once, so that no test waits."""
    monkeypatch.setattr(remote, "RETRY", remote.RETRY | {"max_retries": 1})


def refused(call: str, lake: str = LAKE) -> str:
    """The message of the refused ``call``: a project error without a secret."""
    expected = LakeUnwritable if call in WRITES else LakeDamaged
    with pytest.raises(expected) as raised:
        CALLS[call](open_store(lake))
    shown = str(raised.value)
    assert f"{lake}/t" in shown
    for hidden in (SECRET, KEY_ID, "127.0.0.1", "Message", "free space", "GenericError"):
        assert hidden not in shown
    assert raised.value.__context__ is None
    return shown


@pytest.mark.parametrize("call", CALLS)
@pytest.mark.parametrize(
    ("status", "code", "advice"),
    [
        (403, "AccessDenied", "s3:ListBucket on the bucket, and s3:GetObject, s3:PutObject"),
        (403, "InvalidAccessKeyId", "Correct AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY."),
        (403, "SignatureDoesNotMatch", "Correct AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY."),
        (403, "RequestTimeTooSkewed", "Set this machine's clock right"),
        (400, "ExpiredToken", "Correct AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY."),
        (400, "AuthorizationHeaderMalformed", "Set AWS_REGION and"),
        (503, "SlowDown", "Run the same again later"),
        (500, "InternalError", "Run the same again later"),
        (418, "SomethingNew", "Check RETURNS_LAKE and AWS_ACCESS_KEY_ID"),
    ],
)
@pytest.mark.usefixtures("impatient")
def test_the_code_of_the_store_is_shown_with_a_remedy(
    s3: S3Server, call: str, status: int, code: str, advice: str
) -> None:
    s3.refusal = (status, code)
    shown = refused(call)
    assert f": the store answers {code} (HTTP {status}). " in shown
    assert advice in shown


@pytest.mark.parametrize("call", CALLS)
def test_a_missing_bucket_is_not_an_empty_lake(s3: S3Server, call: str) -> None:
    if call in DELETES:  # there was nothing to remove
        CALLS[call](open_store("s3://other/lake"))
        return
    shown = refused(call, "s3://other/lake")
    assert "the store answers NoSuchBucket (HTTP 404). Make the bucket" in shown
    assert not s3.objects


def test_a_code_in_another_shape_is_not_copied(s3: S3Server) -> None:
    s3.refusal = (403, "hmac 9f3c9f3c")
    assert "the store answers HTTP 403." in refused("put")


def test_a_bucket_of_another_region_is_named(s3: S3Server) -> None:
    s3.refusal = (301, "PermanentRedirect")
    assert "the bucket is in another region. Set AWS_REGION and" in refused("put")


def test_missing_credentials_are_named(s3: S3Server, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where none are set, obstore asks the machine for some; here it has none."""
    monkeypatch.delenv("AWS_ACCESS_KEY_ID")
    monkeypatch.delenv("AWS_SECRET_ACCESS_KEY")
    monkeypatch.setenv("AWS_METADATA_ENDPOINT", s3.url)
    shown = refused("put")
    assert "no credentials were found" in shown
    assert "Set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY in the environment" in shown
    assert "AWS_ENDPOINT" in shown
    assert s3.requests == ["PUT api/token"]


def test_http_that_is_not_allowed_is_named_at_once(
    s3: S3Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("AWS_ALLOW_HTTP")
    shown = refused("put")
    assert "begins with http://, which is not allowed. Set AWS_ALLOW_HTTP=true" in shown
    assert not s3.requests


def test_an_unreachable_store_is_named_within_ten_seconds(
    s3: S3Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as closed:
        monkeypatch.setenv("AWS_ENDPOINT", f"http://127.0.0.1:{closed.getsockname()[1]}")
    begun = time.monotonic()
    shown = refused("put")
    assert time.monotonic() - begun < 10
    assert "connection refused. Check the network, AWS_REGION and" in shown
    assert "AWS_ENDPOINT" in shown
    assert not s3.requests


def test_a_silent_store_is_named_after_the_timeout(
    s3: S3Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AWS_TIMEOUT", "200ms")
    with socket.create_server(("127.0.0.1", 0)) as mute:
        monkeypatch.setenv("AWS_ENDPOINT", f"http://127.0.0.1:{mute.getsockname()[1]}")
        assert "no answer in time" in refused("create")
    assert not s3.requests


@pytest.mark.parametrize("call", CALLS)
@pytest.mark.parametrize("hiccup", [(503, "SlowDown"), (429, "TooManyRequests"), "reset"])
def test_a_transient_error_is_retried(s3: S3Server, call: str, hiccup: Any) -> None:
    store = open_store(LAKE)
    s3.objects = {"lake/t/f": b"content"} if call not in WRITES else {}
    s3.hiccups = [hiccup]
    found = CALLS[call](store)
    assert len(s3.requests) == 2
    assert found == {
        "create": True,
        "get": b"content",
        "get_many": [b"content"],
        "list": ["t/f"],
        "between": [("t/f", 7)],
        "children": ([], ["f"]),
    }.get(call)
    assert s3.objects == ({} if call in DELETES else {"lake/t/f": b"content"})


def test_a_create_with_a_lost_answer_has_succeeded(s3: S3Server) -> None:
    """It is sent again and finds its own file there."""
    store = open_store(LAKE)
    s3.hiccups = ["reset after"]
    assert store.create("f", b"mine")
    assert s3.requests == ["PUT lake/f", "PUT lake/f", "GET lake/f"]
    s3.hiccups = ["reset"]
    assert not store.create("f", b"of another")
    assert s3.objects == {"lake/f": b"mine"}
    s3.requests.clear()
    assert not store.create("f", b"mine")
    assert s3.requests == ["PUT lake/f"]


def test_a_create_that_conflicts_with_another_write_is_repeated(s3: S3Server) -> None:
    """S3 then answers 409 without an effect."""
    store = open_store(LAKE)
    conflict = (409, "ConditionalRequestConflict")
    s3.hiccups = [conflict, conflict]
    assert store.create("f", b"first")
    s3.hiccups = [conflict]
    assert not store.create("f", b"second")
    assert s3.objects == {"lake/f": b"first"}
    s3.requests.clear()
    s3.refusal = conflict
    assert "ConditionalRequestConflict (HTTP 409)" in refused("create")
    assert len(s3.requests) == ATTEMPTS


def test_a_put_that_conflicts_is_repeated_and_counts_only_when_done(s3: S3Server) -> None:
    conflict = (409, "OperationAborted")
    s3.refusal = conflict
    assert "OperationAborted (HTTP 409)" in refused("put")
    assert not s3.objects
    s3.refusal = None
    s3.hiccups = [conflict]
    open_store(LAKE).put("f", b"content")
    assert s3.objects == {"lake/f": b"content"}
    s3.refusal = (409, "InvalidBucketState")
    assert "InvalidBucketState (HTTP 409)" in refused("put")


@pytest.mark.usefixtures("impatient")
def test_a_store_without_if_none_match_is_named(s3: S3Server) -> None:
    s3.if_none_match = "unknown"
    shown = refused("create")
    assert "NotImplemented (HTTP 501). It does not know If-None-Match" in shown
    assert "Use a store that honours If-None-Match" in shown


@pytest.mark.usefixtures("impatient")
def test_a_store_without_bulk_delete_gets_single_deletes_by_a_setting(
    s3: S3Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    s3.refusal = (501, "NotImplemented")
    for call in DELETES:
        assert "Set AWS_DISABLE_BULK_DELETE=true." in refused(call)
    s3.refusal = None
    monkeypatch.setenv("AWS_DISABLE_BULK_DELETE", "true")
    store = open_store(LAKE)
    store.put("t/f", b"content")
    store.delete("t/f")
    assert s3.requests[-1] == "DELETE lake/t/f"
    assert not s3.objects


REQUEST = "Error performing PUT https://canary.example/lake/f?sig=canary in 2s - HTTP error"
ANSWERED = f"{REQUEST} - Server returned non-2xx status code"
SENDING = f"{REQUEST}: error sending request\n\nDebug source:\nkind: Connect, source: "


@pytest.mark.parametrize(
    ("scheme", "text", "reason", "advice"),
    [
        ("s3", f'{SENDING}ConnectError("dns error", ', "host name is not known", "AWS_ENDPOINT"),
        (
            "s3",
            f"{SENDING}InvalidCertificate(Expired)",
            "certificate is not accepted",
            "AWS_REGION",
        ),
        ("s3", f"{SENDING}InvalidMessage(InvalidContentType)", "not speak TLS", "AWS_ALLOW_HTTP"),
        ("az", f"{SENDING}kind: NetworkUnreachable", "unreachable", "AZURE_STORAGE_ACCOUNT_NAME"),
        ("gs", f"{SENDING}kind: HostUnreachable", "unreachable", "GOOGLE_APPLICATION_CREDENTIALS"),
        ("s3", f"{SENDING}source: TimedOut", "no answer in time", "AWS_ENDPOINT"),
        ("s3", f"{SENDING}source: else", "no connection", "AWS_ENDPOINT"),
        (
            "gs",
            "Error performing GET http://169.254.169.254/computeMetadata/v1/canary in 1ms: canary",
            "no credentials were found",
            "GOOGLE_APPLICATION_CREDENTIALS",
        ),
        (
            "az",
            "Error performing GET http://169.254.169.254/metadata/identity/oauth2/token in 1ms",
            "no credentials were found",
            "AZURE_STORAGE_ACCOUNT_NAME and AZURE_STORAGE_ACCOUNT_KEY",
        ),
        (
            "az",
            f"{ANSWERED}: 403 Forbidden: <Code>AuthorizationPermissionMismatch</Code> canary",
            "the store answers AuthorizationPermissionMismatch (HTTP 403)",
            "Storage Blob Data Contributor",
        ),
        (
            "gs",
            f"{ANSWERED}: 401 Unauthorized: canary",
            "the store answers HTTP 401",
            "Correct GOOGLE_APPLICATION_CREDENTIALS",
        ),
        ("s3", "canary of a kind that was never met", "GenericError", "AWS_ACCESS_KEY_ID"),
        ("memory", "canary", "GenericError", "Check RETURNS_LAKE"),
    ],
)
def test_messages_of_obstore_are_recognised_and_never_repeated(
    scheme: str, text: str, reason: str, advice: str
) -> None:
    """Messages of obstore 0.12; they occur only with a network or another store."""
    refusal = refusal_of(GenericError(text), scheme)
    assert reason in refusal.reason
    assert advice in refusal.next_step
    assert not re.search("canary|example|Error performing", refusal.reason + refusal.next_step)
    assert "{" not in refusal.reason + refusal.next_step


def test_words_in_an_address_are_no_reason() -> None:
    text = f"{REQUEST.replace('/lake/', '/ConnectionRefused/')}: no more is said"
    assert refusal_of(GenericError(text), "s3").reason == "GenericError"


@pytest.mark.usefixtures("impatient")
def test_one_refused_put_of_many_is_reported_after_the_others_are_done(s3: S3Server) -> None:
    s3.hiccups = ["none", "none", (403, "AccessDenied")]
    paths = [f"t/{number}" for number in range(20)]
    with pytest.raises(LakeUnwritable, match="AccessDenied") as raised:
        open_store(LAKE).put_many(dict.fromkeys(paths, b"content"))
    refused_path = re.search(rf"{LAKE}/(t/\d+):", str(raised.value))
    assert refused_path is not None
    assert sorted(s3.objects) == sorted(f"lake/{p}" for p in paths if p != refused_path[1])
    assert len(s3.requests) == 20
