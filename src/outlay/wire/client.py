"""Ask a vendor for the pages of an endpoint over one connection."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from dataclasses import replace
from datetime import datetime
from random import random as system_random
from types import TracebackType
from typing import Any, NamedTuple, Self
from urllib.parse import urlencode
from uuid import uuid4

import httpx2
import msgspec

from outlay.clock import Clock
from outlay.credentials import Secret
from outlay.errors import AccessDeniedError, PayloadError, ProviderError, RetryLaterError
from outlay.model.batch import Payload
from outlay.model.period import Period
from outlay.providers.base import Ask, Changed, Changes, Endpoint, Form, GraphQL, Provider, Step, Talk
from outlay.redaction import redactor
from outlay.wire import auth, refusals, request, retry, windows
from outlay.wire.call import Budget, Call, following, headers_read, reaches_back
from outlay.wire.exchange import Exchange, Reply, SignedHeaders, open_client
from outlay.wire.pages import Trail
from outlay.wire.quota import Quota
from outlay.wire.retry import AgainError

BODY_BYTES_MAX = 64 * 2**20
REQUEST_SECONDS = 120.0
DEADLINE_SECONDS = 1800.0
_OK = 200
_UNAUTHORIZED = 401
_FORBIDDEN = 403
_FORBIDDEN_SECONDS = 60.0
"""The delay for a 403 that means patience and names none: GitHub bans integrations that come back sooner."""
_CLOCK_LOOK_EVERY = 64


class Answer(NamedTuple):
    """One page: decoded, as it came, and what it was asked for."""

    page: Any
    payload: Payload
    ask: Ask


class Wire:
    """One connection to one vendor, bounded by the vendor's concurrency and quotas; use it with `async with`.

    `deadline_seconds` bounds an ask on the wire, its retries and waits for the vendor included, queueing behind other
    asks of the same connection not. `transport`, `sleep`, `random` and `monotonic` are passed in by tests.
    """

    def __init__(
        self,
        provider: Provider,
        connection_name: str,
        secret: Secret,
        *,
        base_url: str | None = None,
        options: Mapping[str, str] | None = None,
        clock: Clock,
        deadline_seconds: float = DEADLINE_SECONDS,
        transport: httpx2.AsyncBaseTransport | None = None,
        allow_http: bool = False,
        request_seconds: float = REQUEST_SECONDS,
        body_bytes_max: int = BODY_BYTES_MAX,
        attempts_max: int = retry.ATTEMPTS_MAX,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
        random: Callable[[], float] = system_random,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._provider = provider
        self._connection = connection_name
        self._base_url = request.base(provider, base_url)
        request.check_scheme(self._base_url, allow_http=allow_http)
        self._options = dict(options or {})
        self._clock = clock
        self._signer = auth.signer(
            provider, secret, self._options, base_url=self._base_url, clock=clock, allow_http=allow_http
        )
        self._deadline_seconds = deadline_seconds
        self._request_seconds = request_seconds
        self._attempts_max = attempts_max
        self._sleep, self._random, self._monotonic = sleep, random, monotonic
        self._slots = asyncio.Semaphore(provider.concurrency)
        self._quota = Quota(provider.rates, provider.quota_headers, monotonic)
        self._own_quotas: dict[str, Quota] = {}
        self._client = open_client(self._base_url, provider.concurrency, transport)
        where = f"{provider.title} ({connection_name})"
        self._exchange = Exchange(self._client, where, body_bytes_max=body_bytes_max)
        self._decoders: dict[type, msgspec.json.Decoder[Any]] = {}
        self._answers = 0
        self.clock_skew_seconds: float | None = None
        """How far the vendor's clock is ahead of ours; None until an answer shows it."""

    def __repr__(self) -> str:
        return f"Wire({self._connection!r})"

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.aclose()

    async def aclose(self) -> None:
        """Close every socket."""
        await self._client.aclose()
        self._signer.close()

    @property
    def requests(self) -> int:
        """Return how many requests went out, failed attempts and redirects counted."""
        return self._exchange.sent

    async def ask(
        self,
        dataset: str,
        endpoint: Endpoint[Any],
        period: Period,
        item: str | None = None,
        *,
        fetch_id: str = "",
    ) -> AsyncIterator[Answer]:
        """Yield the pages of an endpoint for a period, in order.

        A longer period than one request may ask for is split; pages are numbered from 1 in each window.
        Null: a refusal that means `empty` ends its window without a page.
        Raises: ProviderError, of the kind that says what the caller should do; ConfigError for a missing option.
        """
        budget = Budget(self._deadline_seconds)
        for window in windows.split(endpoint, period):
            call = self._call(dataset, endpoint, window, item, fetch_id)
            if endpoint.talk is not None:
                async for told in self._talk(call, endpoint.talk, budget):
                    yield told
                continue
            trail = Trail(endpoint.pages, call.where)
            more: tuple[str, str] | None = None
            number = 0
            while number == 0 or more is not None:
                number += 1
                answer = await self._page(call, number, more, budget)
                if answer is None:
                    break
                # The page goes out first: if it cannot be followed, it is still kept to be looked at.
                yield answer
                more = None if reaches_back(endpoint, answer.page, answer.ask.period) else trail.after(answer.page)

    async def changes(
        self, dataset: str, endpoint: Endpoint[Any], talk: Changes, period: Period, mark: str | None
    ) -> Changed:
        """Return what a vendor says has changed in a period since a mark.

        Raises: ProviderError, ConfigError.
        """
        call, budget = self._call(dataset, endpoint, period, None, ""), Budget(self._deadline_seconds)
        conversation = talk(Ask(dataset, period, self._options, self._clock()), uuid4().hex, mark)
        said: Any = None
        while True:
            step = following(call, conversation, said)
            if not isinstance(step, Step):
                told: Changed = step
                return told
            said = (await self._step(call, step, budget))[0]

    async def _talk(self, call: Call, talk: Talk, budget: Budget) -> AsyncIterator[Answer]:
        conversation = talk(Ask(call.dataset, call.window, self._options, self._clock(), call.item), uuid4().hex)
        said: Any = None
        number = 0
        while True:
            step = following(call, conversation, said)
            if not isinstance(step, Step):
                return
            said, reply, path = await self._step(call, step, budget)
            if step.keep(said):
                number += 1
                yield self._answer(call, number, path, said, reply)

    async def _step(self, call: Call, step: Step, budget: Budget) -> tuple[Any, Reply, str]:
        """Return the decoded answer to one request of a conversation, as it came, and what was asked."""
        if step.pause_seconds >= budget.seconds:
            raise self._closed(call, None)
        if step.pause_seconds:
            await self._sleep(step.pause_seconds)
            budget.seconds -= step.pause_seconds
        no = (*step.refusals, *call.endpoint.refusals)
        endpoint = msgspec.structs.replace(call.endpoint, page=step.answer, refusals=no)
        target = f"{step.path}?{urlencode(step.params)}" if step.params else step.path
        content = None if step.body is None else msgspec.json.encode(step.body)
        found = await self._persist(replace(call, endpoint=endpoint), call.base_url + target, content, budget)
        if found is None:
            raise PayloadError(f"{call.where} answered with nothing in the middle of a conversation")
        return *found, request.shown(target, None)

    def _call(self, dataset: str, endpoint: Endpoint[Any], window: Period, item: str | None, fetch_id: str) -> Call:
        present = self._clock()
        built = request.build(self._provider, endpoint, self._options, window, item, self._base_url, present)
        return Call(
            dataset,
            endpoint,
            window,
            item,
            fetch_id,
            built.url.removesuffix(built.path),
            built.path,
            built.params,
            SignedHeaders(built.headers),
            built.body,
            f"{self._provider.title} {endpoint.name}",
        )

    async def _page(self, call: Call, number: int, more: tuple[str, str] | None, budget: Budget) -> Answer | None:
        params, content, document = call.params, None, None
        if call.body is not None:
            document = request.filled(call.endpoint, call.body, [more] if more else [])
            content = request.encoded(call.endpoint, document)
        elif more is not None:
            params = [pair for pair in call.params if pair[0] != more[0]] + [more]
        target = f"{call.path}?{urlencode(params)}" if params else call.path
        found = await self._persist(call, call.base_url + target, content, budget)
        if found is None:
            return None
        page, reply = found
        path = request.shown(target, document, form=isinstance(call.endpoint.body, Form))
        return self._answer(call, number, path, page, reply)

    def _answer(self, call: Call, number: int, path: str, page: Any, reply: Reply) -> Answer:
        headers = headers_read(call.endpoint, reply)
        present = self._clock()
        payload = Payload(
            fetch_id=call.fetch_id,
            connection=self._connection,
            provider=self._provider.id,
            dataset=call.dataset,
            endpoint=call.endpoint.name,
            item=call.item,
            window=call.window,
            page_number=number,
            path=redactor.text(path),
            status=reply.status,
            fetched_at=present,
            body=reply.body if call.endpoint.keep_whole else msgspec.json.encode(page),
            headers=headers or None,
        )
        return Answer(page, payload, Ask(call.dataset, call.window, self._options, present, call.item, headers))

    async def _persist(self, call: Call, url: str, content: bytes | None, budget: Budget) -> tuple[Any, Reply] | None:
        """Send one request until it is answered, refused for good, or the attempts or the deadline are used up."""
        attempt, renewed = 0, False
        while True:
            attempt += 1
            async with self._slots:
                await self._turn(call, budget)
                started = self._monotonic()
                again = None
                headers = call.headers
                try:
                    headers = await self._signed(call, budget)
                    seconds = min(self._request_seconds, budget.seconds)
                    reply = await self._exchange.send(url, headers, seconds, content, call.endpoint.stream)
                    return self._read(call, reply)
                except AgainError as failed:
                    again = failed.error
                except AccessDeniedError as denied:
                    # A token may be revoked before its time; a fresh one is tried once, and then believed.
                    if (
                        renewed
                        or denied.status != _UNAUTHORIZED
                        or not self._signer.forget(headers, call.endpoint.scopes)
                    ):
                        raise
                    renewed = True
                    continue
                finally:
                    budget.seconds -= self._monotonic() - started
            if attempt >= self._attempts_max:
                raise again
            wait = retry.wait_seconds(again, attempt, self._random)
            if wait >= budget.seconds:
                raise again
            await self._sleep(wait)
            budget.seconds -= wait

    async def _signed(self, call: Call, budget: Budget) -> SignedHeaders:
        async def send(url: str, headers: SignedHeaders, content: bytes) -> Reply:
            return await self._exchange.send(url, headers, min(self._request_seconds, budget.seconds), content)

        return SignedHeaders({**call.headers, **await self._signer.headers(call.endpoint.scopes, send)})

    async def _turn(self, call: Call, budget: Budget) -> None:
        """Wait until the quotas let one request go; pacing by documented rates is not counted against the deadline."""
        while (wait := self._own_quota(call.endpoint).take()) > 0.0:
            await self._sleep(wait)
        while (wait := self._quota.take()) > 0.0:
            if self._quota.closed_seconds() > 0.0:
                if wait >= budget.seconds:
                    raise self._closed(call, wait)
                budget.seconds -= wait
            await self._sleep(wait)
        if budget.seconds <= 0.0:
            raise self._closed(call, None)

    def _own_quota(self, endpoint: Endpoint[Any]) -> Quota:
        found = self._own_quotas.get(endpoint.name)
        if found is None:
            found = self._own_quotas[endpoint.name] = Quota(endpoint.rates, None, self._monotonic)
        return found

    def _closed(self, call: Call, wait: float | None) -> RetryLaterError:
        if wait is None:
            return RetryLaterError(f"{call.where} took longer than {self._deadline_seconds:.0f} seconds")
        return RetryLaterError(
            f"{call.where}: the vendor's quota is used up for {wait:.0f} more seconds", retry_after_seconds=wait
        )

    def _read(self, call: Call, reply: Reply) -> tuple[Any, Reply] | None:
        """Return the page of an answer and the answer, None for one without rows.

        Raises: AgainError when asking again may help; ProviderError when not.
        """
        present = self._clock()
        if self.clock_skew_seconds is None or self._answers % _CLOCK_LOOK_EVERY == 0:
            self._compare_clocks(reply, present)
        self._answers += 1
        used_up = self._quota.observe(reply.headers, present)
        said = refusals.Said(reply.status, reply.headers, reply.body)
        if isinstance(call.endpoint.body, GraphQL) and reply.status == _OK:
            errors = refusals.graphql_errors(reply.headers, reply.body)
            if errors is None:
                return self._decode(call, reply)
            said = said._replace(body=errors)
        refusal = refusals.declared(self._provider, call.endpoint, said)
        if refusal is None:
            if said.body is reply.body and reply.status == _OK and not refusals.is_html(reply.headers, reply.body):
                return self._decode(call, reply)
            refusal = refusals.default(said, used_up=used_up is not None)
        again = retry.told(reply.headers, self._provider.retry_header)
        if again:
            refusal = msgspec.structs.replace(refusal, means=RetryLaterError.code)
        if refusal.means == refusals.EMPTY:
            return None
        if refusal.means == refusals.ANSWER:
            return self._decode(call, reply)
        delay = retry.retry_after(reply.headers, present)
        if delay is None:
            delay = self._provider.patience(reply.body, present)
        if delay is None:
            delay = used_up if used_up is not None or reply.status != _FORBIDDEN else _FORBIDDEN_SECONDS
        error = refusals.error(self._provider, call.endpoint, said, refusal, retry_after_seconds=delay)
        if isinstance(error, RetryLaterError):
            if delay is not None:
                self._quota.close(delay)
            if again is not False:
                raise AgainError(error)
        raise error

    def _decode(self, call: Call, reply: Reply) -> tuple[Any, Reply]:
        kind = call.endpoint.page
        decoder = self._decoders.get(kind)
        if decoder is None:
            decoder = self._decoders[kind] = msgspec.json.Decoder(kind)
        body = redactor.body(reply.body)
        failure: ProviderError | AgainError
        try:
            return decoder.decode(body), reply._replace(body=body)
        except msgspec.ValidationError as error:
            failure = PayloadError(
                f"{call.where} answered in an unknown shape: {redactor.text(str(error))}", status=_OK
            )
        except RecursionError:
            failure = PayloadError(f"{call.where} answered with JSON nested too deeply", status=_OK)
        except (msgspec.DecodeError, UnicodeDecodeError) as error:
            failure = AgainError(
                PayloadError(f"{call.where} answered with JSON that cannot be read: {error}", status=_OK)
            )
        raise failure

    def _compare_clocks(self, reply: Reply, present: datetime) -> None:
        moment = retry.http_date(reply.headers.get("date", ""))
        if moment is not None:
            self.clock_skew_seconds = (moment - present).total_seconds()
