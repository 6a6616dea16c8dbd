"""Incidents about webhooks: they do not come, cannot be used, or nobody takes them."""

from __future__ import annotations

from returns_orchestration.alerts.kinds.kind import NO_MORE, Kind, OfClaims, Words
from returns_orchestration.words import count


class WebhooksUnusable(OfClaims, frozen=True, kw_only=True):
    """Webhooks come that cannot be used: no JSON, no reference number or no readable time."""

    name = "webhooks unusable"
    claims = ("every_webhook_can_be_used",)

    def words(self) -> Words:
        return Words(
            f"Webhooks come that cannot be used, {self.count_text}",
            f"{self.happened} ({self.periods_text}). They are in no table but `rejected_webhooks`; "
            "what polls bring of these returns is counted.",
            "look at the reasons in `rejected_webhooks`, and send ClickPost those webhooks; they "
            "hold personal data.",
            "No more webhooks come that cannot be used",
            NO_MORE,
        )


class PollsLackReturns(OfClaims, frozen=True, kw_only=True):
    """Polls lack returns that webhooks brought, a day after their hour."""

    name = "polls lack returns"
    usual_severity = "urgent"
    claims = ("polls_have_every_return_of_a_webhook",)

    def words(self) -> Words:
        return Words(
            f"Polls lack returns that webhooks brought, {self.count_text}",
            f"{self.happened} ({self.periods_text}). The tables have these returns by their "
            "webhook only: a later poll of their hour did not serve them either.",
            "ask ClickPost, with the references in `webhook_matches` whose verdict is "
            "`webhook_only`; check CLICKPOST_TIME_ZONE and RETURNS_WEBHOOK_TIME_ZONE.",
            "Polls have the returns that webhooks bring",
            NO_MORE,
        )


class ReceiverSilent(Kind, frozen=True, kw_only=True):
    """The receiver of webhooks gives no sign of life, or cannot store webhooks."""

    name = "receiver silent"
    usual_severity = "urgent"
    usual_page = "webhooks_arrived"
    problem: str = ""

    def words(self) -> Words:
        title = "The receiver of webhooks does not listen"
        means = "ClickPost's webhooks are lost meanwhile, if it does not send them again."
        to_do = "start it again: `systemctl restart returns-orchestration-receiver`; its log gives "
        if self.subject:
            title = "The receiver of webhooks cannot store them"
            means = f"{self.problem.rstrip('.')}. It answers 503, so ClickPost sends them again."
            to_do = "make room on the disk of its spool, and check its permissions; its log gives "
        return Words(
            title,
            f"{means} Polls go on, so no return is lost.",
            f"{to_do}the reason.",
            "The receiver of webhooks takes them",
            "Polls have what was lost meanwhile.",
        )


class NoWebhooks(Kind, frozen=True, kw_only=True):
    """No webhook comes, although polls bring new returns."""

    name = "no webhooks"
    usual_severity = "urgent"
    usual_page = "webhook_delivery_hourly"
    inhibited_by = (ReceiverSilent,)
    lost: int

    def words(self) -> Words:
        return Words(
            f"No webhooks arrive: {count(self.lost, 'return')} came by polls alone",
            f"In {count(self.size, 'hour')} with new returns not one webhook came. Systems that "
            "wait for webhooks know nothing of these returns; the numbers here are complete.",
            "check in ClickPost's dashboard that the webhook is registered, and send a test by its "
            "way: `returns-orchestration receive --check URL`.",
            "Webhooks arrive again",
            "`returns-orchestration webhooks` lists what was lost meanwhile.",
        )


class WebhooksRefused(Kind, frozen=True, kw_only=True):
    """The receiver refuses webhooks for their key, and takes none."""

    name = "webhooks refused"
    usual_page = "webhooks_arrived"
    inhibited_by = (ReceiverSilent,)
    refused: int
    without_key: int

    def words(self) -> Words:
        likely = (
            "They had no key at all: a proxy probably drops the header `webhook_key`; nginx needs "
            "`underscores_in_headers on;`."
            if self.without_key == self.refused
            else "Their key is none of RETURNS_WEBHOOK_KEYS."
        )
        return Words(
            f"{count(self.refused, 'webhook')} were refused for their key",
            f"{likely} None was accepted in the last hour.",
            "compare the key at ClickPost, then send a test by its way: `returns-orchestration "
            "receive --check URL`.",
            "Webhooks are not refused any more",
            "`returns-orchestration webhooks` lists what was lost meanwhile.",
        )


class WebhooksLost(Kind, frozen=True, kw_only=True):
    """Fewer webhooks are delivered than RETURNS_WEBHOOK_EXPECTED, beyond chance."""

    name = "webhooks lost"
    usual_page = "webhook_delivery_hourly"
    inhibited_by = (NoWebhooks, ReceiverSilent)
    both: int
    lost: int

    def words(self) -> Words:
        total = self.both + self.lost
        return Words(
            f"{self.lost:,} of {count(total, 'webhook')} were lost: {self.both / total:.1%} came",
            f"In the newest {count(self.size, 'hour')} with returns in which the receiver "
            "listened. Systems that wait for webhooks do not have these returns; the numbers here "
            "are complete.",
            "`returns-orchestration webhooks` lists the hours and `webhook_matches` the returns: "
            "send them to ClickPost. `redeliver` brings them to the systems that wait.",
            "Webhooks are delivered as expected",
            "`webhook_matches` has the returns whose webhook was lost.",
        )


class WebhooksLate(Kind, frozen=True, kw_only=True):
    """Over a tenth of webhooks come an hour late, where most came within 5 minutes."""

    name = "webhooks late"
    usual_severity = "notice"
    usual_page = "webhook_delivery_hourly"
    inhibited_by = (NoWebhooks, ReceiverSilent)
    share: float

    def words(self) -> Words:
        return Words(
            f"{self.share:.0%} of webhooks come over an hour after the request",
            f"In the newest {count(self.size, 'hour')} with returns in which the receiver "
            "listened; most webhooks of the 14 days before came within 5 minutes. Polls bring "
            "these returns meanwhile, so the numbers here are complete.",
            "look at `lag_p90_s` in `webhook_delivery_hourly` for the hour in which it began, and "
            "ask ClickPost.",
            "Webhooks come as quickly as before",
            "Nothing has to be done.",
        )


class SpoolSetAside(Kind, frozen=True, kw_only=True):
    """The receiver's spool was damaged or replaced; what is left of it was moved away."""

    name = "spool set aside"
    usual_page = "webhooks_arrived"
    file: str

    def words(self) -> Words:
        return Words(
            "The spool of webhooks was damaged or replaced, and is set aside",
            f"It is the file {self.file}. Webhooks of its last minute may not be in the lake; "
            "new ones are taken, and polls have every return.",
            "look for the cause on the disk, then remove the file, and the files beside it whose "
            "names begin alike. `returns-orchestration webhooks` lists what was lost.",
            "What was set aside of the spool of webhooks is gone",
            "`returns-orchestration webhooks` lists what was lost meanwhile.",
        )
