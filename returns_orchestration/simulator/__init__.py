"""The ClickPost Returns Polling Delta API, bundled: a real HTTP server with invented returns.

Reading order:
  settings   `options` (what can be set), `moments` (clock arithmetic, time spellings)
  dataset    `rhythm` (how many returns an hour has), `planning` (which), `catalogue` and
             `contents` (what is in them), `oddities` (what is strange about some) with
             `oddity_truths` and `oddity_spellings`, `lifecycle` and `records` (what a record
             says at a moment), `boundaries` (which records a window gets), `truth` (what a
             perfect reader would know), `dataset` (all of these together)
  server     `replies` (envelopes, refusals, pages), `faults` and `breakage` (what goes wrong,
             and how), `polls` (what is remembered), `journal` (what was asked), `app`, `wire`
             (the socket), `server`

Not here: anything of the pipeline. This room imports nothing from its neighbours, so that an
error in their understanding of the API cannot agree with itself.
"""

from returns_orchestration.simulator.dataset import Dataset, ServedRecord
from returns_orchestration.simulator.faults import FAULT_NAMES, Fault, parse_fault
from returns_orchestration.simulator.journal import RequestRecord
from returns_orchestration.simulator.oddities import ODDITY_NAMES
from returns_orchestration.simulator.options import SimulatorOptions
from returns_orchestration.simulator.server import AddressTakenError, Simulator, serve
from returns_orchestration.simulator.truth import TrueItem, TrueReturn

__all__ = [
    "FAULT_NAMES",
    "ODDITY_NAMES",
    "AddressTakenError",
    "Dataset",
    "Fault",
    "RequestRecord",
    "ServedRecord",
    "Simulator",
    "SimulatorOptions",
    "TrueItem",
    "TrueReturn",
    "parse_fault",
    "serve",
]
