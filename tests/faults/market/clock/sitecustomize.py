"""Python imports it when it starts: so the house's processes have a clock that jumps, and know nothing of it."""

import os
from pathlib import Path

from tests.faults.jumping_clock import VARIABLE, install

if VARIABLE in os.environ:
    install(Path(os.environ[VARIABLE]))
