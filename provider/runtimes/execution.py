"""Runs a job of `wasi-det/1` in this process, one segment at a time. The sandbox calls it in a child process."""

from collections.abc import Callable
from pathlib import Path
from typing import Any, Final, Self

import wasmtime

from protocol.hashing import ZERO_HASH
from protocol.results import Status, TraceLeaf
from provider.runtimes.checkpoint import Checkpoint
from provider.runtimes.engine import MAX_STACK_BYTES, ModuleCache, compile_module, engine
from provider.runtimes.faults import CheckpointRefused, ModuleRefused, ProviderFault
from provider.runtimes.filetree import FileTree, OutputLimitReached
from provider.runtimes.guest import OutsideMemory
from provider.runtimes.metering import (
    PAGE_BYTES,
    WORK_PER_MODULE_BYTE,
    WORK_PER_STATE_PAGE,
    fuel_within,
    pages_up,
    with_memory,
)
from provider.runtimes.model import End, ResumePoint, RunSpec, Segment
from provider.runtimes.structure import MAX_TABLE_ELEMENTS, MAX_TABLES, Structure, check_structure
from provider.runtimes.wasi import ALLOWED, SIGNATURES, CallInStep, HostState, JobExit, Wasi

_PARAMETERS: Final[dict[str, list[str]]] = {"init": [], "step": ["i32"], "finish": [], "_start": [], "_initialize": []}

_FUEL_TO_INSTANTIATE: Final = 1 << 40


class OutOfWork(Exception):
    """A charge that the work limit does not cover."""


def check(spec: RunSpec) -> Structure:
    """The module's structure; raises `ModuleRefused` before anything is compiled."""
    limits = spec.manifest.limits
    return check_structure(
        spec.module, segments=spec.manifest.segments, memory_bytes=limits.memory_bytes, allowed=ALLOWED
    )


