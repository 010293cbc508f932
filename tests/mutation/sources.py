"""The files under test, their syntax trees and who needs them."""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import Any, Final

from tests.mutation.compiler import Compiler

CONTRACTS: Final = Path(__file__).parents[2] / "contracts"
DEPLOYED: Final = ("ComputeLedger", "ProviderRegistry", "ReexecutionCourt")
_EXCLUDED: Final = ("src/interfaces/", "src/dev/")
Node = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Source:
    """One Solidity file."""

    name: str
    text: bytes
    tree: Node
    #: contracts that are compiled from it
    contracts: tuple[str, ...]

    @property
    def is_court(self) -> bool:
        """Whether the court alone is made of it."""
        return self.contracts == ("ReexecutionCourt",)

    def line_of(self, place: int) -> int:
        return self.text.count(b"\n", 0, place) + 1


def main_file(contract: str) -> str:
    return f"src/{contract}.sol"


def load(compiler: Compiler) -> tuple[dict[str, Source], dict[int, Node]]:
    """(the sources by name, every syntax node of a declaration by its number)"""
    trees = compiler.trees([main_file(contract) for contract in DEPLOYED])
    imports = {
        name: [node["absolutePath"] for node in tree["nodes"] if node["nodeType"] == "ImportDirective"]
        for name, tree in trees.items()
    }
    closures = {contract: _closure(main_file(contract), imports) for contract in DEPLOYED}
    sources = {}
    declarations: dict[int, Node] = {}
    for name, tree in sorted(trees.items()):
        declarations |= {node["id"]: node for node in walk(tree) if "id" in node}
        if name.startswith("src/") and not name.startswith(_EXCLUDED):
            users = tuple(contract for contract in DEPLOYED if name in closures[contract])
            sources[name] = Source(name, (CONTRACTS / name).read_bytes(), tree, users)
    return sources, declarations


def _closure(name: str, imports: dict[str, list[str]]) -> set[str]:
    found, waiting = set(), [name]
    while waiting:
        name = waiting.pop()
        if name not in found:
            found.add(name)
            waiting += imports[name]
    return found


def walk(node: Any) -> Iterator[Node]:
    """Every node of a tree, documentation left out."""
    if isinstance(node, list):
        for item in node:
            yield from walk(item)
    elif isinstance(node, dict):
        if "nodeType" in node:
            yield node
        for key, value in node.items():
            if key != "documentation" and isinstance(value, (dict, list)):
                yield from walk(value)


def fingerprint(sources: dict[str, Source]) -> str:
    """Of all that is mutated; a campaign is for one."""
    return sha256(json.dumps({name: source.text.decode() for name, source in sources.items()}).encode()).hexdigest()[
        :16
    ]
