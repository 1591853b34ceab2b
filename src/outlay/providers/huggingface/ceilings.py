"""Hugging Face's ceilings apart from the gauges: spend limits of resource groups, the ZeroGPU quota."""

from __future__ import annotations

from collections.abc import Iterator
from decimal import Decimal

from msgspec import Struct

from outlay.model.facts import Limit, LimitKind
from outlay.model.money import exact
from outlay.model.period import parse_time
from outlay.providers.base import Ask, Endpoint
from outlay.providers.huggingface.totals import EACH, NO_PLAN, NO_ROLE

_CENT = -2


class SpendLimits(Struct, rename="camel", gc=False):
    """Ceilings of a calendar month in whole cents; absent is none, 0 is a ceiling of nothing."""

    total: int | None = None
    inference_providers: int | None = None
    spaces: int | None = None
    jobs: int | None = None
    endpoints: int | None = None


class LimitedGroup(Struct, rename="camel", gc=False):
    """A resource group with its ceilings."""

    id: str
    name: str | None = None
    spend_limits: SpendLimits | None = None


def spend_limits(page: list[LimitedGroup], ask: Ask) -> Iterator[Limit]:
    """Turn spend limits into ceilings that stop work when they are reached.

    Units:  whole cents of a calendar month, unlike the other amounts.
    Source: https://huggingface.co/docs/hub/programmatic-user-access-control
    """
    for group in page:
        for name in SpendLimits.__struct_fields__:
            cents = None if group.spend_limits is None else getattr(group.spend_limits, name)
            if cents is not None:
                yield Limit(
                    name=f"{name}_spend", scope=f"resource_group:{group.id}", kind=LimitKind.SPEND, unit="USD",
                    quota=exact(Decimal(cents).scaleb(_CENT)), window="month", sub_account_id=ask.item, enforced=True,
                )  # fmt: skip


class Runs(Struct, rename="camel", gc=False):
    """Runs on ZeroGPU, with a reset of their own."""

    used: Decimal
    limit: Decimal
    remaining: Decimal | None = None
    resets_at: str | None = None


class ZeroGpu(Struct, rename="camel", gc=False):
    """ZeroGPU seconds: `base` is all of them and `current` what is LEFT of them."""

    base: Decimal
    current: Decimal
    resets_at: str | None = None
    overquota_used: Decimal | None = None
    runs: Runs | None = None


def zero_gpu(page: ZeroGpu, _ask: Ask) -> Iterator[Limit]:
    """Turn the ZeroGPU quota into ceilings.

    Units: seconds; runs. What is used beyond the quota is told beside it and not added: no one says whether it is in.
    Null:  there is no reset before the first use. Where more is left than there is, what is used is not known.
    """
    used, beyond = page.base - page.current, page.overquota_used
    known = used if used >= 0 else None
    yield _quota("zero_gpu", "seconds", page.base, known, page.current, page.resets_at, beyond)
    runs = page.runs
    if runs is not None:
        yield _quota("zero_gpu_runs", "count", runs.limit, runs.used, runs.remaining, runs.resets_at)


def _quota(
    name: str, unit: str, quota: Decimal, used: Decimal | None, left: Decimal | None, resets_at: str | None,
    beyond: Decimal | None = None,
) -> Limit:  # fmt: skip
    return Limit(
        name=name, scope="account", kind=LimitKind.QUOTA, unit=unit, quota=exact(quota),
        used=None if used is None else exact(used), remaining=None if left is None else exact(left), window="1 day",
        resets_at=parse_time(resets_at) if resets_at else None,
        details=None if beyond is None else {"overquotaUsed": format(beyond.normalize(), "f")},
    )  # fmt: skip


SPEND_LIMITS = Endpoint(
    name="spend_limits", path="/api/organizations/{name}/resource-groups", each=EACH, refusals=(*NO_ROLE, NO_PLAN),
    page=list[LimitedGroup], facts=spend_limits,
)  # fmt: skip
ZERO_GPU = Endpoint(name="zero_gpu", path="/api/spaces/zero-gpu/quota", page=ZeroGpu, facts=zero_gpu)
