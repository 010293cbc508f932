"""Uploads in pieces that go on where they broke off: tus 1.0.0 with creation, expiration and termination.

The file's name goes along as `Upload-Metadata: cid <base64>`, and the whole must hash to it.
"""

import base64
import binascii
from collections.abc import Sequence
from email.utils import formatdate
from typing import Annotated, Final

from fastapi import APIRouter, Depends, Header, Request, Response
from sqlalchemy import delete
from sqlmodel import Session, col, select
from starlette.requests import ClientDisconnect

from backend.door import Caller, TheMarket
from backend.errors import BadRequest, NotFound, OtherTusVersion, TooLarge
from backend.files import service
from backend.files.tables import UploadRow
from backend.market import Market
from backend.openapi import bytes_as
from protocol.clock import now_time
from protocol.hashing import Address, sha256_of_cid
from protocol.ids import new_id
from protocol.wire.files import PIECE_MEDIA_TYPE, TUS_VERSION

EXTENSIONS: Final = "creation,expiration,termination"
_DIGITS: Final = 18


async def same_version(tus_resumable: Annotated[str, Header()] = "") -> None:
    """Raises `OtherTusVersion`."""
    if tus_resumable != TUS_VERSION:
        raise OtherTusVersion(f"Tus-Resumable must be {TUS_VERSION}, found {tus_resumable[:20]!r}")


router = APIRouter(prefix="/v1/files/uploads", tags=["files"])
_versioned = [Depends(same_version)]


@router.options("", operation_id="upload_options", status_code=204)
async def upload_options(market: TheMarket) -> Response:
    """What uploads can do here."""
    limits = {"Tus-Version": TUS_VERSION, "Tus-Extension": EXTENSIONS}
    return _answer(204, {**limits, "Tus-Max-Size": str(market.settings.max_file_bytes)})


@router.post("", operation_id="begin_upload", status_code=201, response_class=Response, dependencies=_versioned)
async def begin_upload(
    market: TheMarket,
    caller: Caller,
    upload_length: Annotated[str, Header()] = "",
    upload_metadata: Annotated[str, Header()] = "",
) -> Response:
    """Begins an upload; its URL is in `Location`. Its announced size counts against the quota until it ends."""
    size, cid = _number("Upload-Length", upload_length), _cid(upload_metadata)
    if size > market.settings.max_file_bytes:
        raise TooLarge(f"file is over {market.settings.max_file_bytes} bytes", remedy="split it")
    prune(market)
    market.files.require_room(size)
    expires_time = now_time() + market.settings.draft_hours * 3600
    row = UploadRow(id=new_id("up"), owner=caller.address, cid=cid, size=size, expires_time=expires_time)
    with market.db.write() as session:
        service.require_quota(session, market, caller.address, size)
        market.files.begin(row.id)
        session.add(row)
    location = f"{market.settings.origin}{router.prefix}/{row.id}"
    return _answer(201, {"Location": location, "Upload-Offset": "0", **_expiry(row)})


@router.head("/{upload_id}", operation_id="upload_state", response_class=Response, dependencies=_versioned)
async def upload_state(upload_id: str, market: TheMarket, caller: Caller) -> Response:
    """Where an upload stands, in `Upload-Offset`."""
    with market.db.read() as session:
        row = _own(session, caller.address, upload_id)
    state = {"Upload-Offset": str(market.files.received(row.id)), "Upload-Length": str(row.size), **_expiry(row)}
    return _answer(200, {**state, "Cache-Control": "no-store"})


@router.patch(
    "/{upload_id}",
    operation_id="upload_piece",
    status_code=204,
    dependencies=_versioned,
    openapi_extra={"requestBody": bytes_as(PIECE_MEDIA_TYPE)},
)
async def upload_piece(
    upload_id: str,
    request: Request,
    market: TheMarket,
    caller: Caller,
    upload_offset: Annotated[str, Header()] = "",
    content_type: Annotated[str, Header()] = "",
) -> Response:
    """Adds the body at `Upload-Offset`. With the last byte the file is checked against its CID and is there."""
    if content_type != PIECE_MEDIA_TYPE:
        raise BadRequest("the Content-Type is another one", remedy=f"send {PIECE_MEDIA_TYPE}")
    offset = _number("Upload-Offset", upload_offset)
    with market.db.read() as session:
        row = _own(session, caller.address, upload_id)
    try:
        reached = await market.files.append(row.id, offset, row.size, request.stream())
    except ClientDisconnect as error:
        raise BadRequest("the connection broke", remedy="ask HEAD where the upload stands, and go on") from error
    if reached == row.size:
        await _finish(market, row)
    return _answer(204, {"Upload-Offset": str(reached), **_expiry(row)})


@router.delete("/{upload_id}", operation_id="end_upload", status_code=204, dependencies=_versioned)
async def end_upload(upload_id: str, market: TheMarket, caller: Caller) -> Response:
    """Gives an unfinished upload up."""
    with market.db.write() as session:
        row = _own(session, caller.address, upload_id)
        market.files.drop(row.id)
        session.delete(row)
    return _answer(204, {})


async def _finish(market: Market, row: UploadRow) -> None:
    try:
        draft = await market.files.whole(row.id, row.cid)
    except BadRequest:
        with market.db.write() as session:
            _forget(session, [row.id])
        raise
    with market.db.write() as session:
        # First, or its announced bytes would count beside its real ones.
        _forget(session, [row.id])
        service.keep(session, market, Address(row.owner), row.cid, draft)


def prune(market: Market) -> int:
    """Drops uploads that nobody finished in time; how many."""
    with market.db.read() as session:
        late = session.exec(select(UploadRow.id).where(UploadRow.expires_time <= now_time())).all()
    if not late:
        return 0
    with market.db.write() as session:
        _forget(session, late)
        for upload_id in late:
            market.files.drop(upload_id)
    return len(late)


def _forget(session: Session, uploads: Sequence[str]) -> None:
    session.exec(delete(UploadRow).where(col(UploadRow.id).in_(uploads)))


def _own(session: Session, who: Address, upload_id: str) -> UploadRow:
    row = session.get(UploadRow, upload_id)
    if row is None or row.owner != who or row.expires_time <= now_time():
        raise NotFound(f"no upload {upload_id[:40]}", remedy="begin it anew with POST /v1/files/uploads")
    return row


def _number(name: str, text: str) -> int:
    if not (text.isascii() and text.isdigit() and len(text) <= _DIGITS):
        raise BadRequest(f"{name} must be a number of bytes, found {text[:20]!r}")
    return int(text)


def _cid(metadata: str) -> str:
    """The file's name; raises `BadRequest`, `BadCid`."""
    pairs = dict(pair.strip().partition(" ")[::2] for pair in metadata.split(","))
    try:
        cid = base64.b64decode(pairs["cid"], validate=True).decode("ascii")
    except (KeyError, binascii.Error, ValueError):
        raise BadRequest("Upload-Metadata has no cid", remedy="send Upload-Metadata: cid <base64 of the CID>") from None
    sha256_of_cid(cid)
    return cid


def _expiry(row: UploadRow) -> dict[str, str]:
    return {"Upload-Expires": formatdate(row.expires_time, usegmt=True)}


def _answer(status: int, headers: dict[str, str]) -> Response:
    return Response(status_code=status, headers={"Tus-Resumable": TUS_VERSION, **headers})
