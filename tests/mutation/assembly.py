"""The same slips in inline assembly."""

from collections.abc import Iterator
from typing import Any, Final

from tests.mutation.easing import span
from tests.mutation.edits import Edit
from tests.mutation.sources import Node, Source

_OTHERS: Final = {
    "add": "sub", "sub": "add", "and": "or", "or": "and", "lt": "gt", "gt": "lt", "shl": "shr", "shr": "shl",
    "timestamp": "number", "number": "timestamp",
}  # fmt: skip


def in_assembly(node: Node, source: Source, _: Any) -> Iterator[tuple[str, Edit]]:
    start, end = span(node)
    if node["nodeType"] == "YulExpressionStatement":
        yield "statement removed", Edit(start, end, "")
    elif node["nodeType"] == "YulFunctionCall":
        name = node["functionName"]["name"]
        if name in _OTHERS:
            yield "assembly", Edit(start, start + len(name), _OTHERS[name])
    elif node["kind"] == "number":
        value = int(node["value"], 0)
        for other in (value + 1, 0):
            yield "constant", Edit(start, end, hex(other))
