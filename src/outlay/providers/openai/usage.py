"""OpenAI's usage: eleven endpoints of one shape, and what each kind of result measures."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from decimal import Decimal

from msgspec import Struct

from outlay.errors import BasisMixError
from outlay.model.facts import Usage
from outlay.model.money import exact
from outlay.model.period import Period
from outlay.model.problem import Problem, Severity
from outlay.model.units import remainder
from outlay.providers.base import Ask, Cursor, Dataset, Endpoint, EpochWindow, Refusal

ORGANIZATION = "/v1/organization"
BUCKETS = Cursor(send="page", read="next_page", more="has_more")
SERVICE = "OpenAI API"
UPDATE = "Nothing was overwritten. Update Outlay; if it is up to date, report it."


class UsageRow(Struct, gc=False):
    """One result of any usage endpoint: `object` says which of the measures it holds."""

    object: str
    project_id: str | None = None
    user_id: str | None = None
    api_key_id: str | None = None
    model: str | None = None
    batch: bool | None = None
    service_tier: str | None = None
    size: str | None = None
    source: str | None = None
    context_level: str | None = None
    vector_store_id: str | None = None
    num_model_requests: Decimal | None = None
    num_requests: Decimal | None = None
    num_sessions: Decimal | None = None
    characters: Decimal | None = None
    seconds: Decimal | None = None
    images: Decimal | None = None
    usage_bytes: Decimal | None = None
    input_tokens: Decimal | None = None
    input_uncached_tokens: Decimal | None = None
    input_cached_tokens: Decimal | None = None
    input_cache_write_tokens: Decimal | None = None
    input_cache_write_30m_tokens: Decimal | None = None
    input_cache_write_12h_tokens: Decimal | None = None
    output_tokens: Decimal | None = None
    input_text_tokens: Decimal | None = None
    input_audio_tokens: Decimal | None = None
    input_image_tokens: Decimal | None = None
    input_cached_text_tokens: Decimal | None = None
    input_cached_audio_tokens: Decimal | None = None
    input_cached_image_tokens: Decimal | None = None
    output_text_tokens: Decimal | None = None
    output_audio_tokens: Decimal | None = None
    output_image_tokens: Decimal | None = None


class UsageBucket(Struct, gc=False):
    """One UTC day."""

    start_time: int
    end_time: int
    results: list[UsageRow]


class UsagePage(Struct, gc=False):
    """A page of days."""

    data: list[UsageBucket]
    has_more: bool
    next_page: str | None = None


@dataclass(frozen=True, slots=True)
class _Measure:
    """A field of a usage result: its unit, the last part of its SKU, and the fields that only break it down."""

    field: str
    unit: str
    sku: str | None = None
    details: tuple[str, ...] = ()
    part_of: str | None = None


_REQUESTS = _Measure("num_model_requests", "requests")
_INPUT = _Measure("input_tokens", "tokens", "input")
_INPUT_CLASSES = (
    _Measure("input_uncached_tokens", "tokens", "input",
             ("input_text_tokens", "input_audio_tokens", "input_image_tokens")),
    _Measure("input_cached_tokens", "tokens", "input-cached",
             ("input_cached_text_tokens", "input_cached_audio_tokens", "input_cached_image_tokens")),
    _Measure("input_cache_write_tokens", "tokens", "input-cache-write",
             ("input_cache_write_30m_tokens", "input_cache_write_12h_tokens")),
)  # fmt: skip
_OUTPUT = _Measure(
    "output_tokens", "tokens", "output", ("output_text_tokens", "output_audio_tokens", "output_image_tokens")
)
_SEARCH_CONTEXT = _Measure("num_model_requests", "requests", part_of="usage.completions")
_MEASURES: Mapping[str, tuple[_Measure, ...]] = {
    "completions": (_OUTPUT, _REQUESTS),
    "decisions": (_OUTPUT, _REQUESTS),
    "embeddings": (_INPUT, _REQUESTS),
    "moderations": (_INPUT, _REQUESTS),
    "images": (_Measure("images", "images", "images"), _REQUESTS),
    "audio_speeches": (_Measure("characters", "characters", "characters"), _REQUESTS),
    "audio_transcriptions": (_Measure("seconds", "seconds", "duration"), _REQUESTS),
    "vector_stores": (_Measure("usage_bytes", "bytes", "storage"),),
    "code_interpreter_sessions": (_Measure("num_sessions", "sessions", "code-interpreter-sessions"),),
    "file_searches": (_Measure("num_requests", "searches", "file-searches"),),
    "web_searches": (_Measure("num_requests", "searches", "web-searches"), _SEARCH_CONTEXT),
}
"""What each kind of result holds, by the middle of its `object`; the search kinds are not named as their paths are."""
_SPLIT = frozenset({"completions", "decisions"})
"""Kinds whose `input_tokens` is a total of disjoint classes."""
_DIMENSIONS = ("batch", "size", "source", "context_level")


def usage(page: UsagePage, _ask: Ask) -> Iterator[Usage | Problem]:
    """Turn daily usage buckets into measurements, one per result and field; input tokens by disjoint class.

    Units:  the field's own; `usage_bytes` is a level and not a flow.
    Null:   a class the answer does not name gets no row; a result of an unknown kind is noted and left out.
    Source: https://platform.openai.com/docs/api-reference/usage
    """
    for bucket in page.data:
        try:
            period = Period.of_epoch(bucket.start_time, bucket.end_time)
        except ValueError as error:
            yield Problem(code="period_refused", says=f"a bucket's times are unusable: {error}", hint=UPDATE)
            continue
        for row in bucket.results:
            kind = row.object.removeprefix("organization.usage.").removesuffix(".result")
            if kind in _MEASURES:
                yield from _measurements(row, kind, period)
            else:
                says = f"results of the kind {row.object!r} are not known and left out"
                yield Problem(code="unknown_object", says=says, severity=Severity.NOTE, period=period)


def _measurements(row: UsageRow, kind: str, period: Period) -> Iterable[Usage | Problem]:
    missing = [measure.field for measure in _MEASURES[kind] if getattr(row, measure.field) is None]
    if kind in _SPLIT and row.input_tokens is None:
        missing.append("input_tokens")
    where = f"{period.first_day} {kind} {row.model or 'no model'}, {row.project_id or 'no project'}"
    if missing:
        says = f"a result lacks {', '.join(missing)}"
        return [Problem(code="measure_missing", says=says, where=where, hint=UPDATE, period=period)]
    try:
        found = [(measure, exact(getattr(row, measure.field))) for measure in _MEASURES[kind]]
        if kind in _SPLIT:
            found = [*_input_classes(row, exact(row.input_tokens or 0)), *found]
        return [_measured(row, measure, quantity, period) for measure, quantity in found]
    except (BasisMixError, ValueError) as error:
        code = "parts_exceed_whole" if isinstance(error, BasisMixError) else "quantity_refused"
        return [Problem(code=code, says=str(error), where=where, hint=UPDATE, period=period)]


def _input_classes(row: UsageRow, total: Decimal) -> Iterator[tuple[_Measure, Decimal]]:
    """Yield the disjoint classes of a result's input tokens, which add up to the total whatever is stated.

    Raises: BasisMixError when the classes are more than the total, ValueError when one is no number.
    """
    said = {measure.field: getattr(row, measure.field) for measure in _INPUT_CLASSES}
    stated = {name: exact(quantity) for name, quantity in said.items() if quantity is not None}
    rest = remainder("input_tokens", total, stated)
    if "input_uncached_tokens" not in stated:
        stated["input_uncached_tokens"] = rest
    elif rest:
        yield _Measure("input_unclassified_tokens", "tokens"), rest
    for measure in _INPUT_CLASSES:
        if measure.field in stated:
            yield measure, stated[measure.field]


def _measured(row: UsageRow, measure: _Measure, quantity: Decimal, period: Period) -> Usage:
    details = {name: _text(getattr(row, name)) for name in (*_DIMENSIONS, *measure.details)}
    tier = row.service_tier
    if row.batch:
        tier = "batch" if tier in {None, "default", "auto"} else f"batch {tier}"
    return Usage(
        usage_period=period,
        meter=measure.field,
        unit=measure.unit,
        quantity=quantity,
        service_name=SERVICE,
        sku_id=f"{row.model or 'openai'}/{measure.sku}" if measure.sku else None,
        sub_account_id=row.project_id,
        resource_id=row.vector_store_id,
        model=row.model,
        service_tier=tier,
        api_key_id=row.api_key_id,
        user_id=row.user_id,
        part_of=measure.part_of,
        details={name: text for name, text in details.items() if text is not None} or None,
    )


def _text(value: str | bool | Decimal | None) -> str | None:
    if isinstance(value, bool):
        return "true" if value else "false"
    return str(value) if isinstance(value, Decimal) else value


def _usage(path: str, *more: str, by_key: bool = True, refusals: tuple[Refusal, ...] = ()) -> Dataset:
    """Return the dataset of one usage endpoint, grouped by everything a ledger keeps."""
    groups = ("project_id", "api_key_id", *more) if by_key else ("project_id", *more)
    endpoint: Endpoint[UsagePage] = Endpoint(
        name=path,
        path=f"{ORGANIZATION}/usage/{path}",
        page=UsagePage,
        facts=usage,
        window=EpochWindow("start_time", "end_time", days_max=31, never_ahead=True),
        pages=BUCKETS,
        query={"bucket_width": "1d", "limit": 31, "group_by": groups},
        refusals=refusals,
        page_days=31,
    )
    return Dataset(f"usage.{path}", f"Usage: {path.replace('_', ' ')}", (Usage,), (endpoint,))


DATASETS = (
    _usage("completions", "model", "batch", "service_tier"),
    # Known from the vendor's client only, so an organization may not have it.
    _usage("decisions", "model", "batch", "service_tier", refusals=(Refusal(404, "not_offered"),)),
    _usage("embeddings", "model"),
    _usage("moderations", "model"),
    _usage("images", "model", "size", "source"),
    _usage("audio_speeches", "model"),
    _usage("audio_transcriptions", "model"),
    _usage("vector_stores", by_key=False),
    _usage("code_interpreter_sessions", by_key=False),
    _usage("file_search_calls", "vector_store_id"),
    _usage("web_search_calls", "model", "context_level"),
)
