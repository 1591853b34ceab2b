"""The simulator's own paths under /_control: faults, restatements, the truth and the request log."""

from __future__ import annotations

from dataclasses import asdict
from datetime import date
from typing import Any

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from outlay.simulator.desk import Desk
from outlay.simulator.faces.base import to_json


def routes(desk: Desk) -> list[Route]:
    """Return the control routes of a desk."""

    async def faults(request: Request) -> Response:
        if request.method == "GET":
            return _json({"faults": desk.faults.active()})
        if request.method == "DELETE":
            desk.faults.clear()
            return Response(status_code=204)
        wish = await request.json()
        try:
            fault = desk.faults.add(wish.pop("kind", ""), **wish)
        except ValueError as error:
            return _json({"error": str(error)}, 400)
        return _json(asdict(fault), 201)

    async def fault(request: Request) -> Response:
        desk.faults.remove(request.path_params["id"])
        return Response(status_code=204)

    async def restate(request: Request) -> Response:
        wish = await request.json()
        if wish.get("provider") not in desk.faces or wish.get("kind", "up") not in {"up", "down", "nothing"}:
            return _json({"error": "provider and kind (up, down, nothing) are needed"}, 400)
        desk.world.restate(
            wish["provider"],
            date.fromisoformat(wish["day"]),
            wish.get("kind", "up"),
            wish.get("label", ""),
            scope=wish.get("scope"),
        )
        return Response(status_code=204)

    async def truth(request: Request) -> Response:
        wish = request.query_params
        if wish.get("provider") not in desk.faces:
            return _json({"error": f"provider is one of {', '.join(desk.faces)}"}, 400)
        start, end = (date.fromisoformat(wish[name]) if name in wish else None for name in ("from", "to"))
        by = tuple(filter(None, wish.get("by", "day,sub_account,sku").split(",")))
        rows = tuple(wish["rows"].split(",")) if "rows" in wish else None
        true = desk.world.truth(wish["provider"], wish.get("label", ""), scope=wish.get("scope"))
        return _json(
            {"rows": [_spend_row(by, key, spend) for key, spend in true.spend(by, start, end, rows=rows).items()]}
        )

    async def requests(request: Request) -> Response:
        if request.method == "DELETE":
            desk.requests.clear()
            return Response(status_code=204)
        return _json({"requests": [asdict(seen) for seen in desk.requests]})

    return [
        Route("/_control/faults", faults, methods=["GET", "POST", "DELETE"]),
        Route("/_control/faults/{id:int}", fault, methods=["DELETE"]),
        Route("/_control/restate", restate, methods=["POST"]),
        Route("/_control/truth", truth, methods=["GET"]),
        Route("/_control/requests", requests, methods=["GET", "DELETE"]),
    ]


def _spend_row(by: tuple[str, ...], key: tuple[Any, ...], spend: Any) -> dict[str, Any]:
    listed = None if spend.listed is None else format(spend.listed, "f")
    amounts = {"currency": spend.currency, "billed_cost": format(spend.billed, "f"), "list_cost": listed}
    return dict(zip(by, key, strict=True)) | amounts


def _json(value: object, status: int = 200) -> Response:
    return Response(to_json(value), status, media_type="application/json")
