"""Prove one connection: its options, its key, and one small request for each dataset."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import msgspec

from outlay.credentials import Secret, resolve
from outlay.errors import AccessDeniedError, ConfigError, NotOfferedError, OutlayError, PermissionMissingError
from outlay.model.facts import Name
from outlay.model.period import Period
from outlay.model.problem import Problem, Severity
from outlay.sync.engine import provider_of, providers_by_id
from outlay.sync.plan import NAMES_PERIOD, datasets_of
from outlay.sync.sandbox import check_alone
from outlay.wire.client import Wire

if TYPE_CHECKING:
    from outlay.cli.settings import Settings
    from outlay.config import Connection
    from outlay.providers.base import Dataset, Endpoint, FanOut, KeyKind, Option, Provider

SKEW_SECONDS_MAX = 120
_PAGE_SIZES = ("limit", "per_page", "page_size")
_DEADLINE_SECONDS = 60.0


@dataclass(slots=True)
class DatasetProof:
    """Whether a dataset can be read. `state` is ok, not_offered, unproven or an error's code."""

    dataset: str
    state: str = "ok"
    says: str = ""
    hint: str = ""

    @property
    def proven(self) -> bool:
        """Tell whether the vendor's answer says anything about the key."""
        return self.state not in ("not_offered", "unproven")

    @property
    def failed(self) -> bool:
        """Tell whether the dataset cannot be read though it should be."""
        return self.proven and self.state != "ok"


@dataclass(slots=True)
class Proof:
    """What is known of one connection after trying it."""

    connection: str
    provider: str
    key: KeyKind | None = None
    clock_skew_seconds: float | None = None
    datasets: list[DatasetProof] = field(default_factory=list)
    problems: list[OutlayError] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)
    requests: int = 0

    @property
    def state(self) -> str:
        """Return `ok`, `partial` where some datasets cannot be read, `failed`, or `unchecked`: nothing is proved."""
        failed = [dataset.failed for dataset in self.datasets if dataset.proven]
        if self.problems or (failed and all(failed)):
            return "failed"
        if not failed:
            return "unchecked"
        return "partial" if any(failed) else "ok"

    def to_json(self) -> dict[str, Any]:
        """Return the proof as JSON-ready values."""
        key = self.key
        return {
            "connection": self.connection,
            "provider": self.provider,
            "state": self.state,
            "key": {"kind": key.title, "usable": key.usable, "more_than_read": key.more_than_read} if key else None,
            "clock_skew_seconds": None if self.clock_skew_seconds is None else round(self.clock_skew_seconds),
            "datasets": [
                {"dataset": one.dataset, "state": one.state, "says": one.says, "hint": one.hint}
                for one in self.datasets
            ],
            "problems": [{"code": one.code, "says": one.message, "hint": one.hint} for one in self.problems],
            "warnings": self.warnings,
            "requests": self.requests,
        }


async def prove(
    connection: Connection, configured: Iterable[Connection], settings: Settings, wire: Callable[..., Wire] = Wire
) -> Proof:
    """Return what trying a connection shows; nothing that goes wrong with it is raised."""
    proof = Proof(connection.name, connection.provider)
    try:
        provider = provider_of(connection, providers_by_id())
        secret = resolve(connection.credential, settings.environ)
        _look_at_key(proof, provider, connection, secret)
        check_alone(connection, provider, secret, configured, settings.environ)
        if proof.problems:
            return proof
        opened = wire(
            provider,
            connection.name,
            secret,
            base_url=connection.base_url,
            options=connection.options,
            clock=settings.clock,
            allow_http=connection.allow_http,
            deadline_seconds=_DEADLINE_SECONDS,
            attempts_max=2,
        )
        async with opened:
            await _Prober(connection, provider, opened, settings, proof).run()
    except OutlayError as error:
        proof.problems.append(error)
    return proof


def _look_at_key(proof: Proof, provider: Provider, connection: Connection, secret: Secret) -> None:
    kind = proof.key = provider.key_kind(secret.reveal())
    if connection.credential.startswith("plain:"):
        proof.warnings.append("the secret stands in the configuration file: fit for local trials only")
    if kind is None:
        # Behind an address of the user's own, keys may be the user's own too.
        if provider.keys and connection.base_url is None:
            begins = ", ".join(f"{known.prefix}…" for known in provider.keys if known.usable)
            proof.warnings.append(f"the key looks like none of {provider.title}'s known kinds ({begins})")
        return
    if not kind.usable:
        says = f"the key is of the wrong kind: {kind.title}"
        proof.problems.append(AccessDeniedError(says, hint=kind.hint or provider.key_help))
        return
    if kind.sandbox:
        says = f"the key opens a sandbox ({kind.title}), where all money is invented"
        proof.warnings.append(f"{says}: keep it in a ledger of its own.")
    if kind.more_than_read:
        advice = f" {kind.hint}" if kind.hint else ""
        proof.warnings.append(
            f"the key can do more than read ({kind.title}): keep it where only Outlay sees it.{advice}"
        )


def _nothing_asked(connection: Connection, provider: Provider) -> str:
    """Return that nothing was asked, and which values of which options would have something asked."""

    def asks(option: Option, choice: str) -> bool:
        return bool(datasets_of(replace(connection, options={**connection.options, option.name: choice}), provider))

    ways = [
        f"Set {option.name} = {' or '.join(values)} and try again ({option.help})."
        for option in provider.options
        if (values := [f'"{choice}"' for choice in option.choices if asks(option, choice)])
    ]
    said = f"nothing was checked, not even the key: as it is configured, nothing is asked of {provider.title}."
    return " ".join((said, *ways))


