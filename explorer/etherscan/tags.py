"""Block tags of questions to the node."""

from typing import Final

from explorer.etherscan.asked import Asked, number_of
from explorer.etherscan.spelling import quantity

_NAMES: Final = ("latest", "earliest", "pending", "safe", "finalized")


def tag_of(asked: Asked) -> str:
    """`tag` as a node takes it: a name, or a number in hex; `latest` unless said. Raises `NotOk`."""
    text = asked.find("tag") or "latest"
    return text.lower() if text.lower() in _NAMES else quantity(number_of("tag", text))
