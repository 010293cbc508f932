"""What a node means by refusing a transaction (threat R4): a table of the words that nodes use.

A refusal with other words is UNKNOWN: what became of the transaction is then looked up, nothing is taken for granted.
"""

from enum import StrEnum
from typing import Final


class Answer(StrEnum):
    """What a node said of one attempt."""

    #: it is in the pool, now or already before
    ACCEPTED = "accepted"
    #: the nonce is used: by one of our attempts, or by a transaction that is not ours
    NONCE_LOW = "nonce_low"
    #: the pool holds another one of this nonce at nearly this fee, or the fee is below what is mined now
    UNDERPRICED = "underpriced"
    #: the key cannot pay
    FUNDS = "funds"
    #: not now: too many requests, or a pool that is full
    BUSY = "busy"
    #: no node will ever mine these bytes
    NEVER = "never"
    UNKNOWN = "unknown"


#: words without spaces and case → meaning; the first that fits. In front of each group: who says it.
_WORDS: Final[tuple[tuple[str, Answer], ...]] = (
    # geth, erigon, anvil · nethermind · besu, openethereum
    ("alreadyknown", Answer.ACCEPTED),
    ("alreadyimported", Answer.ACCEPTED),
    ("knowntransaction", Answer.ACCEPTED),
    # geth, anvil, besu · nethermind · openethereum
    ("noncetoolow", Answer.NONCE_LOW),
    ("oldnonce", Answer.NONCE_LOW),
    ("nonceistoolow", Answer.NONCE_LOW),
    # geth, erigon, anvil, besu · nethermind · geth, anvil, rollups · besu, openethereum
    ("underpriced", Answer.UNDERPRICED),
    ("feetoolow", Answer.UNDERPRICED),
    ("replacementnotallowed", Answer.UNDERPRICED),
    ("maxfeepergaslessthanblockbasefee", Answer.UNDERPRICED),
    ("gaspricetoolow", Answer.UNDERPRICED),
    ("gaspricebelow", Answer.UNDERPRICED),
    # geth, anvil, nethermind, erigon · besu
    ("insufficientfunds", Answer.FUNDS),
    ("upfrontcostexceedsaccountbalance", Answer.FUNDS),
    # geth · erigon · providers
    ("txpoolisfull", Answer.BUSY),
    ("poolisfull", Answer.BUSY),
    ("toomanyrequests", Answer.BUSY),
    ("ratelimit", Answer.BUSY),
    ("requestlimit", Answer.BUSY),
    # geth, erigon · nethermind, besu · since Fusaka · all
    ("exceedsblockgaslimit", Answer.NEVER),
    ("gaslimitexceeded", Answer.NEVER),
    ("gaslimittoohigh", Answer.NEVER),
    ("intrinsicgastoolow", Answer.NEVER),
    ("exceedstheconfiguredcap", Answer.NEVER),
    ("oversizeddata", Answer.NEVER),
    ("invalidsender", Answer.NEVER),
    ("invalidchainid", Answer.NEVER),
)
#: "limit exceeded" of EIP-1474, and what HTTP says of too many requests
_BUSY_CODES: Final = (-32005, 429)


def meaning(rpc_code: int, message: str) -> Answer:
    """By the words first: -32603 and -32000 are said of everything."""
    squeezed = "".join(letter for letter in message[:1000].lower() if letter.isalnum())
    for words, answer in _WORDS:
        if words in squeezed:
            return answer
    return Answer.BUSY if rpc_code in _BUSY_CODES else Answer.UNKNOWN
