"""Turn what a user types into partitions: an entry is known by its kind and name, and entering it again replaces it."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import date, timedelta
from decimal import Decimal
from hashlib import blake2b

from outlay.clock import midnight
from outlay.config import check_name
from outlay.errors import ConfigError
from outlay.model.basis import Basis
from outlay.model.facts import (
    Balance,
    Category,
    Charge,
    Fact,
    Frequency,
    Invoice,
    Limit,
    LimitBasis,
    LimitKind,
)
from outlay.model.money import Money
from outlay.model.period import Period
from outlay.model.terms import ENTRY, FeeTerms
from outlay.sync.entries import ENTERED, Typed, cycles, spread
from outlay.sync.imports_csv import FIELD_CHARACTERS_MAX

_NAME_MAX = 48
_ZERO, _WHOLE = Decimal(0), Decimal(100)
_KIND = re.compile(r"[a-z_]{1,48}")
_MONTHS = {"month": 1, "quarter": 3, "year": 12}
EVERY = tuple(_MONTHS)


@dataclass(frozen=True, slots=True)
class Cost:
    """An amount and what it was for. Null: `name` None derives from service, SKU and description."""

    amount: Money
    service: str
    name: str | None = None
    sku: str | None = None
    description: str | None = None
    sub_account: str | None = None
    category: Category = Category.PURCHASE


def charge(cost: Cost, period: Period, *, daily: bool = False) -> list[Typed]:
    """Return a charge for a period; `daily` spreads it over its days."""
    fact = _charge(cost, period, Frequency.ONE_TIME)
    return [_typed("charge", _name_of(cost), period, *(spread(fact) if daily else (fact,)))]


def subscription(cost: Cost, first: date, until: date, every: str) -> list[Typed]:
    """Return a fee that comes back, a partition for each cycle that has begun before `until`.

    Raises: ConfigError when there is none.
    """
    found = cycles(midnight(first), midnight(until), _MONTHS[every])
    if not found:
        raise ConfigError(f"no {every} of the subscription has begun by {until}", hint="Look at --from and --until.")
    name = _name_of(cost)
    return [_typed("subscription", name, period, _charge(cost, period, Frequency.RECURRING)) for period in found]


def invoice(fact: Invoice, day: date, service: str | None) -> list[Typed]:
    """Return a bill; with a service, what it bills counts as spend too, spread over the days of its period.

    Raises: ConfigError when a service is named and the period is not.
    """
    facts: list[Fact] = [fact]
    if service is not None:
        if fact.period is None:
            raise ConfigError("which days the bill is for is not said", hint="Give --from and --to with --service.")
        cost = Cost(fact.total, service, description=f"Invoice {fact.number or fact.invoice_id}")
        facts += spread(_charge(cost, fact.period, Frequency.ONE_TIME, fact.invoice_id))
    period = fact.period if service is not None and fact.period is not None else Period.of_day(day)
    return [_typed("invoice", fact.invoice_id, period, *facts)]


def balance(name: str, fact: Balance, day: date) -> list[Typed]:
    """Return what was left on a day."""
    return [_typed("balance", name, Period.of_day(day), fact)]


def limit(name: str, fact: Limit, day: date) -> list[Typed]:
    """Return a ceiling as it was on a day."""
    return [_typed("limit", name, Period.of_day(day), fact)]


def fee_terms(
    name: str, percent: Decimal, fixed: Money, first: date, extra: Mapping[str, Decimal] | None = None
) -> list[Typed]:
    """Return agreed fee terms, kept as a name of the connection; where fees are estimated, they are from these.

    Raises: ConfigError when a share or the fixed amount cannot be one.
    """
    shares = (percent, *(extra or {}).values())
    if not all(_ZERO <= share < _WHOLE for share in shares) or fixed.amount < _ZERO:
        raise ConfigError("fees are at least 0, and shares below 100 %", hint="5 means 5 %, and 0.5 half a per cent.")
    for kind in extra or ():
        if not _KIND.fullmatch(kind):
            raise ConfigError(f"{kind[:64]!r} is no kind of payment", hint="See `kind` in `outlay revenue --by kind`.")
    terms = FeeTerms(id=f"{_slug(name)}:{first}", percent=percent, fixed=fixed, first=first, extra=dict(extra or {}))
    return [Typed(_dataset(ENTRY, f"{name}-{first}"), Period.of_day(first), (terms.name(),))]


def entered_balance(name: str, amount: Decimal, currency: str | None, unit: str | None) -> Balance:
    """Return a balance in a currency or in credits. Raises: ConfigError unless exactly one is said."""
    if (currency is None) == (unit is None):
        raise ConfigError("what the balance is counted in is not said", hint="Give --currency USD or --unit credits.")
    return Balance(name=name, amount=amount, currency=currency, unit=unit, basis=Basis.ENTERED)


def entered_limit(
    name: str,
    kind: LimitKind,
    unit: str,
    quota: Decimal | None,
    used: Decimal | None,
    *,
    scope: str,
    window: str | None,
) -> Limit:
    """Return a ceiling; without a quota it is known to have none. Raises: ConfigError for figures below nothing."""
    if any(figure is not None and figure < _ZERO for figure in (quota, used)):
        raise ConfigError("a limit and what is used of it are at least 0", hint="Leave out what is not known.")
    return Limit(
        name=name,
        scope=scope,
        kind=kind,
        unit=unit,
        quota=quota,
        used=used,
        window=window,
        unlimited=quota is None,
        basis=LimitBasis.ENTERED,
    )


def _charge(cost: Cost, period: Period, frequency: Frequency, invoice_id: str | None = None) -> Charge:
    return Charge(
        charge_period=period,
        billed_cost=cost.amount,
        service_name=cost.service,
        basis=Basis.ENTERED,
        charge_category=cost.category,
        charge_frequency=Frequency.USAGE_BASED if cost.category is Category.USAGE else frequency,
        charge_description=cost.description,
        sku_id=cost.sku,
        sub_account_id=cost.sub_account,
        invoice_id=invoice_id,
        billing_period=period if frequency is Frequency.RECURRING else None,
    )


def _typed(kind: str, name: str, period: Period, *facts: Fact) -> Typed:
    """Return a partition of facts whose texts are fit to be shown. Raises: ConfigError."""
    for fact in facts:
        for field in fact.__struct_fields__:
            text = getattr(fact, field)
            if type(text) is str and not (text.strip() and text.isprintable() and len(text) <= FIELD_CHARACTERS_MAX):
                option = field.removeprefix("charge_").removesuffix("_name").removesuffix("_id")
                raise ConfigError(
                    f"`{option}` is empty, longer than {FIELD_CHARACTERS_MAX} characters, or holds control characters",
                    hint="Write some words on one line, or leave the option out.",
                )
    return Typed(_dataset(kind, name), period, facts)


def _name_of(cost: Cost) -> str:
    return cost.name or "-".join(part for part in (cost.service, cost.sku, cost.description) if part)


def _dataset(kind: str, name: str) -> str:
    slug = _slug(name)
    check_name(slug)
    return f"{ENTERED}.{kind}.{slug}"


def _slug(name: str) -> str:
    """Return a name in the characters of a dataset; what does not fit into them is told apart by its sum."""
    plain = "".join(_plain(name)).strip("-._")
    if any(map(str.isalnum, name)) and not 0 < len(plain) <= _NAME_MAX:
        plain = f"{plain[: _NAME_MAX - 13]}-{blake2b(name.encode(), digest_size=6).hexdigest()}"
    return plain.strip("-._")


def _plain(name: str) -> Iterator[str]:
    yield from re.sub(r"[^a-z0-9._]+", "-", name.lower())


def span(first: date | None, end: date | None, day: date) -> Period:
    """Return the period of two days, the end exclusive, or the one day. Raises: ConfigError."""
    if first is None and end is None:
        return Period.of_day(day)
    if first is None or end is None or not first < end:
        raise ConfigError("the period has no days", hint="Give both --from and --to, the end exclusive.")
    return Period.of_days(first, end)


def tomorrow(day: date) -> date:
    """Return the day after a day."""
    return day + timedelta(days=1)
