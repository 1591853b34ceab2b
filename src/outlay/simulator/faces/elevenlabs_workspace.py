"""ElevenLabs' subscription, people, groups and service accounts."""

from __future__ import annotations

from typing import Any, cast

from outlay.simulator.faces.base import Answer, Ask, to_json
from outlay.simulator.worlds.elevenlabs import ElevenLabsAccount


def _short(account: ElevenLabsAccount) -> dict[str, Any]:
    """Return the part of a subscription that is also nested in the user."""
    free = account.plot.empty
    return {
        "tier": "free" if free else "creator",
        "character_count": account.used,
        "character_limit": account.limit,
        "max_credit_limit_extension": account.extension,
        "can_extend_character_limit": not free,
        "allowed_to_extend_character_limit": not free,
        "next_character_count_reset_unix": account.reset,
        "voice_slots_used": 0 if free else 4,
        "professional_voice_slots_used": 0 if free else 1,
        "professional_voice_slots_used_in_workspace": 0 if free else 1,
        "voice_limit": 3 if free else 30,
        "max_voice_add_edits": None if free else 95,
        "voice_add_edit_counter": 0 if free else 2,
        "professional_voice_limit": 0 if free else 1,
        "can_extend_voice_limit": False,
        "can_use_instant_voice_cloning": not free,
        "can_use_professional_voice_cloning": not free,
        "currency": None if free else account.currency,
        "current_overage": {"amount": f"{account.overage:f}", "currency": account.currency},
        "status": "free" if free else "active",
        "billing_period": None if free else "annual_period",
        "character_refresh_period": None if free else "monthly_period",
    }


def subscription(ask: Ask) -> Answer:
    """Answer the subscription: two open invoices are alike but for nothing, and the next one is a forecast."""
    ask.query.finish()
    account = cast(ElevenLabsAccount, ask.account)
    open_invoices = [] if account.plot.empty else [_bill(2640, -1), _bill(2640, -1), _bill(900, account.reset or -1)]
    said = _short(account) | {
        "next_invoice": None if account.plot.empty else _bill(26_400, account.reset or -1),
        "open_invoices": open_invoices,
        "has_open_invoices": bool(open_invoices),
        "pending_change": None,
    }
    return Answer(to_json(said))


def _bill(cents: int, attempt: int) -> dict[str, Any]:
    tax = cents // 6
    return {
        "amount_due_cents": cents,
        "subtotal_cents": cents - tax,
        "tax_cents": tax,
        "discounts": [],
        "next_payment_attempt_unix": attempt,
        "payment_intent_statusses": ["requires_payment_method"] if attempt < 0 else [],
    }


def user(ask: Ask) -> Answer:
    """Answer the key's owner with the shorter subscription."""
    ask.query.finish()
    account = cast(ElevenLabsAccount, ask.account)
    return Answer(
        to_json(
            {
                "user_id": account.user_id,
                "workspace_id": account.id,
                "subscription": _short(account),
                "is_new_user": False,
                "can_use_delayed_payment_methods": False,
                "is_onboarding_completed": True,
                "is_onboarding_checklist_completed": True,
                "first_name": None,
                "created_at": 1_700_000_000,
                "seat_type": "workspace_admin",
            }
        )
    )


def members(ask: Ask) -> Answer:
    """Answer the people of the workspace."""
    ask.query.finish()
    account = cast(ElevenLabsAccount, ask.account)
    return Answer(
        to_json(
            [
                {
                    "user_id": user_id,
                    "email": f"member{n}@example.com",
                    "first_name": name,
                    "seat_type": "workspace_member",
                    "is_owner": n == 0,
                    "is_locked": locked,
                }
                for n, (user_id, name, locked) in enumerate(account.members)
            ]
        )
    )


def groups(ask: Ask) -> Answer:
    """Answer the groups by their ids; caps may be a number, "unlimited" or null."""
    ask.query.finish()
    account = cast(ElevenLabsAccount, ask.account)
    found = {
        group: {"id": group, "members": [], "group_pvc_limit": None, **caps} for group, caps in account.groups.items()
    }
    return Answer(to_json(found))


def service_accounts(ask: Ask) -> Answer:
    """Answer service accounts with their keys, of which one has a cap."""
    ask.query.finish()
    account = cast(ElevenLabsAccount, ask.account)
    owner = account.plot.name("", "service", length=28)
    keys = [
        {
            "name": f"Key {n}",
            "hint": f"...{n}",
            "key_id": account.plot.name("", "key id", n, length=24),
            "service_account_user_id": owner,
            "created_at_unix": 1_780_000_000,
            "is_disabled": False,
            "permissions": ["text_to_speech"],
            "character_limit": 20_000 if n == 0 else None,
            "character_count": 1_500,
            "hashed_xi_api_key": hashed,
        }
        for n, hashed in enumerate(account.keys)
    ]
    found = [{"service_account_user_id": owner, "name": "Pipeline", "created_at_unix": None, "api-keys": keys}]
    return Answer(to_json({"service-accounts": [] if account.plot.empty else found}))
