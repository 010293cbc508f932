"""A job as bytes that everybody hashes alike: RFC 8785 JSON, whose SHA-256 an order names (SPEC "Jobs")."""

import re
from functools import cached_property
from typing import Annotated, Any, Final, Literal, Self

import rfc8785
from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator

from protocol.errors import BadCid, BadManifest
from protocol.hashing import sha256, sha256_of_cid

RUNTIMES: Final = ("wasi-det/1",)
MAX_INPUT_FILES: Final = 64
MAX_TEXT_BYTES: Final = 64 * 1024
MAX_MEMORY_BYTES: Final = 2 * 1024**3
MAX_OUTPUT_BYTES: Final = 256 * 1024**2
MAX_WORK: Final = 10**15
MAX_WALL_SECONDS: Final = 24 * 3600
MAX_SEGMENTS: Final = 4096

_GUEST_NAME: Final = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,127}")

# Strings go into hashes and pages: no NUL, no lone surrogates.
Text = Annotated[str, Field(max_length=4096)]


class _Frozen(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)


class Limits(_Frozen):
    """What the job may use at most; it ends with a status, and pays, when it meets one."""

    #: linear memory in bytes
    memory_bytes: int = Field(ge=65536, le=MAX_MEMORY_BYTES)
    #: raw units of work
    work: int = Field(ge=1, le=MAX_WORK)
    #: seconds on the provider's clock; meeting it is the provider's fault, never a result
    wall_seconds: int = Field(ge=1, le=MAX_WALL_SECONDS)
    #: bytes of all files in /out with log text
    output_bytes: int = Field(ge=0, le=MAX_OUTPUT_BYTES)


class Manifest(_Frozen):
    """Everything that decides a job's result."""

    version: Literal[1] = 1
    #: runtime id; a change in engine or settings is a new id
    runtime: str = Field(max_length=32)
    #: CID of the module
    module: str
    arguments: tuple[Text, ...] = Field(default=(), max_length=256)
    environment: dict[Text, Text] = Field(default_factory=dict, max_length=256)
    #: file name below /in → CID
    inputs: dict[str, str] = Field(default_factory=dict, max_length=MAX_INPUT_FILES)
    limits: Limits
    #: calls of step(i) between init and finish; 0 = one segment, the module's _start
    segments: int = Field(default=0, ge=0, le=MAX_SEGMENTS)
    #: `exact` = anybody can re-run it to the same hash
    verify: Literal["exact", "none"] = "exact"

    @field_validator("module")
    @classmethod
    def _module_is_a_cid(cls, value: str) -> str:
        sha256_of_cid(value)
        return value

    @field_validator("inputs")
    @classmethod
    def _inputs_are_named_files(cls, value: dict[str, str]) -> dict[str, str]:
        for name, cid in value.items():
            if not _GUEST_NAME.fullmatch(name):
                raise ValueError(f"input name {name[:80]!r} must be letters, digits, '_', '-', '.' and no path")
            sha256_of_cid(cid)
        return value

    @field_validator("arguments", "environment")
    @classmethod
    def _text_is_plain(cls, value: Any) -> Any:
        texts = [*value, *value.values()] if isinstance(value, dict) else list(value)
        if any("\0" in text or (not text.isascii() and _has_surrogate(text)) for text in texts):
            raise ValueError("text holds NUL or a lone surrogate")
        if sum(len(text.encode()) for text in texts) > MAX_TEXT_BYTES:
            raise ValueError(f"text is over {MAX_TEXT_BYTES} bytes")
        return value

    @classmethod
    def parse(cls, data: Any) -> Self:
        """A manifest from decoded JSON; raises `BadManifest` that names the field and the remedy."""
        try:
            manifest = cls.model_validate(_tuples(data))
        except ValidationError as error:
            first = error.errors()[0]
            field = ".".join(str(part) for part in first["loc"]) or "manifest"
            raise BadManifest(field, first["msg"], "see SPEC.md, section Jobs") from None
        except BadCid as error:
            raise BadManifest("inputs", str(error), "upload the file first and name it by its CID") from error
        if manifest.runtime not in RUNTIMES:
            known = ", ".join(RUNTIMES)
            raise BadManifest("runtime", f"unknown runtime {manifest.runtime!r}", f"use one of: {known}")
        return manifest

    def canonical(self) -> bytes:
        """RFC 8785 form: the bytes that are hashed, stored and served."""
        return self._canonical

    # Whoever takes a job in hashes it and stores it.
    @cached_property
    def _canonical(self) -> bytes:
        return rfc8785.dumps(self.model_dump(mode="json"))

    def job_hash(self) -> bytes:
        """SHA-256 of the canonical form: `order.job`."""
        return sha256(self.canonical())

    @property
    def total_segments(self) -> int:
        """Segments that are metered and paid one by one: at least 1."""
        return max(1, self.segments)


def _has_surrogate(text: str) -> bool:
    return any(0xD800 <= ord(character) <= 0xDFFF for character in text)


def _tuples(data: Any) -> Any:
    """JSON has only lists; strict pydantic wants the tuple that the frozen model holds."""
    if isinstance(data, dict) and isinstance(data.get("arguments"), list):
        return {**data, "arguments": tuple(data["arguments"])}
    return data
