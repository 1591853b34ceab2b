"""ElevenLabs' subscription, groups, members and keys: ceilings, credits left, invoices that wait, names."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from datetime import UTC, datetime
from decimal import Decimal
from typing import Literal

from msgspec import Struct, field

from outlay.model.basis import Basis
from outlay.model.facts import Balance, Invoice, Limit, LimitKind, Name
from outlay.model.money import Money, exact
from outlay.model.problem import Problem, Severity
from outlay.providers.base import Ask, Difference, Endpoint
from outlay.providers.elevenlabs.tables import lacking

_WINDOWS = {
    "monthly_period": "month",
    "3_month_period": "3 months",
    "6_month_period": "6 months",
    "annual_period": "year",
}
Cap = int | Literal["unlimited"] | None


class User(Struct, gc=False):
    """Whose key it is; the subscription nested here is a shorter one and is not read."""

    workspace_id: str
    user_id: str


class Price(Struct, gc=False):
    """An amount in major units, as decimal text."""

    amount: Decimal
    currency: str | None = None


class Bill(Struct, gc=False):
    """An invoice without id, number, period or currency of its own."""

    amount_due_cents: int
    subtotal_cents: int | None = None
    tax_cents: int | None = None
    next_payment_attempt_unix: int = -1


class Subscription(Struct, gc=False):
    """What the workspace has and has used; every `character` is a credit."""

    tier: str | None = None
    status: str | None = None
    character_count: int | None = None
    character_limit: int | None = None
    max_credit_limit_extension: Cap = None
    next_character_count_reset_unix: int | None = None
    character_refresh_period: str | None = None
    billing_period: str | None = None
    voice_slots_used: int | None = None
    voice_limit: int | None = None
    professional_voice_slots_used: int | None = None
    professional_voice_limit: int | None = None
    voice_add_edit_counter: int | None = None
    max_voice_add_edits: int | None = None
    currency: str | None = None
    current_overage: Price | None = None
    next_invoice: Bill | None = None
    open_invoices: list[Bill] | None = None


class Group(Struct, gc=False):
    """A group of members and its caps; `character_count` is the credits it has used."""

    id: str | None = None
    name: str | None = None
    character_count: int | None = None
    group_usage_limit: Cap = None
    group_pvc_limit: Cap = None
    group_concurrency_limit: Cap = None
    group_dubbing_concurrency_limit: Cap = None
    group_music_concurrency_limit: Cap = None


class Member(Struct, gc=False):
    """A person of the workspace; the address is not kept."""

    user_id: str
    first_name: str | None = None
    is_locked: bool = False


class Stored(Struct, gc=False):
    """A cap on what is used up."""

    limit: int | None = None
    usage: int | None = None


class Computed(Struct, gc=False):
    """A cap on what there is at once."""

    limit: int | None = None


class PlatformLimits(Struct, gc=False):
    """The caps of a key by what they are on."""

    credits: Stored | None = None
    pvc: Computed | None = None
    concurrency: Computed | None = None
    dubbing_concurrency: Computed | None = None
    music_concurrency: Computed | None = None


class Key(Struct, gc=False):
    """A key of a service account with its caps; `character_limit` is the credits it may use in a month."""

    key_id: str
    name: str | None = None
    hashed_xi_api_key: str | None = None
    is_disabled: bool | None = None
    character_limit: int | None = None
    character_count: int | None = None
    platform_limits: PlatformLimits | None = None


class ServiceAccount(Struct, gc=False):
    """A service account and its keys."""

    service_account_user_id: str
    name: str | None = None
    keys: list[Key] = field(default_factory=list, name="api-keys")


class ServiceAccounts(Struct, gc=False):
    """All service accounts."""

    accounts: list[ServiceAccount] = field(default_factory=list, name="service-accounts")


def account(page: User, _ask: Ask) -> Iterator[Name]:
    """Turn the key's owner into the workspace's name, which is its id."""
    yield Name(kind="account", id=page.workspace_id)


def members(page: list[Member], _ask: Ask) -> Iterator[Name]:
    """Turn members into names; a locked one is archived."""
    for each in page:
        yield Name(kind="user", id=each.user_id, name=each.first_name, state="archived" if each.is_locked else "active")


def subscription(page: Subscription, _ask: Ask) -> Iterator[Limit | Balance | Invoice | Problem]:
    """Turn the subscription into ceilings, the credits left, and the invoices that wait.

    Units:  credits; `current_overage` is text in major units; invoices are cents of the subscription's currency.
    Null:   the free plan has no currency and no reset; -1 is no payment attempt; 0 extension is no overage allowed.
    Source: https://elevenlabs.io/docs/api-reference/user/subscription/get
    """
    yield from _credits(page)
    yield from _overage(page)
    for name, used, quota in (
        ("voices", page.voice_slots_used, page.voice_limit),
        ("professional_voices", page.professional_voice_slots_used, page.professional_voice_limit),
        ("voice_edits", page.voice_add_edit_counter, page.max_voice_add_edits),
    ):
        if quota is not None:
            yield _count(name, "workspace", quota, used)
    yield from _invoices(page)


def _credits(page: Subscription) -> Iterator[Limit | Balance]:
    included, used, extension = page.character_limit, page.character_count, page.max_credit_limit_extension
    if included is None or used is None:
        return
    unlimited = extension == "unlimited"
    quota = None if extension in ("unlimited", None) else included + int(extension)
    yield Limit(
        name="credits",
        scope="workspace",
        kind=LimitKind.CREDIT,
        unit="credits",
        quota=None if quota is None else exact(quota),
        used=exact(used),
        remaining=None if quota is None else exact(max(0, quota - used)),
        window=_WINDOWS.get(page.character_refresh_period or ""),
        resets_at=_moment(page.next_character_count_reset_unix),
        unlimited=unlimited,
        details={
            "character_limit": str(included),
            "max_credit_limit_extension": None if extension is None else str(extension),
            "tier": page.tier,
            "status": page.status,
        },
    )
    yield Balance(name="credits", amount=exact(max(0, included - used)), unit="credits", granted=exact(included))


def _overage(page: Subscription) -> Iterator[Limit | Problem]:
    """Yield what is used beyond the plan so far: a gauge that falls to zero when it is charged, so never a cost."""
    overage = page.current_overage
    currency = (overage.currency if overage else None) or page.currency
    if overage is None or (currency is None and not overage.amount):
        return
    if currency is None:
        yield _no_currency("current_overage")
        return
    yield Limit(
        name="overage",
        scope="workspace",
        kind=LimitKind.SPEND,
        unit=currency.upper(),
        used=exact(overage.amount),
        window=_WINDOWS.get(page.billing_period or ""),
        unlimited=page.max_credit_limit_extension == "unlimited",
    )


def _invoices(page: Subscription) -> Iterator[Invoice | Problem]:
    if page.currency is None:
        if page.next_invoice or page.open_invoices:
            yield _no_currency("open_invoices")
        return
    if page.next_invoice is not None:
        # A forecast that holds the coming fee: it is not owed and never a cost.
        yield _invoice(page.next_invoice, page.currency, "next", "upcoming", Basis.ESTIMATED)
    seen: Counter[str] = Counter()
    for bill in page.open_invoices or ():
        name = f"open-{bill.amount_due_cents}-{bill.tax_cents or 0}"
        seen[name] += 1
        again = f"-{seen[name]}" if seen[name] > 1 else ""
        yield _invoice(bill, page.currency, name + again, "open", Basis.BILLED)


def _invoice(bill: Bill, currency: str, name: str, status: str, basis: Basis) -> Invoice:
    due = Money.from_minor(bill.amount_due_cents, currency)
    return Invoice(
        invoice_id=name,
        total=due,
        amount_due=due,
        status=status,
        due_at=_moment(bill.next_payment_attempt_unix),
        basis=basis,
        details={
            "subtotal_cents": None if bill.subtotal_cents is None else str(bill.subtotal_cents),
            "tax_cents": None if bill.tax_cents is None else str(bill.tax_cents),
        },
    )


def _no_currency(where: str) -> Problem:
    return Problem(
        code="currency_missing",
        says="an amount without a currency, as the subscription names none",
        where=where,
        hint="The amount is left out; the rest of the reading is kept.",
        severity=Severity.WARNING,
    )


def groups(page: dict[str, Group], _ask: Ask) -> Iterator[Limit]:
    """Turn groups into their caps: credits with what is used, voices, requests at once.

    Null:   a cap of null is none of its own and yields nothing; "unlimited" is said.
    Source: https://elevenlabs.io/docs/api-reference/groups/get-all
    """
    for group in page.values():
        if group.id is None:
            continue
        scope = f"group:{group.id}"
        if group.group_usage_limit is not None:
            yield _cap("credits", scope, LimitKind.CREDIT, "credits", group.group_usage_limit, group.character_count)
        yield from _at_once(
            scope,
            group.group_pvc_limit,
            group.group_concurrency_limit,
            group.group_dubbing_concurrency_limit,
            group.group_music_concurrency_limit,
        )


def _at_once(scope: str, voices: Cap, requests: Cap, dubbing: Cap, music: Cap) -> Iterator[Limit]:
    """Yield the caps on what there is at once, which are not used up."""
    caps: tuple[tuple[str, LimitKind, str, Cap], ...] = (
        ("professional_voices", LimitKind.QUOTA, "count", voices),
        ("concurrency", LimitKind.RATE, "requests", requests),
        ("dubbing_concurrency", LimitKind.RATE, "requests", dubbing),
        ("music_concurrency", LimitKind.RATE, "requests", music),
    )
    for name, kind, unit, cap in caps:
        if cap is not None:
            yield _cap(name, scope, kind, unit, cap, None)


def service_accounts(page: ServiceAccounts, _ask: Ask) -> Iterator[Limit]:
    """Turn the keys of service accounts into their caps; a key without any yields nothing.

    Null:   credits are capped by `character_limit`, for a month, or else among the platform's caps.
    Source: https://elevenlabs.io/docs/api-reference/service-accounts/list
    """
    for each in page.accounts:
        for key in each.keys:
            if not key.is_disabled:
                yield from _key_caps(key)


def _key_caps(key: Key) -> Iterator[Limit]:
    scope, caps = f"api_key:{key.key_id}", key.platform_limits or PlatformLimits()
    stored = caps.credits or Stored()
    if key.character_limit is not None:
        used = key.character_count
        yield _cap("credits", scope, LimitKind.CREDIT, "credits", key.character_limit, used, "month")
    elif stored.limit is not None:
        yield _cap("credits", scope, LimitKind.CREDIT, "credits", stored.limit, stored.usage)
    at_once = (caps.pvc, caps.concurrency, caps.dubbing_concurrency, caps.music_concurrency)
    yield from _at_once(scope, *(None if cap is None else cap.limit for cap in at_once))


def _cap(
    name: str, scope: str, kind: LimitKind, unit: str, cap: int | str, used: int | None, window: str | None = None
) -> Limit:
    quota = None if cap == "unlimited" else int(cap)
    return Limit(
        name=name,
        scope=scope,
        kind=kind,
        unit=unit,
        quota=None if quota is None else exact(quota),
        used=None if used is None else exact(used),
        remaining=None if quota is None or used is None else exact(max(0, quota - used)),
        window=window,
        unlimited=quota is None,
    )


def _count(name: str, scope: str, quota: int, used: int | None) -> Limit:
    return _cap(name, scope, LimitKind.QUOTA, "count", quota, used)


def _moment(epoch_seconds: int | None) -> datetime | None:
    if epoch_seconds is None or epoch_seconds <= 0:
        return None
    return datetime.fromtimestamp(epoch_seconds, UTC)


# The counter falls at each reset and change of plan; on days that the reports tell, its difference is part of them.
_PERIOD = ("tier", "character_limit")
CREDITS_BY_DAY = Difference(
    "credits_by_day", Limit, "credits", "ElevenLabs", meter="credits", scope="workspace", same=_PERIOD, whole="usage"
)
# What is due falls when it is charged, which is a gap; a workspace that is billed by cost states its days itself.
OVERAGE_BY_DAY = Difference(
    "overage_by_day",
    Limit,
    "overage",
    # A service of its own: a plan's fee that is entered for ElevenLabs must not stand in its place.
    "ElevenLabs Overage",
    scope="workspace",
    period_of="credits",
    same=_PERIOD,
    whole="costs",
    beyond_fee=True,
)

_OWN = (lacking("user_read"),)

ACCOUNT = Endpoint(name="user", path="/v1/user", refusals=_OWN, page=User, facts=account)
MEMBERS = Endpoint(
    name="members",
    path="/v1/workspace/members",
    refusals=(lacking("workspace_members_read"),),
    page=list[Member],
    facts=members,
)
SUBSCRIPTION = Endpoint(
    name="subscription", path="/v1/user/subscription", refusals=_OWN, page=Subscription, facts=subscription
)
GROUPS = Endpoint(
    name="groups",
    path="/v1/workspace/groups",
    refusals=(lacking("workspace_read"),),
    page=dict[str, Group],
    facts=groups,
)
SERVICE_ACCOUNTS = Endpoint(
    name="service_accounts",
    path="/v1/service-accounts",
    refusals=(lacking("service_account_write"),),
    page=ServiceAccounts,
    facts=service_accounts,
)
