"""Offline proofs for programs; check any of them with `gridlease verify FILE --block-hash HASH --ledger ADDRESS`."""

from collections.abc import Awaitable
from typing import Annotated

from fastapi import APIRouter, Query, Response

from explorer.identifiers import Malformed, hash_of
from explorer.pages.proofs import download, proof_file
from explorer.proofs import NoBundles
from explorer.responses import problem
from explorer.routes import LedgerRoute
from explorer.site import TheSite
from indexer.bundles.errors import NoSuchBlock, RangeTooLong
from protocol.errors import BadProof, ChainError

router = APIRouter(prefix="/v1/ledger", tags=["ledger"], route_class=LedgerRoute)

Block = Annotated[int, Query(ge=0, lt=2**53)]
OptionalBlock = Annotated[int | None, Query(ge=0, lt=2**53)]


@router.get("/proofs/lease/{lease}")
async def get_lease_proof(site: TheSite, lease: str, block: OptionalBlock = None) -> Response:
    """What the ledger's storage says of a lease at a block (else the newest), or that there is no such lease."""
    return await _answer(site.proofs.lease(hash_of(lease, "lease"), block))


@router.get("/proofs/absence")
async def get_absence_proof(site: TheSite, from_block: Block, to_block: OptionalBlock = None) -> Response:
    """Blocks hold no log of the ledger, not even a Skipped; at most 1,024 of them."""
    last = from_block if to_block is None else to_block
    _require_order(from_block, last)
    return await _answer(site.proofs.absence(from_block, last))


@router.get("/proofs/history")
async def get_history_proof(
    site: TheSite, from_block: OptionalBlock = None, to_block: OptionalBlock = None
) -> Response:
    """The ledger's head, which commits to every event of the range; equal heads mean that there is none."""
    if to_block is not None:
        _require_order(from_block, to_block)
    return await _answer(site.proofs.history(from_block, to_block))


@router.get("/proofs/{tx_hash}/{log_index}")
async def get_proof(site: TheSite, tx_hash: str, log_index: int) -> Response:
    """Header, receipts-trie path and log of one event; check it with `gridlease verify FILE --block-hash HASH`."""
    return await proof_file(site, hash_of(tx_hash, "transaction"), log_index)


async def _answer(making: Awaitable[bytes]) -> Response:
    """The file, or why there is none."""
    try:
        return download(await making)
    except NoBundles:
        remedy = "run `gridlease indexer prove` beside a mirror and a node, or ask a site that has both"
        return problem(503, "no_node", "No such proofs here", "This explorer was started without a node", remedy)
    except NoSuchBlock as error:
        remedy = f"name a block from {error.first} to {error.last}"
        return problem(404, error.code, "No such block", f"The mirror has no block {error.number}", remedy)
    except RangeTooLong as error:
        remedy = "ask for /v1/ledger/proofs/history of the same range, which stays small"
        return problem(400, error.code, "Too many blocks", "An absence lists every block, at most 1,024", remedy)
    except BadProof as error:
        if error.step == "log":
            remedy = "ask for the block's events, or for blocks without any"
            return problem(409, "not_absent", "The ledger is in these blocks", str(error), remedy)
        return problem(503, error.code, "The node's proof does not hold", str(error), "try again, or use another node")
    except ChainError as error:
        # The error's own words name the operator's node.
        detail = "The node that makes storage proofs did not answer with one"
        return problem(503, error.code, "No storage proof now", detail, "try again, or name a newer block")


def _require_order(first: int | None, last: int) -> None:
    if first is not None and last < first:
        raise Malformed("to_block", f"{last} is before from_block, {first}", "swap them")
