"""Run many connections side by side; each fails apart."""

from __future__ import annotations

import asyncio
import logging
import os
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from outlay.clock import Clock, system_clock
from outlay.config import Config, Connection, suggestion, validate
from outlay.credentials import Secret, resolve
from outlay.errors import BugError, ConfigError, LedgerBusyError, OutlayError, StoreError
from outlay.model.batch import Account
from outlay.model.problem import Problem
from outlay.providers import BY_ID
from outlay.providers.base import Provider
from outlay.redaction import redactor
from outlay.store import Ledger
from outlay.sync import memory, metered
from outlay.sync.committer import Committer
from outlay.sync.connection import ConnectionSync
from outlay.sync.differences import derive
from outlay.sync.estimates import settle
from outlay.sync.plan import Span, plan
from outlay.sync.progress import Progress, Quiet
from outlay.sync.report import ConnectionReport, Report
from outlay.sync.sandbox import check_alone
from outlay.sync.shard import Shard
from outlay.wire.client import Wire

if TYPE_CHECKING:
    from outlay.store.lease import Lease

log = logging.getLogger(__name__)

SIDE_BY_SIDE = 8
"""How many connections are synced at once; each is bounded further by its vendor's quota."""
LEASE_SECONDS = 120


@dataclass(frozen=True, slots=True)
class Settings:
    """How a sync goes about it, apart from what it asks for."""

    clock: Clock = system_clock
    progress: Progress = field(default_factory=Quiet)
    environ: Mapping[str, str] = field(default_factory=lambda: os.environ)
    wire: Callable[..., Wire] = Wire


def providers_by_id() -> Mapping[str, Provider]:
    """Return every provider by its id."""
    return BY_ID


def chosen(config: Config, names: Iterable[str], shard: Shard | None = None) -> list[Connection]:
    """Return the connections named, or all, that the shard holds.

    Raises: ConfigError for a name the configuration does not have, or when it has none at all.
    """
    names = list(names)
    unknown = [name for name in names if name not in config.connections]
    if unknown:
        raise ConfigError(
            f"there is no connection {', '.join(unknown)}",
            hint=f"Choose from: {', '.join(config.connections) or 'none; run `outlay init` or `outlay connect`'}.",
        )
    if not config.connections:
        raise ConfigError("no connections are configured", hint="Run `outlay init`, or `outlay demo` to look around.")
    wanted = [config.connections[name] for name in dict.fromkeys(names)] or list(config.connections.values())
    return [connection for connection in wanted if shard is None or shard.holds(connection.name)]


def run(
    config: Config,
    ledger: Ledger,
    *,
    connections: Iterable[str] = (),
    span: Span = Span(),  # noqa: B008 - frozen
    shard: Shard | None = None,
    settings: Settings | None = None,
) -> Report:
    """Sync the connections and return what was done; a vendor's refusal is in the report, not raised.

    Raises: ConfigError for wrong names, StoreError when the ledger cannot be written, KeyboardInterrupt cleanly.
    """
    settings = settings or Settings()
    asked = tuple(connections)
    wanted = chosen(config, asked, shard)
    known = providers_by_id()
    for connection in wanted:
        provider_of(connection, known)
    with memory.flat():
        report = asyncio.run(_Engine(config, ledger, known, span, settings).all(wanted))
        metered.settle_beside(
            report,
            config,
            ledger,
            settings.clock,
            lambda name: (not asked or name in asked) and (shard is None or shard.holds(name)),
        )
    ledger.maintain_if_needed()
    return report


def provider_of(connection: Connection, known: Mapping[str, Provider]) -> Provider:
    """Return a connection's provider with its options checked. Raises: ConfigError."""
    if connection.provider not in known:
        raise ConfigError(
            f"connection {connection.name}: there is no provider {connection.provider!r}",
            hint=suggestion(connection.provider, tuple(known), otherwise="`outlay providers` lists them."),
        )
    provider = known[connection.provider]
    validate(connection, provider)
    return provider


