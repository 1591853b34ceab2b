"""Google BigQuery over plain REST, as conversations: list the tables, look at them, estimate, run, wait, read.

Every scalar arrives as text, so exact numbers stay exact. Nothing here writes; a query's result is a table of
BigQuery's own that it drops by itself.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Mapping
from datetime import UTC, date, datetime
from typing import Any
from urllib.parse import quote

import msgspec
from msgspec import Struct, field

from outlay.errors import NotOfferedError, PayloadError, RequestRefusedError
from outlay.providers.asking import Refusal, Step
from outlay.providers.base import Ask, Changed
from outlay.providers.google import export
from outlay.providers.google.export import Table

BYTES_MAX_DEFAULT = 50 * 2**30
"""How much one query may read where the connection does not say: about a third of a dollar at list price."""
_LEAST_BYTES = 10 * 2**20
"""BigQuery bills at least this much for each table of a query."""
_ROWS_MAX = 5_000
_WAIT_MS = 10_000
_POLLS_MAX = 360
_PAUSE_SECONDS_MAX = 10.0
_API = "/bigquery/v2/projects"
_ENABLE = (
    "Switch on the export under Billing, Billing export, for the dataset that `dataset` names. The first rows take "
    "hours, those of the months before up to five days."
)
_PLACE = (
    "BigQuery says the same for a wrong `location` as for a wrong name: check `project`, `dataset` and `location` (the "
    "dataset's own, such as US, EU or europe-west1)."
)
NOT_FOUND = Refusal(404, "request_refused", hint=_PLACE)
TOO_LARGE = Refusal(
    400,
    "request_refused",
    contains="bytesBilledLimitExceeded",
    hint="The query would read more than `max_bytes_billed` allows: raise it, or set a later `since`.",
)
_SAYS_NO = (NOT_FOUND, TOO_LARGE)


class Column(Struct, rename={"of_type": "type"}):
    """A column of a table or of a result."""

    name: str
    of_type: str = "STRING"
    fields: list[Column] = field(default_factory=list)


class Schema(Struct):
    """The columns of a table or of a result."""

    fields: list[Column] = field(default_factory=list)


class Cell(Struct, gc=False):
    """One value, as text; lists and records are not asked for."""

    v: str | None = None


class Row(Struct, gc=False):
    """One row of a result, its values in the order of the columns."""

    f: list[Cell]


class Job(Struct, rename="camel"):
    """A job's name."""

    job_id: str | None = None
    location: str | None = None


class Result(Struct, rename="camel"):
    """A page of a query's result, or word that it is not finished; `rows` is absent where there are none."""

    job_complete: bool = True
    job_reference: Job | None = None
    table: Schema | None = field(default=None, name="schema")
    rows: list[Row] = field(default_factory=list)
    page_token: str | None = None
    total_rows: str | None = None
    total_bytes_processed: str | None = None


class TableName(Struct, rename="camel"):
    """Which table it is."""

    table_id: str


class Listed(Struct, rename="camel"):
    """One table of a list."""

    table_reference: TableName


class Tables(Struct, rename="camel"):
    """A page of a dataset's tables."""

    tables: list[Listed] = field(default_factory=list)
    next_page_token: str | None = None


class Partitioning(Struct):
    """How a table is partitioned; without a `field` by the time of loading."""

    field: str | None = None


class TableSeen(Struct, rename="camel"):
    """What a table is."""

    table: Schema | None = msgspec.field(default=None, name="schema")
    location: str | None = None
    time_partitioning: Partitioning | None = None
    creation_time: str | None = None


Conversation = Generator[Step, Any, Any]


def costs(ask: Ask, name: str) -> Conversation:
    """Ask for the costs of days: one statement over every billing account's table that speaks for them."""
    tables = yield from _tables(ask)
    lines = yield from _lines(ask, name, tables)
    sql, given = export.costs(export.chosen(tables, lines), ask.period)
    if sql:
        yield from _run(ask, sql, given, name=f"{name}-costs", keep=_complete)


def changes(ask: Ask, name: str, mark: str | None) -> Generator[Step, Any, Changed]:
    """Ask which days rows exported since the mark belong to; the mark is the newest export time of each table."""
    tables = yield from _tables(ask)
    marks = msgspec.json.decode(mark, type=dict[str, int]) if mark else {}
    # A table read for some days alone is watched for all: the others cost nothing, and marks belong to tables.
    sql, given = export.changes(export.watched(tables), ask.period, marks)
    pages = yield from _run(ask, sql, given, name=f"{name}-changes", keep=_never)
    days: set[date] = set()
    for page in pages:
        for row in page.rows:
            table, day, exported = (cell.v for cell in row.f)
            if table is None or day is None or exported is None or not exported.isdecimal():
                raise PayloadError("BigQuery told of a changed day without saying which or when")
            days.add(date.fromisoformat(day))
            marks[table] = max(marks.get(table, 0), int(exported))
    return Changed(frozenset(days), msgspec.json.encode(marks, order="sorted").decode())


