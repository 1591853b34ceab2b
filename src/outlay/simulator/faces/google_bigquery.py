"""BigQuery's paths: datasets, tables, queries and the jobs that run them.

A query takes as long as `_WORK_MS` of waiting: a call that waits less is told that the job is not complete yet.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from outlay.clock import midnight
from outlay.simulator.faces.base import Answer, Ask, Refusal, seal, to_json, unseal
from outlay.simulator.faces.google_engine import (
    DATASET,
    LOCATION,
    PROJECT,
    Database,
    Result,
    cell,
    fields_of,
)
from outlay.simulator.faces.google_parts import account_of, finish, page
from outlay.simulator.faces.google_question import Question
from outlay.simulator.faces.google_token import may
from outlay.simulator.worlds.google_rows import tables as tables_of

_WORK_MS, _WAIT_MS, _STEP_MS = 1500, 10_000, 500
_PAGE_ROWS, _SMALL_PAGE_ROWS = 10_000, 50
_REQUEST = frozenset(
    {"query", "useLegacySql", "location", "timeoutMs", "maxResults", "parameterMode", "queryParameters", "kind",
     "maximumBytesBilled", "formatOptions", "requestId", "dryRun", "labels", "defaultDataset", "useQueryCache",
     "jobCreationMode", "jobTimeoutMs"}
)  # fmt: skip


@dataclass(slots=True)
class Job:
    """One query's run. Units: `left` is milliseconds of waiting until it is done."""

    id: str
    question: Question
    body: Mapping[str, Any]
    left: int
    result: Result | None = None
    failure: Refusal | None = None
    created: int = 0

    def wait(self, milliseconds: int) -> bool:
        """Let time pass; return whether the job is done."""
        self.left -= max(milliseconds, _STEP_MS)
        return self.left <= 0

    @property
    def reference(self) -> dict[str, str]:
        """Return what later calls name the job by."""
        return {"projectId": self.question.project, "jobId": self.id, "location": self.question.location}


def _body(ask: Ask) -> dict[str, Any]:
    try:
        body = json.loads(ask.body)
    except ValueError:
        body = None
    if not isinstance(body, dict):
        raise Refusal(400, "Parse Error", reason="parseError")
    return body


def _allowed(ask: Ask) -> str:
    project = ask.places["projectsId"]
    if project != PROJECT or not may(ask, "jobs"):
        raise Refusal(403, f"Access Denied: Project {project}: User does not have bigquery.jobs.create permission in"
                      f" project {project}.", reason="accessDenied")  # fmt: skip
    return project


def _whole(body: Mapping[str, Any], name: str) -> int | None:
    value = body.get(name)
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, int | str) or not str(value).isdigit():
        raise Refusal(400, f'Invalid value at "{name}" (TYPE_INT64), {json.dumps(value)}', reason="invalid")
    return int(value)


def _question(project: str, body: Mapping[str, Any], location: str | None, *, dry: bool) -> Question:
    """Return what a request asks. Raises: Refusal for legacy SQL and for what makes no request."""
    text, parameters = body.get("query"), body.get("queryParameters") or ()
    if not isinstance(text, str) or not text:
        raise Refusal(400, "Required parameter is missing: query", reason="required")
    if body.get("useLegacySql") is not False:
        raise Refusal(400, "Legacy SQL is the dialect when useLegacySql is not false. Invalid table name in legacy SQL."
                      " [Try using standard SQL]", reason="invalidQuery", location="query")  # fmt: skip
    if parameters and body.get("parameterMode", "NAMED").upper() != "NAMED":
        raise Refusal(400, "Positional parameters are not simulated", reason="invalidQuery", location="query")
    # BigQuery would look where the tables lie; here a request that names no place runs in the US, as a job would.
    return Question(text, project, location or "US", (body.get("defaultDataset") or {}).get("datasetId"),
                    parameters, _whole(body, "maximumBytesBilled"), dry)  # fmt: skip


def _run(ask: Ask, job: Job) -> None:
    """Run a job's query now; its caller may still have to wait for it."""
    account = account_of(ask)
    if not may(ask, "data"):
        job.failure = Refusal(403, f"Access Denied: Dataset {PROJECT}:{DATASET}: User does not have permission to query"
                              " its tables, or perhaps they do not exist.", reason="accessDenied")  # fmt: skip
        return
    try:
        job.result = Database.of(account).run(job.question)
    except Refusal as no:
        job.failure = no


