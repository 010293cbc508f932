"""A job whose files may still be local: what becomes a manifest once each file has its CID."""

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final, Self

from client.files import Source
from protocol.errors import BadCid, BadManifest
from protocol.hashing import sha256_of_cid
from protocol.manifest import Manifest

WORK: Final = 10**9
MEMORY_BYTES: Final = 64 * 2**20
WALL_SECONDS: Final = 300
OUTPUT_BYTES: Final = 16 * 2**20

Named = Source | str
"""A local file, bytes, or a CID."""


def is_cid(text: str) -> bool:
    try:
        sha256_of_cid(text)
    except BadCid:
        return False
    return True


@dataclass(frozen=True, slots=True, kw_only=True)
class Draft:
    """A job before its files are named by their hashes."""

    #: the WASM module: path, bytes or CID
    module: Named
    #: file name below /in → path, bytes or CID
    inputs: Mapping[str, Named] = field(default_factory=dict)
    #: the manifest's other fields, as in JSON
    fields: Mapping[str, Any]

    @classmethod
    def of(
        cls,
        module: Named,
        *,
        arguments: tuple[str, ...] | list[str] = (),
        environment: Mapping[str, str] | None = None,
        inputs: Mapping[str, Named] | None = None,
        segments: int = 0,
        work: int = WORK,
        memory_bytes: int = MEMORY_BYTES,
        wall_seconds: int = WALL_SECONDS,
        output_bytes: int = OUTPUT_BYTES,
        runtime: str = "wasi-det/1",
    ) -> Self:
        """A draft with defaults: 10⁹ units of work, 64 MiB of memory, 300 s, 16 MiB of output, one segment."""
        limits = {
            "memory_bytes": memory_bytes,
            "work": work,
            "wall_seconds": wall_seconds,
            "output_bytes": output_bytes,
        }
        fields = {
            "runtime": runtime,
            "arguments": list(arguments),
            "environment": dict(environment or {}),
            "limits": limits,
            "segments": segments,
        }
        return cls(module=_local(module, Path()), inputs=_all_local(inputs or {}, Path()), fields=fields)

    @classmethod
    def read(cls, path: Path) -> Self:
        """A manifest file; a module or an input that is no CID is a path beside that file. Raises `BadManifest`."""
        try:
            data = json.loads(path.read_bytes())
        except OSError as error:
            raise BadManifest("file", f"{path}: {error.strerror}", "name a readable JSON file") from None
        except ValueError as error:
            raise BadManifest("file", f"{path} is not JSON ({error})", "see `gridlease run --help`") from None
        if not isinstance(data, dict):
            raise BadManifest("file", f"{path} holds no JSON object", "see `gridlease run --help`")
        return cls.from_json(data, path.parent)

    @classmethod
    def from_json(cls, data: Mapping[str, Any], folder: Path = Path()) -> Self:
        """Like `read`, of decoded JSON; paths count from `folder`."""
        module, inputs = data.get("module"), data.get("inputs", {})
        if not isinstance(module, str):
            raise BadManifest("module", "missing", "name a WASM file or its CID")
        if not isinstance(inputs, dict) or not all(isinstance(value, str) for value in inputs.values()):
            raise BadManifest("inputs", "not an object of texts", "map each name below /in to a file or a CID")
        for name in ("environment", "limits"):
            if not isinstance(data.get(name, {}), dict):
                raise BadManifest(name, "not an object", "see `gridlease run --help`")
        fields = {name: value for name, value in data.items() if name not in ("module", "inputs")}
        return cls(module=_local(module, folder), inputs=_all_local(inputs, folder), fields=fields)

    def changed(
        self,
        *,
        inputs: Mapping[str, str],
        environment: Mapping[str, str],
        limits: Mapping[str, int],
        segments: int | None,
    ) -> "Draft":
        """The draft with more inputs and variables, other limits, and `segments` unless None."""
        fields = dict(self.fields)
        for name, more in (("environment", environment), ("limits", limits)):
            if more:
                fields[name] = {**fields.get(name, {}), **more}
        if segments is not None:
            fields["segments"] = segments
        return Draft(module=self.module, inputs={**self.inputs, **_all_local(inputs, Path())}, fields=fields)

    def bind(self, name_of: Callable[[Source], str]) -> Manifest:
        """The manifest, with each local file named by `name_of`: an upload, or just its hash. Raises `BadManifest`."""
        inputs = {name: _named(f"inputs.{name}", source, name_of) for name, source in self.inputs.items()}
        module = _named("module", self.module, name_of)
        return Manifest.parse({**self.fields, "module": module, "inputs": inputs})


def draft_of(job: "Manifest | Draft | Mapping[str, Any] | Path | str") -> Draft:
    """Any spelling of a job: manifest, draft, decoded JSON, or the path of a manifest file or of a WASM module."""
    if isinstance(job, Draft):
        return job
    if isinstance(job, Manifest):
        return Draft.from_json(job.model_dump(mode="json"))
    if isinstance(job, Mapping):
        return Draft.from_json(job)
    path = Path(job)
    return Draft.of(path) if is_module(path) else Draft.read(path)


def is_module(path: Path) -> bool:
    """Whether the file starts as WebAssembly does; False if it cannot be read."""
    try:
        with path.open("rb") as file:
            return file.read(4) == b"\0asm"
    except OSError:
        return False


def _local(value: Named, folder: Path) -> Named:
    return folder / value if isinstance(value, str) and not is_cid(value) else value


def _all_local(values: Mapping[str, Named], folder: Path) -> dict[str, Named]:
    return {name: _local(value, folder) for name, value in values.items()}


def _named(where: str, source: Named, name_of: Callable[[Source], str]) -> str:
    if isinstance(source, str):
        return source
    try:
        return name_of(source)
    except OSError as error:
        raise BadManifest(where, f"{source!s:.200}: {error.strerror}", "name a readable file or a CID") from None
