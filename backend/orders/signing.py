"""Who signed an order: its buyer, a delegate of the buyer, or the buyer's contract, asked in the ledger's order."""

from typing import Final

from anyio import to_thread

from backend.accounts import contract_wallet
from backend.errors import OrderRefused
from backend.market import Market
from protocol.clock import now_time
from protocol.errors import BadSignature
from protocol.hashing import Address
from protocol.keys import recover_address
from protocol.messages import digest
from protocol.terms import Order

LEDGER_GAS: Final = 400_000
"""Gas that the ledger gives a contract to say whether it signed (SPEC "Signed messages")."""


async def authority(market: Market, order: Order, signature: bytes) -> tuple[bytes, Address | None]:
    """The signature as the ledger takes it, and the delegate that made it; None if the buyer did.

    Raises `OrderRefused`, and `NodeUnavailable` if only a node could tell.
    """
    signed = digest(market.domain, order)
    for spelling in _spellings(signature):
        signer = _signer(signed, spelling)
        if signer == order.buyer:
            return spelling, None
        if signer is not None and _is_live(market, order.buyer, signer):
            return spelling, signer
    gas = min(LEDGER_GAS, market.settings.contract_wallet_gas)
    # In a thread: a node may be slow, and holds up nobody.
    if not await to_thread.run_sync(contract_wallet.signed, market, order.buyer, signed, signature, gas):
        domain = market.domain
        raise OrderRefused(
            f"the signature is not by {order.buyer}, nor by a delegate that it approved",
            remedy=f"sign exactly this order, for chain {domain.chain_id} and ledger {domain.ledger}",
        )
    return signature, None


def _spellings(signature: bytes) -> list[bytes]:
    """Some hardware wallets give v as 0 or 1, which the ledger does not read."""
    if len(signature) == 65 and signature[64] < 2:
        return [signature[:64] + bytes([signature[64] + 27])]
    return [signature]


def _signer(signed: bytes, signature: bytes) -> Address | None:
    try:
        return recover_address(signed, signature)
    except BadSignature:
        return None


def _is_live(market: Market, buyer: Address, key: Address) -> bool:
    found = market.mirror.delegate(buyer, key)
    return found is not None and found.until_time > now_time()
