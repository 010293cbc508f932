"""Rows of bench/results/<name>.json: a figure is never without its machine, commit and command."""

import json
import os
import platform
import subprocess
import sys
from pathlib import Path
from typing import Any

from protocol.clock import now_at

RESULTS = Path(__file__).parent / "results"


def facts(command: str) -> dict[str, str]:
    """Where, when and of what a figure is that the command has made just now."""
    commit = subprocess.run(["git", "rev-parse", "--short", "HEAD"], capture_output=True, text=True, check=False)
    return {
        "command": command,
        "commit": commit.stdout.strip(),
        "machine": f"{platform.machine()}, {os.cpu_count()} cores, {_python()}",
        "at": now_at().isoformat(timespec="seconds"),
    }


def _python() -> str:
    """Debian builds its own quicker than pyenv does by default: a figure of one is no figure of the other."""
    whose = "the system's " if sys.base_prefix == "/usr" else ""
    return f"{whose}Python {platform.python_version()}"


def write(name: str, rows: list[dict[str, Any]], command: str | None = None) -> Path:
    """Each row needs name, value and unit; goal and holds may follow. `command`: if it is not `make bench`."""
    about = facts(command or f"make bench BENCH={name}")
    path = RESULTS / f"{name}.json"
    path.parent.mkdir(exist_ok=True)
    path.write_text(json.dumps([{"goal": None, "holds": None, **row, **about} for row in rows], indent=2) + "\n")
    return path
