"""What a long run must have reached: every outcome that an operation can come to, each at least once."""

from typing import Final

from protocol.events import Skip

_LEDGER: Final[dict[str, str]] = {
    "deposit": "ZeroAddress ZeroAmount TransferFailed AmountTooLarge",
    "depositWithPermit": "ZeroAmount TransferFailed AmountTooLarge",
    "depositWithAuthorization": "ZeroAmount AmountTooLarge",
    "withdraw": "NotController ZeroAddress ZeroAmount InsufficientFree",
    "setBeneficiary": "NotController",
    "approveDelegate": "ZeroAddress",
    "close": "WrongOrder NotBuyerSide ReasonNotAllowed WrongState",
    "resign": "WrongOrder NotProvider WrongState",
    "acknowledge": "NotProvider WrongState DeadlinePassed",
    "commitClaim": "WrongOrder NotProvider NotClaimable WrongState DeadlinePassed",
    "claim": (
        "WrongOrder NotProvider NotClaimable WrongState DeadlineNotReached DeadlinePassed WrongCommitment WrongStart"
    ),
    "challenge": (
        "WrongOrder NotBuyerSide NotClaimable WrongState DeadlinePassed Guarded InsufficientFree ReceiptSignature"
    ),
    "rule": "WrongOrder NotArbiter WrongState DeadlinePassed RulingTooLarge",
    "finalise": "WrongOrder WrongState DeadlineNotReached",
}
_REGISTRY: Final[dict[str, str]] = {
    "attest": "ZeroAddress AlreadyUsed Expired TraitsOutOfRange AuditorSignature",
    "revoke": "NotAuditor",
    "setProfile": "UriTooLong",
}
_TOKEN: Final = (
    "ERC3009InvalidSignature ERC3009InvalidAuthorizationTime ERC3009UsedAuthorization ERC20InsufficientBalance"
)
_DONE: Final[dict[str, tuple[str, ...]]] = {
    "closeLast": ("", ", by both sides"),
    "claim": ("", ", from a checkpoint", ", revealed"),
    "challenge": (", claim", ", usage receipt"),
    "rule": (", agreement", ", provider wins", ", buyer wins"),
    "finalise": (", arbiter silent", ", claim", ", notice over", ", notice over, penalty", ", unrevealed"),
}
_LAST_SKIPS: Final = (
    Skip.UNKNOWN_LEASE, Skip.LEASE_CLOSED, Skip.VOUCHER_SIGNATURE, Skip.VOUCHER_STALE, Skip.NOT_LAST, Skip.WRONG_ORDER
)  # fmt: skip
_SKIPS: Final[dict[str, tuple[Skip, ...]]] = {
    "open": tuple(skip for skip in Skip if skip is not Skip.NONE and skip not in _LAST_SKIPS),
    "redeem": _LAST_SKIPS[:4],
    "closeLast": _LAST_SKIPS,
}
_PLAIN: Final = ("cancel", "bumpEpoch", "open", "redeem")

UNREACHABLE: Final = {
    "ComputeLedger_TransferFailed of withdraw": "the test token never fails to send what the ledger has",
    "ComputeLedger_NoticeOutOfRange": "only at deployment",
    "ComputeLedger_CommitmentExpected": "declared, used nowhere",
}
"""Errors of the interface that no operation here can meet."""


def reachable() -> set[tuple[str, str]]:
    """(operation, outcome)"""
    found = {(name, f"ComputeLedger_{error}") for name, errors in _LEDGER.items() for error in errors.split()}
    found |= {(name, f"ProviderRegistry_{error}") for name, errors in _REGISTRY.items() for error in errors.split()}
    found |= {("depositWithAuthorization", error) for error in _TOKEN.split()}
    found |= {(name, skip.name) for name, skips in _SKIPS.items() for skip in skips}
    for name in (*_LEDGER, *_REGISTRY, *_PLAIN, "closeLast"):
        found |= {(name, f"done{kind}") for kind in _DONE.get(name, ("",))}
    return found
