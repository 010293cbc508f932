"""Which action is whose: module → action → what answers it, from the mirror or from the node. Case does not matter."""

from collections.abc import Callable
from typing import Final

from explorer.etherscan import accounts, blocks, logs, proxy, transactions
from explorer.etherscan.call import Call, NodeCall
from explorer.etherscan.replies import Body

FROM_MIRROR: Final[dict[str, dict[str, Callable[[Call], Body]]]] = {
    "account": {
        "txlist": accounts.transactions,
        "tokentx": accounts.transfers,
        "tokenbalance": accounts.token_balance,
    },
    "logs": {"getLogs": logs.get_logs},
    "block": {"getblocknobytime": blocks.block_by_time, "getblockreward": blocks.block_reward},
    "transaction": {
        "gettxreceiptstatus": transactions.receipt_status,
        "getstatus": transactions.execution_status,
    },
    "proxy": {
        "eth_blockNumber": proxy.block_number,
        "eth_getBlockByNumber": proxy.block_by_number,
        "eth_getTransactionByHash": proxy.transaction_by_hash,
        "eth_getTransactionReceipt": proxy.transaction_receipt,
        "eth_sendRawTransaction": proxy.refuse_to_send,
        "eth_sendTransaction": proxy.refuse_to_send,
    },
}

FROM_NODE: Final[dict[str, dict[str, Callable[[NodeCall], Body]]]] = {
    "account": {
        "balance": accounts.balance,
        "balancemulti": accounts.balances,
        "tokenbalance": accounts.token_balance_at_node,
    },
    "proxy": {
        "eth_call": proxy.execute("eth_call"),
        "eth_estimateGas": proxy.execute("eth_estimateGas"),
        "eth_getBalance": proxy.account_state("eth_getBalance"),
        "eth_getCode": proxy.account_state("eth_getCode"),
        "eth_getTransactionCount": proxy.account_state("eth_getTransactionCount"),
        "eth_getStorageAt": proxy.storage,
        "eth_gasPrice": proxy.gas_price,
    },
}
