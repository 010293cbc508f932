"""What a wallet does with a draft of the market: reads the typed data, signs it, sends it."""

from collections.abc import Callable
from typing import Any

import httpx

from protocol.hashing import checksum_address, to_hex
from protocol.keys import Signer
from protocol.messages import Domain, from_json, sign, to_json
from protocol.terms import Order
from tests.support.accounts_market import Somebody

Change = Callable[[dict[str, Any]], None]


def prepared(buyer: Somebody, body: dict[str, Any], *, by_key: bool = False) -> dict[str, Any]:
    """The market's draft."""
    answer = buyer.call("POST", "/v1/orders/prepare", by_key=by_key, json=body)
    assert answer.status_code == 200, answer.text
    draft: dict[str, Any] = answer.json()
    return draft


def order_of(draft: dict[str, Any], **changes: Any) -> Order:
    """The draft's order, with other terms where `changes` says so (camelCase)."""
    return from_json(Order, {**draft["typed_data"]["message"], **changes})


def signed(draft: dict[str, Any], key: Signer, body: dict[str, Any], **changes: Any) -> dict[str, Any]:
    """The request that sends the order, signed for the chain and ledger that the draft names."""
    order = order_of(draft, **changes)
    named = draft["typed_data"]["domain"]
    domain = Domain(chain_id=named["chainId"], ledger=checksum_address(named["verifyingContract"]))
    return {
        "manifest": body["manifest"],
        "order": to_json(order),
        "signature": to_hex(sign(domain, order, key)),
        "quorum": draft["quorum"],
    }


def send(buyer: Somebody, request: dict[str, Any], *, by_key: bool = False, key: str = "") -> httpx.Response:
    headers = {"idempotency-key": key} if key else {}
    return buyer.call("POST", "/v1/orders", by_key=by_key, json=request, headers=headers)
