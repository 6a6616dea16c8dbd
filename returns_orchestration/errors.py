"""Every error that leaves this package, as one small tree.

::

    ReturnsError
    ├── SettingsError               a variable is absent or invalid
    ├── Interrupted                 a person stopped the command
    ├── ApiError                    ClickPost was asked and the window was not read
    │   ├── TransientApiError       asking again may help; it was tried within bounds
    │   │   ├── Unreachable         time-out, reset, body cut short
    │   │   │   └── NoConnection    the address accepts no connection
    │   │   ├── Throttled           429, or meta.status 429
    │   │   │   └── AskedToWait     ... for longer than a run waits; the deployment is silent
    │   │   ├── ServerFault         408, 425, 5xx, or meta.status 5xx
    │   │   ├── AnswerPending       any 2xx but 200, in HTTP or in meta: not an answer yet
    │   │   └── MalformedReply      the body is not the documented JSON
    │   └── PermanentApiError       asking again cannot help
    │       ├── CredentialsRefused  meta.status 301, 401, 403
    │       ├── RequestRefused      any other 4xx, in HTTP or in meta
    │       ├── RedirectRefused     a redirect would carry the key elsewhere
    │       ├── NextPageRefused     meta.next leaves the host or runs in a loop
    │       ├── NotOver             the hour was asked for before its end
    │       ├── RecordsLeftOut      the reply indicates more records than it serves
    │       ├── ClockAhead          the hour is over by this machine's clock, not by ClickPost's
    │       └── StaleReply          a cache answered with a reply from before the hour's end
    ├── LakeError                   the lake could not be read or written
    │   ├── LakeUnwritable          no permission, disk full, no such bucket
    │   ├── LakeContended           another process changed the same file at the same time
    │   ├── LakeOlder               made by an earlier release: `upgrade` converts it
    │   ├── LakeNewer               made by a later release, which this one cannot read
    │   └── LakeDamaged             a file does not match its record
    │       └── ZoneUnknown         a poll was sent under a zone that this machine lacks
    ├── SpoolUnwritable             the receiver cannot store webhooks now
    └── DataError                   the data of one hour cannot be published
        ├── HourBlocked             a blocking claim fails; the old tables stay
        └── NeverPolled             tables were requested for an hour that has no poll

What lives here: types, their facts as attributes, and their texts. Every message names the cause
and the next step and holds neither the key, the user name nor personal data. Errors of libraries
are re-raised as these, ``from None``, because their texts can repeat a URL.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence


class ReturnsError(Exception):
    """Root of the tree: ``str(error)`` can be shown to a user as it is.

    An alert about hours that are missing because of it has ``missing_because`` in its title and,
    where waiting does not help, ``missing_to_do``.
    """

    next_step: ClassVar[str] = ""
    missing_because: ClassVar[str] = ""
    missing_to_do: ClassVar[str] = ""

    def __init__(self, cause: str, *, next_step: str | None = None) -> None:
        self.cause = cause
        self.remedy = self.next_step if next_step is None else next_step
        super().__init__(cause)

    def __str__(self) -> str:
        return f"{self.cause} {self.remedy}".strip()

    def reword(self, wording: Callable[[str], str]) -> None:
        """Put its texts into the words of an account, before it is recorded or shown."""
        self.cause, self.remedy = wording(self.cause), wording(self.remedy)


class SettingsError(ReturnsError):
    """A setting is absent or invalid; the message names the variable and the values allowed."""


class Interrupted(ReturnsError):
    """A person stopped the command; replies to requests already sent were received and kept."""

    next_step = "Run the same again: it polls only what is still missing."


class ApiError(ReturnsError):
    """A window could not be read from ClickPost.

    Attributes: ``window`` (its key, or "" before it is known), ``http_status`` and ``meta_status``
    (None where there was none), ``attempts`` (requests sent for it), ``retry_after`` (seconds the
    API asked to wait, else None).
    """

    def __init__(
        self,
        cause: str,
        *,
        next_step: str | None = None,
        http_status: int | None = None,
        meta_status: int | None = None,
        retry_after: float | None = None,
    ) -> None:
        super().__init__(cause, next_step=next_step)
        self.window = ""
        self.attempts = 1
        self.http_status = http_status
        self.meta_status = meta_status
        self.retry_after = retry_after

    def __str__(self) -> str:
        hour = f"Hour {self.window}: " if self.window else ""
        tries = f" (after {self.attempts} attempts)" if self.attempts > 1 else ""
        return f"{hour}{self.cause.rstrip('.')}{tries}. {self.remedy}".strip()


class TransientApiError(ApiError):
    """Asking again may help."""

    next_step = (
        "The hour stays as it was; run `returns-orchestration backfill FROM TO` again later."
    )


class Unreachable(TransientApiError):
    """No connection, a time-out, a reset, or a body shorter than announced."""

    missing_because = "the API does not answer in time"


class NoConnection(Unreachable):
    """No connection: no such host, connection refused or too slow, certificate not accepted.

    It concerns every window alike, so asking for others is pointless until it is mended.
    """

    missing_because = "CLICKPOST_BASE_URL does not accept connections"
    missing_to_do = (
        "run `returns-orchestration doctor`; if it cannot connect either, check the network and "
        "CLICKPOST_BASE_URL."
    )
    next_step = "Check the network and CLICKPOST_BASE_URL with `returns-orchestration doctor`."


class Throttled(TransientApiError):
    """The API asks to slow down: HTTP 429 or meta.status 429."""

    missing_because = "the API asks us to slow down (429)"
    missing_to_do = "lower CLICKPOST_MAX_REQUESTS_PER_SECOND and restart Dagster."
    next_step = (
        "The hour stays as it was; lower CLICKPOST_MAX_REQUESTS_PER_SECOND and run "
        "`returns-orchestration backfill` again."
    )


class AskedToWait(Throttled):
    """The API asks for a longer wait than a run waits; no request is sent until then.

    It concerns every window alike, so a run ends with it.
    """

    missing_because = "the API asks us to wait (429)"
    missing_to_do = ""
    next_step = (
        "Nothing has to be done: missing hours are asked for after that. If it comes back, lower "
        "CLICKPOST_MAX_REQUESTS_PER_SECOND."
    )


class ServerFault(TransientApiError):
    """The API failed on its own side: HTTP 408, 425, 5xx, or meta.status 5xx."""

    missing_because = "the API fails on ClickPost's side"


class AnswerPending(TransientApiError):
    """The API took the request and has no answer yet: any 2xx but 200, in HTTP or in meta."""

    missing_because = "the API accepts the requests and has no answers yet"
    next_step = (
        "The hour stays as it was; run `returns-orchestration backfill FROM TO` again later, and "
        "ask ClickPost if it stays so."
    )


class MalformedReply(TransientApiError):
    """The body is not the documented JSON, although the status reports success.

    ``size``: its bytes, as far as they were read.
    """

    missing_because = "the API's replies cannot be read"
    size = 0


class PermanentApiError(ApiError):
    """Asking again cannot help: somebody has to change something first."""


class CredentialsRefused(PermanentApiError):
    """The API does not accept the key and user name."""

    next_step = (
        "Check CLICKPOST_KEY and CLICKPOST_USER_NAME, then run `returns-orchestration doctor`."
    )


class RequestRefused(PermanentApiError):
    """The API refuses the request itself."""

    missing_because = "the API refuses the requests"
    missing_to_do = (
        "run `returns-orchestration doctor` and check CLICKPOST_BASE_URL and CLICKPOST_TIME_ZONE."
    )
    next_step = (
        "Check CLICKPOST_BASE_URL and CLICKPOST_TIME_ZONE with `returns-orchestration doctor`."
    )


class RedirectRefused(PermanentApiError):
    """The API answered with a redirect, which would carry the key to another address."""

    missing_because = "the API has moved to another address"
    missing_to_do = (
        "set CLICKPOST_BASE_URL to the address that ClickPost names now, then restart Dagster."
    )
    next_step = "Set CLICKPOST_BASE_URL to the address that ClickPost names now; none is followed."


class NextPageRefused(PermanentApiError):
    """meta.next leaves the host that was asked, is no URL, or runs in a loop."""

    missing_because = "the API's pages lead nowhere"
    next_step = "Ask ClickPost about its paging; the window was not kept, as it would be short."


class NotOver(PermanentApiError):
    """The hour was asked for before its end, so the reply does not hold all of it."""

    missing_because = "they were polled before their end"
    next_step = "The hour stays missing; the sensor `missing_hours` asks for it after its end."


class RecordsLeftOut(PermanentApiError):
    """The reply indicates more records than it serves, and meta.next leads to none of them."""

    missing_because = "the API serves only a part of an hour's returns"
    missing_to_do = "ask ClickPost how the rest of an hour is read."
    next_step = (
        "Ask ClickPost how to read the rest of an hour; the window was not kept, as it would be "
        "short."
    )


class ClockAhead(PermanentApiError):
    """The hour is not over by ClickPost's clock, so the reply does not hold all of it."""

    missing_because = "this machine's clock is ahead of ClickPost's"
    missing_to_do = "set this machine's clock right, best by NTP."
    next_step = "Set this machine's clock right; the hour stays missing and is asked for then."


