"""GitHub's usage reports: lines by day, the month's summary, AI credits by model, and Copilot's seats."""

from __future__ import annotations

from calendar import monthrange
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from functools import partial
from typing import Any, cast

from outlay.simulator.faces.base import Answer, Ask, Refusal, to_json
from outlay.simulator.worlds.github import (
    ENTERPRISE,
    ENTERPRISE_ORGANIZATIONS,
    ORGANIZATION,
    PEOPLE,
    SKUS,
    USER,
    GitHubAccount,
    Item,
    stated,
)
from outlay.simulator.worlds.truth import exact_sum

_OWNERS = {"organization": ("org", ORGANIZATION), "user": ("username", USER), "enterprise": ("enterprise", ENTERPRISE)}
_YEAR_MIN = 2008


def account_of(scope: str, ask: Ask) -> GitHubAccount:
    """Return the account a path names, hiding all others.

    Raises: Refusal 404 for a name that is not this customer's, or an organization that its enterprise pays for.
    """
    place, name = _OWNERS[scope]
    if ask.places[place].lower() != name:
        raise Refusal(404, "Not Found")
    return cast(GitHubAccount, ask.account)


def _period(ask: Ask, *, month_default: bool) -> tuple[int, int | None, int | None]:
    query, today = ask.query, ask.now.date()
    year, month, day = query.whole("year", today.year), query.whole("month"), query.whole("day")
    assert year is not None
    if month is None and month_default:
        month = today.month
    if not _YEAR_MIN <= year <= today.year + 1:
        raise Refusal(400, f"Invalid year: {year}")
    if month is not None and not 1 <= month <= 12:
        raise Refusal(400, f"Invalid month: {month}")
    if day is not None and (month is None or not 1 <= day <= monthrange(year, month)[1]):
        raise Refusal(400, f"Invalid day: {day}" if month else "day needs month")
    return year, month, day


def _days(period: tuple[int, int | None, int | None]) -> list[date]:
    year, month, day = period
    if month is None:
        return [date(year, 1, 1) + timedelta(days=n) for n in range((date(year + 1, 1, 1) - date(year, 1, 1)).days)]
    return [date(year, month, n) for n in ((day,) if day else range(1, monthrange(year, month)[1] + 1))]


def _centre(account: GitHubAccount, ask: Ask) -> str | None:
    wanted = ask.query.one("cost_center_id")
    if wanted not in (None, "none") and wanted not in {centre.id for centre in account.cost_centres}:
        raise Refusal(404, "Cost center not found")
    return wanted


def usage(scope: str, ask: Ask) -> Answer:
    """Answer lines by day or, when no month is given, lines by month dated at their first event."""
    account = account_of(scope, ask)
    period = _period(ask, month_default=False)
    centre = _centre(account, ask) if scope == "enterprise" else None
    ask.query.finish()
    # An enterprise's lines are those of one cost centre or, without naming one, those of none.
    centre = None if centre == "none" else centre
    if period[1] is None:
        rows = account.kept(("year", scope, period[0], centre), lambda: _by_month(account, scope, period[0], centre))
    else:
        lines = (
            account.kept((scope, day, centre), partial(_lines, account, scope, day, centre)) for day in _days(period)
        )
        rows = b",".join(filter(None, lines))
    return Answer(b'{"usageItems":[%b]}' % rows)


def _lines(account: GitHubAccount, scope: str, day: date, centre: str | None) -> bytes:
    items = [item for item in account.items(scope, day) if item.cost_centre == centre]
    return b",".join(
        to_json(_row(scope, day, item, item.quantity, item.gross, item.discount, item.net)) for item in items
    )


def _row(
    scope: str, day: date, item: Item, quantity: Decimal, gross: float, discount: float, net: float
) -> dict[str, Any]:
    moment = datetime.combine(day, time(), UTC) + timedelta(seconds=item.second)
    row: dict[str, Any] = {
        "date": moment.strftime("%Y-%m-%dT%H:%M:%SZ"), "product": item.sku.product, "sku": item.sku.title,
        "quantity": float(quantity), "unitType": item.sku.unit, "pricePerUnit": item.sku.price,
        "grossAmount": gross, "discountAmount": discount, "netAmount": net,
    }  # fmt: skip
    if scope != "user":
        row["organizationName"] = item.owner
    if item.repository:
        row["repositoryName"] = item.repository.name if scope == "user" else item.repository.full
    return row


def _by_month(account: GitHubAccount, scope: str, year: int, centre: str | None) -> bytes:
    groups: dict[tuple[Any, ...], list[tuple[date, Item]]] = {}
    for day in _days((year, None, None)):
        for item in sorted(account.items(scope, day), key=lambda item: item.second):
            if item.cost_centre == centre:
                groups.setdefault((day.month, item.sku.id, item.owner, item.repository), []).append((day, item))
    return b",".join(
        to_json(_row(scope, *lines[0], exact_sum(i.quantity for _, i in lines), *_sums([i for _, i in lines])))
        for lines in groups.values()
    )


def _sums(items: Sequence[Item]) -> tuple[float, float, float]:
    measures: tuple[Callable[[Item], float], ...] = (lambda i: i.gross, lambda i: i.discount, lambda i: i.net)
    gross, discount, net = (float(exact_sum(stated(measure(item)) for item in items)) for measure in measures)
    return gross, discount, net


