"""What the old code generator needs: a few places have more values at hand than its stack reaches.

The rewrites mean the same in other words and stand beside a mutation; one that a mutation cuts through is left out.
"""

from typing import Final

from tests.mutation.edits import Edit
from tests.mutation.sources import Node, Source, walk

Group = list[Edit]
#: A call of abi.encode with more values is written as several, which are static words all.
_MOST: Final = 4

_SCOPES: Final[dict[str, tuple[tuple[tuple[str, str], ...], ...]]] = {
    # Locals that are needed for the checks alone.
    "src/Claims.sol": (
        (
            ("", "        LeaseState state = stored.status.state();\n        uint256 slash"),
            ("", "        Head memory head_ = _loadHead();\n        _settle({"),
        ),
    ),
    # The old generator begins a chain of | at its right end, and keeps all of it.
    "src/libraries/Terms.sol": ((("| ", "(offer.bond - bond)"), ("| (uint256(METER_WORK) - offer.meter)", ";")),),
}
_MARKS: Final = {"src/Claims.sol": ("{ ", "} "), "src/libraries/Terms.sol": ("(", ")")}


def groups(source: Source) -> list[Group]:
    """Edits that belong together: all of a group or none."""
    found = [_split(node) for node in walk(source.tree) if _is_long_encode(node)]
    for anchors in _SCOPES.get(source.name, ()):
        group = []
        for (before, after), mark in zip(anchors, _MARKS[source.name], strict=True):
            whole = (before + after).encode()
            if source.text.count(whole) != 1:
                raise LookupError(f"{source.name} has not one {whole.decode()!r}")
            place = source.text.index(whole) + len(before)
            group.append(Edit(place, place, mark))
        found.append(group)
    return found


def _is_long_encode(node: Node) -> bool:
    return (
        node["nodeType"] == "FunctionCall"
        and node["expression"]["nodeType"] == "MemberAccess"
        and node["expression"]["memberName"] == "encode"
        and len(node["arguments"]) > _MOST + 2
    )


def _split(node: Node) -> Group:
    begin, end = span(node)
    spans = [span(argument) for argument in node["arguments"]]
    cuts = range(_MOST, len(spans), _MOST)
    inner = [Edit(spans[number - 1][1], spans[number][0], "), abi.encode(") for number in cuts]
    return [Edit(begin, begin, "bytes.concat("), *inner, Edit(end, end, ")")]


def span(node: Node) -> tuple[int, int]:
    """Places of its first byte and after its last."""
    start, length, _ = (int(part) for part in node["src"].split(":"))
    return start, start + length
