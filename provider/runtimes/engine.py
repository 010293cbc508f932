"""The pinned engine of `wasi-det/1` and its compiled modules.

Every setting here belongs to the runtime id: another engine, version or setting is another runtime. A compiled module
is native code, so it is loaded only from a folder that is this user's alone.
"""

import hashlib
import importlib.metadata
import os
import platform
import stat
from functools import cache
from pathlib import Path
from threading import Lock
from typing import Final

import wasmtime

from provider.runtimes.faults import ModuleRefused, ProviderFault

RUNTIME_ID: Final = "wasi-det/1"
WASMTIME_VERSION: Final = "50.0.1"
MAX_STACK_BYTES: Final = 512 * 1024
_RESERVATION_BYTES: Final = 4 * 1024**3


def require_version() -> None:
    """Raises `ProviderFault` unless the pinned wasmtime is installed: another meters differently."""
    found = importlib.metadata.version("wasmtime")
    if found != WASMTIME_VERSION:
        raise ProviderFault(
            f"{RUNTIME_ID} needs wasmtime {WASMTIME_VERSION}, found {found}",
            f"run: pip install wasmtime=={WASMTIME_VERSION}",
        )


def _config() -> wasmtime.Config:
    config = wasmtime.Config()
    config.consume_fuel = True
    config.cranelift_nan_canonicalization = True
    config.cranelift_opt_level = "speed"
    config.wasm_simd = True
    config.wasm_relaxed_simd = False
    config.wasm_threads = False
    config.shared_memory = False
    config.wasm_memory64 = False
    config.wasm_multi_memory = False
    config.wasm_gc = False
    config.wasm_function_references = False
    config.wasm_exceptions = False
    config.wasm_tail_call = False
    config.wasm_stack_switching = False
    config.wasm_custom_page_sizes = False
    config.wasm_wide_arithmetic = False
    config.wasm_component_model = False
    config.max_wasm_stack = MAX_STACK_BYTES
    config.parallel_compilation = False
    # The whole range is reserved at the start: a memory never moves, and grows wherever its limit lets it.
    config.memory_reservation = _RESERVATION_BYTES
    config.memory_may_move = False
    # Copy-on-write images need a file, which the sandbox forbids.
    config.memory_init_cow = False
    return config


_FIRST: Final = Lock()
"""Two threads that ask first at the same time would get two, and a module of one does not run in the other."""


def engine() -> wasmtime.Engine:
    """The one engine of this process."""
    with _FIRST:
        return _engine()


@cache
def _engine() -> wasmtime.Engine:
    require_version()
    return wasmtime.Engine(_config())


def engine_id() -> str:
    """Names what a compiled module fits: version, settings and processor."""
    cpu = f"{platform.machine()}-{platform.system()}"
    return f"wasmtime-{WASMTIME_VERSION}-{RUNTIME_ID.replace('/', '-')}-{cpu}".lower()


class ModuleCache:
    """Compiled modules in one folder, by engine and SHA-256 of the module."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder / engine_id()
        self._folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        for place in (folder, self._folder):
            found = place.stat()
            if found.st_uid != os.getuid() or stat.S_IMODE(found.st_mode) & 0o022:
                raise ProviderFault(f"others can write in {place}", f"run: chmod 700 {place}")

    def load(self, module: bytes) -> wasmtime.Module:
        """The compiled module, from the folder if it was compiled here before; raises `ModuleRefused`."""
        path = self._folder / f"{hashlib.sha256(module).hexdigest()}.cwasm"
        if path.exists():
            try:
                return wasmtime.Module.deserialize(engine(), path.read_bytes())
            except wasmtime.WasmtimeError:
                # Left by another build of the same version, or cut short: compiling again replaces it.
                path.unlink(missing_ok=True)
        compiled = compile_module(module)
        draft = path.with_suffix(f".{os.getpid()}.draft")
        draft.write_bytes(compiled.serialize())
        os.replace(draft, path)
        return compiled


def compile_module(module: bytes) -> wasmtime.Module:
    """Compiles without a cache; raises `ModuleRefused` with the engine's own words."""
    try:
        return wasmtime.Module(engine(), module)
    except wasmtime.WasmtimeError as error:
        raise ModuleRefused(
            "validation", str(error).splitlines()[0], "compile for wasm32-wasi without threads, GC or relaxed SIMD"
        ) from None
