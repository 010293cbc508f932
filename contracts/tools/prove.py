"""Runs the symbolic checks of test/symbolic, and says whether each that its README lists has passed.

`prove.py` runs all of them; `prove.py --record` also writes the seconds into the README's table. It is run by the
Python of the virtual environment that holds halmos (`make prove`).
"""

import argparse
import json
import os
import re
import shutil
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path

CONTRACTS = Path(__file__).resolve().parent.parent
README = CONTRACTS / "test/symbolic/README.md"
RESULT = CONTRACTS / ".prove/result.json"

# Loops of a check run over 16 lanes or fills at most, so with this bound none is cut short (and a cut is a failure).
LOOP = 20
TIMEOUT = "300s"

FAULTS = {1: "counterexample", 2: "timeout", 3: "stuck", 4: "every path reverts", 5: "exception"}

# | number | sentence | `function` | runs on | seconds |
ROW = re.compile(r"^(\| *\d+ \|.*\| `(check_\w+)` \|.*\|) *([\d.]+|-) \|$", re.MULTILINE)


def run_halmos() -> int:
    tools = CONTRACTS / "tools"
    binaries = Path(sys.executable).parent
    RESULT.parent.mkdir(exist_ok=True)
    RESULT.unlink(missing_ok=True)
    # halmos also runs what forge built once of a file that is gone.
    for built in (CONTRACTS / ".prove/out").glob("*.t.sol"):
        if not (CONTRACTS / "test/symbolic" / built.name).exists():
            shutil.rmtree(built)
    command = [
        str(binaries / "halmos"),
        "--forge-build-out=.prove/out",
        "--no-status",
        f"--loop={LOOP}",
        f"--solver-timeout-assertion={TIMEOUT}",
        f"--solver-command={sys.executable} {tools / 'smt.py'}",
        f"--json-output={RESULT}",
    ]
    path = os.pathsep.join([str(tools / "path"), str(binaries), os.environ.get("PATH", "")])
    environment = {**os.environ, "PATH": path, "FOUNDRY_PROFILE": "prove"}
    return subprocess.run(command, cwd=CONTRACTS, env=environment, check=False).returncode


def read_results() -> dict[str, tuple[str, str | None, float]]:
    """Of each check that ran: its contract, what is wrong with it if anything is, and its seconds."""
    results: dict[str, tuple[str, str | None, float]] = {}
    for contract, tests in json.loads(RESULT.read_text())["test_results"].items():
        for test in tests:
            fault = FAULTS.get(test["exitcode"], "unknown") if test["exitcode"] else None
            if fault is None and test["num_bounded_loops"]:
                fault = "a loop was cut short"
            name = test["name"].split("(")[0]
            seconds = test["time"][0] if test["time"] else 0.0
            results[name] = (contract.split(":")[-1], fault, seconds)
    return results


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--record", action="store_true", help="write the seconds into the README")
    record = parser.parse_args().record

    text = README.read_text()
    listed = [match[2] for match in ROW.finditer(text)]
    started = time.monotonic()
    status = run_halmos()
    if not RESULT.exists():
        print(f"prove: halmos gave no result (status {status})", file=sys.stderr)
        return 1
    results = read_results()

    faults = [f"{name}: {fault}" for name, (_, fault, _) in results.items() if fault]
    faults += [f"{name}: listed in the README {n} times" for name, n in Counter(listed).items() if n > 1]
    faults += [f"{name}: listed in the README, but did not run" for name in listed if name not in results]
    faults += [f"{name}: ran, but is not listed in the README" for name in results if name not in listed]
    if status and not faults:
        faults.append(f"halmos ended with status {status}")

    print()
    for contract in dict.fromkeys(contract for contract, _, _ in results.values()):
        mine = [seconds for other, _, seconds in results.values() if other == contract]
        print(f"{contract:<20} {len(mine):>3} checks {sum(mine):>7.1f} s")
    passed = sum(fault is None for _, fault, _ in results.values())
    print(f"{passed} of {len(listed)} symbolic checks passed, {time.monotonic() - started:.0f} s with the build")
    for fault in faults:
        print(f"FAILED {fault}", file=sys.stderr)

    if record and not faults:
        README.write_text(ROW.sub(lambda match: f"{match[1]} {results[match[2]][2]:.1f} |", text))
    return 1 if faults else 0


if __name__ == "__main__":
    sys.exit(main())
