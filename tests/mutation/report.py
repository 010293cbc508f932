"""contracts/test/mutation/RESULTS.md, or RESULTS-<seed>.md: the figures of a campaign, and its survivors explained."""

import tomllib
from collections import Counter, defaultdict
from collections.abc import Callable
from typing import Final

from tests.mutation.campaign import Campaign, Record
from tests.mutation.sources import CONTRACTS

_FOLDER: Final = CONTRACTS / "test" / "mutation"
_MAIN_SEED: Final = "1"
_STAGES: Final = ("model", "unit", "court", "fuzz and invariants")


def write(campaign: Campaign, candidates: int) -> str:
    """Writes the file; returns the one line that matters."""
    counted = list(campaign.counted())
    survivors = [record for record in counted if record.what != "killed"]
    told = _explanations(campaign.facts["seed"])
    unexplained = [record.number for record in survivors if str(record.number) not in told]
    killed = len(counted) - len(survivors)
    share = f"{killed} of {len(counted)} killed ({100 * killed / max(1, len(counted)):.1f} %)"
    left_out = Counter(record.what for record in campaign.records.values() if record not in counted)
    seconds = sum(record.seconds for record in campaign.records.values())
    facts = campaign.facts
    lines = [
        "# Mutation results",
        "",
        f"**{share}**, {len(survivors)} survived, of these {len(unexplained)} without an explanation. "
        f"{sum(record.what == 'left' for record in survivors)} of the survivors have yet to meet the slow tests.",
        "",
        f"Seed `{facts['seed']}`, begun at commit `{facts['commit']}`, sources `{facts['sources']}`: "
        f"`make mutants SEED={facts['seed']}` goes on or repeats it. {seconds / 60:.0f} minutes of work so far.",
        "",
        f"Drawn {len(campaign.records)} of {candidates} possible mutants: each line as likely as any other, then each",
        f"operator on it. Not counted: {left_out['not compiled']} that do not compile, {left_out['same code']} whose",
        "bytecode is the original's. A mutant meets the reference model (1,500 operations, 600 forgeries), the unit",
        "tests and the court's tests, compiled fast; what is left meets the unit tests as it would be released,",
        "10,000 more operations, fuzz and invariant tests (4 runs of 40). The first to fail counts.",
        "",
        *([told["note"].strip(), ""] if "note" in told else []),
        *_table("file", counted, lambda record: record.file.removeprefix("src/")),
        "",
        *_table("operator", counted, lambda record: record.operator),
        "",
        "## Survived at first",
        "",
        "Killed since then by the test named, most of them by one that was written for it.",
        "",
    ]
    lines += [_closed(record) for record in counted if record.number in campaign.escaped and record.what == "killed"]
    lines += ["", "## Survivors", ""]
    for record in survivors:
        lines += _told(record, told.get(str(record.number), "**not explained yet**"))
    if not survivors:
        lines.append("None.")
    _FOLDER.mkdir(exist_ok=True)
    name = "RESULTS.md" if facts["seed"] == _MAIN_SEED else f"RESULTS-{facts['seed']}.md"
    (_FOLDER / name).write_text("\n".join(lines).rstrip() + "\n")
    return f"{share}; {len(unexplained)} survivors without an explanation: {unexplained}"


def _explanations(seed: str) -> dict[str, str]:
    path = _FOLDER / "survivors.toml"
    found: dict[str, dict[str, str]] = tomllib.loads(path.read_text()) if path.exists() else {}
    return found.get(f"seed-{seed}", {})


def _table(title: str, counted: list[Record], name: Callable[[Record], str]) -> list[str]:
    groups: dict[str, list[Record]] = defaultdict(list)
    for record in counted:
        groups[name(record)].append(record)
    rows = [
        f"| {title} | drawn | killed | " + " | ".join(f"by {stage}" for stage in _STAGES) + " |",
        "| --- |" + " ---: |" * (len(_STAGES) + 2),
    ]
    for label, records in [*sorted(groups.items()), ("**all**", counted)]:
        by = Counter(record.by for record in records if record.what == "killed")
        cells = [len(records), by.total(), *(by[stage] for stage in _STAGES)]
        rows.append(f"| {label} | " + " | ".join(str(cell) for cell in cells) + " |")
    return rows


def _closed(record: Record) -> str:
    change = f"`{_line(record.before)}` → `{_line(record.after)}`"
    place = f"{record.file.removeprefix('src/')}:{record.line}"
    return f"- {record.number}: {place}, {record.operator}, {change}: `{record.detail}`"


def _line(text: str) -> str:
    return " ".join(text.split()) or " "


def _told(record: Record, why: str) -> list[str]:
    change = [
        *(f"- {line}" for line in record.before.splitlines()),
        *(f"+ {line}" for line in record.after.splitlines()),
    ]
    title = f"### {record.number}: {record.file.removeprefix('src/')}:{record.line}, {record.operator}"
    return [title, "", "```diff", *change, "```", "", why.strip(), ""]
