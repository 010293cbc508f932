"""Walks the instructions of a module to find those that change state outside memory and globals.

It only needs each instruction's length; the engine validates the rest. An opcode that it does not know is refused.
"""

from typing import Final

from provider.runtimes.reader import Malformed, Reader

_STATE_CHANGES: Final = {
    9: "data.drop",
    12: "table.init",
    13: "elem.drop",
    14: "table.copy",
    15: "table.grow",
    17: "table.fill",
}
_TABLE_SET: Final = 0x26

# Immediates by opcode: LEB integers, bytes, or a vector of LEB integers with so many more behind it.
_ONE_LEB: Final = (0x02, 0x03, 0x04, 0x0C, 0x0D, 0x10, 0x12, *range(0x20, 0x27), 0x3F, 0x40, 0x41, 0x42, 0xD0, 0xD2)
_TWO_LEBS: Final = (0x11, 0x13, *range(0x28, 0x3F))
_LEBS: Final = dict.fromkeys(_ONE_LEB, 1) | dict.fromkeys(_TWO_LEBS, 2)
_PLAIN: Final = (0x00, 0x01, 0x05, 0x0B, 0x0F, 0x1A, 0x1B, *range(0x45, 0xC5), 0xD1)
_FIXED: Final = dict.fromkeys(_PLAIN, 0) | {0x43: 4, 0x44: 8}
_VECTORS: Final = {0x0E: 1, 0x1C: 0}
_BULK_LEBS: Final = {8: 2, 9: 1, 10: 2, 11: 1, 12: 2, 13: 1, 14: 2, 15: 1, 16: 1, 17: 1}


def first_state_change(code: bytes) -> str | None:
    """The first instruction of a code section's content that alters a table or drops a segment; raises `Malformed`."""
    reader = Reader(code)
    if reader.at_end():
        return None
    for _ in range(reader.u32()):
        body = reader.sub(reader.u32())
        for _ in range(body.u32()):
            body.u32()
            body.leb(5)
        while not body.at_end():
            found = _pass_instruction(body)
            if found is not None:
                return found
    return None


def _pass_instruction(body: Reader) -> str | None:
    code = body.byte()
    if code == _TABLE_SET:
        return "table.set"
    if code == 0xFC:
        return _pass_bulk(body)
    if code == 0xFD:
        _pass_vector(body)
    elif code in _LEBS:
        for _ in range(_LEBS[code]):
            body.leb(10)
    elif code in _FIXED:
        body.skip(_FIXED[code])
    elif code in _VECTORS:
        for _ in range(body.u32() + _VECTORS[code]):
            body.leb(5)
    else:
        raise Malformed(f"opcode 0x{code:02x} is not of this runtime")
    return None


def _pass_bulk(body: Reader) -> str | None:
    code = body.u32()
    if code in _STATE_CHANGES:
        return _STATE_CHANGES[code]
    if code > 17:
        raise Malformed(f"opcode 0xfc {code} is not of this runtime")
    for _ in range(_BULK_LEBS.get(code, 0)):
        body.u32()
    return None


def _pass_vector(body: Reader) -> None:
    code = body.u32()
    if code >= 0x100:
        raise Malformed(f"opcode 0xfd {code} is relaxed SIMD, which this runtime has not")
    if code in (12, 13):
        body.skip(16)
    elif 21 <= code <= 34:
        body.skip(1)
    elif code <= 11 or 84 <= code <= 93:
        body.leb(10)
        body.leb(10)
        if 84 <= code <= 91:
            body.skip(1)
