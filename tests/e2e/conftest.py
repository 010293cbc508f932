"""One whole house for the stories of this folder: every process real, on free ports, gone afterwards."""

import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from gridlease.house import House
from tests.support.anvil import require_anvil


@pytest.fixture(scope="session")
def house(tmp_path_factory: pytest.TempPathFactory) -> Iterator[House]:
    """A running system with two providers; what dies is started again, as under `make dev`."""
    require_anvil()
    folder: Path = tmp_path_factory.mktemp("house")
    built = House(folder / "h", port=18700)
    stop = threading.Event()
    tender = threading.Thread(target=_tend, args=(built, stop), daemon=True)
    try:
        built.open()
        tender.start()
        built.wait_for_providers(60)
        yield built
    finally:
        stop.set()
        if tender.is_alive():
            tender.join(timeout=10)
        built.close()


def _tend(house: House, stop: threading.Event) -> None:
    while not stop.wait(0.2):
        house.supervisor.tend()
