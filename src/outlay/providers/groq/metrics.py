"""Groq's Enterprise metrics: five minute rates, added up to what each day used.

A sample at a time t is the rate per second over the five minutes before t, so a day's samples are those after its
midnight up to the next one. Where one is missing or no number nothing is known of its five minutes: they are left out
and told, for neither silence nor a hole is a zero.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from datetime import date, datetime
from decimal import Context, Decimal, InvalidOperation, localcontext

import msgspec
from msgspec import Struct

from outlay.clock import midnight
from outlay.model.facts import Name, Usage
from outlay.model.money import exact
from outlay.model.period import Period
from outlay.model.problem import Problem, Severity
from outlay.providers.base import Ask, Endpoint, EpochWindow, FanOut, Refusal

SERVICE = "GroqCloud"
STEP = 300
DAY_SECONDS = 86_400
METRIC = "metric"
"""The kind of name under which metrics are kept: their ids are queries."""
_ROOT = "/v1/metrics/prometheus/api/v1"
_WIDE = Context(prec=100)
_EPOCH = date(1970, 1, 1).toordinal()
_SHARE = Decimal("0.0001")
_RENAMED = "Nothing was overwritten. Update Outlay; if it is up to date, report how they are called."
_STAYS = "Nothing was overwritten; sync again, and report it if it stays."


@dataclass(frozen=True, slots=True)
class Metric:
    """One metric that can be added up: what its samples count, and how many seconds each of them stands for."""

    name: str
    meter: str
    unit: str
    query: str
    seconds: int = STEP


def _current(name: str, meter: str, unit: str) -> Metric:
    # A metric's bare name would repeat the sample of five minutes before wherever one is missing.
    return Metric(name, meter, unit, f"last_over_time({name}[{STEP - 1}s])")


def _minutes(name: str) -> str:
    """Return the query for five values of one minute each, added up, where none of the five is missing."""
    five = f"last_over_time({name}[59s])[290s:1m]"
    return f"sum_over_time({five}) and count_over_time({five}) == 5"


METRICS = (
    (
        _current("model_project_id_status_code:requests:rate5m", "requests", "requests"),
        Metric("requests:increase1m", "requests", "requests", _minutes("requests:increase1m"), 1),
        Metric("requests:rate1m", "requests", "requests", _minutes("requests:rate1m"), 60),
    ),
    (_current("model_project_id:tokens_in:rate5m", "input_tokens", "tokens"),),
    (_current("model_project_id:tokens_out:rate5m", "output_tokens", "tokens"),),
    (_current("model_project_id:prompt_cache_hits:rate5m", "prompt_cache_hits", "count"),),
    (_current("model_project_id:prompt_cache_misses:rate5m", "prompt_cache_misses", "count"),),
)
"""For each meter its metrics, the preferred first: two names of one meter count the same use and are never added."""
_BY_QUERY = {metric.query: metric for group in METRICS for metric in group}


class LabelValues(Struct, gc=False):
    """Every metric the server has, or why it does not say."""

    status: str
    data: list[str] = []
    error: str | None = None


class Labels(Struct, gc=False):
    """Whose samples these are; labels that are not read belong to series that are added up."""

    model: str | None = None
    project_id: str | None = None
    status_code: str | None = None


class Series(Struct, gc=False):
    """Samples of one series: Unix seconds and a number as text."""

    metric: Labels
    values: list[tuple[Decimal, str]] = []


class Matrix(Struct, gc=False):
    """Every series of a query."""

    result: list[Series]


class RangePage(Struct, gc=False):
    """An answer of the query interface; an error may come with status 200."""

    status: str
    data: Matrix | None = None
    error: str | None = None
    error_type: str | None = msgspec.field(default=None, name="errorType")


def metrics(page: LabelValues, _ask: Ask) -> Iterator[Name | Problem]:
    """Turn the server's metrics into the queries to ask: one per meter, by its preferred name that is there.

    Names of percentiles and histograms hold no quantity and are left out.
    Null:   a meter whose names are not listed is asked for by the present one: which days the list looks at is not
            documented, and what it lacks may have samples. Metrics that are all strange tell nothing, not even a zero.
    Source: https://console.groq.com/docs/prometheus-metrics
    """
    if page.status != "success":
        yield _said(page.error, None, "metrics")
        return
    there = set(page.data)
    strange = there.isdisjoint(metric.name for metric in _BY_QUERY.values())
    for group in () if strange and there else METRICS:
        known = [metric for metric in group if metric.name in there] or group[:1]
        for metric in known:
            yield Name(
                kind=METRIC,
                id=metric.query,
                name=metric.name,
                state="active" if metric is known[0] else "excluded",
            )
    if strange:
        says = f"none of the server's {len(there)} metrics is one whose quantities are known"
        yield Problem(code="series_empty", says=says, where="metrics",
                      severity=Severity.FATAL if there else Severity.WARNING,
                      hint=_RENAMED if there else "Without traffic there may be none.")  # fmt: skip


@dataclass(slots=True)
class _Day:
    """What one line has of a day: the sum of its rates, and how many samples there are and should be."""

    rates: Decimal = Decimal(0)
    seen: int = 0
    series: int = 0

    def add(self, texts: Iterable[str]) -> None:
        """Add a series' samples of the day. Raises: ValueError for what is no rate."""
        rates = [rate for rate in map(_number, texts) if rate is not None]
        with localcontext(_WIDE):
            self.rates = sum(rates, self.rates)
        self.seen += len(rates)
        self.series += 1


_Line = tuple[str | None, str | None, str | None]


