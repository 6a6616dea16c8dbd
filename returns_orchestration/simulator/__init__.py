"""The ClickPost Returns Polling Delta API, bundled: a real HTTP server with invented returns.

Reading order:
  settings   `options` (what can be set), `moments` (clock arithmetic, time spellings)
  dataset    `rhythm` (how many returns an hour has), `planning` (which), `catalogue` and
             `contents` (what is in them), `shop` (a shop instead of the catalogue), `oddities` (the
             odd ones among them) with `oddity_truths` and `oddity_spellings`, `lifecycle` and
             `records` (the JSON of a record at a moment), `boundaries` (which records a window
             gets), `truth` (what a perfect reader would find), `dataset` (all of these together),
             `webhooks` (which events of it are sent, when, and their fate)
  server     `replies` (envelopes, refusals, pages), `faults` and `breakage` (what goes wrong,
             and how), `polls` (what is remembered), `journal` (what was asked), `app`, `wire`
             (the socket), `server`

Not here: the pipeline. This room does not import from it, so that an error in the pipeline's
understanding of the API does not recur here and stay hidden.
"""

from returns_orchestration.simulator.dataset import Dataset, ServedRecord
from returns_orchestration.simulator.faults import FAULT_NAMES, Fault, parse_fault
from returns_orchestration.simulator.journal import RequestRecord
from returns_orchestration.simulator.oddities import ODDITY_NAMES
from returns_orchestration.simulator.options import SimulatorOptions
from returns_orchestration.simulator.server import AddressTakenError, Simulator, serve
from returns_orchestration.simulator.truth import TrueItem, TrueReturn
from returns_orchestration.simulator.webhooks import Sender, SentWebhook, WebhookOptions, Webhooks

__all__ = [
    "FAULT_NAMES",
    "ODDITY_NAMES",
    "AddressTakenError",
    "Dataset",
    "Fault",
    "RequestRecord",
    "Sender",
    "SentWebhook",
    "ServedRecord",
    "Simulator",
    "SimulatorOptions",
    "TrueItem",
    "TrueReturn",
    "WebhookOptions",
    "Webhooks",
    "parse_fault",
    "serve",
]