class StaleReply(PermanentApiError):
    """A cache answered with a reply that ClickPost gave before the hour was over."""

    missing_because = "a cache answers for ClickPost with old replies"
    missing_to_do = "let the proxy or cache on the way pass requests to the API through."
    next_step = (
        "Have the proxy or cache on the way pass requests for CLICKPOST_BASE_URL through; the hour "
        "stays missing and is asked for again."
    )


class LakeError(ReturnsError):
    """The lake could not be read or written."""


class LakeUnwritable(LakeError):
    """A write failed; the earlier content is unchanged."""

    missing_because = "the lake cannot be written"
    missing_to_do = (
        "run `returns-orchestration doctor`; it says what RETURNS_LAKE refuses and what to do."
    )
    next_step = "Check RETURNS_LAKE, its permissions and its free space, then run the same again."


class LakeContended(LakeError):
    """Another process changed the same file at the same time; the caller reads it again."""

    next_step = "Wait a minute; if it stays so, run one Dagster daemon for each lake."


class LakeOlder(LakeError):
    """The lake was made by a release before 0.2 and has not been converted."""

    next_step = "Stop its daemon and run `returns-orchestration upgrade`, which asks no API."

    def __init__(self, lake: str) -> None:
        super().__init__(f"The lake at {lake} was made by an earlier release.")