def _tell(proof: DatasetProof, refused: Mapping[str | None, NotOfferedError | PermissionMissingError]) -> None:
    """Say which of several names may not be read, by name; to lack what others are offered is no failure."""
    lacking = {item: error for item, error in refused.items() if isinstance(error, PermissionMissingError)}
    proof.says = "; ".join(f"{item}: {error.message}" for item, error in (lacking or refused).items())
    for error in lacking.values():
        proof.state, proof.hint = error.code, error.hint


class _Prober:
    """Ask each dataset once, names first, so that what is asked per name has one."""

    def __init__(
        self, connection: Connection, provider: Provider, wire: Wire, settings: Settings, proof: Proof
    ) -> None:
        self._connection = connection
        self._provider = provider
        self._wire = wire
        self._settings = settings
        self._proof = proof
        self._names: dict[str, list[str]] = {}
        self._found: list[Problem] = []
        """What is wrong with the names that a dataset told."""

    async def run(self) -> None:
        """Prove every dataset the connection syncs; a refused key ends it, a missing permission does not."""
        datasets = sorted(datasets_of(self._connection, self._provider), key=lambda dataset: dataset.order)
        if not datasets:
            self._proof.warnings.append(_nothing_asked(self._connection, self._provider))
        for dataset in datasets:
            proof = DatasetProof(dataset.name)
            self._proof.datasets.append(proof)
            try:
                await self._dataset(dataset, proof)
                self._judge(proof)
            except ConfigError:
                raise
            except OutlayError as error:
                proof.state, proof.says, proof.hint = error.code, error.message, error.hint
                refused = isinstance(error, AccessDeniedError) and not isinstance(error, PermissionMissingError)
                if refused and not any(one.state == "ok" for one in self._proof.datasets):
                    self._proof.problems.append(error)
                    break
        self._proof.requests = self._wire.requests
        self._proof.clock_skew_seconds = skew = self._wire.clock_skew_seconds
        if skew is not None and abs(skew) > SKEW_SECONDS_MAX:
            way = "behind" if skew > 0 else "ahead of"
            self._proof.warnings.append(f"this machine's clock is {abs(skew):.0f} s {way} the vendor's: set it right")

    async def _dataset(self, dataset: Dataset, proof: DatasetProof) -> None:
        """Ask the first endpoint that this key may read the dataset from, as a sync does."""
        refusal: NotOfferedError | PermissionMissingError | None = None
        for endpoint in self._answering(dataset):
            each = endpoint.each if endpoint.each and endpoint.each.applies(self._connection.options) else None
            items = each.items(self._known) if each else [None]
            if each and not items:
                proof.state, proof.says = "unproven", f"asked per {each.kind}, and none is known yet"
                return
            # What the user can choose among is proved one by one; of anything else, one stands for all.
            chosen = items if each and each.among else items[-1:]
            refused = await self._refused(dataset, endpoint, chosen)
            if len(refused) < len(chosen):
                _tell(proof, refused)
                return
            for error in refused.values():
                # Where one endpoint lacks a permission and the next is not offered, the permission is what to mend.
                refusal = refusal if isinstance(refusal, PermissionMissingError) else error
        if refusal is not None:
            raise refusal
        proof.state, proof.says = "unproven", "no endpoint answers for yesterday"

    def _judge(self, proof: DatasetProof) -> None:
        """Say what is wrong with a list: one that is not the list that is meant fails, and so does all asked by it."""
        found, self._found = self._found, []
        for problem in found:
            if problem.severity is Severity.FATAL:
                proof.state, proof.says, proof.hint = problem.code, problem.says, problem.hint
            elif problem.severity is Severity.WARNING:
                self._proof.warnings.append(f"{problem.says}. {problem.hint}")

    async def _refused(
        self, dataset: Dataset, endpoint: Endpoint[Any], items: Sequence[str | None]
    ) -> dict[str | None, NotOfferedError | PermissionMissingError]:
        """Ask once for each of some names, and return those that are refused, which end no other."""
        refused: dict[str | None, NotOfferedError | PermissionMissingError] = {}
        for item in items:
            try:
                await self._ask(dataset, endpoint, item)
            except (NotOfferedError, PermissionMissingError) as error:
                refused[item] = error
        return refused

    def _known(self, each: FanOut) -> list[str]:
        names = self._names.get(each.kind, [])
        return [name for name in names if each.chosen(name, self._connection.options)] if each.among else names[:1]

    def _answering(self, dataset: Dataset) -> list[Endpoint[Any]]:
        day = self._settings.today - timedelta(days=1)
        return [
            endpoint
            for endpoint in dataset.endpoints
            if (endpoint.since is None or day >= endpoint.since) and (endpoint.until is None or day < endpoint.until)
        ]

    async def _ask(self, dataset: Dataset, endpoint: Endpoint[Any], item: str | None) -> None:
        """Ask for yesterday's first page, as short as the vendor lets it be, and learn the names on it."""
        period = self._period(dataset)
        small = {
            name: 1 if name in _PAGE_SIZES and isinstance(value, int) else value
            for name, value in endpoint.query.items()
        }
        few = msgspec.structs.replace(endpoint, query=small)
        answer = await anext(aiter(self._wire.ask(dataset.name, few, period, item)), None)
        if answer is not None:
            for fact in endpoint.facts(answer.page, answer.ask):
                if isinstance(fact, Name) and fact.state == "active":
                    self._names.setdefault(fact.kind, []).append(fact.id)
                elif isinstance(fact, Problem) and dataset.grain == "names":
                    self._found.append(fact)

    def _period(self, dataset: Dataset) -> Period:
        if dataset.grain == "names":
            return NAMES_PERIOD
        if dataset.grain == "month":
            return Period.of_month(self._settings.today)
        days = 0 if dataset.grain == "reading" else 1
        return Period.of_day(self._settings.today - timedelta(days=days))
