"""Tell Gemini's lines in a Google bill: which model, and tokens of which direction, from the words of a SKU.

The words are Google's and change; a line is known by its `sku.id`, and what cannot be told from its words is left open.
"""

from __future__ import annotations

import re
from typing import NamedTuple

GEMINI_API, VERTEX_AI = "AEFD-7695-64FA", "C7E2-9256-1C43"
_MODEL = re.compile(
    r"\b(?P<family>gemini|gemma|imagen|veo|lyria)[ -]?(?P<version>\d+(?:\.\d+)?)?"
    r"(?P<words>(?:[ -](?:flash|pro|ultra|nano|lite|live|tts|native|embedding|fast|exp|preview"
    # A medium is part of a model's name only where it does not say what went in or came out.
    r"|(?:image|audio)(?! (?:generation|output|input|token)))\b)*)",
    re.IGNORECASE,
)
_CACHE_STORAGE = re.compile(r"cach\w* .*stor(?:age|ing)|stor(?:age|ing) .*cach", re.IGNORECASE)
_CACHED = re.compile(r"\bcach(?:ed|ing|e)\b", re.IGNORECASE)
_TOKENS = re.compile(r"\btokens?\b", re.IGNORECASE)
_TEXT = re.compile(r"\btext (?:input|output)\b", re.IGNORECASE)
_COUNTED_BY_CHARACTER = ("1.0", "1.5")
"""Of these versions Vertex AI bills characters where the words do not say what is counted."""
_OUTPUT = re.compile(r"\boutput\b|\bthinking\b|\bresponse\b", re.IGNORECASE)
_INPUT = re.compile(r"\binput\b|\bprompt\b", re.IGNORECASE)
_TIERS = ("batch", "flex", "priority")
_CONTEXT = re.compile(r"\b(short|long)\b(?: context)?", re.IGNORECASE)


class Told(NamedTuple):
    """What a SKU's words tell; None where they do not."""

    model: str | None = None
    meter: str | None = None
    service_tier: str | None = None
    context_window: str | None = None


def told(service_id: str | None, text: str | None) -> Told:
    """Return what a SKU of the Gemini API or of Vertex AI counts.

    `Generate content output token count gemini 2.5 flash short input text` is output of gemini-2.5-flash: the direction
    is the word before "token count", the words behind it say what went in.
    """
    if service_id not in (GEMINI_API, VERTEX_AI) or not text:
        return Told()
    found = _MODEL.search(text)
    if found is None:
        return Told()
    words = found["words"].lower().replace("-", " ").split()
    model = "-".join(part for part in (found["family"].lower(), found["version"], *words) if part)
    lower = text.lower()
    tier = next((tier for tier in _TIERS if re.search(rf"\b{tier}\b", lower)), None)
    context = _CONTEXT.search(text)
    by_token = _TOKENS.search(text) or (_TEXT.search(text) and found["version"] not in (None, *_COUNTED_BY_CHARACTER))
    return Told(model, _meter(text) if by_token else None, tier, context[1].lower() if context else None)


def besides(text: str) -> list[str]:
    """Return a SKU's words beside the model's name, in lower case."""
    return re.findall(r"[\w.]+", _MODEL.sub(" ", text, count=1).lower())


def _meter(text: str) -> str | None:
    """Return the meter of a token SKU, None for the storage of a cache and for what does not say its direction."""
    if _CACHE_STORAGE.search(text):
        return None
    head = _TOKENS.split(text, maxsplit=1)[0]
    if _CACHED.search(text):
        return "cached_input_tokens"
    for place in (head, text):
        if _OUTPUT.search(place):
            return "output_tokens"
        if _INPUT.search(place):
            return "input_tokens"
    return None
