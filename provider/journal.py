"""What an agent must remember of a lease, so that a kill at any point loses at most one unpaid segment.

One append-only file of JSON lines for each lease, each line on the disk before the agent goes on; a torn last line is
dropped. Checkpoints and outputs lie beside it, by CID.
"""

import json
import os
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, ValidationError

from protocol.hashing import cid_of, sha256, to_hex
from protocol.wire.fields import Big, Cid, Hash32
from protocol.wire.leases import Resume, SignedVoucher, UsageReport


class _Entry(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class BaseEntry(_Entry):
    """Where the segments below go on: at the start, or after what the market holds a paid checkpoint of."""

    kind: Literal["base"] = "base"
    resume: Resume | None


class SegmentEntry(_Entry):
    """A segment that was run, with the report that claims its pay."""

    kind: Literal["segment"] = "segment"
    report: UsageReport
    #: raw work of the lease
    lease_work: Big
    #: files to upload before the report: the checkpoint, or the outputs
    files: list[Cid]
    #: of the state after it; None with the last segment
    checkpoint: Cid | None
    #: to `report`, which no other replica may copy; None where the order has only one
    commitment: Hash32 | None = None


class VoucherEntry(_Entry):
    """The checked voucher for the segment before."""

    kind: Literal["voucher"] = "voucher"
    voucher: SignedVoucher


class EndEntry(_Entry):
    """Nothing more is done for this lease."""

    kind: Literal["end"] = "end"
    outcome: Literal["completed", "refused", "failed", "lapsed"]
    reason: str = ""


Entry = Annotated[BaseEntry | SegmentEntry | VoucherEntry | EndEntry, Field(discriminator="kind")]
_ENTRY: TypeAdapter[Entry] = TypeAdapter(Entry)


@dataclass(slots=True)
class Progress:
    """What the entries add up to."""

    base: BaseEntry | None = None
    segments: list[SegmentEntry] = field(default_factory=list)
    vouchers: list[SignedVoucher] = field(default_factory=list)
    end: EndEntry | None = None

    @property
    def unpaid(self) -> SegmentEntry | None:
        """The segment whose voucher has not come yet: one at most."""
        return self.segments[-1] if len(self.segments) > len(self.vouchers) else None

    @property
    def paid_base(self) -> int:
        """Base units of the last voucher; 0 before the first."""
        return int(self.vouchers[-1].voucher["cumulative"]) if self.vouchers else 0

    @property
    def has_result(self) -> bool:
        return bool(self.segments) and self.segments[-1].report.result is not None

    def add(self, entry: Entry) -> None:
        if isinstance(entry, BaseEntry):
            self.base, self.segments, self.vouchers = entry, [], []
        elif isinstance(entry, SegmentEntry):
            self.segments.append(entry)
        elif isinstance(entry, VoucherEntry):
            self.vouchers.append(entry.voucher)
        else:
            self.end = entry


class Journal:
    """The journal and files of one lease, in a folder of its own."""

    def __init__(self, folder: Path, lease: bytes) -> None:
        self._folder = folder / to_hex(lease)[2:]
        self._folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        self._path = self._folder / "journal.jsonl"
        self.progress = self._load()

    def append(self, entry: Entry) -> None:
        """Returns when the line is on the disk."""
        line = entry.model_dump_json().encode() + b"\n"
        with self._path.open("ab") as file:
            file.write(line)
            file.flush()
            os.fsync(file.fileno())
        self.progress.add(entry)

    def keep(self, data: bytes) -> str:
        """Puts a file beside the journal, on the disk before this returns; its CID."""
        cid = cid_of(sha256(data))
        draft = self._folder / f"{cid}.draft"
        with draft.open("wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        os.replace(draft, self._folder / cid)
        return cid

    def find(self, cid: str) -> bytes | None:
        """A kept file; None if it is gone or damaged."""
        try:
            data = (self._folder / cid).read_bytes()
        except FileNotFoundError:
            return None
        return data if cid_of(sha256(data)) == cid else None

    def drop_all_but(self, cids: set[str]) -> None:
        """Removes kept files that no resume needs any more."""
        for path in self._folder.iterdir():
            if path != self._path and path.name not in cids:
                path.unlink(missing_ok=True)

    def _load(self) -> Progress:
        progress = Progress()
        if not self._path.exists():
            return progress
        content = self._path.read_bytes()
        whole = content[: content.rfind(b"\n") + 1]
        if whole != content:
            # The machine stopped in the middle of a line: its event never counted.
            os.truncate(self._path, len(whole))
        for line in whole.splitlines():
            try:
                progress.add(_ENTRY.validate_python(json.loads(line)))
            except (ValidationError, ValueError) as error:
                raise ValueError(f"{self._path} holds a line that is no entry; move the folder away") from error
        return progress


def all_journals(folder: Path) -> list[tuple[str, Progress]]:
    """(lease, progress) of every lease that was served from this folder."""
    if not folder.is_dir():
        return []
    found = sorted(path.name for path in folder.iterdir() if (path / "journal.jsonl").exists())
    return [("0x" + name, Journal(folder, bytes.fromhex(name)).progress) for name in found]
