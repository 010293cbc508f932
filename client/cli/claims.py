"""What a verified bundle proves, as sentences and figures for people."""

from client.cli.console import moment
from client.cli.words import words
from protocol.bundle import Verified, VerifiedAbsence, VerifiedEvent, VerifiedHistory, VerifiedLease
from protocol.hashing import checksum_address, to_hex
from protocol.units import format_dollars

_MONEY = ("locked", "paid", "target", "bond")
_TIMES = ("deadline", "revealFrom")
_ADDRESSES = ("provider", "voucherSigner", "challenger")


def sentence(verified: Verified) -> str:
    """The one thing that the bundle says."""
    match verified:
        case VerifiedEvent():
            return words(verified.event)
        case VerifiedLease():
            return _lease(verified)
        case VerifiedAbsence():
            span = _blocks(verified.first.number, verified.last.number)
            return f"{span}: no log of the ledger, not even a Skipped."
        case VerifiedHistory():
            return _history(verified)


def figures(verified: Verified) -> list[tuple[str, str]]:
    """Names and values, the blocks first."""
    rows = [("kind", verified.KIND), ("ledger", verified.ledger)]
    match verified:
        case VerifiedEvent():
            rows += [
                ("block", f"{verified.block_number}, {moment(verified.block_time)}"),
                ("transaction", f"number {verified.tx_index} of the block"),
            ]
        case VerifiedLease():
            rows.append(("block", f"{verified.block.number}, {moment(verified.block.time)}"))
            rows += [(name, _shown(name, value)) for name, value in (verified.fields or {}).items()]
            rows += [(f"claim {name}", _shown(name, value)) for name, value in (verified.claim or {}).items()]
            rows += [(f"dispute {name}", _shown(name, value)) for name, value in (verified.dispute or {}).items()]
        case VerifiedAbsence():
            rows.append(("last block", f"{verified.last.number}, {moment(verified.last.time)}"))
        case VerifiedHistory():
            rows.append(("block", f"{verified.until.block.number}, {moment(verified.until.block.time)}"))
            rows.append(("head", f"0x{verified.until.head.hash:052x} after {verified.until.head.count:,} events"))
    return rows + [("block hash", f"{to_hex(anchor)} (block {number})") for number, anchor in verified.anchors()]


def guarantee(verified: Verified) -> str:
    """What holds now that the blocks are trusted."""
    match verified:
        case VerifiedEvent():
            return "Proved: the block holds this event."
        case VerifiedLease():
            return "Proved: the ledger's storage says so at the end of this block. It may have changed since."
        case VerifiedAbsence():
            return "Proved: these blocks hold no log of the ledger."
        case VerifiedHistory():
            if verified.count == 0:
                return "Proved: the ledger recorded nothing in this range."
            return "Proved: this head commits to every event of the range. Give --events to check a list against it."


def _shown(name: str, value: str | bool) -> str:
    """A stored field, with its unit."""
    if isinstance(value, bool):
        return "yes" if value else "no"
    if name in _MONEY:
        return format_dollars(int(value))
    if name in _TIMES:
        return moment(int(value)) if int(value) else "-"
    return checksum_address(value) if name in _ADDRESSES else value


def _lease(verified: VerifiedLease) -> str:
    name = f"Lease {to_hex(verified.lease)}"
    if verified.fields is None:
        return f"{name} does not exist at block {verified.block.number}."
    paid, locked = (format_dollars(int(verified.fields[field])) for field in ("paid", "locked"))
    provider = checksum_address(verified.fields["provider"])
    return (
        f"{name} of provider {provider} is {verified.state_then} at block {verified.block.number}: "
        f"{paid} of {locked} paid, deadline {moment(int(verified.fields['deadline']))}."
    )


def _history(verified: VerifiedHistory) -> str:
    until = verified.until.block.number
    if verified.after is None:
        return f"The whole history up to block {until} is {_events(verified.count)}."
    span = _blocks(verified.after.block.number + 1, until)
    return f"{span}: {_events(verified.count)}." if verified.count else f"{span}: no event but Skipped ones."


def _blocks(first: int, last: int) -> str:
    return f"Block {first}" if first == last else f"Blocks {first} to {last}"


def _events(count: int) -> str:
    return "1 event" if count == 1 else f"{count:,} events"
