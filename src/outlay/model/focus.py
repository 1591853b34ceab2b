"""The FOCUS Cost and Usage columns, 1.2 to 1.4, as one list from which the charge table and every export derive.

Source: FinOps Open Cost and Usage Specification 1.2, 1.3 and 1.4, dataset Cost and Usage.
"""

from __future__ import annotations

import msgspec

VERSIONS = ("1.2", "1.3", "1.4")
DEFAULT_VERSION = "1.3"


class Column(msgspec.Struct, frozen=True):
    """One FOCUS column: its type and its level (M mandatory, C conditional, R recommended, "" absent) per version."""

    name: str
    type: str
    """`string`, `decimal`, `datetime` or `json`."""
    levels: dict[str, str]
    nullable: bool = True

    def level(self, version: str) -> str:
        """Return the column's level in a version, "" where the version does not have it."""
        return self.levels[version]


def _column(name: str, type_: str, v12: str, v13: str, v14: str, *, nullable: bool = True) -> Column:
    return Column(name, type_, {"1.2": v12, "1.3": v13, "1.4": v14}, nullable)


COLUMNS = (
    _column("AllocatedMethodDetails", "json", "", "R", "R"),
    _column("AllocatedMethodId", "string", "", "C", "C"),
    _column("AllocatedResourceId", "string", "", "C", "C"),
    _column("AllocatedResourceName", "string", "", "C", "C"),
    _column("AllocatedTags", "json", "", "C", "C"),
    _column("AvailabilityZone", "string", "R", "R", "R"),
    _column("BilledCost", "decimal", "M", "M", "M", nullable=False),
    _column("BillingAccountId", "string", "M", "M", "M", nullable=False),
    _column("BillingAccountName", "string", "M", "M", "M"),
    _column("BillingAccountType", "string", "C", "C", "C", nullable=False),
    _column("BillingCurrency", "string", "M", "M", "M", nullable=False),
    _column("BillingPeriodEnd", "datetime", "M", "M", "M", nullable=False),
    _column("BillingPeriodStart", "datetime", "M", "M", "M", nullable=False),
    _column("CapacityReservationId", "string", "C", "C", "C"),
    _column("CapacityReservationStatus", "string", "C", "C", "C"),
    _column("ChargeCategory", "string", "M", "M", "M", nullable=False),
    _column("ChargeClass", "string", "M", "M", "M"),
    _column("ChargeDescription", "string", "M", "M", "M"),
    _column("ChargeFrequency", "string", "R", "R", "R", nullable=False),
    _column("ChargePeriodEnd", "datetime", "M", "M", "M", nullable=False),
    _column("ChargePeriodStart", "datetime", "M", "M", "M", nullable=False),
    _column("CommitmentDiscountCategory", "string", "C", "C", "C"),
    _column("CommitmentDiscountId", "string", "C", "C", "C"),
    _column("CommitmentDiscountName", "string", "C", "C", "C"),
    _column("CommitmentDiscountQuantity", "decimal", "C", "C", "C"),
    _column("CommitmentDiscountStatus", "string", "C", "C", "C"),
    _column("CommitmentDiscountType", "string", "C", "C", "C"),
    _column("CommitmentDiscountUnit", "string", "C", "C", "C"),
    _column("CommitmentProgramEligibilityDetails", "json", "", "", "C"),
    _column("ConsumedQuantity", "decimal", "C", "C", "C"),
    _column("ConsumedUnit", "string", "C", "C", "C"),
    _column("ContractApplied", "json", "", "C", "C"),
    _column("ContractedCost", "decimal", "M", "M", "M", nullable=False),
    _column("ContractedUnitPrice", "decimal", "C", "C", "C"),
    _column("EffectiveCost", "decimal", "M", "M", "M", nullable=False),
    _column("HostProviderName", "string", "", "M", "M"),
    _column("InvoiceDetailId", "string", "", "", "C"),
    _column("InvoiceId", "string", "R", "R", "C"),
    _column("InvoiceIssuerName", "string", "M", "M", "M", nullable=False),
    _column("ListCost", "decimal", "M", "M", "M", nullable=False),
    _column("ListUnitPrice", "decimal", "C", "C", "C"),
    _column("PricingCategory", "string", "C", "C", "C"),
    _column("PricingCurrency", "string", "C", "C", "C", nullable=False),
    _column("PricingCurrencyContractedUnitPrice", "decimal", "C", "C", "C"),
    _column("PricingCurrencyEffectiveCost", "decimal", "C", "C", "C", nullable=False),
    _column("PricingCurrencyListUnitPrice", "decimal", "C", "C", "C"),
    _column("PricingQuantity", "decimal", "M", "M", "M"),
    _column("PricingUnit", "string", "M", "M", "M"),
    _column("ProviderName", "string", "M", "M", ""),
    _column("PublisherName", "string", "M", "M", ""),
    _column("RegionId", "string", "C", "C", "C"),
    _column("RegionName", "string", "C", "C", "C"),
    _column("ResourceId", "string", "C", "C", "C"),
    _column("ResourceName", "string", "C", "C", "C"),
    _column("ResourceType", "string", "C", "C", "C"),
    _column("ServiceCategory", "string", "M", "M", "M", nullable=False),
    _column("ServiceName", "string", "M", "M", "M", nullable=False),
    _column("ServiceProviderName", "string", "", "M", "M", nullable=False),
    _column("ServiceSubcategory", "string", "R", "R", "R", nullable=False),
    _column("SkuId", "string", "C", "C", "C"),
    _column("SkuMeter", "string", "C", "C", "C"),
    _column("SkuPriceDetails", "json", "C", "C", "C"),
    _column("SkuPriceId", "string", "C", "C", "C"),
    _column("SubAccountId", "string", "C", "C", "C"),
    _column("SubAccountName", "string", "C", "C", "C"),
    _column("SubAccountType", "string", "C", "C", "C"),
    _column("Tags", "json", "C", "C", "C"),
)
"""All 67 columns in the order they are written."""


