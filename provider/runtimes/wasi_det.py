"""The runtime `wasi-det/1`: deterministic WebAssembly, sandboxed in a child process, equal on every machine."""

from pathlib import Path

from provider.runtimes import execution
from provider.runtimes.engine import RUNTIME_ID, require_version
from provider.runtimes.execution import WasmExecution
from provider.runtimes.model import Execution, ResumePoint, RunSpec, Segment
from provider.runtimes.sandbox import SandboxedExecution


class WasiDet:
    """See `provider.runtimes.model.Runtime`."""

    id = RUNTIME_ID
    verifiable = True

    def __init__(self, cache: Path | None = None, *, sandboxed: bool = True) -> None:
        """`cache` is a folder of this user's alone; `sandboxed` False runs in this process, for trusted modules."""
        require_version()
        self._cache = cache
        self._sandboxed = sandboxed

    def check(self, spec: RunSpec) -> None:
        execution.check(spec)

    def start(self, spec: RunSpec, resume: ResumePoint | None = None) -> Execution:
        self.check(spec)
        if self._sandboxed:
            return SandboxedExecution(spec, resume=resume, cache=self._cache)
        return WasmExecution(spec, resume=resume, cache=self._cache)

    def replay(self, spec: RunSpec, resume: ResumePoint | None) -> Segment:
        with self.start(spec, resume) as run:
            return run.advance()