class WasmExecution:
    """One run in this process."""

    def __init__(self, spec: RunSpec, *, resume: ResumePoint | None = None, cache: Path | None = None) -> None:
        self._spec = spec
        self._limits = spec.manifest.limits
        self._job_hash = spec.manifest.job_hash()
        self._structure = check(spec)
        self._limit_pages = pages_up(self._limits.memory_bytes)
        start = self._decode(resume) if resume else None
        self._done = start.segments if start else 0
        self._work = start.work if start else 0
        self._module = ModuleCache(cache).load(spec.module) if cache else compile_module(spec.module)
        self._tree = FileTree(spec.inputs, self._limits.output_bytes)
        self._store = self._new_store()
        self._wasi = Wasi(
            job_hash=self._job_hash,
            arguments=spec.manifest.arguments,
            environment=spec.manifest.environment,
            tree=self._tree,
            state=start.host if start else HostState(),
            charge=self._charge,
        )
        self._exports = self._instantiate()
        self._memory: wasmtime.Memory = self._exports["memory"]
        self._wasi.guest.memory = _Memory(self._store, self._memory)
        self._globals = [item for item in self._structure.mutable_globals() if item.kind != "other"]
        if start:
            self._restore(start)
        self._ended = False

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        self._store.close()

    def advance(self) -> Segment:
        """Runs the next segment; raises `ProviderFault` if the machine, not the job, failed."""
        if self._ended:
            raise RuntimeError("the job has ended")
        index, work_before = self._done, self._work
        first_charge = WORK_PER_MODULE_BYTE * len(self._spec.module) if index == 0 else 0
        budget = self._limits.work - work_before - first_charge
        if budget < 0:
            return self._stopped("out_of_work", self._limits.work)
        fuel = fuel_within(budget, self._limit_pages)
        # The engine looks at its fuel only where code loops or calls, so it may burn a little more than it has. One
        # unit on top tells a job that just fits (it is left) from one that went over (it is gone).
        self._store.set_fuel(fuel + 1)
        status, exit_code = self._run(index)
        left = self._store.get_fuel()
        work = work_before + first_charge + with_memory(fuel + 1 - left, self._limit_pages)
        if status == "out_of_work" or left == 0:
            return self._stopped("out_of_work", self._limits.work)
        if status in ("trapped", "output_limit"):
            return self._stopped(status, work)
        if status is None:
            work += WORK_PER_STATE_PAGE * (self._memory.data_len(self._store) // PAGE_BYTES)
            if work > self._limits.work:
                return self._stopped("out_of_work", self._limits.work)
        self._done, self._work = index + 1, work
        return self._completed(status, exit_code)

    def _completed(self, status: Status | None, exit_code: int) -> Segment:
        state = self._state()
        # An exit before the last segment leaves a state that nothing follows. With a hash it would pass for one that a
        # run can go on from, and a juror would confirm segments that the job does not have.
        is_left = status is not None and self._done < self._spec.manifest.segments
        leaf = TraceLeaf(index=self._done - 1, state_hash=ZERO_HASH if is_left else state.state_hash(), work=self._work)
        self._ended = status is not None
        return Segment(
            leaf=leaf,
            log=self._wasi.descriptors.take_log(),
            checkpoint=None if status else state.encode(),
            end=End(status=status, exit_code=exit_code, outputs=self._tree.outputs()) if status else None,
        )

    def _stopped(self, status: Status, work: int) -> Segment:
        """The job met a limit or trapped: no state, no outputs, but its work is paid."""
        self._ended = True
        return Segment(
            leaf=TraceLeaf(index=self._done, state_hash=ZERO_HASH, work=work),
            log=self._wasi.descriptors.take_log(),
            checkpoint=None,
            end=End(status=status, exit_code=0, outputs={}),
        )

    def _run(self, index: int) -> tuple[Status | None, int]:
        """Runs the calls of one segment. Status None = more segments follow."""
        try:
            for call in self._calls(index):
                call()
        except JobExit as end:
            return ("succeeded" if end.code == 0 else "failed"), end.code
        except OutOfWork:
            return "out_of_work", 0
        except OutputLimitReached:
            return "output_limit", 0
        except CallInStep:
            return "trapped", 0
        except wasmtime.Trap as trap:
            return _status_of(trap), 0
        return (None if index + 1 < self._spec.manifest.segments else "succeeded"), 0

    def _calls(self, index: int) -> list[Callable[[], None]]:
        segments = self._spec.manifest.segments
        if not segments:
            return [lambda: self._phase("_start", files=True, outputs=True)]
        calls: list[Callable[[], None]] = []
        if index == 0:
            calls += [lambda: self._phase("_initialize", files=True), lambda: self._phase("init", files=True)]
        calls.append(lambda: self._phase("step", index))
        if index + 1 == segments:
            calls.append(lambda: self._phase("finish", files=True, outputs=True))
        return calls

    def _phase(self, name: str, *arguments: int, files: bool = False, outputs: bool = False) -> None:
        if name not in self._exports:
            return
        self._wasi.allowed, self._tree.out_is_open = files, outputs
        self._exports[name](self._store, *arguments)
        self._wasi.descriptors.close_all()

    def _charge(self, work: int) -> None:
        left = self._store.get_fuel()
        if left < work:
            raise OutOfWork
        self._store.set_fuel(left - work)

    def _new_store(self) -> wasmtime.Store:
        store = wasmtime.Store(engine())
        store.set_limits(
            memory_size=self._limit_pages * PAGE_BYTES,
            table_elements=MAX_TABLE_ELEMENTS,
            instances=1,
            tables=MAX_TABLES,
            memories=1,
        )
        return store

    def _instantiate(self) -> Any:
        linker = wasmtime.Linker(engine())
        for name, parameters in SIGNATURES.items():
            kinds = [wasmtime.ValType.i64() if kind == "I" else wasmtime.ValType.i32() for kind in parameters]
            results = [] if name == "proc_exit" else [wasmtime.ValType.i32()]
            host = _host_function(self._wasi, name, parameters)
            linker.define_func("wasi_snapshot_preview1", name, wasmtime.FuncType(kinds, results), host)
        # Copying the data segments burns fuel; the charge for the module's bytes pays for it.
        self._store.set_fuel(_FUEL_TO_INSTANTIATE)
        try:
            exports = linker.instantiate(self._store, self._module).exports(self._store)
        except (wasmtime.WasmtimeError, wasmtime.Trap) as error:
            fact = str(error).splitlines()[0]
            raise ModuleRefused("instantiation", fact, "check the imports' types and the data segments") from None
        for name, kinds_wanted in _PARAMETERS.items():
            found = exports.get(name)
            if isinstance(found, wasmtime.Func):
                kinds_found = found.type(self._store)
                if [str(kind) for kind in kinds_found.params] != kinds_wanted or kinds_found.results:
                    shape = f"({', '.join(kinds_wanted)}) and no result"
                    raise ModuleRefused("exports", f"{name} has other parameters", f"declare it with {shape}")
        return exports

    def _decode(self, resume: ResumePoint) -> Checkpoint:
        found = Checkpoint.decode(resume.checkpoint, memory_limit_bytes=self._limits.memory_bytes)
        if (found.segments, found.work) != (resume.leaf.index + 1, resume.leaf.work):
            raise CheckpointRefused(f"it lies after segment {found.segments - 1}, not after {resume.leaf.index}")
        if found.state_hash() != resume.leaf.state_hash:
            raise CheckpointRefused("its state has another hash")
        if found.job_hash != self._job_hash:
            raise CheckpointRefused("it belongs to another job")
        if found.segments >= self._spec.manifest.segments or found.work > self._limits.work:
            raise CheckpointRefused("it lies past the end of the job")
        if [kind for kind, _ in found.globals] != [item.kind for item in self._structure.mutable_globals()]:
            raise CheckpointRefused("its globals are not the module's")
        return found

    def _restore(self, start: Checkpoint) -> None:
        missing = len(start.memory) - self._memory.data_len(self._store)
        if missing < 0:
            raise CheckpointRefused("its memory is smaller than the module's")
        if missing:
            try:
                self._memory.grow(self._store, missing // PAGE_BYTES)
            except wasmtime.WasmtimeError as error:
                raise ProviderFault(f"no memory to restore into: {error}", "free memory on this machine") from None
        self._memory.write(self._store, start.memory, 0)
        for item, (kind, value) in zip(self._globals, start.globals, strict=True):
            bits = 32 if kind == "i32" else 64
            self._exports[item.name].set_value(self._store, value - (1 << bits) if value >> bits - 1 else value)

    def _state(self) -> Checkpoint:
        values = []
        for item in self._globals:
            bits = 32 if item.kind == "i32" else 64
            values.append((item.kind, self._exports[item.name].value(self._store) & (1 << bits) - 1))
        return Checkpoint(
            job_hash=self._job_hash,
            segments=self._done,
            work=self._work,
            host=self._wasi.state(),
            globals=tuple(values),
            memory=bytes(self._memory.read(self._store, 0, self._memory.data_len(self._store))),
        )


class _Memory:
    """Linear memory with checked bounds."""

    def __init__(self, store: wasmtime.Store, memory: wasmtime.Memory) -> None:
        self._store, self._memory = store, memory

    def read(self, at: int, size: int) -> bytes:
        self._require(at, size)
        return bytes(self._memory.read(self._store, at, at + size))

    def write(self, at: int, data: bytes) -> None:
        self._require(at, len(data))
        if data:
            self._memory.write(self._store, data, at)

    def _require(self, at: int, size: int) -> None:
        if at + size > self._memory.data_len(self._store):
            raise OutsideMemory


def _host_function(wasi: Wasi, name: str, parameters: str) -> Callable[..., int]:
    masks = tuple((1 << 64) - 1 if kind == "I" else (1 << 32) - 1 for kind in parameters)

    def call(*arguments: int) -> int:
        return wasi.call(name, tuple(value & mask for value, mask in zip(arguments, masks, strict=True)))

    return call


def _status_of(trap: wasmtime.Trap) -> Status:
    code = trap.trap_code
    if code is wasmtime.TrapCode.OUT_OF_FUEL:
        return "out_of_work"
    if code is wasmtime.TrapCode.STACK_OVERFLOW:
        # Frame sizes differ between processors, so the depth is no property of the job.
        raise ProviderFault(
            f"the job needs more than {MAX_STACK_BYTES} bytes of stack", "use less recursion in the module"
        )
    return "trapped"