def _head(scope: str, period: tuple[int, int | None, int | None], echoed: Mapping[str, str | None]) -> dict[str, Any]:
    names = zip(("year", "month", "day"), period, strict=True)
    head: dict[str, Any] = {
        "timePeriod": {name: value for name, value in names if value is not None},
        scope: _OWNERS[scope][1],
    }
    return head | {name: value for name, value in echoed.items() if value is not None}


def _centre_head(account: GitHubAccount, wanted: str | None) -> dict[str, Any]:
    named = [{"id": centre.id, "name": centre.name} for centre in account.cost_centres if centre.id == wanted]
    return {"costCenter": named[0]} if named else {}


def _organization(scope: str, ask: Ask) -> str | None:
    wanted = ask.query.one("organization") if scope == "enterprise" else None
    if wanted is not None and wanted not in ENTERPRISE_ORGANIZATIONS:
        raise Refusal(404, "Organization not found")
    return wanted


def _chosen(
    account: GitHubAccount,
    scope: str,
    period: tuple[int, int | None, int | None],
    centre: str | None,
    owner: str | None,
) -> Iterable[Item]:
    """Yield the items of a period: of all cost centres unless one, or "none", is named."""
    for day in _days(period):
        for item in account.items(scope, day):
            if owner in (None, item.owner) and (centre is None or (item.cost_centre or "none") == centre):
                yield item


def summary(scope: str, ask: Ask) -> Answer:
    """Answer one row per product and SKU for a period, by default the current month."""
    account, query = account_of(scope, ask), ask.query
    period = _period(ask, month_default=True)
    wanted = {name: query.one(name) for name in ("repository", "product", "sku")}
    owner, centre = _organization(scope, ask), _centre(account, ask) if scope == "enterprise" else None
    query.finish()
    groups: dict[str, list[Item]] = {}
    for item in _chosen(account, scope, period, centre, owner):
        repository = item.repository.full if item.repository else None
        same = wanted["product"] is None or wanted["product"].lower() == item.sku.product
        if wanted["repository"] in (None, repository) and same and wanted["sku"] in (None, item.sku.id):
            groups.setdefault(item.sku.id, []).append(item)
    rows = [_summary_row(items) for items in groups.values()]
    return Answer(
        to_json(
            _head(scope, period, {**wanted, "organization": owner} if owner else wanted)
            | _centre_head(account, centre)
            | {"usageItems": rows}
        )
    )


def _summary_row(items: Sequence[Item]) -> dict[str, Any]:
    sku = items[0].sku
    gross, discount, net = _sums(items)
    quantity, discounted = exact_sum(i.quantity for i in items), exact_sum(i.discounted for i in items)
    return {
        "product": sku.product_title,
        "sku": sku.id,
        "unitType": sku.unit_id,
        "pricePerUnit": sku.price,
        "grossQuantity": float(quantity),
        "grossAmount": gross,
        "discountQuantity": float(discounted),
        "discountAmount": discount,
        "netQuantity": float(quantity) - float(discounted),
        "netAmount": net,
    }


def by_model(sku: str, scope: str, ask: Ask) -> Answer:
    """Answer AI credits or premium requests by model."""
    account, query = account_of(scope, ask), ask.query
    period = _period(ask, month_default=True)
    person = query.one("user") if scope != "user" else None
    model, product = query.one("model"), query.one("product")
    owner, centre = _organization(scope, ask), _centre(account, ask) if scope == "enterprise" else None
    query.finish()
    if person is not None and person not in PEOPLE:
        raise Refusal(404, "User not found")
    groups: dict[str, list[tuple[Decimal, Decimal]]] = {}
    for item in _chosen(account, scope, period, centre, owner):
        if item.sku.id != sku or (product is not None and product.lower() != item.sku.product):
            continue
        for share in item.shares:
            if person in (None, share.person) and model in (None, share.model):
                groups.setdefault(share.model, []).append((share.quantity, share.discounted))
    rows = [_model_row(sku, name, pairs) for name, pairs in groups.items()]
    echoed = {"user": person, "product": product, "model": model} | ({"organization": owner} if owner else {})
    return Answer(to_json(_head(scope, period, echoed) | _centre_head(account, centre) | {"usageItems": rows}))


def _model_row(sku_id: str, model: str, pairs: Sequence[tuple[Decimal, Decimal]]) -> dict[str, Any]:
    sku = SKUS[sku_id]
    gross, discounted = float(exact_sum(q for q, _ in pairs)), float(exact_sum(d for _, d in pairs))
    return {
        "product": sku.product_title,
        "sku": sku.title,
        "model": model,
        "unitType": sku.unit_id,
        "pricePerUnit": sku.price,
        "grossQuantity": gross,
        "grossAmount": gross * sku.price,
        "discountQuantity": discounted,
        "discountAmount": discounted * sku.price,
        "netQuantity": gross - discounted,
        "netAmount": gross * sku.price - discounted * sku.price,
    }


def seats(ask: Ask) -> Answer:
    """Answer Copilot's seats."""
    ask.query.finish()
    account = account_of("organization", ask)
    total = 0 if account.plot.empty else 12
    counts = {
        "total": total, "added_this_cycle": min(1, total), "pending_cancellation": 0, "pending_invitation": 0,
        "active_this_cycle": total * 3 // 4, "inactive_this_cycle": total - total * 3 // 4,
    }  # fmt: skip
    return Answer(
        to_json(
            {
                "seat_breakdown": counts,
                "public_code_suggestions": "block",
                "ide_chat": "enabled",
                "platform_chat": "enabled",
                "cli": "enabled",
                "seat_management_setting": "assign_selected",
                "plan_type": "business",
            }
        )
    )
