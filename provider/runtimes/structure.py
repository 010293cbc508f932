"""The structure of a WebAssembly module, read before anything is compiled: which rules of `wasi-det/1` it keeps.

A segmented job's whole state must be memory and exported globals, else a checkpoint would miss some of it. So such a
module may have no hidden mutable global, and no instruction that changes a table or drops a segment.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final

from provider.runtimes.faults import ModuleRefused
from provider.runtimes.instructions import first_state_change
from provider.runtimes.reader import Malformed, Reader

MAX_MODULE_BYTES: Final = 32 * 1024**2
MAX_FUNCTIONS: Final = 200_000
MAX_TABLES: Final = 4
MAX_TABLE_ELEMENTS: Final = 200_000
MAGIC: Final = b"\0asm\1\0\0\0"

_FUNCTION, _TABLE, _MEMORY, _GLOBAL = range(4)
_INTEGERS: Final = {0x7F: "i32", 0x7E: "i64"}


@dataclass(frozen=True, slots=True, kw_only=True)
class GlobalVariable:
    """A mutable global that the module exports: part of the state."""

    name: str
    #: `i32` or `i64`
    kind: str


@dataclass(slots=True, kw_only=True)
class Structure:
    """What the sections of a module declare."""

    #: (module, name) of each imported function
    imports: list[tuple[str, str]] = field(default_factory=list)
    #: name → (kind, index)
    exports: dict[str, tuple[int, int]] = field(default_factory=dict)
    #: pages that the memory starts with, for each memory
    memories: list[int] = field(default_factory=list)
    #: elements that each table starts with
    tables: list[int] = field(default_factory=list)
    #: (value type, mutable) of each defined global
    globals: list[tuple[int, bool]] = field(default_factory=list)
    functions: int = 0
    #: imported tables, memories and globals, by kind
    foreign: list[int] = field(default_factory=list)
    has_start: bool = False
    #: function bodies, as one range of the file
    code: bytes = b""

    def functions_exported(self) -> set[str]:
        return {name for name, (kind, _) in self.exports.items() if kind == _FUNCTION}

    def mutable_globals(self) -> list[GlobalVariable]:
        """The exported ones, by index, each once."""
        found: dict[int, GlobalVariable] = {}
        for name, (kind, index) in sorted(self.exports.items()):
            if kind == _GLOBAL and self.globals[index][1]:
                value_type = self.globals[index][0]
                found.setdefault(index, GlobalVariable(name=name, kind=_INTEGERS.get(value_type, "other")))
        return [found[index] for index in sorted(found)]


def read_structure(module: bytes) -> Structure:
    """Parses the sections; raises `ModuleRefused` on bytes that are not a module."""
    if len(module) > MAX_MODULE_BYTES:
        raise ModuleRefused("size", f"{len(module)} bytes", f"keep it to {MAX_MODULE_BYTES} bytes")
    if not module.startswith(MAGIC):
        raise ModuleRefused("format", "not a WebAssembly 1 binary", "compile for wasm32-wasi (preview 1)")
    found = Structure()
    try:
        reader = Reader(module, len(MAGIC))
        while not reader.at_end():
            section = reader.byte()
            body = reader.sub(reader.u32())
            if section in _SECTIONS:
                _SECTIONS[section](body, found)
    except Malformed as error:
        raise ModuleRefused("format", str(error), "compile it again; the file may be cut short") from error
    return found


def check_structure(module: bytes, *, segments: int, memory_bytes: int, allowed: frozenset[str]) -> Structure:
    """The structure of a module that keeps all rules; raises `ModuleRefused`. `segments` 0 = a command."""
    found = read_structure(module)
    _check_imports(found, allowed)
    if found.functions > MAX_FUNCTIONS:
        raise ModuleRefused("functions", f"{found.functions} functions", f"keep it to {MAX_FUNCTIONS}")
    if found.has_start:
        raise ModuleRefused(
            "start", "it has a start section", "export _start or init instead; unmetered code never runs"
        )
    if len(found.memories) != 1 or found.exports.get("memory", (None,))[0] != _MEMORY:
        raise ModuleRefused(
            "memory", "it does not export its one memory as `memory`", "link with the wasi-libc defaults"
        )
    if found.memories[0] * 65_536 > memory_bytes:
        raise ModuleRefused(
            "memory",
            f"it starts with {found.memories[0]} pages of 64 KiB",
            f"raise limits.memory_bytes from {memory_bytes}",
        )
    if len(found.tables) > MAX_TABLES or sum(found.tables) > MAX_TABLE_ELEMENTS:
        raise ModuleRefused(
            "table", f"{len(found.tables)} tables", f"keep to {MAX_TABLES}, {MAX_TABLE_ELEMENTS} elements"
        )
    needed = {"init", "step"} if segments else {"_start"}
    missing = sorted(needed - found.functions_exported())
    if missing:
        form = "a segmented job (segments > 0)" if segments else "a job of one segment (segments = 0)"
        raise ModuleRefused("exports", f"{form} must export {', '.join(missing)}", "export it, or change segments")
    if segments:
        _check_state(found)
    return found


def _check_imports(found: Structure, allowed: frozenset[str]) -> None:
    if found.foreign:
        raise ModuleRefused("import", "it imports a memory, table or global", "define them inside the module")
    for module, name in found.imports:
        if module != "wasi_snapshot_preview1" or name not in allowed:
            raise ModuleRefused(
                "import", f"{module}.{name} is not offered", "use only files, arguments, clock and random"
            )


def _check_state(found: Structure) -> None:
    exported = {index for kind, index in found.exports.values() if kind == _GLOBAL}
    for index, (value_type, mutable) in enumerate(found.globals):
        if not mutable:
            continue
        if index not in exported:
            raise ModuleRefused(
                "state", f"mutable global {index} is not exported", "link with -Wl,--export=__stack_pointer"
            )
        if value_type not in _INTEGERS:
            raise ModuleRefused("state", f"mutable global {index} is no i32 or i64", "keep the value in memory")
    try:
        change = first_state_change(found.code)
    except Malformed as error:
        raise ModuleRefused("instructions", str(error), "compile for wasm32-wasi with SIMD128 only") from error
    if change is not None:
        raise ModuleRefused("state", f"it uses {change}, which no checkpoint holds", "keep that state in memory")


def _imports(body: Reader, found: Structure) -> None:
    for _ in range(body.u32()):
        module, name, kind = body.name(), body.name(), body.byte()
        if kind == _FUNCTION:
            body.u32()
            found.imports.append((module, name))
            continue
        found.foreign.append(kind)
        if kind == _TABLE:
            body.byte()
            body.limits()
        elif kind == _MEMORY:
            body.limits()
        elif kind == _GLOBAL:
            body.skip(2)
        else:
            raise Malformed(f"import of unknown kind {kind}")


def _functions(body: Reader, found: Structure) -> None:
    found.functions = body.u32()


def _tables(body: Reader, found: Structure) -> None:
    for _ in range(body.u32()):
        body.byte()
        found.tables.append(body.limits())


def _memories(body: Reader, found: Structure) -> None:
    found.memories = [body.limits() for _ in range(body.u32())]


def _globals(body: Reader, found: Structure) -> None:
    for _ in range(body.u32()):
        value_type, mutable = body.byte(), body.byte()
        body.constant_expression()
        found.globals.append((value_type, mutable == 1))


def _exports(body: Reader, found: Structure) -> None:
    for _ in range(body.u32()):
        name, kind, index = body.name(), body.byte(), body.u32()
        found.exports[name] = (kind, index)
        if kind == _GLOBAL and index >= len(found.globals):
            raise Malformed("export of a global that is not there")


def _start(_: Reader, found: Structure) -> None:
    found.has_start = True


def _code(body: Reader, found: Structure) -> None:
    found.code = body.rest()


_SECTIONS: Final[dict[int, Callable[[Reader, Structure], None]]] = {
    2: _imports,
    3: _functions,
    4: _tables,
    5: _memories,
    6: _globals,
    7: _exports,
    8: _start,
    10: _code,
}