def _lines(ask: Ask, name: str, tables: list[Table]) -> Generator[Step, Any, dict[tuple[str, date], int]]:
    """Return how much of each day the tables of an account with two of them hold; nothing where one speaks alone."""
    lines: dict[tuple[str, date], int] = {}
    sql, given = export.coverage(export.rivals(tables), ask.period)
    if sql:
        for page in (yield from _run(ask, sql, given, name=f"{name}-lines", keep=_never)):
            for row in page.rows:
                table, day, count = (cell.v for cell in row.f)
                if table is None or day is None or count is None or not count.isdecimal():
                    raise PayloadError("BigQuery counted a day's rows without saying which or how many")
                lines[table, date.fromisoformat(day)] = int(count)
    return lines


def _complete(page: Result) -> bool:
    return page.job_complete


def _never(_page: Result) -> bool:
    return False


def _place(ask: Ask) -> tuple[str, str, str]:
    """Return the dataset's project, the dataset, and the project that pays for queries."""
    project, named = ask.options["project"], ask.options["dataset"]
    owner, _, dataset = named.rpartition(".")
    return owner or project, dataset, project


def _tables(ask: Ask) -> Generator[Step, Any, list[Table]]:
    """Return the tables of the export. Raises: NotOfferedError where a billing account has none."""
    owner, dataset, _ = _place(ask)
    path = f"{_API}/{quote(owner, safe='')}/datasets/{quote(dataset, safe='')}/tables"
    names: list[str] = []
    seen: set[str] = set()
    token: str | None = None
    while True:
        params = [("maxResults", "1000"), *([("pageToken", token)] if token else [])]
        page: Tables = yield Step(path, Tables, tuple(params), refusals=_SAYS_NO)
        names += [each.table_reference.table_id for each in page.tables]
        token = page.next_page_token
        if not token:
            break
        if token in seen:
            raise PayloadError("BigQuery gave the same page of tables twice, so its list never ends")
        seen.add(token)
    tables = []
    for name, kind, account in _exports(ask, names):
        step = Step(f"{path}/{quote(name, safe='')}", TableSeen, refusals=_SAYS_NO)
        tables.append(_table(ask, name, kind, account, (yield step)))
    return tables


def _exports(ask: Ask, names: list[str]) -> list[tuple[str, str, str]]:
    """Return the export tables to read: name, kind, billing account. Raises: NotOfferedError where one has none."""
    owner, dataset, _ = _place(ask)
    wanted = [each for each in ask.options.get("billing_accounts", "").split(",") if each]
    known = [(name, *kind) for name in sorted(names) if (kind := export.told(name))]
    found = [each for each in known if not wanted or each[2] in wanted]
    lacking = sorted(set(wanted) - {account for _, _, account in found})
    if lacking or not found:
        whose = f" of the billing account {', '.join(lacking)}" if lacking else ""
        raise NotOfferedError(f"the dataset {owner}.{dataset} has no billing export{whose} (yet)", hint=_ENABLE)
    return found


