#!/usr/bin/env python3
"""Writes protocol/abi/<Contract>.json from forge's out/, or says with --check whether those files are up to date.

The committed artefacts are what Python deploys and decodes by, so a buyer or provider needs no Node. Only the standard
library is used, and the output depends on nothing but the compiled contracts.
"""

import argparse
import json
import sys
from pathlib import Path

CONTRACTS = ("ComputeLedger", "ProviderRegistry", "ReexecutionCourt", "TestDollar")
PROJECT = Path(__file__).resolve().parents[1]
TARGET = PROJECT.parent / "protocol" / "abi"


def artefact_of(contract: str) -> str:
    """The committed artefact's text: minified JSON with sorted keys and a final newline."""
    compiled = json.loads((PROJECT / "out" / f"{contract}.sol" / f"{contract}.json").read_text())
    metadata = compiled["metadata"]
    if isinstance(metadata, str):
        metadata = json.loads(metadata)
    settings = metadata["settings"]
    artefact = {
        "contractName": contract,
        "abi": compiled["abi"],
        "bytecode": compiled["bytecode"]["object"],
        "deployedBytecode": compiled["deployedBytecode"]["object"],
        "compiler": {
            "name": "solc",
            # Without the platform: the same commit compiles to the same bytecode everywhere.
            "version": metadata["compiler"]["version"].split("+")[0],
            "evmVersion": settings["evmVersion"],
            "optimizerRuns": settings["optimizer"]["runs"],
            "viaIR": settings.get("viaIR", False),
        },
    }
    return json.dumps(artefact, sort_keys=True, separators=(",", ":")) + "\n"


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--check", action="store_true", help="write nothing; exit 1 if a file differs")
    check = parser.parse_args().check

    stale = []
    for contract in CONTRACTS:
        path = TARGET / f"{contract}.json"
        text = artefact_of(contract)
        if path.exists() and path.read_text() == text:
            continue
        stale.append(path.relative_to(PROJECT.parent))
        if not check:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text)

    if check and stale:
        names = ", ".join(str(path) for path in stale)
        print(f"not up to date: {names}; run forge build and contracts/tools/export_abi.py", file=sys.stderr)
        return 1
    for path in stale:
        print(f"wrote {path}")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
