"""The Dagster definitions: ``build_defs`` makes new ones, and Dagster loads ``defs``.

Settings are read once, when this module is loaded. Warnings about them go to the log. Dagster's
telemetry is switched off.
"""

from __future__ import annotations

import logging
import os

from returns_orchestration.defs.code_location import build_all_defs, build_defs
from returns_orchestration.settings import load_accounts
from returns_orchestration.settings.sources import warnings

__all__ = ["build_defs", "defs"]

_log = logging.getLogger(__name__)

os.environ.setdefault("DAGSTER_DISABLE_TELEMETRY", "yes")
defs = build_all_defs(load_accounts())
for _warning in warnings():
    _log.warning("%s", _warning)
