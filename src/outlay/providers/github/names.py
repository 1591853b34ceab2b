"""What GitHub's billing words mean: products, SKUs under two spellings, units, licences, repositories.

Source: https://docs.github.com/en/billing/reference/product-and-sku-names
"""

from __future__ import annotations

import re
from collections.abc import Mapping

from outlay.providers.base import Service

SERVICES: Mapping[str, Service] = {
    "GitHub Actions": Service("Developer Tools", "Continuous Integration and Deployment"),
    "Packages": Service("Storage", "Object Storage"),
    "Codespaces": Service("Developer Tools", "Development Environments"),
    "Copilot": Service("AI and Machine Learning", "Generative AI"),
    "Spark": Service("AI and Machine Learning", "Generative AI"),
    "Models": Service("AI and Machine Learning", "Generative AI"),
    "Sandbox": Service("Compute", "Containers"),
    "Advanced Security": Service("Security", "Security Posture Management"),
    "Enterprise Cloud": Service("Developer Tools", "Source Code Management"),
    "Team seats": Service("Developer Tools", "Source Code Management"),
    "Git LFS": Service("Developer Tools", "Source Code Management"),
}

CURRENCY = "USD"
UPDATE = "Nothing was overwritten. Update Outlay; if it is up to date, report it."
COST_CENTER_TAG = "github/cost_center"
"""The tag under which charges and measurements of an enterprise carry their cost centre's id."""

_PRODUCTS = {
    "actions": "GitHub Actions",
    "packages": "Packages",
    "codespaces": "Codespaces",
    "copilot": "Copilot",
    "copilot ai credits": "Copilot",
    "spark": "Spark",
    "models": "Models",
    "sandbox": "Sandbox",
    "ghas": "Advanced Security",
    "advanced security": "Advanced Security",
    "ghec": "Enterprise Cloud",
    "team": "Team seats",
    "team seats": "Team seats",
    "git lfs": "Git LFS",
}

_SKU_ID = re.compile(
    r"actions_(?:(?:linux|windows|macos)(?:_\w+)?|(?:cache_|custom_image_)?storage)"
    r"|codespaces_(?:compute_d\d+|storage|prebuild_storage)"
    r"|copilot_(?:ai_credits|enterprise|for_business|standalone|premium_requests?)"
    r"|ghas_(?:\w+_)?licenses|ghec_licenses|git_lfs_(?:bandwidth|storage)|models_inference"
    r"|packages_(?:bandwidth|storage)|sandbox_(?:linux|memory|snapshot)|spark_(?:ai_credits|premium_requests?)"
)
_ALIASES = {
    "actions_linux_runners": "actions_linux",
    "actions_macos_runners": "actions_macos",
    "actions_windows_runners": "actions_windows",
    "actions_macos_large": "actions_macos_l",
    "copilot_business": "copilot_for_business",
    "github_enterprise_cloud": "ghec_licenses",
    "copilot_premium_request": "copilot_premium_requests",
    "spark_premium_request": "spark_premium_requests",
    "packages_data_transfer": "packages_bandwidth",
    **{f"codespaces_compute_{cores}_core": f"codespaces_compute_d{cores}" for cores in (2, 4, 8, 16, 32)},
}

_UNITS = {
    **dict.fromkeys(("minute", "minutes"), "minutes"),
    **dict.fromkeys(("hour", "hours"), "hours"),
    **dict.fromkeys(("gigabyte", "gigabytes", "gb"), "gb"),
    **dict.fromkeys(("gigabytehour", "gigabytehours", "gbhour", "gbhours"), "gb_hours"),
    **dict.fromkeys(("request", "requests"), "requests"),
    **dict.fromkeys(("credit", "credits", "aicredit", "aicredits"), "ai_credits"),
    **dict.fromkeys(("usermonth", "usermonths"), "user_months"),
    **dict.fromkeys(("seat", "seats"), "seats"),
}

_LICENCES = ("copilot_for_business", "copilot_enterprise", "copilot_standalone")
_LICENCE_PRODUCTS = ("ghas", "ghec")


def service_name(product: str) -> str:
    """Return a product's service; one that is not known keeps its name."""
    return _PRODUCTS.get(product.strip().lower().replace("_", " "), product)


def sku_id(sku: str) -> str:
    """Return the machine id of a SKU that may come as its display name; one that is not known is kept verbatim."""
    slug = re.sub(r"[^a-z0-9]+", "_", sku.lower()).strip("_")
    slug = _ALIASES.get(slug, slug)
    return slug if _SKU_ID.fullmatch(slug) else sku


def unit(unit_type: str) -> str:
    """Return the unit in the ledger's spelling; a word that is not known is kept verbatim."""
    return _UNITS.get(re.sub(r"[^a-z]", "", unit_type.lower()), unit_type)


def is_licence(product: str | None, sku: str | None) -> bool:
    """Tell whether people are counted and not use: such a charge is a purchase, such a budget counts licences."""
    if sku is not None and (sku.endswith("_licenses") or sku in _LICENCES):
        return True
    return product is not None and product.strip().lower() in _LICENCE_PRODUCTS


def repository(name: str | None, owner: str | None) -> str | None:
    """Return a repository as `owner/name`; personal accounts send the bare name."""
    if not name:
        return None
    return name if "/" in name or not owner else f"{owner}/{name}"
