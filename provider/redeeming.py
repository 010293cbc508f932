"""Redeems held vouchers by the provider's own transaction: a market that stops paying costs nothing but the gas."""

from typing import Any

from protocol.calls import signed_voucher
from protocol.events import LeaseState
from protocol.hashing import Address, checksum_address, from_hex
from protocol.messages import from_json
from protocol.rpc import Rpc
from protocol.terms import Voucher
from protocol.wallet import read, send
from protocol.wire.leases import SignedVoucher
from provider.joining import open_key
from provider.journal import all_journals
from provider.settings import AgentSettings


def redeem_vouchers(settings: AgentSettings) -> list[tuple[str, int]]:
    """(lease, base units paid by this) for each lease that paid; none if nothing is open.

    Raises `ChainError` if the operator key cannot pay the gas, or the node does not answer.
    """
    key = open_key(settings)
    ledger = checksum_address(settings.ledger)
    with Rpc(settings.rpc_url) as rpc:
        rpc.require_chain(settings.chain_id)
        held: list[tuple[str, SignedVoucher, int]] = []
        for lease, progress in all_journals(settings.data_dir / "leases"):
            paid, is_closed = _stored(rpc, ledger, lease)
            if progress.vouchers and not is_closed and progress.paid_base > paid:
                held.append((lease, progress.vouchers[-1], paid))
        if not held:
            return []
        send(rpc, key, "ComputeLedger", ledger, "redeem", [_redeemable(signed) for _, signed, _ in held])
        gains = [(lease, _stored(rpc, ledger, lease)[0] - before) for lease, _, before in held]
    return [(lease, gain) for lease, gain in gains if gain > 0]


def _stored(rpc: Rpc, ledger: Address, lease: str) -> tuple[int, bool]:
    """(base units paid so far, nothing can be paid any more)."""
    [stored] = read(rpc, "ComputeLedger", ledger, "lease", from_hex(lease, 32))
    return int(stored[2]), LeaseState(stored[7]) in (LeaseState.CLOSED, LeaseState.NONE)


def _redeemable(signed: SignedVoucher) -> tuple[Any, ...]:
    return signed_voucher(from_json(Voucher, signed.voucher), from_hex(signed.signature, 65))
