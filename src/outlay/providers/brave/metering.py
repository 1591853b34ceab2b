"""How Brave's answers are metered: searches are counted, answers tell their cost; no query and no result is kept."""

from __future__ import annotations

from collections.abc import Iterator
from decimal import Decimal

import msgspec
from msgspec import Struct

from outlay.model.basis import Basis
from outlay.model.facts import Limit
from outlay.model.money import Money, exact
from outlay.providers.brave.windows import HEADERS, counters, refused, windows
from outlay.providers.metering import Counted, Metered, Metering, MonthlyCredit, Seen

SEARCH, ANSWERS = "Brave Search", "Brave Answers"
CREDIT = "monthly_credit"
_FIGURES = ("requests", "queries", "tokens-in", "tokens-out", "total-cost")
USAGE_HEADERS = tuple(f"x-request-{name}" for name in _FIGURES)
_OPEN, _CLOSE = "<usage>", "</usage>"
_TAIL_BYTES = 256 * 1024
"""The usage comes last, cut into chunks of any size: each event holds a few of its characters."""
_REFUSED = 429


class Piece(Struct, gc=False):
    """A piece of an answer's text."""

    content: str | None = None


class Choice(Struct, gc=False):
    """A choice of a chunk, or of a whole answer."""

    delta: Piece | None = None
    message: Piece | None = None


class Tokens(Struct, gc=False):
    """Tokens of a whole answer."""

    prompt_tokens: int | None = None
    completion_tokens: int | None = None


class Answer(Struct, gc=False):
    """An answer or a chunk of one."""

    model: str | None = None
    choices: list[Choice] = []
    usage: Tokens | None = None


class Told(Struct, gc=False, rename={name: f"X-Request-{name.replace('_', '-').title()}" for name in (
    "requests", "queries", "tokens_in", "tokens_out", "total_cost")}):  # fmt: skip
    """What Brave says an answer used and costs; figures come as numbers or as text.

    Units: dollars, not cents.
    """

    requests: Decimal | None = None
    queries: Decimal | None = None
    tokens_in: Decimal | None = None
    tokens_out: Decimal | None = None
    total_cost: Decimal | None = None


def searches(seen: Seen) -> Iterator[Counted]:
    """Count a search: each page of results is one, and only one that succeeded.

    Null: a page for people with status 200 is no answer of Brave's.
    """
    if _answered(seen):
        yield Counted({"requests": Decimal(1)})


def answers(seen: Seen) -> Iterator[Counted]:
    """Count an answer by what it says of itself: in headers, or in a tag at the end of a stream.

    Units:  the total cost in dollars, taken as it is and never worked out from prices or parts.
    Null:   a stream that broke off is a request of unknown cost.
    """
    if not _answered(seen):
        return
    model, tokens, text = seen.model, None, []
    for document in filter(_is_object, seen.documents):  # a stream's last event is a word of its own
        said = msgspec.json.decode(document, type=Answer)
        model, tokens = said.model or model, said.usage or tokens
        pieces = (piece for choice in said.choices for piece in (choice.delta, choice.message))
        text += [piece.content for piece in pieces if piece and piece.content]
    told = _of_headers(seen) or _of_text("".join(text)) or Told()
    if tokens is not None and told.tokens_in is None and told.tokens_out is None:
        told.tokens_in, told.tokens_out = _decimal(tokens.prompt_tokens), _decimal(tokens.completion_tokens)
    figures = {
        "requests": Decimal(1) if told.requests is None else told.requests,
        "queries": told.queries,
        "input_tokens": told.tokens_in,
        "output_tokens": told.tokens_out,
    }
    quantities = {meter: exact(figure) for meter, figure in figures.items() if figure}
    cost = None if told.total_cost is None else Money(exact(told.total_cost), "USD")
    if any(figure < 0 for figure in quantities.values()) or (cost is not None and cost.amount < 0):
        raise ValueError("an answer says it used less than nothing")
    yield Counted(quantities, model=model, cost=cost)


def _of_headers(seen: Seen) -> Told | None:
    if "x-request-total-cost" not in seen.headers:
        return None
    return msgspec.convert({_spelt(name): seen.headers[name] for name in USAGE_HEADERS if name in seen.headers}, Told)


def _spelt(header: str) -> str:
    return header.title()


def _of_text(text: str) -> Told | None:
    """Return the usage at the very end; a tag that an answer quotes before its end is a part of the answer."""
    start = text.rfind(_OPEN)
    inside, closed, rest = text[start + len(_OPEN) :].partition(_CLOSE)
    if start < 0 or not closed or rest.strip():
        return None
    return msgspec.json.decode(inside, type=Told, strict=False)


def _decimal(count: int | None) -> Decimal | None:
    return None if count is None else Decimal(count)


def _answered(seen: Seen) -> bool:
    if not 200 <= seen.status < 300:  # noqa: PLR2004
        return False
    if seen.documents:
        return any(map(_is_object, seen.documents))
    return any(name in seen.headers for name in (*HEADERS, *USAGE_HEADERS))


def _is_object(document: bytes) -> bool:
    return document.lstrip()[:1] == b"{"


def limits(seen: Seen) -> Iterator[Limit]:
    """Turn an answer's headers, and the counters of a refusal, into limits of the subscription."""
    found = windows(seen.headers, seen.observed_at)
    if seen.status == _REFUSED:
        for document in filter(_is_object, seen.documents):
            found = counters(refused(document), found)
    yield from found


_SEARCHES = {
    "web_search": ("/web/search", "GET", "POST"),
    "llm_context": ("/llm/context", "GET", "POST"),
    "news_search": ("/news/search", "GET", "POST"),
    "video_search": ("/videos/search", "GET", "POST"),
    "image_search": ("/images/search", "GET"),
    "local_search": ("/local/(?:place_search|pois|descriptions)", "GET"),
    "rich_search": ("/web/rich", "GET"),
    "suggest": ("/suggest/search", "GET"),
    "spellcheck": ("/spellcheck/search", "GET"),
    "summarizer": ("/summarizer/[a-z_]+", "GET"),
}
METERING = Metering(
    hosts=("api.search.brave.com",),
    calls=(
        *(
            Metered(operation, f"/res/v1{path}", searches, limits, HEADERS, marks=(), method=method)
            for operation, (path, *methods) in _SEARCHES.items()
            for method in methods
        ),
        Metered("answers", "/res/v1/chat/completions", answers, limits, (*HEADERS, *USAGE_HEADERS), marks=(),
                tail_bytes=_TAIL_BYTES),
    ),
    service_name=SEARCH,
    services={"answers": ANSWERS},
    basis=Basis.ESTIMATED,
    credit=MonthlyCredit(Money(Decimal(5), "USD"), CREDIT),
)  # fmt: skip
