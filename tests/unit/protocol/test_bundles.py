"""Every kind of bundle proves what the golden vectors say, has one spelling, and fails at a named step otherwise.

The same files are read by explorer/static/verify.js and by the one-file verifier; all must agree.
"""

import importlib.util
import io
import json
import shutil
import subprocess
import sys
from collections.abc import Callable
from hashlib import sha256
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
import rfc8785

from protocol.bundle import verify, verify_history, verify_lease, write_absence, write_history, write_lease
from protocol.bundle.file import LARGEST_BYTES, spell
from protocol.bundle.history import replay
from protocol.bundle.lease import lease_slots
from protocol.errors import BadProof
from protocol.events import HEAD_SLOT, LedgerHead
from protocol.hashing import from_hex, keccak256
from protocol.keccak import plain_keccak256
from protocol.tries import trie_path
from tests.support.paper_chain import LEDGER, START_TIME, STRANGER, PaperBlock, PaperChain, deposit, log_of

ROOT = Path(__file__).parents[3]
VECTORS = ROOT / "tests/vectors"
EXPECTED: dict[str, dict[str, Any]] = json.loads((VECTORS / "proofs.expected.json").read_text())
REFUSED: dict[str, Any] = json.loads((VECTORS / "proofs.refused.json").read_text())
STEPS = {"file", "anchor", "header", "path", "rlp", "account", "storage", "lease", "link", "receipts", "receipt", "log"}
STEPS |= {"event", "head", "range", "ledger", "events"}


