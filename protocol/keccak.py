"""keccak256: by the compiled library where there is one, else in plain Python, so a proof can be checked anywhere."""

from typing import Any, Final

try:
    from sha3 import keccak_256
except ImportError:
    keccak_256 = None

_compiled: Final[Any] = keccak_256

#: bytes that one permutation takes in
_RATE: Final = 136
_MASK: Final = (1 << 64) - 1
_ROWS: Final = (0, 5, 10, 15, 20)
#: rotation of each lane on its way through the walk of ρ and π
_ROTATIONS: Final = (1, 3, 6, 10, 15, 21, 28, 36, 45, 55, 2, 14, 27, 41, 56, 8, 25, 43, 62, 18, 39, 61, 20, 44)
_WALK: Final = (10, 7, 11, 17, 18, 3, 5, 16, 8, 21, 24, 4, 15, 23, 19, 13, 12, 2, 20, 14, 22, 9, 6, 1)


def keccak256(data: bytes) -> bytes:
    """The EVM's hash, 32 bytes."""
    if _compiled is None:
        return plain_keccak256(data)
    digest: bytes = _compiled(data).digest()
    return digest


def plain_keccak256(data: bytes) -> bytes:
    """The same without the compiled library, some hundred times slower."""
    padded = bytearray(data) + bytes(_RATE - len(data) % _RATE)
    padded[len(data)] = 0x01
    padded[-1] |= 0x80
    lanes = [0] * 25
    for start in range(0, len(padded), _RATE):
        for lane in range(_RATE // 8):
            lanes[lane] ^= int.from_bytes(padded[start + 8 * lane : start + 8 * lane + 8], "little")
        _permute(lanes)
    return b"".join([lane.to_bytes(8, "little") for lane in lanes[:4]])


def _permute(lanes: list[int]) -> None:
    """Keccak-f[1600] in place, lane x + 5y; FIPS 202 section 3.2."""
    for constant in _ROUNDS:
        columns = [lanes[x] ^ lanes[x + 5] ^ lanes[x + 10] ^ lanes[x + 15] ^ lanes[x + 20] for x in range(5)]
        for x in range(5):
            right = columns[(x + 1) % 5]
            mixed = columns[(x + 4) % 5] ^ (right << 1 & _MASK | right >> 63)
            for y in _ROWS:
                lanes[x + y] ^= mixed
        carried = lanes[1]
        for place, rotation in zip(_WALK, _ROTATIONS, strict=True):
            carried, lanes[place] = lanes[place], carried << rotation & _MASK | carried >> (64 - rotation)
        for y in _ROWS:
            a, b, c, d, e = lanes[y : y + 5]
            lanes[y : y + 5] = a ^ ~b & c, b ^ ~c & d, c ^ ~d & e, d ^ ~e & a, e ^ ~a & b
        lanes[0] ^= constant


def _round_constants() -> list[int]:
    """One bit of each constant comes from a shift register of 8 bits; FIPS 202 algorithm 5."""
    constants, register = [], 1
    for _ in range(24):
        constant = 0
        for power in range(7):
            if register & 1:
                constant |= 1 << ((1 << power) - 1)
            register = (register << 1) ^ (0x171 if register & 0x80 else 0)
        constants.append(constant)
    return constants


_ROUNDS: Final = _round_constants()
