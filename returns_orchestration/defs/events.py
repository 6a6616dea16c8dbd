"""Outcomes of the pipeline become events of Dagster, hour by hour, as they happen.

Events are logged at once and not returned, so that the hours that are done stay done when a later
one fails or the process is killed. An hour that failed gets a failed check that gives the reason.
No message here holds a value of a record; the words of errors are made in ``errors``. Where the
event log can, it stores the events of an hour in one transaction, once the last one is logged.
"""

from __future__ import annotations

from datetime import date
from typing import TYPE_CHECKING, Any

import dagster as dg

from returns_orchestration import tables
from returns_orchestration.defs import checks, history, metadata
from returns_orchestration.defs.event_batches import is_holding, stored_together
from returns_orchestration.defs.registry import DAILY, HOURLY
from returns_orchestration.errors import (
    ApiError,
    HourBlocked,
    Interrupted,
    LakeError,
    PermanentApiError,
    ReturnsError,
    SettingsError,
)
from returns_orchestration.flow.outcomes import Failed, Made, MadeDay, Polled, Stopped
from returns_orchestration.state import claims
from returns_orchestration.state.news import unacknowledged
from returns_orchestration.window import Day, Window
from returns_orchestration.words import count

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence
    from contextlib import AbstractContextManager

    from dagster._core.definitions.asset_checks.asset_check_evaluation import (
        AssetCheckEvaluationTargetMaterializationData as Target,
    )

    from returns_orchestration.defs.keys import Keys
    from returns_orchestration.flow.days import BuiltDay
    from returns_orchestration.flow.hours import HourPipeline
    from returns_orchestration.flow.outcomes import Outcome
    from returns_orchestration.lake import Made as MadeEntry
    from returns_orchestration.lake import Poll
    from returns_orchestration.state.claims import Claim

RAW = tables.RAW_RETURNS.name
MADE = tuple(table.name for table in tables.MADE_HOURLY)
SHOWN_FAILURES = 20


