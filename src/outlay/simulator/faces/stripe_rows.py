"""Stripe's objects as it writes them: movements of the balance, invoices, meters, summaries."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

from outlay.simulator.worlds.stripe import Row
from outlay.simulator.worlds.stripe_sales import Bill, Contract, Meter, lines_of

LINES_EMBEDDED = 10
"""An invoice comes with its first lines alone."""
_NULLS = (
    "account_country", "account_name", "account_tax_ids", "application", "automatically_finalizes_at", "custom_fields",
    "customer_account", "customer_address", "customer_email", "customer_phone", "customer_shipping",
    "default_payment_method", "default_source", "description", "due_date", "effective_at", "footer", "from_invoice",
    "last_finalization_error", "latest_revision", "next_payment_attempt", "on_behalf_of", "parent", "receipt_number",
    "rendering", "shipping_details", "statement_descriptor", "test_clock", "total_discount_amounts",
    "total_pretax_credit_amounts", "webhooks_delivered_at",
)  # fmt: skip


def movement(row: Row, now: int) -> dict[str, Any]:
    """Return a movement of the balance; it is pending for two days and available afterwards."""
    available_on = row.created + 172_800
    parts = [
        {"amount": part.amount, "application": part.application, "currency": row.currency,
         "description": part.description, "type": part.type}
        for part in row.parts
    ]  # fmt: skip
    return {
        "id": row.id, "object": "balance_transaction", "amount": row.amount, "available_on": available_on,
        "balance_type": "payments", "created": row.created, "currency": row.currency, "description": row.description,
        "exchange_rate": None, "fee": row.fee, "fee_details": parts, "net": row.amount - row.fee,
        "reporting_category": row.category, "source": row.source,
        "status": "pending" if available_on > now else "available", "type": row.type,
    }  # fmt: skip


def invoice(bill: Bill, root: str = "/v1/invoices") -> dict[str, Any]:
    """Return an invoice with its first lines."""
    lines = lines_of(bill)
    paid = bill.total if bill.status == "paid" else 0
    before = bill.credited if bill.status == "open" else 0
    due = max(bill.total - before, 0)
    embedded = {"object": "list", "data": lines[:LINES_EMBEDDED], "has_more": len(lines) > LINES_EMBEDDED,
                "url": f"{root}/{bill.id}/lines"}  # fmt: skip
    shipping = {"amount_subtotal": bill.shipping, "amount_tax": bill.shipping_tax,
                "amount_total": bill.shipping + bill.shipping_tax, "shipping_rate": None}  # fmt: skip
    return {
        **dict.fromkeys(_NULLS),
        "id": bill.id, "object": "invoice", "amount_due": due, "amount_overpaid": 0, "amount_paid": max(paid, 0),
        "amount_remaining": due - max(paid, 0), "amount_shipping": bill.shipping, "attempt_count": 0,
        "attempted": paid > 0,
        "automatic_tax": {"disabled_reason": None, "enabled": False, "liability": None, "provider": None,
                          "status": None},
        "billing_reason": "manual", "collection_method": "charge_automatically", "created": bill.created,
        "currency": bill.currency, "customer": bill.customer.id, "customer_name": bill.customer.name,
        "customer_tax_exempt": "none", "default_tax_rates": [], "discounts": [], "ending_balance": None,
        "issuer": {"type": "self"}, "lines": embedded, "livemode": True, "metadata": {},
        "number": None if bill.status == "draft" else bill.number,
        "payment_settings": {"default_mandate": None, "payment_method_options": None, "payment_method_types": None},
        "period_start": bill.created - 2_592_000, "period_end": bill.created,
        "post_payment_credit_notes_amount": bill.credited - before, "pre_payment_credit_notes_amount": before,
        "shipping_cost": shipping if bill.shipping else None, "starting_balance": 0, "status": bill.status,
        "status_transitions": {"finalized_at": None if bill.status == "draft" else bill.created,
                               "marked_uncollectible_at": None, "paid_at": None, "voided_at": None},
        "subtotal": sum(line.amount for line in bill.lines), "subtotal_excluding_tax": None, "total": bill.total,
        "total_excluding_tax": bill.net, "total_taxes": [],
    }  # fmt: skip


def preview(found: Contract, bill: Bill, token: str) -> dict[str, Any]:
    """Return a subscription's next invoice, which has an id of its own each time it is asked for."""
    subscription = {"metadata": {}, "subscription": found.id}
    return {
        **invoice(bill), "id": f"upcoming_in_{token}", "number": None, "status": "draft",
        "billing_reason": "upcoming", "next_payment_attempt": bill.created + 3600,
        "parent": {"quote_details": None, "subscription_details": subscription, "type": "subscription_details"},
    }  # fmt: skip


def subscription(found: Contract) -> dict[str, Any]:
    """Return the part of a subscription that the simulator knows."""
    return {
        "id": found.id, "object": "subscription", "created": 1_750_000_000, "customer": found.customer.id,
        "livemode": True, "metadata": {}, "status": found.status,
    }  # fmt: skip


def meter(found: Meter) -> dict[str, Any]:
    """Return a meter."""
    return {
        "id": found.id, "object": "billing.meter", "created": 1_700_000_000,
        "customer_mapping": {"event_payload_key": "stripe_customer_id", "type": "by_id"},
        "default_aggregation": {"formula": found.formula}, "display_name": found.title, "event_name": found.event,
        "event_time_window": None, "livemode": True, "status": "active" if found.active else "inactive",
        "status_transitions": {"deactivated_at": None if found.active else 1_760_000_000}, "updated": 1_760_000_000,
        "value_settings": {"event_payload_key": "value"},
    }  # fmt: skip


def summary(found: Meter, start: int, used: Decimal) -> dict[str, Any]:
    """Return a customer's day on a meter; it names neither the customer nor a unit."""
    return {
        "id": f"mtrusg_{start}", "object": "billing.meter_event_summary", "aggregated_value": used,
        "start_time": start, "end_time": start + 86_400, "livemode": True, "meter": found.id,
    }  # fmt: skip
