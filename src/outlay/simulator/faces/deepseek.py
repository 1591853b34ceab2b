"""DeepSeek's account API: the balance and the models.

Key:   "sim-deepseek-key" may do everything, for there are no scopes.
Order: the rows of the balance come in another order with every other answer.
There is no API for cost or usage: the account's `export` is what the usage page offers.
"""

from __future__ import annotations

from typing import cast

from outlay.simulator.faces import inference
from outlay.simulator.faces.base import Answer, Ask, Endpoint, Face, Key, Meter, Refusal, bearer, to_json
from outlay.simulator.worlds.deepseek import MODELS, DeepSeekAccount


def balance(ask: Ask) -> Answer:
    """Answer what is left, per currency."""
    ask.query.finish()
    left = cast(DeepSeekAccount, ask.account).balances()
    rows = [
        {
            "currency": each.unit,
            "total_balance": f"{each.amount:f}",
            "granted_balance": f"{each.granted:f}",
            "topped_up_balance": f"{each.topped_up:f}",
        }
        for each in left
    ]
    if int(ask.request_id.removeprefix("req_")) % 2:
        rows.reverse()
    return Answer(to_json({"is_available": any(each.amount > 0 for each in left), "balance_infos": rows}))


def models(ask: Ask) -> Answer:
    """Answer the models a key may call."""
    ask.query.finish()
    listed = [{"id": name, "object": "model", "owned_by": "deepseek"} for name in MODELS]
    return Answer(to_json({"object": "list", "data": listed}))


def admit(ask: Ask, endpoint: Endpoint | None) -> None:
    """Refuse a missing or unknown key."""
    if ask.key is None:
        said = "no api key" if ask.credential is None else "your api key is invalid"
        raise Refusal(401, f"Authentication Fails, {said}", type="authentication_error")


def refuse(ask: Ask, no: Refusal) -> Answer:
    """Write the vendor's error body, whose code is the same for everything."""
    error = {"message": no.message, "type": no.extra.get("type", "unknown_error"), "param": None,
             "code": "invalid_request_error"}  # fmt: skip
    return Answer(to_json({"error": error}), no.status, no.headers)


def dress(ask: Ask, answer: Answer, meter: Meter | None) -> None:
    """Add the headers that each answer carries."""
    answer.headers["x-ds-trace-id"] = ask.request_id


FACE = Face(
    id="deepseek",
    title="DeepSeek",
    account=DeepSeekAccount,
    endpoints=(Endpoint("/user/balance", balance), Endpoint("/models", models), *inference.DEEPSEEK),
    keys={"sim-deepseek-key": Key("key")},
    credential=bearer,
    admit=admit,
    refuse=refuse,
    dress=dress,
    money_fields=frozenset({"total_balance"}),
)
