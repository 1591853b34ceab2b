"""Take secrets out of everything that is written, logged or shown.

Two nets: every secret the process has resolved is known by value, and texts that look like a vendor's key or an
authorization header are caught by pattern, so a key that Outlay never resolved is hidden too.
"""

from __future__ import annotations

import base64
import logging
import re
import threading
from urllib.parse import quote

MASK = "***"
_SHORTEST_SECRET = 6
_PATTERNS = re.compile(
    r"""(?ix)
    (?P<head>\b(?:authorization|proxy-authorization|x-api-key|api[-_]?key|access[-_]?token|client[-_]?secret|password)
        ["']?\s*[:=]\s*["']?(?:bearer\s+|basic\s+|token\s+)?) (?P<value>[^\s"',;&}]{6,})
    | \b(?:sk|rk|pk)[-_](?:ant|proj|admin|svcacct|live|test)[-_A-Za-z0-9]{6,}
    | \bgh[pousr]_[A-Za-z0-9]{8,} | \bgithub_pat_[A-Za-z0-9_]{8,}
    | \bgsk_[A-Za-z0-9]{8,} | \bhf_[A-Za-z0-9]{8,} | \bsbp_[A-Za-z0-9]{8,} | \bwhsec_[A-Za-z0-9]{8,}
    | -----BEGIN[ A-Z]*PRIVATE\ KEY-----.*?-----END[ A-Z]*PRIVATE\ KEY-----
    | (?P<url>\b[a-z][a-z0-9+.-]*://)[^/\s:@]*:[^/\s@]+@
    """,
    re.DOTALL,
)


class Redactor:
    """Hide every known secret and everything that looks like one."""

    def __init__(self) -> None:
        self._known: set[str] = set()
        self._pattern: re.Pattern[str] | None = None
        self._pattern_bytes: re.Pattern[bytes] | None = None
        self._lock = threading.Lock()

    def learn(self, secret: str) -> None:
        """Remember a secret in the forms it can travel in: as it is, URL-quoted, JSON-escaped, base64."""
        if len(secret) < _SHORTEST_SECRET:
            return
        forms = {secret, quote(secret, safe=""), secret.replace("\n", "\\n"), secret.replace('"', '\\"')}
        forms.add(base64.b64encode(secret.encode()).decode())
        with self._lock:
            if forms <= self._known:
                return
            self._known |= forms
            longest_first = sorted(self._known, key=len, reverse=True)
            source = "|".join(re.escape(form) for form in longest_first)
            self._pattern = re.compile(source)
            self._pattern_bytes = re.compile(source.encode())

    def text(self, value: str) -> str:
        """Return the text with every secret replaced by `***`."""
        if self._pattern is not None:
            value = self._pattern.sub(MASK, value)
        return _PATTERNS.sub(_mask, value)

    def body(self, value: bytes) -> bytes:
        """Return a payload with every *known* secret removed.

        Payloads are kept to be mapped again, so only exact secrets are taken out: a pattern could hit a vendor's id.
        """
        return value if self._pattern_bytes is None else self._pattern_bytes.sub(MASK.encode(), value)


def _mask(match: re.Match[str]) -> str:
    if match["head"]:
        return match["head"] + MASK
    if match["url"]:
        return match["url"] + MASK + "@"
    return MASK


class RedactingFilter(logging.Filter):
    """Redact a log record's message and traceback before any handler sees it."""

    def filter(self, record: logging.LogRecord) -> bool:
        """Rewrite the record in place and let it pass."""
        record.msg = redactor.text(record.getMessage())
        record.args = ()
        if record.exc_info and not record.exc_text:
            record.exc_text = redactor.text(logging.Formatter().formatException(record.exc_info))
        return True


redactor = Redactor()
"""The process-wide redactor: credentials teach it, every writer asks it."""
