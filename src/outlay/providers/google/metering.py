"""How the Gemini API's answers are metered: its own kind, whole and streamed, and the OpenAI kind.

Never: add cached tokens to the prompt that holds them; leave out thoughts, which are billed as output and are not
       among the candidates' tokens; take the counts of a stream's middle for its end's.
"""

from __future__ import annotations

from collections.abc import Iterator
from decimal import Decimal

import msgspec
from msgspec import Struct

from outlay.model.facts import Limit, LimitBasis, LimitKind
from outlay.providers.completions import completions
from outlay.providers.metering import UNCOUNTED, Counted, Metered, Metering, Seen
from outlay.providers.ratelimits import number, of_model

SERVICE = "Gemini API"
_REFUSED = 429
_AUDIO = "AUDIO"


class OfModality(Struct, gc=False, rename="camel"):
    """Tokens of one modality."""

    modality: str = ""
    token_count: int = 0


class Tokens(Struct, gc=False, rename="camel"):
    """A usage object; each event of a stream holds the counts so far."""

    prompt_token_count: int | None = None
    cached_content_token_count: int = 0
    candidates_token_count: int = 0
    thoughts_token_count: int = 0
    tool_use_prompt_token_count: int = 0
    prompt_tokens_details: list[OfModality] = []
    cache_tokens_details: list[OfModality] = []
    candidates_tokens_details: list[OfModality] = []


class Candidate(Struct, gc=False, rename="camel"):
    """A candidate without what it says."""

    finish_reason: str | None = None


class Generated(Struct, gc=False, rename="camel"):
    """An answer or an event of a stream, without its content."""

    model_version: str | None = None
    usage_metadata: Tokens | None = None
    candidates: list[Candidate] = []


class Violation(Struct, gc=False, rename="camel"):
    """A quota that was met."""

    quota_id: str = ""
    quota_metric: str = ""
    quota_value: str | None = None
    quota_dimensions: dict[str, str] = {}


class Detail(Struct, gc=False, rename="camel"):
    """A detail of a refusal."""

    violations: list[Violation] = []


class Error(Struct, gc=False):
    """A refusal without its text."""

    details: list[Detail] = []


class Refused(Struct, gc=False):
    """The body of a refusal."""

    error: Error | None = None


def generated(seen: Seen) -> Iterator[Counted]:
    """Count generated content; a failed call counts nothing.

    Null: a stream left before its end told its prompt; what it made by then is not what is billed.
    """
    if not seen.done:
        return
    model, tokens, ended = seen.model, None, False
    for document in seen.documents:
        said = msgspec.json.decode(document, type=Generated | list[Generated])
        for event in said if isinstance(said, list) else (said,):
            model, tokens = event.model_version or model, event.usage_metadata or tokens
            ended = ended or any(each.finish_reason for each in event.candidates)
    if tokens is None or tokens.prompt_token_count is None:
        yield Counted(UNCOUNTED, model=model)
        return
    counts = _prompt(tokens)
    if ended or seen.complete:
        spoken = _audio(tokens.candidates_tokens_details)
        counts |= {
            "output_tokens": tokens.candidates_token_count - spoken + tokens.thoughts_token_count,
            "output_audio_tokens": spoken,
            "reasoning_tokens": tokens.thoughts_token_count,
        }
    if min(counts.values()) < 0:
        raise ValueError("the parts of the tokens are more than these")
    used = {meter: Decimal(count) for meter, count in counts.items() if count}
    calls = {"requests": Decimal(1)} if ended or seen.complete else UNCOUNTED
    yield Counted({**calls, **used}, model=model, context_tokens=tokens.prompt_token_count)


def _prompt(tokens: Tokens) -> dict[str, int]:
    heard, cached = _audio(tokens.prompt_tokens_details), _audio(tokens.cache_tokens_details)
    prompt = tokens.prompt_token_count or 0
    return {
        "input_tokens": prompt
        - tokens.cached_content_token_count
        - (heard - cached)
        + tokens.tool_use_prompt_token_count,
        "cached_input_tokens": tokens.cached_content_token_count - cached,
        "input_audio_tokens": heard - cached,
        "cached_input_audio_tokens": cached,
    }


def _audio(details: list[OfModality]) -> int:
    return sum(each.token_count for each in details if each.modality == _AUDIO)


def limits(seen: Seen) -> Iterator[Limit]:
    """Turn the quotas that a refusal names into limits that are used up. Null: a success tells none."""
    if seen.status != _REFUSED:
        return
    for document in seen.documents:
        said = msgspec.json.decode(document, type=Refused | list[Refused])
        for refused in said if isinstance(said, list) else (said,):
            for detail in refused.error.details if refused.error else ():
                for each in detail.violations:
                    quota = number(each.quota_value)
                    if quota is not None:
                        yield _met(each, quota)


def _met(met: Violation, quota: Decimal) -> Limit:
    window = "1 day" if "PerDay" in met.quota_id else "1 minute" if "PerMinute" in met.quota_id else None
    model = met.quota_dimensions.get("model")
    return Limit(
        name=of_model(met.quota_id or met.quota_metric, model),
        scope="project",
        kind=LimitKind.RATE,
        unit="tokens" if "token" in met.quota_metric else "requests",
        quota=quota,
        remaining=Decimal(0),
        window=window,
        basis=LimitBasis.HEADER,
        model=model,
    )


_MARKS = (b'"usageMetadata"',)
_MODEL = r"/v1(?:alpha|beta)?/models/(?P<model>[^/:]+)"
METERING = Metering(
    hosts=("generativelanguage.googleapis.com",),
    calls=(
        Metered("chat", _MODEL + ":(?:generateContent|streamGenerateContent)", generated, limits, marks=_MARKS),
        Metered("chat", "/openai/chat/completions", completions, limits, model_field="model"),
        Metered("embeddings", "/openai/embeddings", completions, limits, model_field="model"),
    ),
    service_name=SERVICE,
    usage_dataset="costs",
)
