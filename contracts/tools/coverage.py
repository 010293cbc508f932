#!/usr/bin/env python3
"""Runs `forge coverage` and writes its figures into test/COVERAGE.md.

Ends with 1 if something is not covered and not explained there, or is explained there and covered by now. Only the standard
library is used.
"""

import os
import re
import subprocess
import sys
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

PROJECT = Path(__file__).resolve().parents[1]
REPORT = PROJECT / "test" / "COVERAGE.md"
COMMAND = ("forge", "coverage", "--exclude-tests", "--report", "summary", "--report", "debug")
MARK = "<!-- Figures, by tools/coverage.py -->\n"

ROW = re.compile(r"^\| ((?:src/|Total)\S*) +\|(.*)\|$", re.MULTILINE)
ITEM = re.compile(r"^- \w.*?\(location: \(source ID: \d+, lines: (\d+)\.\.\d+, bytes: [\d.]+\), hits: (\d+)\)")
EXPLAINED = re.compile(r"^\| `(src/\S+?):(\d+)(?:-(\d+))?` \|", re.MULTILINE)


def measure() -> str:
    """Forge's own words."""
    run = subprocess.run(
        [PROJECT / "tools" / "foundry", *COMMAND],
        cwd=PROJECT,
        env={**os.environ, "FOUNDRY_PROFILE": "coverage"},
        stdout=subprocess.PIPE,
        text=True,
        check=False,
    )
    if run.returncode != 0:
        sys.exit(run.stdout + f"forge coverage ended with {run.returncode}")
    return run.stdout


def uncovered(output: str) -> Iterator[tuple[str, int]]:
    """File and first line of each item without a hit."""
    path = ""
    for line in output.splitlines():
        if re.fullmatch(r"\S+\.sol:", line):
            path = line[:-1]
        elif (item := ITEM.match(line)) and item[2] == "0":
            yield path, int(item[1])


def figures(output: str) -> str:
    """The table of the report, under when and of what it was measured."""
    commit = subprocess.run(
        ["git", "rev-parse", "--short=12", "HEAD"], cwd=PROJECT, stdout=subprocess.PIPE, text=True, check=True
    ).stdout.strip()
    lines = [f"Measured on {datetime.now(UTC):%Y-%m-%d} at commit `{commit}`.", ""]
    lines += ["| file | lines | statements | branches | functions |", "| --- | --: | --: | --: | --: |"]
    for name, cells in ROW.findall(output):
        # Where there is nothing to cover, forge says 100 % of 0.
        texts = [text.strip().replace("% (", " % (") for text in cells.split("|")]
        lines.append(f"| {name} | " + " | ".join("—" if "(0/0)" in text else text for text in texts) + " |")
    return "\n".join(lines) + "\n"


def main() -> int:
    """Measures, writes, compares."""
    output = measure()
    before, _, after = REPORT.read_text().split(MARK)
    REPORT.write_text(before + MARK + "\n" + figures(output) + "\n" + MARK + after)

    explained = {
        (path, line): (path, int(first))
        for path, first, last in EXPLAINED.findall(after)
        for line in range(int(first), int(last or first) + 1)
    }
    missing = set(uncovered(output))
    for path, line in sorted(missing - explained.keys()):
        print(f"{path}:{line} is not covered")
    stale = set(explained.values()) - {explained[place] for place in missing if place in explained}
    for path, line in sorted(stale):
        print(f"{path}:{line} is covered, so it needs no explanation")
    print(output[output.index("╭") : output.index("╯") + 1])
    return 1 if stale or missing - explained.keys() else 0


if __name__ == "__main__":
    sys.exit(main())