def _table(ask: Ask, name: str, kind: str, account: str, seen: TableSeen) -> Table:
    """Return a table with the columns it has. Raises: PayloadError, RequestRefusedError."""
    owner, dataset, _ = _place(ask)
    location = ask.options["location"]
    if seen.location and seen.location.lower() != location.lower():
        raise RequestRefusedError(
            f"the dataset {owner}.{dataset} lies in {seen.location}, and the connection's `location` is {location}",
            hint=f'Set location = "{seen.location}".',
        )
    created = seen.creation_time or ""
    table = Table(
        owner, dataset, name, kind, account,
        columns=dict(_columns(seen.table.fields if seen.table else [], "")),
        by_load_time=seen.time_partitioning is not None and not seen.time_partitioning.field,
        created=datetime.fromtimestamp(int(created) // 1000, UTC).date() if created.isdecimal() else None,
    )  # fmt: skip
    if lacking := table.lacking:
        raise PayloadError(f"the table {name} has no column {', '.join(lacking)}; without it no cost can be told")
    return table


def _columns(fields: list[Column], prefix: str) -> Generator[tuple[str, str], None, None]:
    for column in fields:
        yield prefix + column.name, column.of_type.upper()
        yield from _columns(column.fields, f"{prefix}{column.name}.")


def bytes_max(options: Mapping[str, str]) -> int:
    """Return how many bytes one query may read. Raises: RequestRefusedError when the option is no number."""
    text = options.get("max_bytes_billed", "").replace("_", "") or str(BYTES_MAX_DEFAULT)
    if not text.isdecimal() or not int(text):
        raise RequestRefusedError(
            f"`max_bytes_billed` is {text[:40]!r} and not a number of bytes",
            hint="Write it in bytes, such as 53687091200 for 50 GiB.",
        )
    return int(text)


def _run(
    ask: Ask,
    sql: str,
    given: Mapping[str, datetime],
    *,
    name: str,
    keep: Callable[[Result], bool],
) -> Generator[Step, Any, list[Result]]:
    """Return a statement's result, page by page, after an estimate of what it reads.

    Raises: RequestRefusedError when it would read more than allowed; PayloadError when the pages do not hold all rows.
    """
    allowed = bytes_max(ask.options)
    path = f"{_API}/{quote(ask.options['project'], safe='')}/queries"
    body = _request(ask, sql, given)
    estimate: Result = yield Step(path, Result, body={**body, "dryRun": True}, refusals=_SAYS_NO)
    tables = sum(parameter.startswith("start_") for parameter in given)
    bills = max(int(estimate.total_bytes_processed or 0), _LEAST_BYTES * tables)
    if bills > allowed:
        raise RequestRefusedError(
            f"the query would be billed for {bills} bytes, more than the {allowed} that `max_bytes_billed` allows",
            hint="Nothing was run or billed. Raise `max_bytes_billed`, or set a later `since`.",
        )
    body |= {
        "maximumBytesBilled": str(allowed),
        "requestId": name[:36],
        "timeoutMs": _WAIT_MS,
        "maxResults": _ROWS_MAX,
        "labels": {"application": "outlay"},
    }
    page: Result = yield Step(path, Result, body=body, keep=keep, refusals=_SAYS_NO)
    job = page.job_reference.job_id if page.job_reference else None
    polls = 0
    while not page.job_complete:
        if job is None or polls >= _POLLS_MAX:
            raise PayloadError("BigQuery does not finish the query", hint="Look at the job in the console; sync again.")
        pause = min(_PAUSE_SECONDS_MAX, max(0.0, polls - 1.0))
        page = yield _results(ask, f"{path}/{quote(job, safe='')}", None, keep, pause)
        polls += 1
    pages = [page]
    count, seen = len(page.rows), {page.page_token}
    while page.page_token:
        if job is None:
            raise PayloadError("BigQuery says there is more and not of which job")
        page = yield _results(ask, f"{path}/{quote(job, safe='')}", page.page_token, keep, 0.0)
        if page.page_token and page.page_token in seen:
            raise PayloadError("BigQuery gave the same page token twice, so its pages never end")
        seen.add(page.page_token)
        count += len(page.rows)
        if keep is _never:
            pages.append(page)
    stated = next((each.total_rows for each in (page, pages[0]) if each.total_rows), None)
    if stated is not None and int(stated) != count:
        raise PayloadError(f"BigQuery says the result has {stated} rows, and its pages hold {count}")
    return pages


def _request(ask: Ask, sql: str, given: Mapping[str, datetime]) -> dict[str, object]:
    return {
        "query": sql,
        "useLegacySql": False,
        "location": ask.options["location"],
        "parameterMode": "NAMED",
        "queryParameters": [
            {
                "name": name,
                "parameterType": {"type": "TIMESTAMP"},
                "parameterValue": {"value": f"{moment.astimezone(UTC):%Y-%m-%d %H:%M:%S.%f}+00:00"},
            }
            for name, moment in given.items()
        ],
        "formatOptions": {"useInt64Timestamp": True},
    }


def _results(ask: Ask, path: str, token: str | None, keep: Callable[[Result], bool], pause: float) -> Step:
    params = [
        ("location", ask.options["location"]),
        ("maxResults", str(_ROWS_MAX)),
        ("timeoutMs", str(_WAIT_MS)),
        ("formatOptions.useInt64Timestamp", "true"),
        *([("pageToken", token)] if token else []),
    ]
    return Step(path, Result, tuple(params), keep=keep, refusals=_SAYS_NO, pause_seconds=pause)
