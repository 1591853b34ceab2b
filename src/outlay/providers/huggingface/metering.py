"""How answers of Hugging Face's router are metered: the OpenAI kind, served by one of many inference providers."""

from __future__ import annotations

from collections.abc import Iterator

from msgspec.structs import replace

from outlay.providers.completions import completions
from outlay.providers.huggingface.totals import INFERENCE
from outlay.providers.metering import Counted, Metered, Metering, Seen

_SERVED_BY = "x-inference-provider"
_POLICIES = frozenset({"fastest", "cheapest", "preferred", "auto"})


def routed(seen: Seen) -> Iterator[Counted]:
    """Count a routed completion under the model asked for and who served it, `model:provider`, as prices differ by it.

    Null: without the header that tells who served it, the model is what was asked for.
    """
    for counted in completions(seen):
        asked, _, suffix = (seen.model or counted.model or "").partition(":")
        served = seen.headers.get(_SERVED_BY) or (suffix if suffix not in _POLICIES else "")
        model = f"{asked}:{served}" if asked and served else asked
        yield replace(counted, model=model or None)


METERING = Metering(
    hosts=("router.huggingface.co",),
    calls=tuple(
        Metered(operation, path, routed, headers_read=(_SERVED_BY,), model_field="model")
        for operation, path in (
            ("chat", "/v1/chat/completions"),
            ("responses", "/v1/responses"),
            ("embeddings", "/v1/embeddings"),
        )
    ),
    service_name=INFERENCE,
    usage_dataset="usage",
)
