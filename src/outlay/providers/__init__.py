"""Every provider Outlay knows, as one explicit list."""

from __future__ import annotations

from outlay.providers import (
    anthropic,
    brave,
    deepseek,
    elevenlabs,
    github,
    google,
    groq,
    huggingface,
    lemonsqueezy,
    openai,
    railway,
    stripe,
    supabase,
)
from outlay.providers.base import Provider

PROVIDERS: tuple[Provider, ...] = (
    openai.PROVIDER,
    anthropic.PROVIDER,
    github.PROVIDER,
    elevenlabs.PROVIDER,
    huggingface.PROVIDER,
    deepseek.PROVIDER,
    stripe.PROVIDER,
    lemonsqueezy.PROVIDER,
    supabase.PROVIDER,
    railway.PROVIDER,
    groq.PROVIDER,
    brave.PROVIDER,
    google.PROVIDER,
)
