"""Python's search for cycles, which costs a program that makes many small objects a tenth of its time."""

import gc
from typing import Final

_YOUNG_OBJECTS: Final = 20_000
"""So many new ones are looked through at once; by default 700. Few of ours are in cycles."""


def collect_seldom() -> None:
    """For a program that has imported all that it needs: that is never looked through again."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(_YOUNG_OBJECTS, 20, 20)
