"""cryo on the same chain: decoded logs as parquet, no database, no reorgs. Installed once into a venv of its own."""

import json
import subprocess
import sys
import venv
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Final

from protocol.calls import artefact

FOLDER: Final = Path(".gridlease/peers/cryo")
VERSION: Final = "0.3.2"
_PYTHON: Final = FOLDER / "bin/python"

_RUN: Final = """
import json, sys, time
import cryo, polars

url, ledger, signature, last, folder = sys.argv[1:]
begun = time.perf_counter()
cryo.freeze(
    "logs", blocks=[f"0:{int(last) + 1}"], rpc=url, contract=[ledger], event_signature=signature, output_dir=folder,
    overwrite=True, inner_request_size=100, chunk_size=2000, no_report=True, verbose=False,
)
seconds = time.perf_counter() - begun
print(json.dumps({"ingest_s": seconds, "events": len(polars.read_parquet(f"{folder}/*.parquet"))}))
"""


def install() -> Path:
    """The Python that has it; installs it the first time."""
    if not _PYTHON.exists():
        venv.create(FOLDER, with_pip=True)
        subprocess.run([_PYTHON, "-m", "pip", "install", "-q", f"cryo=={VERSION}", "polars", "pyarrow"], check=True)
    return _PYTHON


def run(python: Path, rpc_url: str, ledger: str, head: int) -> dict[str, float]:
    """Seconds inside its process, and the rows in its files."""
    event = next(item for item in artefact("ComputeLedger")["abi"] if item.get("name") == "LeaseOpened")
    fields = [f"{item['type']}{' indexed' if item['indexed'] else ''} {item['name']}" for item in event["inputs"]]
    signature = f"LeaseOpened({', '.join(fields)})"
    with TemporaryDirectory() as folder:
        arguments = [rpc_url, ledger, signature, str(head), folder]
        done = subprocess.run([python, "-c", _RUN, *arguments], capture_output=True, text=True, check=False)
    if done.returncode != 0:
        sys.exit(f"cryo: {done.stderr[-2000:]}")
    facts: dict[str, float] = json.loads(done.stdout.splitlines()[-1])
    return facts
