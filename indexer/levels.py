"""How much a statement about a block can be relied on. Pure: the one place that says what each word means.

`proved`: a storage proof of the ledger's head at this block or a later one showed that no event up to it is missing or
invented. `consistent`: headers, receipts tries and blooms fit together, as each block is checked before it is stored.
`unverified`: the mirror stopped because something did not fit, so what no proof covers may be part of that.
"""

from typing import Literal, TypeAlias

Level: TypeAlias = Literal["proved", "consistent", "unverified"]
#: newest blocks · deep enough for the setting · never undone
Finality: TypeAlias = Literal["head", "confirmed", "finalised"]


def level_of(number: int, proved: int | None, *, halted: bool) -> Level:
    """Of block `number`, in a mirror that is proved up to block `proved`."""
    if proved is not None and number <= proved:
        return "proved"
    return "unverified" if halted else "consistent"


def finality_of(number: int, final: int, confirmed: int) -> Finality:
    """Of block `number`, where blocks up to `final` are never undone and those up to `confirmed` are deep enough."""
    if number <= final:
        return "finalised"
    return "confirmed" if number <= confirmed else "head"
