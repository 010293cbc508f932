"""Python imports it when it starts: so the house's processes have a clock that jumps, and die where they are told."""

import os
from pathlib import Path

from tests.faults import jumping_clock
from tests.faults.market import arming

if jumping_clock.VARIABLE in os.environ:
    jumping_clock.install(Path(os.environ[jumping_clock.VARIABLE]))
if arming.VARIABLE in os.environ:
    arming.install(Path(os.environ[arming.VARIABLE]))
