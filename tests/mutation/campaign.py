"""What was drawn and what became of it: one line of JSON a mutant, so a campaign goes on where it was stopped."""

import json
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Final

from tests.mutation.mutating import Mutant
from tests.mutation.sources import Source
from tests.mutation.trial import Verdict

COUNTED: Final = ("killed", "left", "survived")


@dataclass(frozen=True, slots=True)
class Record:
    """One mutant's line."""

    #: place in the draw
    number: int
    file: str
    line: int
    operator: str
    before: str
    after: str
    what: str
    by: str
    detail: str
    seconds: float


class Campaign:
    """The lines of one seed. Its first says which sources it is for."""

    def __init__(self, path: Path, facts: dict[str, Any]) -> None:
        self._path = path
        self.facts = facts
        self.records: dict[int, Record] = {}
        #: that survived at first, until a test was written
        self.escaped: set[int] = set()
        if not path.exists():
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(json.dumps(facts) + "\n")
            return
        first, *lines = path.read_text().splitlines()
        self.facts = json.loads(first)
        if self.facts["sources"] != facts["sources"]:
            raise SystemExit(f"{path} is of other sources; move it away or take another seed")
        # A line of the same number is a later try: the newest counts.
        for record in (Record(**json.loads(line)) for line in lines):
            self._take(record)

    def _take(self, record: Record) -> None:
        self.records[record.number] = record
        if record.what in ("left", "survived"):
            self.escaped.add(record.number)

    def add(self, record: Record) -> None:
        self._take(record)
        with self._path.open("a") as file:
            file.write(json.dumps(asdict(record)) + "\n")

    def counted(self) -> Iterator[Record]:
        yield from (record for _, record in sorted(self.records.items()) if record.what in COUNTED)


def record_of(number: int, mutant: Mutant, source: Source, verdict: Verdict, seconds: float) -> Record:
    before = source.text[mutant.edit.start : mutant.edit.end].decode()
    return Record(
        number=number, file=mutant.file, line=mutant.line, operator=mutant.operator, before=before,
        after=mutant.edit.text, what=verdict.what, by=verdict.by, detail=verdict.detail, seconds=round(seconds, 1),
    )  # fmt: skip