def one_file() -> ModuleType:
    """The verifier that third parties copy, loaded from its path as they would."""
    spec = importlib.util.spec_from_file_location("copied_verifier", ROOT / "protocol/verifier.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


COPIED = one_file()
VERIFIERS: dict[str, Callable[..., Any]] = {"library": verify, "one file": COPIED.verify}


def content(name: str) -> bytes:
    return (VECTORS / name).read_bytes()


def anchors(name: str) -> list[bytes]:
    return [from_hex(text, 32) for text in EXPECTED[name]["anchors"]]


def ledger(name: str) -> bytes:
    return from_hex(EXPECTED[name]["ledger"], 20)


def step_of(check: Callable[..., Any], data: bytes, name: str) -> str:
    """Where it fails for a reader with the right anchors; anything but a `BadProof` fails the test."""
    with pytest.raises((BadProof, COPIED.BadProof)) as failure:
        check(data, anchors(name), ledger(name))
    step: str = failure.value.step
    return step


def flipped(data: bytes, index: int, mask: int) -> bytes:
    return data[:index] + bytes([data[index] ^ mask]) + data[index + 1 :]


@pytest.mark.parametrize("verifier", VERIFIERS)
@pytest.mark.parametrize("name", EXPECTED)
def test_the_golden_bundles_prove_what_they_must(name: str, verifier: str) -> None:
    verified = VERIFIERS[verifier](content(name), anchors(name), ledger(name))
    assert verified.trusted
    assert verified.facts() == EXPECTED[name]["facts"]
    assert not VERIFIERS[verifier](content(name), (), ledger(name)).trusted


@pytest.mark.parametrize("name", EXPECTED)
def test_a_bundle_is_canonical_json(name: str) -> None:
    data = content(name)
    assert rfc8785.dumps(json.loads(data)) == data == spell(json.loads(data))


@pytest.mark.parametrize("name", EXPECTED)
def test_every_flipped_byte_fails_with_its_step_named(name: str) -> None:
    data = content(name)
    for index in range(len(data)):
        mask = (0x01, 0x20, 0x80)[index % 3]
        assert step_of(verify, flipped(data, index, mask), name) in STEPS


@pytest.mark.parametrize("verifier", VERIFIERS)
def test_refused_files_fail_where_the_vectors_say(verifier: str) -> None:
    for edit in REFUSED["edits"]:
        data = content(edit["of"]).replace(edit["find"].encode(), edit["put"].encode(), 1)
        assert step_of(VERIFIERS[verifier], data, edit["of"]) == edit["step"], edit
    for name, flips in REFUSED["flips"].items():
        for index, mask, step in flips:
            assert step_of(VERIFIERS[verifier], flipped(content(name), index, mask), name) == step, (name, index, mask)
    for text in REFUSED["files"]:
        assert step_of(VERIFIERS[verifier], text.encode(), "proof.json") == "file", text[:20]


@pytest.mark.parametrize("name", EXPECTED)
def test_another_anchor_or_ledger_is_refused(name: str) -> None:
    with pytest.raises(BadProof, match="anchor"):
        verify(content(name), [bytes(32)], ledger(name))
    with pytest.raises(BadProof, match="ledger"):
        verify(content(name), anchors(name), STRANGER)


@pytest.mark.parametrize("name", EXPECTED)
@pytest.mark.parametrize("change", [lambda d: d[:-1], lambda d: d + b"\n", lambda d: b" " + d, lambda d: d + d])
def test_more_or_less_than_the_file_fails(name: str, change: Callable[[bytes], bytes]) -> None:
    assert step_of(verify, change(content(name)), name) == "file"


HOSTILE = {
    "a number of 100 MB": b'{"v":' + b"9" * 100_000_000 + b"}",
    "a number just allowed in size": b'{"v":' + b"9" * (LARGEST_BYTES - 10) + b"}",
    "nothing but opening brackets": b"[" * 1_000_000,
    "nothing but opening braces": b'{"a":' * 1_000_000,
    "not UTF-8": b"\xff\xfe",
    "a lone surrogate": b'{"v":"\\ud800"}',
    "an infinity": b'{"v":Infinity}',
    "a fraction": b'{"v":1e400}',
    "a zero byte": b'{"v":1}\x00',
}


@pytest.mark.parametrize("what", HOSTILE)
def test_a_hostile_file_is_a_refused_file(what: str) -> None:
    assert step_of(verify, HOSTILE[what], "proof.json") == "file"


def test_the_plain_keccak_equals_the_compiled_one() -> None:
    for size in (0, 1, 7, 8, 135, 136, 137, 271, 272, 273, 1000):
        data = bytes(index * 7 % 256 for index in range(size))
        assert plain_keccak256(data) == keccak256(data)


def test_the_one_file_verifier_runs_alone_and_exits_by_its_verdict(tmp_path: Path) -> None:
    """Without site-packages: no compiled keccak, nothing of ours."""
    copied = tmp_path / "verifier.py"
    shutil.copy(ROOT / "protocol/verifier.py", copied)

    def run(*arguments: str) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-I", "-S", str(copied), *arguments]
        return subprocess.run(command, capture_output=True, text=True, cwd=tmp_path, check=False)

    proof, events = str(VECTORS / "proof-history.json"), str(VECTORS / "proof-history.ndjson")
    (anchor,) = EXPECTED["proof-history.json"]["anchors"]
    good = run(proof, "--block-hash", anchor, "--events", events)
    assert good.returncode == 0, good.stderr
    assert json.loads(good.stdout) == {
        "trusted": True,
        **EXPECTED["proof-history.json"]["facts"],
        "events_replayed": 11,
    }
    bad = run(proof, "--block-hash", "0x" + "11" * 32)
    assert (bad.returncode, bad.stdout) == (1, "")
    assert "proof fails at anchor" in bad.stderr
    assert run(str(VECTORS / "proof-absence.json")).returncode == 1
    assert run(str(tmp_path / "missing")).returncode == 2
    assert run(proof, "--block-hash", "0x12").returncode == 2


def test_the_one_file_verifier_is_what_the_modules_come_to() -> None:
    tool = [sys.executable, str(ROOT / "tools/join_verifier.py"), "--check"]
    assert subprocess.run(tool, cwd=ROOT, check=False).returncode == 0


# History


def end(block: PaperBlock) -> tuple[bytes, list[bytes]]:
    return block.header, block.nodes([HEAD_SLOT])


def replayed(name: str, lines: bytes) -> int:
    verified = verify_history(content(f"{name}.json"), anchors(f"{name}.json"))
    return replay(verified, io.BytesIO(lines))


@pytest.mark.parametrize(("name", "count"), [("proof-history", 11), ("proof-range", 8)])
def test_the_exported_events_are_exactly_those_of_the_head(name: str, count: int) -> None:
    assert replayed(name, content(f"{name}.ndjson")) == count


@pytest.mark.parametrize("name", ["proof-history", "proof-range"])
def test_every_flipped_byte_of_the_exported_events_fails(name: str) -> None:
    data = content(f"{name}.ndjson")
    for index in range(len(data)):
        with pytest.raises(BadProof) as failure:
            replayed(name, flipped(data, index, 1))
        assert failure.value.step == "events"


def lines_of(name: str) -> list[bytes]:
    return content(f"{name}.ndjson").splitlines(keepends=True)


def retold(lines: list[bytes]) -> bytes:
    """The list with event numbers and its last line made to fit, as a liar would."""
    events = [json.loads(line) for line in lines[:-1]]
    told = b"".join(spell(event | {"seq": index}) + b"\n" for index, event in enumerate(events, start=1))
    trailer = json.loads(lines[-1]) | {"count": len(events), "sha256": "0x" + sha256(told).hexdigest()}
    return told + spell(trailer) + b"\n"


LIES: dict[str, Callable[[list[bytes]], list[bytes]]] = {
    "an event is missing": lambda lines: [*lines[:4], *lines[5:]],
    "the first event is missing": lambda lines: lines[1:],
    "the newest event is missing": lambda lines: [*lines[:-2], lines[-1]],
    "an event is told twice": lambda lines: [*lines[:4], lines[3], *lines[4:]],
    "two events change places": lambda lines: [lines[1], lines[0], *lines[2:]],
    "no event at all": lambda lines: lines[-1:],
    "another amount": lambda lines: [lines[0].replace(b"f4240", b"f4241"), *lines[1:]],
    "another time": lambda lines: [lines[0].replace(b'"time":1700000024', b'"time":1700000025'), *lines[1:]],
    "another block": lambda lines: [lines[0].replace(b'"block":2', b'"block":3'), *lines[1:]],
}


@pytest.mark.parametrize("lie", LIES)
def test_a_consistent_list_that_is_not_the_history_fails(lie: str) -> None:
    lines = lines_of("proof-history")
    assert LIES[lie](lines) != lines
    with pytest.raises(BadProof, match="events"):
        replayed("proof-history", retold(LIES[lie](lines)))


def test_a_topic_that_moved_into_the_data_is_refused_though_the_hash_is_the_same() -> None:
    lines = lines_of("proof-history")
    event = json.loads(lines[0])
    moved = event["topics"].pop()
    event["data"] = moved + event["data"][2:]
    lines[0] = spell(event) + b"\n"
    with pytest.raises(BadProof, match="do not fit"):
        replayed("proof-history", retold(lines))


def test_events_are_numbered_as_the_head_counts_them() -> None:
    lines = lines_of("proof-history")
    renumbered = [spell(json.loads(line) | {"seq": index}) + b"\n" for index, line in enumerate(lines[:-1], start=2)]
    digest = "0x" + sha256(b"".join(renumbered)).hexdigest()
    with pytest.raises(BadProof, match="expected is 1"):
        replayed("proof-history", b"".join([*renumbered, spell(json.loads(lines[-1]) | {"sha256": digest}) + b"\n"]))


def test_a_cut_file_and_an_endless_line_are_named() -> None:
    data = content("proof-history.ndjson")
    with pytest.raises(BadProof, match="cut"):
        replayed("proof-history", data[:-1])
    with pytest.raises(BadProof, match="cut"):
        replayed("proof-history", b"".join(lines_of("proof-history")[:-1]))
    with pytest.raises(BadProof, match="longer"):
        replayed("proof-history", b"x" * 10_000_000)
    with pytest.raises(BadProof, match="after the last line"):
        replayed("proof-history", data + b"{}\n")


def test_the_list_of_another_block_says_how_to_export_the_right_one() -> None:
    lines = lines_of("proof-history")
    trailer = json.loads(lines[-1]) | {"last_block": 9}
    with pytest.raises(BadProof, match="--to-block 8"):
        replayed("proof-history", b"".join(lines[:-1]) + spell(trailer) + b"\n")


def test_a_proof_of_a_million_events_is_as_small_as_one_of_ten() -> None:
    verified = verify(content("proof-history-million.json"))
    assert verified.facts()["count"] == 1_000_000
    assert len(content("proof-history-million.json")) < 8_000


def test_a_range_needs_both_blocks_unless_one_is_the_others_parent() -> None:
    first, last = anchors("proof-range.json")
    for only in (first, last):
        with pytest.raises(BadProof, match="anchor"):
            verify(content("proof-range.json"), [only])
    assert len(anchors("proof-range-linked.json")) == 1


def test_the_heads_of_two_histories_are_no_range() -> None:
    chain, other = PaperChain(), PaperChain()
    first = chain.add([log_of(deposit(1))])
    fork = other.add([log_of(deposit(2))])
    second = chain.add()
    assert fork.head.count == second.head.count
    for after, until in ((fork, second), (second, first), (first, first)):
        with pytest.raises(BadProof, match="range"):
            verify(write_history(LEDGER, end(until), after=end(after)))
    shrunk = PaperChain(head=LedgerHead(7, 99))
    shrunk.add()
    with pytest.raises(BadProof, match="range"):
        verify(write_history(LEDGER, end(second), after=end(shrunk.blocks[0])))


# Absence


def test_a_block_with_an_event_cannot_be_called_silent() -> None:
    chain = PaperChain()
    block = chain.add([(STRANGER, [bytes(32)], b""), log_of(deposit(1))])
    with pytest.raises(BadProof, match="holds a log"):
        write_absence(LEDGER, [(block.header, block.receipts)])


def test_a_receipt_left_out_is_noticed() -> None:
    chain = PaperChain()
    block = chain.add([(STRANGER, [bytes(32)], b""), log_of(deposit(1))])
    for receipts in (block.receipts[:1], []):
        with pytest.raises(BadProof, match="not all receipts"):
            write_absence(LEDGER, [(block.header, receipts)])


def test_blocks_that_do_not_follow_each_other_are_refused() -> None:
    chain = PaperChain()
    blocks = [chain.add() for _ in range(3)]
    with pytest.raises(BadProof, match="link"):
        write_absence(LEDGER, [(blocks[0].header, []), (blocks[2].header, [])])


def test_blocks_of_two_branches_are_refused_though_their_numbers_follow() -> None:
    chain, other = PaperChain(), PaperChain()
    first, _ = chain.add(), other.add([(STRANGER, [bytes(32)], b"")])
    with pytest.raises(BadProof, match="link"):
        write_absence(LEDGER, [(first.header, []), (other.add().header, [])])


# Leases


def test_a_word_with_a_bit_that_no_field_has_is_no_lease() -> None:
    lease, chain = keccak256(b"lease"), PaperChain()
    chain.set_lease(lease, (1, 1 << 240 | 1 << 255))
    block = chain.add()
    with pytest.raises(BadProof, match="no field of the ledger"):
        write_lease(block.header, LEDGER, lease, block.nodes(lease_slots(lease)[:2]))


@pytest.mark.parametrize(("deadline", "then"), [(START_TIME + 13, "open"), (START_TIME + 12, "closing")])
def test_an_open_lease_at_its_deadline_is_closing_and_before_it_is_open(deadline: int, then: str) -> None:
    lease, chain = keccak256(b"lease"), PaperChain()
    chain.set_lease(lease, (1, 1 << 240 | deadline << 160))
    block = chain.add()
    proved = verify_lease(write_lease(block.header, LEDGER, lease, block.nodes(lease_slots(lease)[:2])))
    assert proved.fields is not None
    assert (proved.fields["state"], proved.state_then) == ("open", then)


def test_an_address_without_a_contract_proves_nothing() -> None:
    block = PaperChain().add()
    with pytest.raises(BadProof, match="account"):
        write_history(STRANGER, (block.header, trie_path(block.accounts, keccak256(STRANGER))))


def test_an_absence_needs_a_reader_who_says_of_what() -> None:
    with pytest.raises(BadProof, match="say which ledger"):
        verify(content("proof-absence.json"), anchors("proof-absence.json"))
