"""How DeepSeek's answers are metered: the OpenAI kind with cache hits of its own name, and the Anthropic kind."""

from __future__ import annotations

from outlay.providers.anthropic.metering import messages
from outlay.providers.completions import completions
from outlay.providers.deepseek.export import SERVICE
from outlay.providers.metering import Metered, Metering

METERING = Metering(
    hosts=("api.deepseek.com",),
    calls=(
        Metered("chat", "/chat/completions", completions, model_field="model"),
        Metered("responses", "/responses", completions, model_field="model"),
        Metered("completion", "/completions", completions, model_field="model"),
        Metered("chat", "/anthropic(?:/v1)?/messages", messages, model_field="model"),
    ),
    service_name=SERVICE,
)