class _Engine:
    """Carry one sync's means from connection to connection."""

    def __init__(
        self, config: Config, ledger: Ledger, known: Mapping[str, Provider], span: Span, settings: Settings
    ) -> None:
        self._configured = tuple(config.connections.values())
        self._ledger = ledger
        self._known = known
        self._span = span
        self._settings = settings
        self._gate = asyncio.Semaphore(SIDE_BY_SIDE)

    async def all(self, wanted: Iterable[Connection]) -> Report:
        """Sync every connection; a broken ledger ends them all, a broken connection only itself."""
        report = Report()
        try:
            async with asyncio.TaskGroup() as group:
                for connection in wanted:
                    each = ConnectionReport(connection.name, connection.provider)
                    report.connections.append(each)
                    group.create_task(self._one(connection, each))
        except* StoreError as broken:
            raise _first(broken) from None
        return report

    async def _one(self, connection: Connection, report: ConnectionReport) -> None:
        async with self._gate:
            started = time.monotonic()
            try:
                secret = await asyncio.to_thread(self._secret, connection)
                with self._ledger.lease(connection.name, LEASE_SECONDS) as lease:
                    await self._leased(connection, secret, lease, report)
            except LedgerBusyError as error:
                report.skipped = True
                report.problems.append(_problem(error))
            except StoreError:
                raise
            except OutlayError as error:
                report.problems.append(_problem(error))
            except Exception as error:  # noqa: BLE001 - the fence around a provider: its bug must not stop the others
                report.problems.append(_unforeseen(error))
            # Not reached when interrupted or when the ledger breaks: what was cut short must not be told as ended well.
            report.seconds = time.monotonic() - started
            self._settings.progress.ended(report)

    def _secret(self, connection: Connection) -> Secret:
        environ = self._settings.environ
        secret = resolve(connection.credential, environ)
        check_alone(connection, self._known[connection.provider], secret, self._configured, environ)
        return secret

    async def _leased(self, connection: Connection, secret: Secret, lease: Lease, report: ConnectionReport) -> None:
        provider, settings = self._known[connection.provider], self._settings
        account = account_of(connection, provider, self._ledger)
        committer = Committer(self._ledger, lease, provider, account, settings.clock)
        work = plan(connection, provider, committer.known, settings.clock(), self._span)
        settings.progress.planned(connection.name, sum(len(each.partitions) for each in work.works))
        wire = settings.wire(
            provider,
            connection.name,
            secret,
            base_url=connection.base_url or provider.base_url,
            options=connection.options,
            clock=settings.clock,
            allow_http=connection.allow_http,
        )
        try:
            async with wire:
                await ConnectionSync(
                    work, wire, committer, self._ledger, report=report, progress=settings.progress
                ).run()
            report.datasets += await asyncio.to_thread(settle, self._ledger, provider, account, settings.clock)
        except* StoreError as broken:
            raise _first(broken) from None
        finally:
            report.requests = wire.requests
            await committer.settle_writing()
        await asyncio.to_thread(derive, self._ledger, connection, provider, account, report, settings.clock)


def _first(group: BaseExceptionGroup[BaseException]) -> BaseException:
    error = group.exceptions[0]
    return _first(error) if isinstance(error, BaseExceptionGroup) else error


def _unforeseen(error: Exception) -> Problem:
    cause: BaseException = _first(error) if isinstance(error, ExceptionGroup) else error
    if isinstance(cause, OutlayError):
        return _problem(cause)
    log.error("a sync broke off", exc_info=cause)
    says = redactor.text(f"{type(cause).__name__}: {cause}")
    return Problem(code=BugError.code, says=f"this is a bug in Outlay: {says}", hint=BugError.default_hint)


def account_of(connection: Connection, provider: Provider, ledger: Ledger) -> Account:
    """Return whose bill the connection reads: from its options, else from what the vendor called the account."""
    named = next(iter(ledger.names(connection.name, "account")), None)
    return Account(
        connection=connection.name,
        provider=provider.id,
        account_id=provider.account(connection.options) or (named.id if named else None),
        account_name=named.name if named else None,
    )


def _problem(error: OutlayError) -> Problem:
    return Problem(code=error.code, says=error.message, hint=error.hint)