def query(ask: Ask) -> Answer:
    """Run a query and answer its first page, or that it is not complete yet."""
    project, body = _allowed(ask), _body(ask)
    finish(ask)
    for name in body:
        if name not in _REQUEST:
            raise Refusal(400, f'Invalid JSON payload received. Unknown name "{name}": Cannot find field.',
                          reason="badRequest")  # fmt: skip
    dry = body.get("dryRun") is True
    jobs, request = account_of(ask).jobs, body.get("requestId")
    job: Job | None = jobs.get((project, f"request:{request}")) if request else None
    if job is None:
        asked = _question(project, body, body.get("location"), dry=dry)
        number = f"job_{len(jobs):08}"
        job = Job(number, asked, body, _WORK_MS, created=int(ask.now.timestamp() * 1000))
        _run(ask, job)
        if not dry:
            jobs[project, number] = job
            jobs[project, f"request:{request}" if request else number] = job
    if job.failure is not None:
        raise job.failure
    answer: dict[str, Any] = {"kind": "bigquery#queryResponse", "jobReference": job.reference}
    if dry:
        assert job.result is not None
        answer["jobReference"] = {"projectId": project, "location": job.question.location}
        return Answer(to_json(answer | {"schema": {"fields": job.result.fields}, "jobComplete": True, "cacheHit": False,
                                        "totalBytesProcessed": str(job.result.processed)}))  # fmt: skip
    waited = _whole(body, "timeoutMs")
    if not job.wait(_WAIT_MS if waited is None else waited):
        return Answer(to_json(answer | {"jobComplete": False}))
    options, most = body.get("formatOptions") or {}, _whole(body, "maxResults")
    moments = _moments(options.get("useInt64Timestamp") is True, options.get("timestampOutputFormat"))
    return Answer(to_json(answer | _rows(ask, job, 0, most, moments)))


def _moments(whole: bool, form: str | None) -> str:
    return form if form in ("INT64", "ISO8601_STRING") else "INT64" if whole else "FLOAT64"


def _print(job: Job) -> bytes:
    return hashlib.blake2b(job.id.encode(), digest_size=6).digest()


def _rows(ask: Ask, job: Job, start: int, most: int | None, moments: str) -> dict[str, Any]:
    """Return a page of a result; a page without rows has no key for them."""
    result = job.result
    assert result is not None
    assert result.rows is not None
    limit = _SMALL_PAGE_ROWS if account_of(ask).plot.label == "pages" else _PAGE_ROWS
    end = start + (limit if most is None else min(most, limit))
    body: dict[str, Any] = {"schema": {"fields": result.fields}, "totalRows": str(len(result.rows)),
                            "totalBytesProcessed": str(result.processed), "jobComplete": True,
                            "cacheHit": False}  # fmt: skip
    if found := [_row(row, result.fields, moments) for row in result.rows[start:end]]:
        body["rows"] = found
    if end < len(result.rows) and most != 0:
        body["pageToken"] = seal("", end, _print(job))
    return body


def _row(row: Sequence[Any], fields: Sequence[Mapping[str, Any]], moments: str) -> dict[str, Any]:
    return {"f": [{"v": cell(value, each, moments)} for value, each in zip(row, fields, strict=True)]}


def _job(ask: Ask) -> Job:
    project, name = ask.places["projectsId"], ask.places["jobId"]
    location = ask.query.one("location")
    job: Job | None = account_of(ask).jobs.get((project, name))
    # Jobs in the US and EU are found without their location, by one of another place never.
    if job is None or (location is not None and location.upper() != job.question.location.upper()):
        raise Refusal(404, f"Not found: Job {project}:{location or 'US'}.{name}", reason="notFound")
    return job


def results(ask: Ask) -> Answer:
    """Answer a page of a job's result."""
    job = _job(ask)
    form = ask.query.one("formatOptions.timestampOutputFormat")
    moments = _moments(ask.query.flag("formatOptions.useInt64Timestamp") is True, form)
    most, waited = ask.query.whole("maxResults"), ask.query.whole("timeoutMs")
    token, start = ask.query.one("pageToken"), ask.query.whole("startIndex", 0) or 0
    finish(ask)
    if job.failure is not None:
        raise job.failure
    base: dict[str, Any] = {"kind": "bigquery#getQueryResultsResponse", "jobReference": job.reference}
    if job.left > 0 and not job.wait(_WAIT_MS if waited is None else waited):
        return Answer(to_json(base | {"jobComplete": False}))
    if token:
        place = unseal("", token, _print(job))
        if place is None:
            raise Refusal(400, "Invalid page token", reason="invalid")
        start = place
    return Answer(to_json(base | _rows(ask, job, start, most, moments)))


def insert(ask: Ask) -> Answer:
    """Start a job; what is wrong with its query shows when it is done."""
    project, body = _allowed(ask), _body(ask)
    finish(ask)
    configuration, named = body.get("configuration") or {}, body.get("jobReference") or {}
    asked = configuration.get("query")
    if not isinstance(asked, dict):
        raise Refusal(400, "Required parameter is missing: only query jobs are simulated", reason="required")
    account = account_of(ask)
    name = named.get("jobId") or f"job_{len(account.jobs):08}"
    if (project, name) in account.jobs:
        raise Refusal(409, f"Already Exists: Job {project}:{name}", reason="duplicate")
    question = _question(project, asked, named.get("location"), dry=configuration.get("dryRun") is True)
    job = Job(name, question, asked, _WORK_MS, created=int(ask.now.timestamp() * 1000))
    _run(ask, job)
    if not question.dry:
        account.jobs[project, name] = job
    elif job.failure is not None:
        raise job.failure
    else:
        job.left = 0
    return Answer(to_json(_shown(job)))


