"""The meaning of an object store's refusal: its reason in words, and the next step.

The text of such an error can hold addresses, request ids and keys. So only the store's own code, if
it has the shape of one, and the HTTP status are copied from it; all other words are ours, chosen by
phrases in the text. Called by ``objects`` and ``remote``.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final

NO_BUCKET: Final = frozenset({"NoSuchBucket", "ContainerNotFound"})
CONFLICTS: Final = frozenset({"ConditionalRequestConflict", "OperationAborted"})
"""Codes of a write that met another one under way and was not done: it is to be sent again."""

UNKNOWN_TO_STORE: Final = frozenset({"NotImplemented", "MethodNotAllowed"})
HONOURING: Final = (
    "Use a store that honours If-None-Match and If-Match, such as Amazon S3, Google Cloud Storage, "
    "Azure Blob Storage, Cloudflare R2 or a current MinIO, or a folder on a local file system."
)

CREDENTIALS: Final = {
    "s3": "AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY",
    "gs": "GOOGLE_APPLICATION_CREDENTIALS",
    "az": "AZURE_STORAGE_ACCOUNT_NAME and AZURE_STORAGE_ACCOUNT_KEY",
}
"""Scheme of the address to the variables that hold its credentials."""

_PLACE: Final = {
    "s3": "AWS_REGION and, for a store that is not Amazon's, AWS_ENDPOINT",
    "gs": "GOOGLE_APPLICATION_CREDENTIALS",
    "az": "AZURE_STORAGE_ACCOUNT_NAME",
}
_NO_CREDENTIALS: Final = {
    "s3": "Set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY in the environment, or give this "
    "machine a role; set AWS_REGION too and, for a store that is not Amazon's, AWS_ENDPOINT.",
    "gs": "Set GOOGLE_APPLICATION_CREDENTIALS in the environment to the file of a service account, "
    "or give this machine a service account.",
    "az": "Set AZURE_STORAGE_ACCOUNT_NAME and AZURE_STORAGE_ACCOUNT_KEY in the environment, or "
    "give this machine a managed identity.",
}
_RIGHTS: Final = {
    "s3": "s3:ListBucket on the bucket, and s3:GetObject, s3:PutObject and s3:DeleteObject on its "
    "objects",
    "gs": "the role Storage Object User on the bucket",
    "az": "the role Storage Blob Data Contributor on the container",
}
_ALLOW_HTTP: Final = {"s3": "AWS_ALLOW_HTTP", "gs": "GOOGLE_ALLOW_HTTP", "az": "AZURE_ALLOW_HTTP"}

_CODE: Final = re.compile(r"<Code>([A-Za-z]{3,40})</Code>")
_STATUS: Final = re.compile(r"status code: ([1-5][0-9]{2})\b")
_ADDRESS: Final = re.compile(r"[a-z]+://\S*")
_RETRIED: Final = re.compile(r"after [0-9]+ retries")
_METADATA: Final = re.compile(
    r"performing [A-Z]+ http://[^/\s]+/(latest/(api/token|meta-data)|computeMetadata/|metadata/)"
)
"""The address that gives credentials to a cloud's machine: asked where no others are set."""

_BAD_CREDENTIALS: Final = frozenset(
    {
        "AuthenticationFailed",
        "ExpiredToken",
        "InvalidAccessKeyId",
        "InvalidToken",
        "SignatureDoesNotMatch",
        "TokenRefreshRequired",
    }
)
_OTHER_REGION: Final = frozenset(
    {"AuthorizationHeaderMalformed", "IllegalLocationConstraintException", "PermanentRedirect"}
)
_WRONG_CLOCK: Final = frozenset({"RequestExpired", "RequestTimeTooSkewed"})
_BUSY: Final = frozenset(
    {"InternalError", "RequestTimeout", "ServerBusy", "ServiceUnavailable", "SlowDown"}
)

