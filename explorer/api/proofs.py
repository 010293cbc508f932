"""Offline proofs for programs; check any of them with `gridlease verify FILE --block-hash HASH --ledger ADDRESS`.

The file is fixed by the block that it speaks of, so it is marked and tagged like every other answer of `/v1/ledger`.
"""

from collections.abc import Awaitable, Callable
from typing import Final

from fastapi import APIRouter, Request, Response

from explorer.api.answers import Question, desk_of, has, marks, question_in, tag_of, wait_for_block
from explorer.api.asked import AbsenceAsked, Asked, HistoryAsked, LeaseProofAsked
from explorer.api.problems import PROOF
from explorer.identifiers import Malformed, NotOnLedger, hash_of, spelt
from explorer.pages.proofs import download
from explorer.proofs import NoBundles
from explorer.responses import problem
from explorer.routes import LedgerRoute
from explorer.site import TheSite
from indexer.bundles.errors import BloomsIncomplete, NoSuchBlock, RangeTooLong
from protocol.errors import BadProof, ChainError

router = APIRouter(prefix="/v1/ledger", tags=["ledger"], route_class=LedgerRoute)

#: events of one transaction that are looked through
_MOST_EVENTS: Final = 1000


@router.get(
    "/proofs/lease/{lease}",
    operation_id="getLeaseProof",
    response_class=Response,
    responses=PROOF,
    openapi_extra=LeaseProofAsked.described(),
)
async def get_lease_proof(request: Request, site: TheSite, lease: str) -> Response:
    """What the ledger's storage says of a lease at a block (else the newest), or that there is no such lease."""
    asked, wanted = LeaseProofAsked.of(request), hash_of(lease, "lease")
    return await _answer(
        request, asked, lambda question: _or_newest(asked.block, question), lambda at: site.proofs.lease(wanted, at)
    )


@router.get(
    "/proofs/absence",
    operation_id="getAbsenceProof",
    response_class=Response,
    responses=PROOF,
    openapi_extra=AbsenceAsked.described(),
)
async def get_absence_proof(request: Request, site: TheSite) -> Response:
    """Blocks hold no log of the ledger, not even a Skipped; at most 1,024 of them."""
    asked = AbsenceAsked.of(request)
    first = asked.from_block
    last = first if asked.to_block is None else asked.to_block
    _require_order(first, last)
    return await _answer(request, asked, lambda _: last, lambda at: site.proofs.absence(first, at))


@router.get(
    "/proofs/history",
    operation_id="getHistoryProof",
    response_class=Response,
    responses=PROOF,
    openapi_extra=HistoryAsked.described(),
)
async def get_history_proof(request: Request, site: TheSite) -> Response:
    """The ledger's head, which commits to every event of the range; equal heads mean that there is none."""
    asked = HistoryAsked.of(request)
    if asked.to_block is not None:
        _require_order(asked.from_block, asked.to_block)
    return await _answer(
        request,
        asked,
        lambda question: _or_newest(asked.to_block, question),
        lambda at: site.proofs.history(asked.from_block, at),
    )


@router.get(
    "/proofs/{tx_hash}/{log_index}",
    operation_id="getProof",
    response_class=Response,
    responses=PROOF,
    openapi_extra=Asked.described(),
)
async def get_proof(request: Request, site: TheSite, tx_hash: str, log_index: int) -> Response:
    """Header, receipts-trie path and log of one event; check it with `gridlease verify FILE --block-hash HASH`."""
    asked, wanted = Asked.of(request), hash_of(tx_hash, "transaction")

    def block_of(question: Question) -> int:
        rows = question.now.events(tx_hash=wanted, limit=_MOST_EVENTS)
        found = next((row for row in rows if row.log_index == log_index), None)
        if found is None:
            raise NotOnLedger("event", f"{log_index} of transaction {spelt(wanted)}")
        return found.block_number

    return await _answer(request, asked, block_of, lambda _: site.proofs.fetch(wanted, log_index))


async def _answer(
    request: Request, asked: Asked, block_of: Callable[[Question], int], make: Callable[[int], Awaitable[bytes]]
) -> Response:
    """The file, or why there is none; it speaks of the block that `block_of` names."""
    desk = desk_of(request)
    await wait_for_block(desk, asked)
    with desk.mirror.snapshot() as now:
        question = question_in(now, None)
        block = block_of(question)
        tag = tag_of(desk, request, question, block)
    headers = marks(question.status, block, tag)
    if has(request, tag):
        return Response(status_code=304, headers=headers)
    try:
        return download(await make(block), headers)
    except NoBundles:
        remedy = "run `gridlease indexer prove` beside a mirror and a node, or ask a site that has both"
        return problem(503, "no_node", "No such proofs here", "This explorer was started without a node", remedy)
    except NoSuchBlock as error:
        remedy = f"name a block from {error.first} to {error.last}"
        return problem(404, error.code, "No such block", f"The mirror has no block {error.number}", remedy)
    except BloomsIncomplete as error:
        remedy = "ask for /v1/ledger/proofs/history of the same range: it shows how many logs there are"
        detail = "The header blooms of this chain leave out logs, so they show no absence"
        return problem(409, error.code, "No absence on this chain", detail, remedy)
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


def _or_newest(block: int | None, question: Question) -> int:
    return question.block if block is None else block


def _require_order(first: int | None, last: int) -> None:
    if first is not None and last < first:
        raise Malformed("to_block", f"{last} is before from_block, {first}", "swap them")