@dataclass(slots=True)
class _Sums:
    """A page's days by model, project and status."""

    ask: Ask
    days: dict[tuple[date, _Line], _Day] = field(default_factory=dict)

    def add(self, series: Series) -> None:
        """Add one series. Raises: LookupError for samples that were not asked for; ValueError for what is no rate."""
        start, end = int(self.ask.period.start.timestamp()), int(self.ask.period.end.timestamp())
        texts: dict[int, list[str]] = {}
        seen: set[int] = set()
        for moment, text in series.values:
            second = int(moment)
            if second != moment or second % STEP or second in seen or not start <= second <= end:
                raise LookupError(f"a sample at {moment} Unix seconds was not asked for, or twice")
            seen.add(second)
            # The five minutes before the window are the day before's.
            if second != start:
                texts.setdefault((second - STEP) // DAY_SECONDS, []).append(text)
        line = (series.metric.model, series.metric.project_id, series.metric.status_code)
        for day, said in texts.items():
            self.days.setdefault((date.fromordinal(_EPOCH + day), line), _Day()).add(said)


def _number(text: str) -> Decimal | None:
    """Return a rate. Null: NaN and infinities, which say nothing. Raises: ValueError for no number, or a negative."""
    try:
        rate = Decimal(text)
    except InvalidOperation:
        raise ValueError(f"{text[:40]!r} is no number") from None
    if not rate.is_finite():
        return None
    if rate < 0:
        raise ValueError(f"{text[:40]} is a negative rate")
    return rate


def usage(page: RangePage, ask: Ask) -> Iterator[Usage | Problem]:
    """Turn the series of one metric into usage by day, model, project and status.

    Units:  rates per second times the seconds each stands for, exact; server-side averages make them no whole numbers.
    Null:   a day without a sample has no row. One with holes has what was seen, with the share of the day it covers.
    Source: https://console.groq.com/docs/prometheus-metrics
    """
    metric = _BY_QUERY[ask.item or ""]
    if page.status != "success" or page.data is None:
        yield _said(page.error, page.error_type, metric.name)
        return
    sums = _Sums(ask)
    try:
        for series in page.data.result:
            sums.add(series)
    except LookupError as error:
        yield Problem(code="another_span", says=str(error), where=metric.name, hint=_STAYS)
        return
    except ValueError as error:
        yield Problem(code="quantity_refused", says=str(error), where=metric.name, hint=_STAYS)
        return
    if not sums.days:
        yield Problem(code="series_empty", says=f"{metric.name} has no sample in a window that was asked for",
                      where=metric.name, severity=Severity.NOTE,
                      hint="No traffic, samples no longer kept, or another name in use by now.")  # fmt: skip
    for (day, line), kept in sums.days.items():
        if kept.seen:
            yield _row(metric, day, line, kept, _slots(day, ask.observed_at) * kept.series)
    yield from _gaps(sums, ask.observed_at)


def _row(metric: Metric, day: date, line: _Line, kept: _Day, expected: int) -> Usage:
    model, project, status = line
    details: dict[str, str | None] = {"status_code": status} if status is not None else {}
    if kept.seen < expected:
        details["covered_share"] = _share(kept.seen, expected)
    return Usage(
        usage_period=Period.of_day(day),
        meter=metric.meter,
        unit=metric.unit,
        quantity=exact(_WIDE.multiply(kept.rates, Decimal(metric.seconds))),
        service_name=SERVICE,
        sub_account_id=project,
        model=model,
        derived=True,
        details=details or None,
    )


def _gaps(sums: _Sums, now: datetime) -> Iterator[Problem]:
    """Tell each day that is over and has holes, alike for all metrics; a day that goes on is not whole anyway."""
    holed = {day for (day, _), kept in sums.days.items() if kept.seen < _slots(day, now) * kept.series}
    for day in sorted(holed):
        if midnight(day).timestamp() + DAY_SECONDS > now.timestamp():
            continue
        yield Problem(
            code="samples_missing",
            says=f"series of {day} have holes: each quantity is what was seen, of the `covered_share` of the day",
            where="usage",
            hint="Without traffic a series may pause, or samples were lost: the two look alike.",
            severity=Severity.WARNING,
            period=Period.of_day(day),
        )


def _slots(day: date, now: datetime) -> int:
    """Return how many samples a day should have by now."""
    passed = int(now.timestamp() - midnight(day).timestamp())
    return max(0, min(DAY_SECONDS, passed) // STEP)


def _share(seen: int, expected: int) -> str:
    return f"{(Decimal(seen) / expected).quantize(_SHARE, 'ROUND_DOWN'):f}"


def _said(error: str | None, kind: str | None, where: str) -> Problem:
    words = ": ".join(part for part in (kind, error) if part) or "no reason"
    return Problem(code="error_in_answer", says=f"the metrics server says {words[:300]}", where=where, hint=_STAYS)


_ENTERPRISE = "Metrics are part of Groq's Enterprise plan; without it, meter the answers where they are received."
_NOT_ENTITLED = tuple(Refusal(status, "not_offered", hint=_ENTERPRISE) for status in (401, 403, 404))
"""Each of them is what an organization without the feature gets; whether the key is right, the models tell."""
_LOST = tuple(Refusal(each.status, "permission_missing", hint=_ENTERPRISE) for each in _NOT_ENTITLED)
"""Where the names could just be read, a refusal of the samples is no sign that there are none."""

LIST: Endpoint[LabelValues] = Endpoint(
    name="metrics",
    path=f"{_ROOT}/label/__name__/values",
    page=LabelValues,
    facts=metrics,
    refusals=_NOT_ENTITLED,
)
RANGE: Endpoint[RangePage] = Endpoint(
    name="usage",
    path=f"{_ROOT}/query_range",
    query={"step": STEP},
    window=EpochWindow("start", "end", days_max=7),
    each=FanOut(METRIC, "query", place="query"),
    page=RangePage,
    facts=usage,
    refusals=_LOST,
)