def columns(version: str) -> tuple[Column, ...]:
    """Return the columns a version has."""
    return tuple(column for column in COLUMNS if column.level(version))


SERVICE_CATEGORIES: dict[str, tuple[str, ...]] = {
    "AI and Machine Learning": (
        "AI Platforms",
        "Bots",
        "Generative AI",
        "Machine Learning",
        "Natural Language Processing",
        "Other (AI and Machine Learning)",
    ),
    "Analytics": (
        "Analytics Platforms",
        "Business Intelligence",
        "Data Processing",
        "Search",
        "Streaming Analytics",
        "Other (Analytics)",
    ),
    "Business Applications": ("Productivity and Collaboration", "Other (Business Applications)"),
    "Compute": (
        "Containers",
        "End User Computing",
        "Quantum Compute",
        "Serverless Compute",
        "Virtual Machines",
        "Other (Compute)",
    ),
    "Databases": (
        "Caching",
        "Data Warehouses",
        "Ledger Databases",
        "NoSQL Databases",
        "Relational Databases",
        "Time Series Databases",
        "Other (Databases)",
    ),
    "Developer Tools": (
        "Developer Platforms",
        "Continuous Integration and Deployment",
        "Development Environments",
        "Source Code Management",
        "Quality Assurance",
        "Other (Developer Tools)",
    ),
    "Identity": ("Identity and Access Management", "Other (Identity)"),
    "Integration": ("API Management", "Messaging", "Workflow Orchestration", "Other (Integration)"),
    "Internet of Things": ("IoT Analytics", "IoT Platforms", "Other (Internet of Things)"),
    "Management and Governance": (
        "Architecture",
        "Compliance",
        "Cost Management",
        "Data Governance",
        "Disaster Recovery",
        "Endpoint Management",
        "Observability",
        "Support",
        "Other (Management and Governance)",
    ),
    "Media": ("Content Creation", "Gaming", "Media Streaming", "Mixed Reality", "Other (Media)"),
    "Migration": ("Data Migration", "Resource Migration", "Other (Migration)"),
    "Mobile": ("Other (Mobile)",),
    "Multicloud": ("Multicloud Integration", "Other (Multicloud)"),
    "Networking": (
        "Application Networking",
        "Content Delivery",
        "Network Connectivity",
        "Network Infrastructure",
        "Network Routing",
        "Network Security",
        "Other (Networking)",
    ),
    "Security": (
        "Secret Management",
        "Security Posture Management",
        "Threat Detection and Response",
        "Other (Security)",
    ),
    "Storage": (
        "Backup Storage",
        "Block Storage",
        "File Storage",
        "Object Storage",
        "Storage Platforms",
        "Other (Storage)",
    ),
    "Web": ("Application Platforms", "Other (Web)"),
    "Other": ("Other (Other)",),
}
"""ServiceCategory to its subcategories."""

SKU_PRICE_DETAIL_KEYS = frozenset(
    {
        "CoreCount",
        "DiskMaxIops",
        "DiskSpace",
        "DiskType",
        "GpuCount",
        "InstanceType",
        "InstanceSeries",
        "MemorySize",
        "NetworkMaxIops",
        "NetworkMaxThroughput",
        "OperatingSystem",
        "Redundancy",
        "StorageClass",
    }
)
"""Keys SkuPriceDetails may hold without the `x_` prefix."""
