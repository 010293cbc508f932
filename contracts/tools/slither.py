#!/usr/bin/env python3
"""Runs slither over contracts/src; fails if test/slither.toml lacks a finding, or explains one that is gone.

An explanation is for one detector and one place, a function or variable, so that a moved line changes nothing. Slither
gets the syntax trees as a forge build-info, made here, because crytic-compile knows no compiler behind a wrapper.
`--write` also writes test/SLITHER.md.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
import tomllib
from pathlib import Path
from typing import Any

CONTRACTS = Path(__file__).resolve().parents[1]
EXPLAINED = CONTRACTS / "test" / "slither.toml"
REPORT = CONTRACTS / "test" / "SLITHER.md"
Finding = dict[str, str]
"""check, impact, place, says"""


def build_info(folder: Path) -> None:
    """All sources, their trees and ABIs; no bytecode, which slither does not read."""
    files = sorted(path.relative_to(CONTRACTS).as_posix() for path in (CONTRACTS / "src").rglob("*.sol"))
    question = {
        "language": "Solidity",
        "sources": {file: {"content": (CONTRACTS / file).read_text()} for file in files},
        "settings": {
            "evmVersion": "cancun",
            "remappings": ["@openzeppelin/contracts/=node_modules/@openzeppelin/contracts/"],
            "outputSelection": {"*": {"*": ["abi", "devdoc", "userdoc", "evm.methodIdentifiers"], "": ["ast"]}},
        },
    }
    loop = ["node", str(CONTRACTS / "tools" / "solc-loop.js")]
    answer = subprocess.run(loop, input=json.dumps(question) + "\n", capture_output=True, text=True, check=True)
    output = json.loads(answer.stdout)
    wrong = [error["formattedMessage"] for error in output.get("errors", []) if error["severity"] == "error"]
    if wrong:
        raise SystemExit("\n".join(wrong))
    none = {"object": "", "sourceMap": ""}
    for compiled in output["contracts"].values():
        for content in compiled.values():
            content["evm"] |= {"bytecode": none, "deployedBytecode": none}
    version = json.loads((CONTRACTS / "node_modules" / "solc" / "package.json").read_text())["version"]
    info = {
        "solcVersion": version,
        "input": question | {"settings": {"optimizer": {"enabled": True}}},
        "output": {"sources": output["sources"], "contracts": output["contracts"]},
    }
    (folder / "all.json").write_text(json.dumps(info))


def findings() -> list[Finding]:
    """What slither says of our own code, every detector, nothing filtered by kind or impact."""
    with tempfile.TemporaryDirectory() as folder:
        build_info(Path(folder))
        report = Path(folder) / "report.json"
        command = [str(Path(sys.executable).with_name("slither")), ".", "--compile-force-framework", "foundry"]
        command += ["--ignore-compile", "--foundry-build-info-directory", folder, "--json", str(report)]
        command += ["--filter-paths", "node_modules", "--fail-none"]
        path = f"{CONTRACTS / 'node_modules' / '.bin'}:{os.environ['PATH']}"
        done = subprocess.run(
            command, cwd=CONTRACTS, capture_output=True, text=True, check=False, env=os.environ | {"PATH": path}
        )
        if not report.exists():
            raise SystemExit(done.stdout + done.stderr)
        content = json.loads(report.read_text())
    if not content["success"]:
        raise SystemExit(content["error"])
    found = []
    for item in content["results"].get("detectors", []):
        says = item["description"].split("\n", maxsplit=1)[0].strip().rstrip(":")
        found.append({"check": item["check"], "impact": item["impact"], "place": place_of(item), "says": says})
    return sorted(found, key=lambda item: (item["check"], item["place"], item["says"]))


def place_of(item: dict[str, Any]) -> str:
    """Contract and function or variable, without lines."""
    if not item["elements"]:
        return "everywhere"
    element = item["elements"][0]
    if element["type"] == "contract":
        return str(element["name"])
    parent = element.get("type_specific_fields", {}).get("parent", {})
    names = [element["name"]]
    if element["type"] in ("node", "variable") and parent.get("type") == "function":
        names = [parent["name"], *([element["name"]] if element["type"] == "variable" else [])]
        parent = parent.get("type_specific_fields", {}).get("parent", {})
    if parent.get("type") == "contract":
        names.insert(0, parent["name"])
    if element["type"] == "pragma":
        return "pragma"
    return ".".join(names)


def report_of(found: list[Finding], why: dict[tuple[str, str], str]) -> str:
    lines = [
        "# What slither finds",
        "",
        "`make slither` runs every detector of slither-analyzer over `contracts/src` and fails if one finding is",
        "not explained. The explanations are in `slither.toml`, each for one detector at one place; `make` writes it.",
        "",
        f"{len(found)} findings, {sum((item['check'], item['place']) not in why for item in found)} unexplained.",
    ]
    for check in sorted({item["check"] for item in found}):
        these = [item for item in found if item["check"] == check]
        lines += ["", f"## {check} ({these[0]['impact'].lower()}, {len(these)})", ""]
        for place in sorted({item["place"] for item in these}):
            count = sum(item["place"] == place for item in these)
            times = f" ({count})" if count > 1 else ""
            lines.append(f"- `{place}`{times}: {why.get((check, place), '**not explained**').strip()}")
    return "\n".join(lines) + "\n"


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--write", action="store_true", help="write test/SLITHER.md too")
    options = parser.parse_args()
    found = findings()
    entries = tomllib.loads(EXPLAINED.read_text())["finding"] if EXPLAINED.exists() else []
    why = {(entry["check"], entry["place"]): entry["why"] for entry in entries}
    open_ones = [item for item in found if (item["check"], item["place"]) not in why]
    stale = set(why) - {(item["check"], item["place"]) for item in found}
    for item in open_ones:
        print(f"not explained: {item['check']} at {item['place']}: {item['says']}", file=sys.stderr)
    for check, place in sorted(stale):
        print(f"explained, but not found: {check} at {place}", file=sys.stderr)
    if options.write:
        REPORT.write_text(report_of(found, why))
    print(f"{len(found)} findings, {len(open_ones)} not explained, {len(stale)} explanations without a finding")
    return 1 if open_ones or stale else 0


if __name__ == "__main__":
    raise SystemExit(main())
