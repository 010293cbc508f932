"""One operation as data: what goes to the model as values goes to the bytecode as calldata."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Final

from protocol.calls import encode_call, selector
from protocol.hashing import ZERO_HASH, Address
from protocol.ledger import accounts, claims, leases, opening, registry
from protocol.ledger.claims import ClaimTerms, StartVoucher
from protocol.ledger.leases import LastVoucher
from protocol.ledger.opening import Match, SignedOffer
from protocol.ledger.registry import Registry
from protocol.ledger.signing import SignedVoucher
from protocol.ledger.state import Call, Ledger, Outcome
from protocol.messages import words
from protocol.terms import Attestation, Order, UsageReceipt


@dataclass(frozen=True, slots=True)
class Operation:
    """A call of a contract."""

    #: the contract's function; closeLast, open and redeem carry batches
    name: str
    caller: Address
    #: unix seconds of its block
    time: int
    #: as the model's rule takes them
    arguments: tuple[Any, ...]


def _word(value: int | bool) -> bytes:
    return int(value).to_bytes(32, "big")


def _address(value: str) -> bytes:
    return bytes(12) + bytes.fromhex(value[2:])


def _bytes(data: bytes) -> bytes:
    return _word(len(data)) + data + bytes(-len(data) % 32)


def _array(items: Sequence[bytes]) -> bytes:
    """An array of dynamic items: count, places, items."""
    place, places = 32 * len(items), b""
    for item in items:
        places += _word(place)
        place += len(item)
    return _word(len(items)) + places + b"".join(items)


def _signed_offer(item: SignedOffer) -> bytes:
    return words(item.offer) + _word(17 * 32) + _bytes(item.signature)


def _match(item: Match) -> bytes:
    return words(item.order) + _word(34 * 32) + _word(item.fill) + _word(item.offer) + _bytes(item.signature)


def _voucher(voucher: SignedVoucher) -> bytes:
    return (
        _word(voucher.cumulative) + _word(voucher.last) + voucher.lease + voucher.result + voucher.signature
    )  # fmt: skip


def _last(item: LastVoucher) -> bytes:
    head = words(item.order) + _word(item.fill) + _voucher(item.voucher) + _word(39 * 32)
    return head + _bytes(item.provider_signature)


def _open(offers: Sequence[SignedOffer], matches: Sequence[Match], book_root: bytes) -> bytes:
    first = _array([_signed_offer(item) for item in offers])
    second = _array([_match(item) for item in matches])
    return _word(96) + _word(96 + len(first)) + book_root + first + second


def _redeem(vouchers: Sequence[SignedVoucher]) -> bytes:
    return _word(32) + _word(len(vouchers)) + b"".join(_voucher(voucher) for voucher in vouchers)


def _close_last(items: Sequence[LastVoucher]) -> bytes:
    return _word(32) + _array([_last(item) for item in items])


def _order_call(order: Order, fill: int, *values: int) -> bytes:
    return words(order) + _word(fill) + b"".join(_word(value) for value in values)


def _commit(order: Order, fill: int, commitment: bytes) -> bytes:
    return words(order) + _word(fill) + commitment


def _claim(order: Order, fill: int, terms: ClaimTerms, salt: bytes, start: StartVoucher | None) -> bytes:
    stated = _word(terms.work) + terms.result + terms.start + _word(terms.last)
    proof = _word(start.fill) + _voucher(start.voucher) if start else bytes(7 * 32)
    return words(order) + _word(fill) + stated + salt + proof


def _challenge(order: Order, fill: int, receipt: UsageReceipt | None, signature: bytes) -> bytes:
    said = words(receipt) if receipt else bytes(6 * 32)
    return words(order) + _word(fill) + said + _word(39 * 32) + _bytes(signature)


def _attest(attestation: Attestation, signature: bytes) -> bytes:
    return words(attestation) + _word(7 * 32) + _bytes(signature)


def _profile(metadata_hash: bytes, uri: str) -> bytes:
    return metadata_hash + _word(64) + _bytes(uri.encode())


def _vrs(signature: bytes) -> bytes:
    return _word(signature[64]) + signature[:64]


Encoder = Callable[..., bytes]
LEDGER_CALLS: Final[dict[str, tuple[Callable[..., Outcome], Encoder]]] = {
    "deposit": (accounts.deposit, lambda account, amount: _address(account) + _word(amount)),
    "depositWithPermit": (
        accounts.deposit_with_permit,
        lambda amount, until, signature: _word(amount) + _word(until) + _vrs(signature),
    ),
    "depositWithAuthorization": (
        accounts.deposit_with_authorization,
        lambda owner, amount, after, before, nonce, signature: (
            _address(owner) + _word(amount) + _word(after) + _word(before) + nonce + _vrs(signature)
        ),
    ),
    "withdraw": (accounts.withdraw, lambda account, to, amount: _address(account) + _address(to) + _word(amount)),
    "setBeneficiary": (accounts.set_beneficiary, lambda account, to: _address(account) + _address(to)),
    "approveDelegate": (
        accounts.approve_delegate,
        lambda key, cap, until: _address(key) + _word(cap) + _word(until),
    ),
    "cancel": (accounts.cancel, lambda digest: digest),
    "bumpEpoch": (accounts.bump_epoch, lambda: b""),
    "open": (opening.open_leases, _open),
    "redeem": (leases.redeem, _redeem),
    "close": (leases.close, _order_call),
    "resign": (leases.resign, _order_call),
    "acknowledge": (leases.acknowledge, lambda lease: lease),
    "closeLast": (leases.close_last, _close_last),
    "commitClaim": (claims.commit_claim, _commit),
    "claim": (claims.claim, _claim),
    "challenge": (claims.challenge, _challenge),
    "rule": (claims.rule, _order_call),
    "finalise": (claims.finalise, _order_call),
}
REGISTRY_CALLS: Final[dict[str, tuple[Callable[..., Outcome], Encoder]]] = {
    "attest": (registry.attest, _attest),
    "revoke": (registry.revoke, words),
    "setProfile": (registry.set_profile, _profile),
}
_SELECTORS: Final = {name: selector("ComputeLedger", name) for name in LEDGER_CALLS} | {
    name: selector("ProviderRegistry", name) for name in REGISTRY_CALLS
}


def is_registry(operation: Operation) -> bool:
    return operation.name in REGISTRY_CALLS


def calldata(operation: Operation) -> bytes:
    """What the contract is called with."""
    _, encoder = (LEDGER_CALLS | REGISTRY_CALLS)[operation.name]
    return _SELECTORS[operation.name] + encoder(*operation.arguments)


def apply(operation: Operation, call: Call, ledger: Ledger, words_of_auditors: Registry) -> Outcome:
    """What the model makes of it."""
    if is_registry(operation):
        return REGISTRY_CALLS[operation.name][0](words_of_auditors, call, *operation.arguments)
    return LEDGER_CALLS[operation.name][0](ledger, call, *operation.arguments)


def reference_calldata(operation: Operation) -> bytes:
    """The same by eth-abi and the committed ABI, for the test of the encoders above."""
    contract = "ProviderRegistry" if is_registry(operation) else "ComputeLedger"
    values = tuple(_plain(argument) for argument in operation.arguments)
    if operation.name == "claim" and operation.arguments[4] is None:
        values = (*values[:4], (0, (0, False, ZERO_HASH, ZERO_HASH, ZERO_HASH, ZERO_HASH)))
    if operation.name == "challenge" and operation.arguments[2] is None:
        values = (*values[:2], (ZERO_HASH, 0, 0, 0, ZERO_HASH, ZERO_HASH), values[3])
    if operation.name.startswith("depositWith"):
        signature = operation.arguments[-1]
        values = (*values[:-1], signature[64], signature[:32], signature[32:64])
    return encode_call(contract, operation.name, *values)


def _plain(value: Any) -> Any:
    if isinstance(value, (Order, UsageReceipt, Attestation)) or hasattr(value, "TYPES"):
        return tuple(getattr(value, name) for name in value.TYPES)
    if isinstance(value, SignedOffer):
        return (_plain(value.offer), value.signature)
    if isinstance(value, Match):
        return (_plain(value.order), value.signature, value.fill, value.offer)
    if isinstance(value, SignedVoucher):
        return (
            value.cumulative, value.last, value.lease, value.result, value.signature[:32], value.signature[32:]
        )  # fmt: skip
    if isinstance(value, LastVoucher):
        return (_plain(value.order), value.fill, _plain(value.voucher), value.provider_signature)
    if isinstance(value, ClaimTerms):
        return (value.work, value.result, value.start, value.last)
    if isinstance(value, StartVoucher):
        return (value.fill, _plain(value.voucher))
    if isinstance(value, (list, tuple)):
        return [_plain(item) for item in value]
    return value
