"""Every error this package raises, sorted by what the caller should do about it.

OutlayError
├── ConfigError                the user changes a setting or an argument; nothing was fetched     exit 2
│   ├── CredentialMissingError the user provides the credential that a connection names
│   └── PricesError            the user corrects a price list of their own
├── ProviderError              one connection said no; the others go on                           exit 3, after all ran
│   ├── RetryLaterError        the same request may work later: back off, then give up
│   ├── AccessDeniedError      the vendor refuses the key: stop this connection
│   │   └── PermissionMissingError  the key is right but may not read this: stop this dataset
│   ├── NotOfferedError        this plan or account has no such endpoint: noted, not a failure
│   ├── OutOfQuotaError        the account's own quota is used up until it resets
│   ├── GoneError              the vendor retired the endpoint: update Outlay
│   ├── RequestRefusedError    the vendor calls our request wrong: report it
│   ├── UnreachableError       no answer at all: network, proxy, certificate, name
│   ├── PayloadError           the answer fits no known shape: keep what was there, skip the partition
│   └── TermsMissingError      fees are worked out from terms the user enters, and there are none for it
├── StoreError                 the ledger cannot be read or written; nothing half-written remains  exit 4
│   ├── LedgerVersionError     the ledger was written by a newer Outlay
│   └── LedgerBusyError        another process holds the lease on a connection
└── BugError                   an invariant of ours is broken                                     exit 1
    ├── CurrencyMixError       two currencies met in one sum
    └── BasisMixError          facts of different basis, or a part and its whole, met in one sum
"""

from __future__ import annotations

import enum
from typing import ClassVar


class Exit(enum.IntEnum):
    """Say how a command ended, for scripts."""

    DONE = 0
    """Everything asked for was done."""
    BUG = 1
    """Outlay itself failed; please report it."""
    USAGE = 2
    """The user's input or configuration is wrong; nothing was done."""
    PROVIDER = 3
    """At least one connection failed; the others are done."""
    STORE = 4
    """The ledger could not be read or written."""
    CROSSED = 5
    """`--check` was asked and a budget or limit is crossed."""


class OutlayError(Exception):
    """Base of all errors; `code` is stable, `hint` tells the user what to do."""

    code: ClassVar[str] = "error"
    exit: ClassVar[Exit] = Exit.BUG
    default_hint: ClassVar[str] = "Run the command again with --help for how it is used."

    def __init__(self, message: str, *, hint: str | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint or self.default_hint


class ConfigError(OutlayError):
    """A setting, an argument or the configuration file is wrong."""

    code = "config"
    exit = Exit.USAGE
    default_hint = "Correct the setting named above; `outlay init` writes a fresh file."


class CredentialMissingError(ConfigError):
    """The credential a connection names cannot be found."""

    code = "credential_missing"
    default_hint = "Set the environment variable or file that the connection's `credential` names."


class PricesError(ConfigError):
    """A price list cannot be read as it is written."""

    code = "prices"
    default_hint = "Correct the list at the place named above; docs/prices.md tells the format."


class ProviderError(OutlayError):
    """One connection's vendor said no, or said something unusable."""

    code = "provider"
    exit = Exit.PROVIDER
    default_hint = "Run `outlay doctor` for this connection."

    def __init__(
        self,
        message: str,
        *,
        hint: str | None = None,
        status: int | None = None,
        request_id: str | None = None,
    ) -> None:
        super().__init__(message, hint=hint)
        self.status = status
        self.request_id = request_id


class RetryLaterError(ProviderError):
    """The vendor asks for patience, or failed on its side."""

    code = "retry_later"
    default_hint = "Nothing to change: the next sync asks again."

    def __init__(
        self,
        message: str,
        *,
        hint: str | None = None,
        status: int | None = None,
        request_id: str | None = None,
        retry_after_seconds: float | None = None,
    ) -> None:
        super().__init__(message, hint=hint, status=status, request_id=request_id)
        self.retry_after_seconds = retry_after_seconds


class AccessDeniedError(ProviderError):
    """The vendor does not accept the key."""

    code = "access_denied"
    default_hint = "Create a new key of the kind the provider's page names and update the connection's credential."


class PermissionMissingError(AccessDeniedError):
    """The key is accepted but may not read this."""

    code = "permission_missing"
    default_hint = "Give the key the permission named above, or leave the dataset out with `datasets = [...]`."


class NotOfferedError(ProviderError):
    """This plan or account has no such endpoint."""

    code = "not_offered"
    default_hint = "Nothing to do unless your plan should include it; it is noted, not counted as a failure."


class OutOfQuotaError(ProviderError):
    """The account's own quota is used up until it resets."""

    code = "out_of_quota"
    default_hint = "Wait for the quota to reset or raise it at the vendor."


class GoneError(ProviderError):
    """The vendor retired the endpoint."""

    code = "gone"
    default_hint = "Update Outlay; if it is up to date, report it."


class RequestRefusedError(ProviderError):
    """The vendor calls the request itself wrong."""

    code = "request_refused"
    default_hint = "Check the connection's options; if they are right, report it with the request id."


class UnreachableError(ProviderError):
    """No answer came: network, proxy, certificate or host name."""

    code = "unreachable"
    default_hint = "Check the network, the proxy variables, the CA bundle and the connection's base_url."


class PayloadError(ProviderError):
    """The answer fits no known shape."""

    code = "payload_unreadable"
    default_hint = "Nothing was overwritten. Update Outlay; if it is up to date, report the endpoint and the field."


class TermsMissingError(ProviderError):
    """No endpoint states these costs, and no terms were entered to work them out from."""

    code = "terms_missing"
    default_hint = "Enter the fees you have agreed on with `outlay enter fee-terms`, for each currency you are paid in."


class StoreError(OutlayError):
    """The ledger cannot be read or written."""

    code = "store"
    exit = Exit.STORE
    default_hint = "Check the folder's permissions and free space; what was committed before is intact."


class LedgerVersionError(StoreError):
    """The ledger was written by a newer Outlay."""

    code = "ledger_version"
    default_hint = "Update Outlay to at least the version that wrote this ledger."


class LedgerBusyError(StoreError):
    """Another process holds the lease on a connection."""

    code = "ledger_busy"
    default_hint = "Wait for the other sync to end; its lease expires by itself if it died."


class BugError(OutlayError):
    """An invariant of Outlay is broken."""

    code = "bug"
    exit = Exit.BUG
    default_hint = "Please report this with the command you ran."


class CurrencyMixError(BugError):
    """Two currencies met in one sum."""

    code = "currency_mix"


class BasisMixError(BugError):
    """Facts of different basis, or a part and its whole, met in one sum."""

    code = "basis_mix"
