"""GitHub's budgets and cost centres."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

from outlay.simulator.faces.base import Answer, Ask, Refusal, to_json
from outlay.simulator.faces.github_usage import account_of
from outlay.simulator.worlds.github import ORGANIZATION, PEOPLE, CostCentre

_SCOPES = {
    "organization": ("organization", "repository", "multi_user_customer", "user"),
    "enterprise": (
        "enterprise",
        "organization",
        "repository",
        "cost_center",
        "multi_user_customer",
        "multi_user_cost_center",
        "user",
    ),
}
_LISTED_SCOPES = ("enterprise", "organization", "repository", "cost_center", "multi_user_customer", "user")
_TYPES = ("ProductPricing", "SkuPricing", "BundlePricing")
_FIELDS = (
    "budget_amount",
    "prevent_further_usage",
    "budget_alerting",
    "budget_scope",
    "budget_entity_name",
    "budget_type",
    "budget_product_sku",
    "user",
)


def _page(ask: Ask, default: int) -> slice:
    page, size = ask.query.whole("page", 1), ask.query.whole("per_page", default)
    assert page is not None
    assert size is not None
    if page < 1 or not 1 <= size <= 100:
        raise Refusal(400, "page starts at 1 and per_page lies between 1 and 100")
    return slice((page - 1) * size, page * size)


def budgets(scope: str, ask: Ask) -> Answer:
    """Answer a page of budgets; with `user`, those of a person and the one in effect."""
    account, query = account_of(scope, ask), ask.query
    where, user = query.choice("scope", _LISTED_SCOPES), query.one("user")
    part = _page(ask, 10)
    query.finish()
    rows = [b for b in account.budgets[scope] if where in (None, b["budget_scope"]) and user in (None, b.get("user"))]
    body: dict[str, Any] = {"budgets": rows[part], "has_next_page": part.stop < len(rows), "total_count": len(rows)}
    if user is not None:
        body["user"] = user
        if rows:
            body["effective_budget"] = {name: rows[0][name] for name in ("id", "budget_amount", "consumed_amount")}
    return Answer(to_json(body))


def _found(scope: str, ask: Ask) -> tuple[list[dict[str, Any]], int]:
    listed = account_of(scope, ask).budgets[scope]
    for n, row in enumerate(listed):
        if row["id"] == ask.places["budget_id"]:
            return listed, n
    raise Refusal(404, "Not Found")


def budget(scope: str, ask: Ask) -> Answer:
    """Answer one budget."""
    ask.query.finish()
    listed, n = _found(scope, ask)
    return Answer(to_json({name: value for name, value in listed[n].items() if name != "consumed_amount"}))


def _wish(ask: Ask, scope: str, *, whole: bool) -> dict[str, Any]:
    try:
        wish = json.loads(ask.body)
    except ValueError:
        raise Refusal(400, "Problems parsing JSON") from None
    errors = [] if isinstance(wish, dict) else [{"resource": "Budget", "field": "", "code": "invalid"}]
    if not errors:
        needed = ("budget_amount", "budget_scope", "budget_type") if whole else ()
        errors = [{"resource": "Budget", "field": name, "code": "missing_field"} for name in needed if name not in wish]
        wrong = {
            "budget_amount": not isinstance(wish.get("budget_amount", 0), int) or wish.get("budget_amount", 0) < 0,
            "budget_scope": wish.get("budget_scope", scope) not in _SCOPES[scope],
            "budget_type": wish.get("budget_type", _TYPES[0]) not in _TYPES,
        }
        errors += [
            {"resource": "Budget", "field": name, "code": "invalid"} for name, is_wrong in wrong.items() if is_wrong
        ]
        errors += [{"resource": "Budget", "field": name, "code": "invalid"} for name in wish if name not in _FIELDS]
    if errors:
        raise Refusal(422, "Validation Failed", errors=errors)
    return dict(wish)


def create_budget(scope: str, ask: Ask) -> Answer:
    """Create a budget."""
    account, wish = account_of(scope, ask), _wish(ask, scope, whole=True)
    listed = account.budgets[scope]
    row = {
        "id": account.uuid("created", scope, len(listed)),
        "prevent_further_usage": False,
        "budget_entity_name": ORGANIZATION,
        "budget_product_sku": "actions",
        "budget_alerting": {"will_alert": False, "alert_recipients": []},
        **wish,
    }
    listed.append(row)
    return Answer(to_json({"message": "Budget successfully created.", "budget": row}))


def change_budget(scope: str, ask: Ask) -> Answer:
    """Change a budget."""
    listed, n = _found(scope, ask)
    listed[n] |= _wish(ask, scope, whole=False)
    return Answer(to_json({"message": "Budget successfully updated.", "budget": listed[n]}))


def delete_budget(scope: str, ask: Ask) -> Answer:
    """Delete a budget."""
    listed, n = _found(scope, ask)
    gone = listed.pop(n)
    return Answer(to_json({"message": "Budget successfully deleted.", "id": gone["id"]}))


def user_states(ask: Ask) -> Answer:
    """Answer what each person consumed of a budget for many people."""
    listed, n = _found("enterprise", ask)
    query, chosen = ask.query, listed[n]
    if not chosen["budget_scope"].startswith("multi_user"):
        raise Refusal(404, "Not Found")
    order, user = query.choice("sort_order", ("0", "1"), "0"), query.one("user")
    low, high = query.whole("threshold_lower_bound", 0), query.whole("threshold_upper_bound", 100)
    part = _page(ask, 30)
    query.finish()
    states = [
        {
            "user": who,
            "consumed_amount": chosen["budget_amount"] * share / 100,
            "target_amount": float(chosen["budget_amount"]),
        }
        for who, share in zip(PEOPLE, (12.5, 80.25, 100.0), strict=True)
        if user in (None, who) and (low or 0) <= share <= (high or 100)
    ]
    states.sort(key=lambda state: state["consumed_amount"], reverse=order == "1")
    return Answer(
        to_json({"user_states": states[part], "has_next_page": part.stop < len(states), "total_count": len(states)})
    )


def _centre_row(centre: CostCentre, resources: Sequence[Mapping[str, str]]) -> dict[str, Any]:
    pooled = centre.state == "active"
    return {
        "id": centre.id,
        "name": centre.name,
        "state": centre.state,
        "azure_subscription": None,
        "resources": resources,
        "ai_credit_pool_enabled": pooled,
        "ai_credit_pool_state": {
            "target_amount": 1000.0 if pooled else None,
            "current_amount": 412.5 if pooled else None,
        },
    }


def cost_centres(ask: Ask) -> Answer:
    """Answer the cost centres, of every state unless one is named."""
    account = account_of("enterprise", ask)
    state = ask.query.choice("state", ("active", "deleted"))
    ask.query.finish()
    rows = [_centre_row(centre, centre.resources) for centre in account.cost_centres if state in (None, centre.state)]
    return Answer(to_json({"costCenters": rows}))


def cost_centre(ask: Ask) -> Answer:
    """Answer one cost centre and a page of its resources."""
    account, part = account_of("enterprise", ask), _page(ask, 30)
    ask.query.finish()
    for centre in account.cost_centres:
        if centre.id == ask.places["cost_center_id"]:
            row = _centre_row(centre, centre.resources[part])
            return Answer(to_json(row | {"has_next_page": part.stop < len(centre.resources)}))
    raise Refusal(404, "Not Found")
