"""`module=transaction`: whether a transaction succeeded."""

from explorer.etherscan.call import Call
from explorer.etherscan.replies import Body, NotOk, ok
from explorer.spelling import visible


def receipt_status(call: Call) -> Body:
    """`gettxreceiptstatus`: 1, 0, or empty where no receipt is known, which is how it is polled there."""
    found = call.now.whole_transaction(call.asked.hash("txhash", "transaction"))
    return ok({"status": "" if found is None else str(int(found.succeeded))})


def execution_status(call: Call) -> Body:
    """`getstatus`; a transaction that the mirror does not hold is refused: it would look like one without errors."""
    found = call.now.whole_transaction(call.asked.hash("txhash", "transaction"))
    if found is None:
        raise NotOk(
            f"Error! {visible(call.asked.get('txhash'), 80)} did not reach the ledger up to block "
            f"{call.status.block_number}; other transactions are not mirrored"
        )
    failed = not found.succeeded
    return ok({"isError": str(int(failed)), "errDescription": "execution reverted" if failed else ""})
