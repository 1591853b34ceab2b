"""The main job: plan → fetch → map → check → commit → report, each step's result a value."""

from __future__ import annotations

from outlay.sync.engine import run
from outlay.sync.plan import Plan, Work, plan
from outlay.sync.progress import Progress, Quiet
from outlay.sync.replay import replay
from outlay.sync.report import ConnectionReport, DatasetReport, Report
from outlay.sync.shard import Shard

__all__ = [
    "ConnectionReport",
    "DatasetReport",
    "Plan",
    "Progress",
    "Quiet",
    "Report",
    "Shard",
    "Work",
    "plan",
    "replay",
    "run",
]
