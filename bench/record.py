"""Rows of bench/results/<name>.json: a figure is never without its machine, commit and command."""

import json
import os
import platform
import subprocess
import sysconfig
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
    """Some are built without what makes them quick, and a figure of one is no figure of the other."""
    is_optimised = "--enable-optimizations" in (sysconfig.get_config_var("CONFIG_ARGS") or "")
    return f"Python {platform.python_version()}, {'built' if is_optimised else 'not built'} with optimizations"


def write(name: str, rows: list[dict[str, Any]], command: str | None = None) -> Path:
    """Each row needs name, value and unit; goal and holds may follow. `command`: if it is not `make bench`."""
    about = facts(command or f"make bench BENCH={name}")
    path = RESULTS / f"{name}.json"
    path.parent.mkdir(exist_ok=True)
    path.write_text(json.dumps([{"goal": None, "holds": None, **row, **about} for row in rows], indent=2) + "\n")
    return path
