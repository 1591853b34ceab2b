"""The simulated vendors: one more is one more module and one more entry here."""

from __future__ import annotations

from outlay.simulator.faces import (
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
from outlay.simulator.faces.base import Face

FACES: dict[str, Face] = {
    face.id: face
    for face in (
        openai.FACE,
        anthropic.FACE,
        github.FACE,
        elevenlabs.FACE,
        huggingface.FACE,
        deepseek.FACE,
        stripe.FACE,
        lemonsqueezy.FACE,
        supabase.FACE,
        railway.FACE,
        groq.FACE,
        google.FACE,
        brave.FACE,
    )
}
