"""The verifier of the browser agrees with the one in Python; its own tests are in JavaScript."""

import shutil
import subprocess
from pathlib import Path

import pytest


@pytest.mark.skipif(shutil.which("node") is None, reason="needs Node 20")
def test_the_verifier_of_the_browser_passes_its_golden_vectors() -> None:
    test = Path(__file__).with_name("verify.test.js")
    done = subprocess.run(["node", "--test", str(test)], capture_output=True, text=True, check=False, timeout=280)
    failed = [line for line in done.stdout.splitlines() if line.startswith("not ok")]
    assert done.returncode == 0, "\n".join(failed) or done.stdout[-2000:]
