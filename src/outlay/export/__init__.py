"""Files others can read: the FOCUS dataset, and any table of facts."""

from __future__ import annotations

from outlay.export.checks import Checked
from outlay.export.facts import facts
from outlay.export.run import Export, focus

__all__ = ["Checked", "Export", "facts", "focus"]
