"""Take secrets out of everything that is written, logged or shown.

Two nets: every secret the process has resolved is known by value, and texts that look like a vendor's key or an
authorization header are caught by pattern, so a key that Outlay never resolved is hidden too.
"""

from __future__ import annotations

import base64
import json
import logging
import re
import threading
from urllib.parse import quote, quote_plus

MASK = "***"
_SHORTEST_SECRET = 6
_PATTERNS = re.compile(
    r"""(?ix)
    (?P<head>\b(?:authorization|proxy-authorization|x-api-key|api[-_]?key|access[-_]?token|client[-_]?secret|password)
        ["']?\s*[:=]\s*["']?(?:bearer\s+|basic\s+|token\s+)?) (?P<value>[^\s"',;&}]{6,})
    | \b(?:sk|rk|pk)[-_](?:ant|proj|admin|svcacct|live|test)[-_A-Za-z0-9]{6,}
    | \bgh[pousr]_[A-Za-z0-9]{8,} | \bgithub_pat_[A-Za-z0-9_]{8,}
    | \bya29\.[A-Za-z0-9_-]{8,} | \bAIza[A-Za-z0-9_-]{30,}
    | \bgsk_[A-Za-z0-9]{8,} | \bhf_[A-Za-z0-9]{8,} | \bsbp_[A-Za-z0-9]{8,} | \bwhsec_[A-Za-z0-9]{8,}
    | -----BEGIN[ A-Z]*PRIVATE\ KEY-----.*?-----END[ A-Z]*PRIVATE\ KEY-----
    | (?P<url>\b[a-z][a-z0-9+.-]*://)[^/\s:@]*:[^/\s@]+@
    """,
    re.DOTALL,
)


class Redactor:
    """Hide every known secret and everything that looks like one."""

    def __init__(self) -> None:
        self._held: dict[str, tuple[int, set[str]]] = {}
        self._known: tuple[str, ...] = ()
        self._known_bytes: tuple[bytes, ...] = ()
        self._lock = threading.Lock()

    def learn(self, secret: str) -> None:
        """Remember a secret in the forms it can travel in: as it is, quoted for URLs, JSON or Python, in base64."""
        if len(secret) < _SHORTEST_SECRET:
            return
        with self._lock:
            times, forms = self._held.get(secret) or (0, _forms(secret))
            self._held[secret] = (times + 1, forms)
            if not times:
                self._know(forms.union(self._known))

    def forget(self, secret: str) -> None:
        """Let go of a secret that was made for a while, such as an hour's token, once for each time it was learned.

        A process that runs for months would know thousands of them, and look for each in every page. What somebody
        else has learned stays hidden: two connections may hold the same token.
        """
        with self._lock:
            times, forms = self._held.pop(secret, (0, set()))
            if times > 1:
                self._held[secret] = (times - 1, forms)
            elif times:
                self._know({form for _, others in self._held.values() for form in others})

    def _know(self, forms: set[str]) -> None:
        self._known = tuple(sorted(forms, key=len, reverse=True))
        self._known_bytes = tuple(form.encode(errors="surrogatepass") for form in self._known)

    def text(self, value: str) -> str:
        """Return the text with every secret replaced by `***`."""
        # Looking for each form is many times faster than a pattern of all, and almost no text holds one. A pattern of
        # all would cost a second to compile for each token that is learned while a Google key file is known.
        if found := [form for form in self._known if form in value]:
            value = re.compile("|".join(map(re.escape, found))).sub(MASK, value)
        return _PATTERNS.sub(_mask, value)

    def body(self, value: bytes) -> bytes:
        """Return a payload with every *known* secret removed.

        Payloads are kept to be mapped again, so only exact secrets are taken out: a pattern could hit a vendor's id.
        """
        if found := [form for form in self._known_bytes if form in value]:
            value = re.compile(b"|".join(map(re.escape, found))).sub(MASK.encode(), value)
        return value


def _forms(secret: str) -> set[str]:
    forms = {secret, repr(secret)[1:-1]}
    for quoted in (
        quote(secret, safe="", errors="replace"),
        quote(secret, errors="replace"),
        quote_plus(secret, errors="replace"),
    ):
        forms |= {quoted, re.sub("%[0-9A-F]{2}", lambda match: match[0].lower(), quoted)}
    for escaped in (json.dumps(secret)[1:-1], json.dumps(secret, ensure_ascii=False)[1:-1]):
        forms |= {escaped, escaped.replace("/", "\\/"), json.dumps(escaped)[1:-1]}
    content = secret.encode(errors="replace")
    for encode in (base64.b64encode, base64.urlsafe_b64encode):
        forms.add(encode(content).decode())
        # Within a longer base64 text the secret begins at one of three places; its edges mix with its neighbours.
        for offset, mixed in enumerate((0, 2, 3)):
            inner = encode(b"\0" * offset + content).decode()
            forms.add(inner[mixed : (offset + len(content)) * 8 // 6])
    return forms


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
        try:
            message = record.getMessage()
        except (TypeError, ValueError, KeyError):
            message = str(record.msg)
        record.msg = redactor.text(message)
        record.args = ()
        if record.exc_info and not record.exc_text:
            record.exc_text = logging.Formatter().formatException(record.exc_info)
        if record.exc_text:
            record.exc_text = redactor.text(record.exc_text)
        # A formatter that renders the exception itself would undo the redaction.
        record.exc_info = None
        if record.stack_info:
            record.stack_info = redactor.text(record.stack_info)
        return True


redactor = Redactor()
"""The process-wide redactor: credentials teach it, every writer asks it."""