def _shown(job: Job) -> dict[str, Any]:
    done, result = job.left <= 0, job.result
    status: dict[str, Any] = {"state": "DONE" if done else "RUNNING"}
    if done and job.failure is not None:
        error = {"reason": job.failure.extra.get("reason", "invalid"), "message": job.failure.message}
        status |= {"errorResult": error, "errors": [error]}
    moment = str(job.created)
    statistics: dict[str, Any] = {"creationTime": moment, "startTime": moment}
    if done:
        statistics["endTime"] = moment
    if done and result is not None:
        statistics["totalBytesProcessed"] = str(result.processed)
        statistics["query"] = {"totalBytesProcessed": str(result.processed), "totalBytesBilled": str(result.billed),
                               "cacheHit": False, "statementType": "SELECT"}  # fmt: skip
    asked = {"query": job.question.text, "useLegacySql": False, "priority": "INTERACTIVE"}
    return {"kind": "bigquery#job", "id": f"{job.question.project}:{job.question.location}.{job.id}",
            "jobReference": job.reference, "configuration": {"jobType": "QUERY", "query": asked,
                                                             **({"dryRun": True} if job.question.dry else {})},
            "status": status, "statistics": statistics}  # fmt: skip


def job_of(ask: Ask) -> Answer:
    """Answer how a job is doing."""
    job = _job(ask)
    ask.query.one("projection")
    finish(ask)
    if job.left > 0:
        job.wait(2 * _STEP_MS)
    return Answer(to_json(_shown(job)))


def cancel(ask: Ask) -> Answer:
    """Stop a job that is still running."""
    job = _job(ask)
    finish(ask)
    if job.left > 0:
        job.left, job.failure = 0, Refusal(400, "Job execution was cancelled: User requested cancellation",
                                           reason="stopped")  # fmt: skip
    return Answer(to_json({"kind": "bigquery#jobCancelResponse", "job": _shown(job)}))


def _readable(ask: Ask) -> list[str]:
    """Return the datasets of the project a path names. Raises: Refusal without the role."""
    project = ask.places["projectsId"]
    if project != PROJECT or not may(ask, "tables"):
        raise Refusal(403, f"Access Denied: Project {project}: User does not have permission to list datasets",
                      reason="accessDenied")  # fmt: skip
    return list(dict.fromkeys([DATASET, *(place for place, _ in tables_of(account_of(ask)))]))


def _dataset(ask: Ask) -> str:
    name = ask.places["datasetId"]
    if name not in _readable(ask):
        raise Refusal(404, f"Not found: Dataset {PROJECT}:{name}", reason="notFound")
    return name


def _described(name: str) -> dict[str, Any]:
    return {"kind": "bigquery#dataset", "id": f"{PROJECT}:{name}", "location": LOCATION,
            "datasetReference": {"projectId": PROJECT, "datasetId": name}}  # fmt: skip


def datasets(ask: Ask) -> Answer:
    """Answer the datasets of the project."""
    for name in ("all", "filter"):
        ask.query.one(name)
    items = [_described(name) for name in _readable(ask)]
    return page(ask, "datasets", items, most=50, size="maxResults", other={"kind": "bigquery#datasetList"})


def dataset(ask: Ask) -> Answer:
    """Answer one dataset and where it lies."""
    finish(ask)
    return Answer(to_json(_described(_dataset(ask))))


def _table(place: str, name: str, kind: str) -> dict[str, Any]:
    parted = {} if kind == "focus" else {"timePartitioning": {"type": "DAY"}}
    return {"kind": "bigquery#table", "id": f"{PROJECT}:{place}.{name}", "type": "TABLE",
            "tableReference": {"projectId": PROJECT, "datasetId": place, "tableId": name}, **parted}  # fmt: skip


def tables(ask: Ask) -> Answer:
    """Answer the tables of a dataset; in the first days there are none."""
    wanted = _dataset(ask)
    items = [_table(place, name, kind) for (place, name), (kind, _) in tables_of(account_of(ask)).items()
             if place == wanted]  # fmt: skip
    other = {"kind": "bigquery#tableList", "totalItems": len(items)}
    return page(ask, "tables", items, most=50, size="maxResults", other=other)


def table(ask: Ask) -> Answer:
    """Answer one table with its columns, its partitions and its place."""
    for name in ("selectedFields", "view"):
        ask.query.one(name)
    finish(ask)
    account, place, name = account_of(ask), _dataset(ask), ask.places["tableId"]
    found = tables_of(account).get((place, name))
    if found is None:
        raise Refusal(404, f"Not found: Table {PROJECT}:{place}.{name}", reason="notFound")
    kind, key = found
    rows = len(list(account.rows(key)))
    made = str(int(midnight(account.plot.first_day).timestamp() * 1000))
    body = _table(place, name, kind) | {"schema": {"fields": fields_of(account, kind)}, "location": LOCATION,
                                        "numRows": str(rows), "numBytes": str(rows * 900), "creationTime": made,
                                        "lastModifiedTime": made}  # fmt: skip
    return Answer(to_json(body))
