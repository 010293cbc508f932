"""`module=block`."""

from explorer.etherscan.call import Call
from explorer.etherscan.replies import Body, NotOk, ok


def block_by_time(call: Call) -> Body:
    """`getblocknobytime`: the number as a decimal string."""
    call.asked.get("timestamp")
    time = call.asked.number("timestamp", 0)
    closest = call.asked.choice("closest", ("before", "after"), "before")
    status = call.status
    found = call.now.block_at_time(time, "before" if closest == "before" else "after")
    first = call.now.block(status.deploy_block)
    if first is not None and time < first.time:
        # There may be closer ones among the blocks that are not mirrored.
        raise NotOk(f"Error! No closest block found: the mirror begins with the ledger, at block {first.number}")
    if found is None:
        raise NotOk(f"Error! No closest block found: the mirror has read up to block {status.block_number}")
    return ok(str(found))


def block_reward(call: Call) -> Body:
    """`getblockreward` is refused: neither the mirror nor any header says what a block paid."""
    raise NotOk("Error! getblockreward is not supported: the mirror of a ledger does not know block rewards")
