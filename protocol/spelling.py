"""One name, as each language spells it."""

from functools import cache


@cache
def camel(name: str) -> str:
    """The Solidity and JSON spelling of a field: `max_rate` → `maxRate`."""
    head, *tail = name.split("_")
    return head + "".join(part.capitalize() for part in tail)
