"""`module=account`: transactions that reached the ledger or its token, money that went in and out, balances."""

from typing import Any, Final

from explorer.etherscan.call import Call, ForNode, NodeCall
from explorer.etherscan.logs import place_of
from explorer.etherscan.node import Node
from explorer.etherscan.replies import Body, NotOk, ok
from explorer.etherscan.spelling import function_name, lower
from explorer.etherscan.tags import tag_of
from explorer.etherscan.window import DEEPEST, listed, window_of
from indexer.queries import LogRow, WholeTransaction, Window
from protocol.calls import encode_call
from protocol.hashing import Address, from_hex, to_hex

_MOST_ADDRESSES: Final = 20
_DECIMALS: Final = "6"
#: the ledger's events that come with a transfer of its token; the outer party is topic 2 of both
_TRANSFERS: Final = ("Deposited", "Withdrawn")
_UINT256: Final = 66


def transactions(call: Call) -> Body:
    """`txlist`: sent by an account, or to it."""
    address = call.asked.address()
    window = _window(call)
    rows = call.now.transactions_of(address, window)
    return listed(call, window, rows, _place_of, lambda row: _transaction(call, row), "transactions")


def transfers(call: Call) -> Body:
    """`tokentx`: deposits and withdrawals, as transfers of the token between an account and the ledger."""
    asked, status = call.asked, call.status
    if asked.find("contractaddress") is not None and asked.address("contractaddress") != status.token:
        raise NotOk(
            f"Error! Only transfers of the ledger's token {status.token} are mirrored, in and out of the ledger"
        )
    address = asked.address() if asked.find("address") is not None else None
    if address is None and asked.find("contractaddress") is None:
        raise NotOk("Error! Missing parameter: address or contractaddress")
    # Every transfer that is mirrored has the ledger on one of its sides.
    topics = [] if address in (None, status.ledger) else [[(2, from_hex(str(address), 20).rjust(32, b"\0"))]]
    window = _window(call)
    rows = call.now.logs(window, {"kinds": _TRANSFERS, "topics": topics})
    return listed(call, window, rows, place_of, lambda row: _transfer(call, row), "transactions")


def token_balance(call: Call) -> Body:
    """`tokenbalance` with the ledger as the contract: base units that the account has free in it."""
    contract = call.asked.address("contractaddress")
    if contract == call.status.token:
        raise ForNode
    if contract != call.status.ledger:
        raise NotOk(f"Error! Ask for the token {call.status.token}, or for the ledger {call.status.ledger}")
    return ok(str(call.now.account(call.asked.address()).free_base))


def balance(call: NodeCall) -> Body:
    """`balance`: wei of the chain's own coin."""
    return ok(_balances(call.node, [call.asked.address()], tag_of(call.asked))[0])


def balances(call: NodeCall) -> Body:
    """`balancemulti`."""
    addresses = call.asked.addresses("address", _MOST_ADDRESSES)
    found = _balances(call.node, addresses, tag_of(call.asked))
    return ok([{"account": lower(account), "balance": held} for account, held in zip(addresses, found, strict=True)])


def token_balance_at_node(call: NodeCall) -> Body:
    """`tokenbalance` with the token as the contract: base units that the account holds itself."""
    data = encode_call("TestDollar", "balanceOf", call.asked.address())
    asked = {"to": call.status.token, "data": to_hex(data)}
    answer = call.node.ask([("eth_call", (asked, tag_of(call.asked)))])[0]
    return ok(_decimal(answer))


def _balances(node: Node, addresses: list[Address], tag: str) -> list[str]:
    return [_decimal(held) for held in node.ask([("eth_getBalance", (address, tag)) for address in addresses])]


def _decimal(answer: Any) -> str:
    if not isinstance(answer, str) or len(answer) > _UINT256:
        raise NotOk("Error! The node behind this explorer gave no number")
    try:
        return str(int(answer, 16))
    except ValueError:
        raise NotOk("Error! The node behind this explorer gave no number") from None


def _window(call: Call) -> Window:
    latest = call.status.block_number
    first = call.asked.block("startblock", 0, latest=latest)
    last = call.asked.block("endblock", latest, latest=latest)
    return window_of(call, first, last, DEEPEST)


def _place_of(row: WholeTransaction) -> tuple[int, int, bytes]:
    return row.block_number, row.tx_index, row.block_hash


def _transaction(call: Call, row: WholeTransaction) -> dict[str, str]:
    data: bytes = row.fields["input"]
    return {
        "blockNumber": str(row.block_number),
        "blockHash": to_hex(row.block_hash),
        "timeStamp": str(row.block_time),
        "hash": to_hex(row.hash),
        "nonce": str(row.fields["nonce"]),
        "transactionIndex": str(row.tx_index),
        "from": lower(row.sender),
        "to": lower(row.to),
        "value": str(row.fields["value"]),
        "gas": str(row.fields["gas"]),
        "gasPrice": str(row.gas_price_wei),
        "input": to_hex(data),
        "methodId": to_hex(data[:4]),
        "functionName": function_name(data),
        "contractAddress": lower(row.creates),
        "cumulativeGasUsed": str(row.cumulative_gas),
        "txreceipt_status": "1" if row.succeeded else "0",
        "gasUsed": str(row.gas_used),
        "confirmations": _confirmations(call, row.block_number),
        "isError": "0" if row.succeeded else "1",
    }


def _transfer(call: Call, row: LogRow) -> dict[str, str]:
    outer, ledger = to_hex(row.topics[2][12:]), lower(call.status.ledger)
    sender, recipient = (outer, ledger) if row.kind == "Deposited" else (ledger, outer)
    whole = row.transaction
    return {
        "blockNumber": str(row.block_number),
        "timeStamp": str(row.block_time),
        "hash": to_hex(row.tx_hash),
        "nonce": "" if whole is None else str(whole.fields["nonce"]),
        "blockHash": to_hex(row.block_hash),
        "from": sender,
        "contractAddress": lower(call.status.token),
        "to": recipient,
        "value": str(int.from_bytes(row.data, "big")),
        # The mirror does not know how the token calls itself, only that it has six decimals.
        "tokenName": "",
        "tokenSymbol": "",
        "tokenDecimal": _DECIMALS,
        "transactionIndex": str(row.tx_index),
        "gas": "" if whole is None else str(whole.fields["gas"]),
        "gasPrice": "" if whole is None else str(whole.gas_price_wei),
        "gasUsed": "" if whole is None else str(whole.gas_used),
        "cumulativeGasUsed": "" if whole is None else str(whole.cumulative_gas),
        "input": "deprecated",
        "confirmations": _confirmations(call, row.block_number),
    }


def _confirmations(call: Call, number: int) -> str:
    """Blocks on top of it, its own included."""
    return str(call.status.block_number - number + 1)