class StepEvents:
    """Logs the events of one step."""

    def __init__(
        self,
        context: dg.AssetExecutionContext | dg.OpExecutionContext,
        pipeline: HourPipeline,
        selected: set[str],
        judged: set[str],
        keys: Keys,
    ) -> None:
        """Events of the assets ``selected`` and of the checks of those ``judged``."""
        self.keys = keys
        self.instance = context.instance
        self._context = context
        self._lake = pipeline.lake
        self._acknowledged = pipeline.acknowledged
        self._wording = pipeline.wording
        self._zone = pipeline.days.zone
        self._selected = selected
        self._judged = judged
        self._polled: dict[Window, Polled] = {}
        self._failed: dict[Window, ReturnsError] = {}
        self._stopped: ReturnsError | None = None

    @property
    def polls(self) -> bool:
        """Whether the step is to ask the API."""
        return RAW in self._selected

    @property
    def makes(self) -> bool:
        """Whether the step is to make tables."""
        return bool((self._selected | self._judged) & set(MADE))

    def together(self) -> AbstractContextManager[None]:
        """Store the events that are logged meanwhile, those of one hour or day, together."""
        return stored_together(self.instance)

    def add(self, outcome: Outcome) -> None:
        """Log the outcome of one hour."""
        if isinstance(outcome, Failed | Stopped):
            outcome.error.reword(self._wording)
        if isinstance(outcome, Polled):
            if self.makes:
                self._polled[outcome.window] = outcome
            else:
                self._log_raw(outcome.window, outcome.kept, outcome)
                self._check(outcome.window, {RAW: self._claims_of_poll(outcome)})
        elif isinstance(outcome, Made):
            self._made(outcome)
        elif isinstance(outcome, MadeDay):
            self.log_day(outcome.built)
        elif isinstance(outcome, Failed):
            self._fail(outcome.window, outcome.error)
        else:
            self._stop(outcome.error)

    def finish(self) -> dg.Failure | None:
        """Judge the new names; gives the failure that ends the step, if any."""
        self._check_names()
        if self._stopped is not None:
            permanent = isinstance(self._stopped, PermanentApiError | SettingsError | Interrupted)
            return dg.Failure(str(self._stopped), allow_retries=not permanent)
        if not self._failed:
            return None
        ordered = sorted(self._failed.items())
        shown = "\n".join(f"- {error}" for _, error in ordered[:SHOWN_FAILURES])
        more = len(ordered) - SHOWN_FAILURES
        return dg.Failure(
            f"{count(len(ordered), 'hour')} failed; all others of this run are kept.\n{shown}"
            + (f"\n- and {more} more" if more > 0 else ""),
            metadata={"failed_hours": [window.key for window, _ in ordered]},
            allow_retries=not all(isinstance(e, PermanentApiError) for _, e in ordered),
        )

    def _made(self, made: Made) -> None:
        """Log the tables and the poll of an hour.

        An hour whose polls Dagster has recorded counts as reported, so the poll is logged last: of
        a run that is killed in between, the next one reports the hour. Where both are stored at
        once it is logged first, as it happened: else Dagster shows the tables as out of date.
        """
        steps = [self._log_tables, self._log_poll]
        if is_holding(self.instance):
            steps.reverse()
        for step in steps:
            step(made)

    def _log_tables(self, made: Made) -> None:
        window, built = made.window, made.built
        judged: dict[str, list[Claim]] = {}
        for name in built.record.files:
            new = name in built.changed or (made.asked and name in self._selected)
            if new:
                self._context.log_event(
                    dg.AssetMaterialization(
                        self.keys.of(name),
                        partition=window.key,
                        metadata=self._metadata(name, made),
                        tags={"dagster/data_version": built.record.files[name].sha256[:16]},
                    )
                )
            if new or (made.asked and name in self._judged):
                judged[name] = built.claims[name]
        self._check(window, judged)

    def _log_poll(self, made: Made) -> None:
        window, built = made.window, made.built
        if built.polls and made.asked and RAW in self._selected:
            polled = self._polled.pop(window, None)
            if polled is not None or RAW not in self._targets([RAW], window):
                self._log_raw(window, built.polls, polled, metadata.of_accounting(built.accounting))
            if polled is not None:
                claims_of_raw = [*built.claims.get(RAW, []), *self._claims_of_poll(polled)]
                self._check(window, {RAW: claims_of_raw})
            elif history.is_unpublished(self.instance, window, self.keys):
                self._check(window, {RAW: [claims.PUBLISHED]})

    def block_day(self, error: HourBlocked) -> None:
        """Record why the tables of a day must not be shown."""
        self._check(Day(date.fromisoformat(error.window), self._zone), error.judged)

    def log_day(self, built: BuiltDay) -> None:
        """Log the tables of a day that changed, and the results of its claims."""
        for table in tables.MADE_DAILY:
            name, record = table.name, built.record
            if name in built.changed or name in self._selected:
                shown = metadata.of_file(
                    record.files[name].size,
                    record.files[name].rows,
                    self._lake.uri(table, built.day),
                )
                shown["hours"] = dg.MetadataValue.int(record.facts["hours"])
                shown |= metadata.of_counts(table, built.frames[name])
                if by := DAILY[name].chart_by:
                    chart = metadata.chart_of_day(built.frames[name], by, built.day)
                    shown[metadata.chart_name(self._zone)] = chart
                self._context.log_event(
                    dg.AssetMaterialization(
                        self.keys.of(name),
                        partition=built.day.key,
                        metadata=shown,
                        tags={"dagster/data_version": record.files[name].sha256[:16]},
                    )
                )
        self._check(built.day, built.claims)

    def _metadata(self, name: str, made: Made) -> dict[str, dg.MetadataValue]:
        record: MadeEntry = made.built.record
        shown = metadata.of_file(
            record.files[name].size,
            record.files[name].rows,
            self._lake.uri(HOURLY[name].table, made.window),
        )
        shown |= metadata.of_counts(HOURLY[name].table, made.built.frames[name])
        if name == tables.RETURNS.name:
            shown |= metadata.of_accounting(made.built.accounting)
            shown["late"] = dg.MetadataValue.int(record.facts["late"])
        if not made.asked:
            shown["remade_because"] = dg.MetadataValue.text("a neighbouring window was polled")
        return shown

    def _log_raw(
        self,
        window: Window,
        polls: Sequence[Poll],
        polled: Polled | None,
        accounting: dict[str, dg.MetadataValue] | None = None,
    ) -> None:
        newest = polls[-1]
        shown = metadata.of_file(
            sum(poll.file[0] for poll in polls),
            sum(poll.rows for poll in polls),
            self._lake.uri(tables.RAW_RETURNS, window),
        )
        shown |= metadata.of_polls(polls) | metadata.of_poll(polled) | (accounting or {})
        self._context.log_event(
            dg.AssetMaterialization(
                self.keys.of(RAW),
                partition=window.key,
                metadata=shown,
                tags={"dagster/data_version": newest.sha256},
            )
        )

    @staticmethod
    def _claims_of_poll(polled: Polled) -> list[Claim]:
        landed = polled.landed
        return claims.of_poll(
            damaged_text=polled.poll.damaged_text,
            vanished=landed.vanished,
            clock_ahead=polled.poll.clock_ahead,
            far=sum(
                count
                for home, count in landed.homes.items()
                if abs(landed.window.hours_to(home.start)) > 1
            ),
        )

    def _stop(self, error: ReturnsError) -> None:
        """Note the hour that showed a fault of all hours, so that its status gives the reason."""
        self._stopped = error
        window = getattr(error, "window", "")
        if window:
            self._check(Window.from_key(window), {RAW: [claims.unread(error)]})

    def _fail(self, window: Window, error: ReturnsError) -> None:
        self._failed[window] = error
        self._context.log.error(str(error))
        if isinstance(error, HourBlocked):
            self._block(window, error)
        else:
            claim = claims.unread if isinstance(error, ApiError) else claims.unpublished
            self._check(window, {RAW: [claim(error)]})

    def _block(self, window: Window, error: HourBlocked) -> None:
        """An hour or day whose tables must not be shown: only its own checks give the reason."""
        if error.window != window.key:
            self.block_day(error)
            return
        judged = dict(error.judged)
        polled = self._polled.pop(window, None)
        if polled is not None:
            judged[RAW] = [*judged.get(RAW, []), *self._claims_of_poll(polled)]
        self._check(window, judged)

    def _log(self, evaluation: Any) -> None:  # noqa: ANN401 - an op may log it, too
        self._context.log_event(evaluation)

    def _check_names(self) -> None:
        """Judge the names that are new in all hours so far."""
        if self.makes:
            try:
                waiting = unacknowledged(self._lake.news.waiting(), self._acknowledged)
            except LakeError as error:  # every hour is done, and the next run judges them
                self._context.log.warning(self._wording(str(error)))
            else:
                self._log(checks.evaluation_of_names(self.keys, waiting))

    def _check(self, period: Window | Day, judged: Mapping[str, Sequence[Claim]]) -> None:
        """Record the claims about one hour or day, by asset."""
        targets = self._targets(judged, period)
        for asset, found in judged.items():
            for evaluation in checks.evaluations(
                self.keys.of(asset), period.key, found, targets.get(asset), self._wording
            ):
                self._log(evaluation)

    def _targets(self, assets: Collection[str], period: Window | Day) -> dict[str, Target]:
        return history.newest_materializations(
            self.instance, self._context.run.run_id, assets, period.key, self.keys
        )
