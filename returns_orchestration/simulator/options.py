"""Everything that can be set about the simulator, in one frozen value, checked when built.

Not here: faults (they change while the server runs; see `faults`) and the clock (a callable;
see `server`).
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Literal, TypeAlias, get_args

from returns_orchestration.simulator.moments import zone_named
from returns_orchestration.simulator.oddities import ODDITY_NAMES

EdgeRule: TypeAlias = Literal["[)", "[]", "(]", "second", "()"]
FilterOn: TypeAlias = Literal["requested", "timestamp"]
Order: TypeAlias = Literal["asc", "desc", "shuffled"]

_MOST_RETURNS = 200_000  # tracking ids stay unique up to 250,000 returns an hour
_LONGEST_WAIT = timedelta(hours=72)


@dataclass(frozen=True, slots=True)
class SimulatorOptions:
    """The dataset, the API's undocumented choices, and its limits. ValueError if out of range.

    Dataset
      seed               any integer; the same seed gives the same returns on every machine
      returns_per_hour   mean returns an hour, 0 to 200,000
      rhythm             True: days, nights and weekends in India time; False: the same every hour
      edges              five more returns around every hour boundary, to the microsecond
      oddities           share of the returns that have one oddity, 0 to 1
      only_oddities      names to choose from; empty means all (see `ODDITY_NAMES`)
      unusable           share of the returns without a reference or a readable request time
      mps_share          share of the returns of several pieces
      awb_slow_share     share of the returns whose AWB comes after a time within `awb_slow_by`
      awb_never_share    share of the returns that never get an AWB; the rest get one in 1 to 3 s
      awb_slow_by        shortest and longest wait for a slow AWB
      progress           True: parcels are picked up and delivered as the clock moves on
      shop               True: 300 styles, with reasons that go with them, of a shop
      troubles_from      from when that shop has troubles that a report must show (see `shop`)
      late_share         share of the returns that the API shows only after a time
      late_by            shortest and longest such time

    API
      edge_rule          which ends of a window count: [), [], (], (), or "second" (both ends, and
                         the record's time cut to whole seconds)
      filter_on          the record's time that is compared: "requested" or "timestamp"
      order              "asc", "desc" or "shuffled" (differently in each call)
      zone               IANA zone in which start_time and end_time are read and times written
      empty_as_null      an empty result is null instead of []
      auth_http_status   HTTP status of a credentials refusal: 200 or 301
      page_size          records a page; None means no paging
      latency            seconds before each reply
      rate_limit         requests a second over the whole server; None means no limit
      key, user_name     the credentials accepted
    """

    seed: int = 2026
    returns_per_hour: float = 16.0
    rhythm: bool = True
    edges: bool = False
    oddities: float = 0.02
    only_oddities: tuple[str, ...] = ()
    unusable: float = 0.0
    mps_share: float = 0.03
    awb_slow_share: float = 0.2
    awb_never_share: float = 0.15
    awb_slow_by: tuple[timedelta, timedelta] = (timedelta(minutes=30), timedelta(hours=5))
    progress: bool = True
    shop: bool = False
    troubles_from: datetime | None = None
    late_share: float = 0.0
    late_by: tuple[timedelta, timedelta] = (timedelta(minutes=15), timedelta(hours=5))
    edge_rule: EdgeRule = "[)"
    filter_on: FilterOn = "requested"
    order: Order = "asc"
    zone: str = "UTC"
    empty_as_null: bool = False
    auth_http_status: Literal[200, 301] = 200
    page_size: int | None = None
    latency: float = 0.0
    rate_limit: int | None = None
    key: str = field(default="simulator-key", repr=False)
    user_name: str = field(default="simulator-user", repr=False)

    def __post_init__(self) -> None:
        """Refuse what cannot be simulated, naming the option and what is allowed."""
        self._check_dataset()
        self._check_api()

    def _check_dataset(self) -> None:
        _require(
            0 <= self.returns_per_hour <= _MOST_RETURNS,
            f"returns_per_hour must be 0 to {_MOST_RETURNS}, got {self.returns_per_hour}",
        )
        for name in (
            "oddities",
            "unusable",
            "mps_share",
            "awb_slow_share",
            "awb_never_share",
            "late_share",
        ):
            share = getattr(self, name)
            _require(0 <= share <= 1, f"{name} is a share, 0 to 1, got {share}")
        together = self.awb_slow_share + self.awb_never_share
        _require(together <= 1, f"awb_slow_share and awb_never_share exceed 1, got {together}")
        together = self.oddities + self.unusable
        _require(together <= 1, f"oddities and unusable exceed 1, got {together}")
        for name in ("awb_slow_by", "late_by"):
            low, high = getattr(self, name)
            _require(
                timedelta(0) <= low <= high <= _LONGEST_WAIT,
                f"{name} must be two rising times from 0 to {_LONGEST_WAIT}, got {low} and {high}",
            )
        if self.troubles_from is not None:
            _require(self.shop, "troubles_from needs shop")
            _require(self.troubles_from.tzinfo, "troubles_from must have a zone")
        for name in self.only_oddities:
            _require(
                name in ODDITY_NAMES,
                f"no oddity is called {name!r}; there are {', '.join(ODDITY_NAMES)}",
            )

    def _check_api(self) -> None:
        for name, kind in (("edge_rule", EdgeRule), ("filter_on", FilterOn), ("order", Order)):
            value, allowed = getattr(self, name), get_args(kind)
            _require(value in allowed, f"{name} must be one of {', '.join(allowed)}, got {value!r}")
        zone_named(self.zone)
        _require(
            self.auth_http_status in {200, 301},
            f"auth_http_status must be 200 or 301, got {self.auth_http_status}",
        )
        _require(
            self.page_size is None or self.page_size >= 1,
            f"page_size must be 1 or more, or None, got {self.page_size}",
        )
        _require(self.latency >= 0, f"latency must be 0 seconds or more, got {self.latency}")
        _require(
            self.rate_limit is None or self.rate_limit >= 1,
            f"rate_limit must be 1 request a second or more, or None, got {self.rate_limit}",
        )
        _require(self.key and self.user_name, "key and user_name must not be empty")


def _require(condition: object, message: str) -> None:
    if not condition:
        raise ValueError(message)
