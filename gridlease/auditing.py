"""`gridlease audit auction`: the published book from the market, what came of it from a node, and the rule, here."""

import contextlib
import json
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import typer
from pydantic import ValidationError

from backend.matching.audit import HeldReceipt, Outcome, audit, untold
from backend.matching.snapshot import Snapshot
from client.errors import NotFound
from client.http import Http
from indexer.ranges import RangeSize
from protocol.errors import NodeUnavailable, ProtocolError, RpcRefused
from protocol.events import Auction, LeaseOpened, LedgerEvent, Skipped, decode_log, signature
from protocol.hashing import from_hex, keccak256, to_hex
from protocol.messages import from_json
from protocol.rpc import Rpc
from protocol.terms import BookReceipt, Offer, Order
from protocol.wire.auctions import AuctionInfo, BookEntryInfo, SignedBookReceipt

_AUCTION_TOPIC: Final = to_hex(keccak256(signature(Auction).encode()))
_FIRST_BLOCKS: Final = 10_000
_MOST_BLOCKS: Final = 1_000_000


def run_audit(number: int, url: str, rpc: str | None, from_block: int, receipts: list[Path], *, as_json: bool) -> None:
    """Prints each finding; exit code 1 if there is one."""
    held = [read_receipt(path) for path in receipts]
    http = Http(url)
    try:
        snapshot = _book(http, number)
        earlier = _earlier(http, untold(snapshot, held))
    finally:
        http.close()
    outcome = None
    if rpc is not None:
        with Rpc(rpc) as node:
            node.require_chain(snapshot.domain.chain_id)
            outcome = outcome_of(node, snapshot, from_block)
    findings = audit(snapshot, outcome, held, earlier)
    if as_json:
        facts = {
            "auction": number,
            "root": to_hex(snapshot.root()),
            "ledger": snapshot.domain.ledger,
            "matcher": snapshot.matcher,
            "offers": len(snapshot.offers),
            "orders": len(snapshot.orders),
            "compared_with_chain": outcome is not None,
            "holds": not findings,
            "findings": [{"fault": finding.fault.value, "words": finding.words} for finding in findings],
        }
        typer.echo(json.dumps(facts))
    else:
        _say(number, snapshot, outcome, [f"{finding.fault.value}: {finding.words}" for finding in findings])
    if findings:
        raise typer.Exit(1)


def _book(http: Http, number: int) -> Snapshot:
    return Snapshot.parse(http.get(f"/v1/auctions/{number}", AuctionInfo).snapshot)


def _earlier(http: Http, digests: list[bytes]) -> list[Snapshot]:
    """The books of which the market says that they told of the leaving of these; it may name none."""
    books = set()
    for digest in digests:
        with contextlib.suppress(NotFound):
            books.add(http.get(f"/v1/auctions/entries/{to_hex(digest)}", BookEntryInfo).left_in)
    return [_book(http, number) for number in sorted(number for number in books if number is not None)]


def _say(number: int, snapshot: Snapshot, outcome: Outcome | None, findings: list[str]) -> None:
    typer.echo(f"Auction {number} of matcher {snapshot.matcher} on ledger {snapshot.domain.ledger}:")
    offers, orders, left_out = len(snapshot.offers), len(snapshot.orders), len(snapshot.left_out)
    typer.echo(f"{offers} offers, {orders} orders, {left_out} left out; root {to_hex(snapshot.root())}")
    for words in findings:
        typer.echo(words)
    if findings:
        return
    if outcome is None:
        typer.echo("The book is consistent. Give --rpc to hold it to what the chain says of the auction.", err=True)
    else:
        typer.echo(f"As the rule says: {len(outcome.opened)} leases opened, {len(outcome.skipped)} passed over.")


def outcome_of(node: Rpc, snapshot: Snapshot, from_block: int) -> Outcome:
    """What the ledger did under the book's root, and all roots of its matcher since that block."""
    topics = [_AUCTION_TOPIC, "0x" + "00" * 12 + snapshot.matcher[2:].lower()]
    root, roots = snapshot.root(), set()
    opened: list[LeaseOpened] = []
    skipped: set[bytes] = set()
    for log in _logs(node, snapshot.domain.ledger, topics, from_block):
        event = _event(log)
        if not isinstance(event, Auction):
            continue
        roots.add(event.book_root)
        if event.book_root == root:
            for happened in _under(node, log):
                if isinstance(happened, LeaseOpened):
                    opened.append(happened)
                elif isinstance(happened, Skipped):
                    skipped.add(happened.id)
    return Outcome(roots=frozenset(roots), opened=tuple(opened), skipped=frozenset(skipped))


def _logs(node: Rpc, address: str, topics: list[str], first: int) -> Iterator[dict[str, Any]]:
    """From that block on, in ranges that the node takes; raises what it says of a range that cannot be smaller."""
    newest = int(node.call("eth_blockNumber"), 16)
    size = RangeSize(blocks=_FIRST_BLOCKS, ceiling=_MOST_BLOCKS)
    while first <= newest:
        last = min(newest, first + size.blocks - 1)
        wanted = {"address": address, "topics": topics, "fromBlock": hex(first), "toBlock": hex(last)}
        asked, begun = last - first + 1, time.monotonic()
        try:
            logs = node.call("eth_getLogs", wanted)
        except (RpcRefused, NodeUnavailable) as error:
            if not size.refused(asked, error):
                raise
            continue
        size.answered(asked, time.monotonic() - begun)
        yield from logs
        first = last + 1


def _under(node: Rpc, auction: dict[str, Any]) -> list[LedgerEvent]:
    """The ledger's events that follow the auction's in its transaction, up to the next auction."""
    mined = node.call("eth_getTransactionReceipt", auction["transactionHash"])
    found: list[LedgerEvent] = []
    for log in mined["logs"]:
        is_later = int(log["logIndex"], 16) > int(auction["logIndex"], 16)
        if log["address"].lower() == auction["address"].lower() and is_later:
            event = _event(log)
            if isinstance(event, Auction):
                break
            found.append(event)
    return found


def _event(log: dict[str, Any]) -> LedgerEvent:
    return decode_log([from_hex(topic, 32) for topic in log["topics"]], from_hex(log["data"]))


def read_receipt(path: Path) -> HeldReceipt:
    """A file with the `book_receipt` of the market's answer, or with that answer."""
    try:
        data = json.loads(path.read_text(encoding="utf-8"))
        held = SignedBookReceipt.model_validate(data.get("book_receipt") or data)
    except (ValueError, AttributeError, ValidationError) as error:
        raise ProtocolError(f"{path}: not a book receipt, nor an answer with one: {error}") from error
    message: Offer | Order = from_json(Offer, held.message) if held.kind == "offer" else from_json(Order, held.message)
    return HeldReceipt(
        receipt=from_json(BookReceipt, held.receipt), signature=from_hex(held.signature, 65), message=message
    )