_LATER: Final = "Run the same again later: the store is busy or has a fault."
_NETWORK: Final = "Check the network, {place}."
_PHRASES: Final = (
    ("BadScheme", "the store's address begins with http://, which is not allowed",
     "Set {allow_http}=true if the store has no TLS, else set an https:// address."),
    ("Received redirect", "the bucket is in another region", "Set {place}."),
    ("ConnectionRefused", "connection refused", _NETWORK),
    ("dns error", "the store's host name is not known (DNS)", _NETWORK),
    ("InvalidContentType", "the store does not speak TLS",
     "Set an http:// address and {allow_http}=true, or the port that speaks TLS."),
    ("ertificate", "the store's certificate is not accepted",
     "Check {place}; this machine must trust the authority that signed the certificate."),
    ("Unreachable", "the network is unreachable", _NETWORK),
    ("imedOut", "no answer in time", _NETWORK),
    ("kind: Timeout", "no answer in time", _NETWORK),
    ("ConnectionReset", "the connection was cut", _LATER),
    ("ConnectionAborted", "the connection was cut", _LATER),
    ("BrokenPipe", "the connection was cut", _LATER),
    ("IncompleteMessage", "the connection was cut", _LATER),
    ("UnexpectedEof", "the connection was cut", _LATER),
    ("kind: Connect", "no connection", _NETWORK),
)  # fmt: skip
"""Phrase in the text, reason, next step; the first phrase that is found counts."""


@dataclass(frozen=True, slots=True)
class Refusal:
    """Why a store refused a request.

    ``reason`` is a clause without a full stop, ``next_step`` a sentence. ``code`` is the store's
    own and ``status`` that of HTTP, "" and 0 where there was none. ``retried``: the request was
    sent more than once, so an earlier one may have succeeded.
    """

    reason: str
    next_step: str
    code: str = ""
    status: int = 0
    retried: bool = False

    @property
    def is_unknown_to_store(self) -> bool:
        """Whether the store does not support this kind of request at all."""
        return self.status in {405, 501} or self.code in UNKNOWN_TO_STORE


def refusal_of(error: Exception, scheme: str) -> Refusal:
    """The refusal in ``error``, raised by obstore, for a lake with an address of ``scheme``."""
    text = str(error)
    names = {
        "place": _PLACE.get(scheme, "RETURNS_LAKE"),
        "allow_http": _ALLOW_HTTP.get(scheme, "its variable for http"),
    }
    code = found[1] if (found := _CODE.search(text)) else ""
    status = int(found[1]) if (found := _STATUS.search(text)) else 0
    retried = _RETRIED.search(text) is not None
    if _METADATA.search(text):
        reason = "no credentials were found, neither in the environment nor for this machine"
        next_step = _NO_CREDENTIALS.get(scheme, "Set its credentials.")
        return Refusal(reason, next_step, retried=retried)
    if code or status:
        http = f"HTTP {status}" if status else ""
        answer = f"{code} ({http})" if code and http else code or http
        next_step = _advice(code, status, scheme).format(**names)
        return Refusal(f"the store answers {answer}", next_step, code, status, retried)
    beside_addresses = _ADDRESS.sub("", text)
    for phrase, reason, advice in _PHRASES:
        if phrase in beside_addresses:
            return Refusal(reason, advice.format(**names), retried=retried)
    return Refusal(type(error).__name__, _default(scheme), retried=retried)


def _advice(code: str, status: int, scheme: str) -> str:
    """What to do about a reply of the store; may name {place}."""
    rights = _RIGHTS.get(scheme, "to list, get, put and delete")
    is_busy = code in _BUSY or status == 429 or (status >= 500 and status != 501)
    advice = (
        (code in NO_BUCKET, "Make the bucket, or correct RETURNS_LAKE; check {place}."),
        (
            code in _WRONG_CLOCK,
            "Set this machine's clock right, best by NTP, then run the same again.",
        ),
        (code in _OTHER_REGION or status in {301, 307}, "Set {place}."),
        (
            code in _BAD_CREDENTIALS or status == 401,
            f"Correct {CREDENTIALS.get(scheme, 'its credentials')}.",
        ),
        (status == 403, f"Give these credentials {rights}; check RETURNS_LAKE, too."),
        (is_busy, _LATER),
    )
    return next((words for holds, words in advice if holds), _default(scheme))


def _default(scheme: str) -> str:
    variables = CREDENTIALS.get(scheme, "the store's credentials")
    return f"Check RETURNS_LAKE and {variables}, then run the same again."
