"""npm's solc in one long-lived process, through the fast way: the old code generator without optimiser."""

import json
import subprocess
from pathlib import Path
from typing import Any, Final

_LOOP: Final = Path(__file__).parents[2] / "contracts" / "tools" / "solc-loop.js"
_COMMON: Final[dict[str, Any]] = {
    "evmVersion": "cancun",
    "remappings": ["forge-std/=forge-std/"],
    "metadata": {"bytecodeHash": "none", "appendCBOR": False},
}
#: A second for the ledger. `inliner` and `peephole` keep its creation code below the 48 KiB of EIP-3860.
_FAST: Final[dict[str, Any]] = {
    "optimizer": {
        "enabled": False,
        "details": {"peephole": True, "jumpdestRemover": True, "deduplicate": True, "inliner": True},
    }
}
#: Half a minute for the ledger: the settings of foundry.toml.
_RELEASE: Final[dict[str, Any]] = {"viaIR": True, "optimizer": {"enabled": True, "runs": 200}}
#: Compilations after which the process starts anew: its memory only grows.
_LIFE: Final = 60


class Refused(Exception):
    """The compiler's first error."""


class StackTooDeep(Refused):
    """The old code generator cannot do it."""


class Compiler:
    """Compiles from memory over what is on disk."""

    def __init__(self) -> None:
        self._process: subprocess.Popen[str] | None = None
        self._uses = 0

    def close(self) -> None:
        if self._process:
            self._process.kill()
            self._process.wait()
            self._process = None

    def trees(self, files: list[str]) -> dict[str, Any]:
        """Syntax trees of these files and of all that they import."""
        output = self._run(_input(files, {}, {"*": {"": ["ast"]}}, {}))
        return {name: content["ast"] for name, content in output["sources"].items()}

    def bytecode(self, targets: dict[str, str], changed: dict[str, str], *, release: bool = False) -> dict[str, bytes]:
        """Creation code by contract. `targets` is contract → file, `changed` file → text."""
        wanted = {file: {contract: ["evm.bytecode.object"]} for contract, file in targets.items()}
        output = self._run(_input(list(targets.values()), changed, wanted, _RELEASE if release else _FAST))
        contracts = output["contracts"]
        return {
            contract: bytes.fromhex(contracts[file][contract]["evm"]["bytecode"]["object"])
            for contract, file in targets.items()
        }

    def _run(self, question: dict[str, Any]) -> dict[str, Any]:
        if self._uses % _LIFE == 0:
            self.close()
        self._uses += 1
        if self._process is None:
            self._process = subprocess.Popen(
                ["node", str(_LOOP)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
            )
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(json.dumps(question) + "\n")
        self._process.stdin.flush()
        output: dict[str, Any] = json.loads(self._process.stdout.readline())
        for error in output.get("errors", []):
            if error["severity"] == "error":
                kind = StackTooDeep if "too deep" in error["formattedMessage"] else Refused
                raise kind(error["formattedMessage"])
        return output


def _input(
    files: list[str], changed: dict[str, str], wanted: dict[str, Any], settings: dict[str, Any]
) -> dict[str, Any]:
    root = _LOOP.parents[1]
    texts = {file: (root / file).read_text() for file in files} | changed
    return {
        "language": "Solidity",
        "sources": {file: {"content": text} for file, text in texts.items()},
        "settings": _COMMON | settings | {"outputSelection": wanted},
    }
