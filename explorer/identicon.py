"""A small picture for each address, so that two accounts are told apart at a glance.

A help for the eye only: like-looking addresses can be mined, so the text beside it is what counts.
"""

from dataclasses import dataclass
from typing import Final

from protocol.hashing import keccak256

SIDE: Final = 6
"""Cells in a row; the right half mirrors the left."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Identicon:
    """Two colours and the SVG paths of their cells."""

    #: hue of the ground and of the marks, degrees
    ground_hue: int
    mark_hue: int
    #: SVG path data in a SIDE × SIDE box
    marks: str


def identicon(address: str) -> Identicon:
    """The picture of an address, the same for every spelling of it."""
    bits = keccak256(address.lower().encode())
    cells = []
    for row in range(SIDE):
        for column in range(SIDE // 2):
            if bits[row * 3 + column] & 1:
                cells += [(column, row), (SIDE - 1 - column, row)]
    ground = bits[20] * 360 // 256
    return Identicon(
        ground_hue=ground,
        mark_hue=(ground + 120 + bits[21] % 120) % 360,
        marks="".join(f"M{x} {y}h1v1h-1z" for x, y in sorted(cells)),
    )
