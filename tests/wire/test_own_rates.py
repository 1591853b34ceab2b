"""An endpoint with a stricter quota waits for it alone."""

from __future__ import annotations

import asyncio

from outlay.providers.base import Rate
from wire.vendor import PERIOD, Script, Time, endpoint_with, page, wire, with_


def test_an_endpoint_keeps_its_own_quota_beside_the_providers() -> None:
    """The third request within the endpoint's window waits; another endpoint does not, and the provider's holds too."""
    time = Time()
    vendor = with_(rates=(Rate(4, 10),))
    strict, other = endpoint_with(name="strict", rates=(Rate(2, 60),)), endpoint_with(name="other")
    moments: list[float] = []

    async def ask() -> None:
        async with wire(Script([page("1") for _ in range(8)]), time, vendor) as over:
            for endpoint in (strict, strict, other, other, other, strict):
                _ = [answer async for answer in over.ask("costs", endpoint, PERIOD)]
                moments.append(time.seconds)

    asyncio.run(ask())
    assert moments[:4] == [moments[0]] * 4
    assert 10 <= moments[4] - moments[0] < 60
    assert moments[5] - moments[0] >= 60
