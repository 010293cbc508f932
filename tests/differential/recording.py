"""Shards that can be resumed, and rows of bench/results/differential.json."""

import json
import os
import platform
import subprocess
import sys
from collections import Counter
from pathlib import Path
from typing import Any, Final

from protocol.clock import now_at

ROOT: Final = Path(__file__).parents[2]
RESULTS: Final = ROOT / "bench" / "results" / "differential.json"


class Shard:
    """Progress of one part of a run, on disk after every save."""

    def __init__(self, folder: Path, number: int) -> None:
        self._path = folder / f"shard-{number}.json"
        #: parts of work done
        self.done = 0
        self.seconds = 0.0
        self.counts: Counter[str] = Counter()
        if self._path.exists():
            kept = json.loads(self._path.read_text())
            self.done, self.seconds, self.counts = kept["done"], kept["seconds"], Counter(kept["counts"])

    def save(self) -> None:
        draft = self._path.with_suffix(".draft")
        draft.write_text(json.dumps({"done": self.done, "seconds": self.seconds, "counts": self.counts}))
        os.replace(draft, self._path)


def commit_of_tree() -> str:
    """The commit, with a plus if the tree differs from it in more than results."""
    head = _git("rev-parse", "--short", "HEAD")
    changed = [line for line in _git("status", "--porcelain").splitlines() if "bench/results/" not in line]
    return head + ("+" if changed else "")


def _git(*arguments: str) -> str:
    return subprocess.run(["git", *arguments], capture_output=True, text=True, check=False, cwd=ROOT).stdout.strip()


def append(row: dict[str, Any], commit: str) -> Path:
    """Adds one row; a figure is never without its command, commit and machine."""
    rows = json.loads(RESULTS.read_text()) if RESULTS.exists() else []
    facts = {
        "command": "python -m " + " ".join([_module(), *sys.argv[1:]]),
        "commit": commit,
        "machine": f"{platform.machine()}, {os.cpu_count()} cores, Python {platform.python_version()}",
        "at": now_at().isoformat(timespec="seconds"),
    }
    RESULTS.parent.mkdir(exist_ok=True)
    RESULTS.write_text(json.dumps([*rows, row | facts], indent=2) + "\n")
    return RESULTS


def _module() -> str:
    spec = sys.modules["__main__"].__spec__
    return spec.name if spec else "tests.differential"