class LakeNewer(LakeError):
    """The lake has a format that this release does not support; ``found`` names it."""

    next_step = "Install the newest release of returns-orchestration; nothing was changed."

    def __init__(self, lake: str, found: str) -> None:
        self.found = found
        super().__init__(f"The lake at {lake} was made by a later release ({found}).")


class LakeDamaged(LakeError):
    """A file is missing, unreadable or does not match its record."""

    missing_because = "a file of the lake is damaged"
    missing_to_do = "run `returns-orchestration backfill FROM TO --repoll` for them."
    next_step = (
        "Find what is damaged with `returns-orchestration verify` and mend it with "
        "`returns-orchestration rebuild FROM TO`."
    )


class ZoneUnknown(LakeDamaged):
    """A poll was sent under a time zone that the database of this machine does not have."""

    missing_because = "their polls were sent under a time zone that this machine does not know"
    missing_to_do = "update the Python package tzdata on this machine."
    next_step = (
        "Update the Python package tzdata on this machine; if the name is wrong, correct it with "
        "`returns-orchestration rezone FROM TO --time-zone ZONE`."
    )

    def __init__(self, zone: str) -> None:
        super().__init__(f"A poll was sent under the time zone {zone!r}, which is not known here.")


class DataError(ReturnsError):
    """The data of one hour cannot be published; the earlier tables are unchanged."""


class HourBlocked(DataError):
    """A blocking claim fails. ``judged`` holds the claims by table, as evidence.

    ``window`` is the key of the hour, or of the day whose tables it is about.
    """

    missing_because = "a check blocks them"
    missing_to_do = "look at their checks in Dagster."
    next_step = "The tables were left as they were; look at its checks in the Dagster UI."

    def __init__(self, window: str, judged: Mapping[str, Sequence[Any]], sentence: str) -> None:
        self.window = window
        self.judged = judged
        super().__init__(f"{window} is not published: {sentence}.")


class NeverPolled(DataError):
    """Tables were requested for an hour whose window was never polled."""

    next_step = "Materialize raw_returns for it too, or run `returns-orchestration backfill`."

    def __init__(self, window: str) -> None:
        self.window = window
        super().__init__(f"{window} was never polled, so nothing can be made of it.")


def error_named(name: str) -> type[ReturnsError]:
    """The class of an error by its name, as records hold it; the root where there is none."""
    waiting: list[type[ReturnsError]] = [ReturnsError]
    while waiting:
        error = waiting.pop()
        if error.__name__ == name:
            return error
        waiting += error.__subclasses__()
    return ReturnsError


class SpoolUnwritable(ReturnsError):
    """The receiver cannot store webhooks now: no space, no permission, too many at once."""

    def __init__(self, spool: object, cause: str, *, at_start: bool = False) -> None:
        """``at_start``: the receiver ends with it; one that runs answers 503 meanwhile."""
        self.spool = spool
        super().__init__(
            f"The spool {spool} cannot be written: {cause}.",
            next_step=(
                "Check the permissions of its folder and the free space of its disk, then start "
                "the receiver again; it receives nothing until then."
                if at_start
                else "Check its permissions and the free space of its disk; the receiver answers "
                "503 until then and goes on by itself."
            ),
        )
