"""What a worker loads when it starts: whoever restarts one waits for it."""

import subprocess
import sys


def test_a_worker_does_not_load_what_only_sign_ins_need() -> None:
    code = "import sys, backend.worker; print(*({'siwe', 'web3', 'abnf'} & sys.modules.keys()))"
    said = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60)
    assert said.stdout.split() == []
