"""PUT, GET and HEAD of files by CID."""

from fastapi import APIRouter, Request, Response
from fastapi.responses import StreamingResponse
from sqlalchemy import func
from sqlmodel import col, select

from backend.door import Caller, TheMarket
from backend.errors import NotFound, TooLarge
from backend.files.tables import FileRow
from protocol.clock import now_time
from protocol.hashing import sha256_of_cid, to_hex
from protocol.wire.files import FileInfo

router = APIRouter(prefix="/v1/files", tags=["files"])


@router.put("/{cid}", response_model=FileInfo, operation_id="put_file")
async def put_file(cid: str, request: Request, response: Response, market: TheMarket, caller: Caller) -> FileInfo:
    """Stores the body, which must hash to the CID. Sending the same file again changes nothing."""
    digest = sha256_of_cid(cid)
    declared = request.headers.get("content-length", "0")
    if declared.isdigit() and int(declared) > market.settings.max_file_bytes:
        raise TooLarge(f"file is over {market.settings.max_file_bytes} bytes", remedy="split it")
    with market.db.read() as session:
        used = session.exec(select(func.sum(col(FileRow.size))).where(FileRow.owner == caller.address)).one() or 0
    if used > market.settings.file_quota_bytes:
        raise TooLarge(
            f"the account's files are over {market.settings.file_quota_bytes} bytes", remedy="use another account"
        )
    size = market.files.size(cid)
    response.status_code = 200 if size is not None else 201
    if size is None:
        size = await market.files.write(cid, request.stream())
    with market.db.write() as session:
        session.merge(FileRow(cid=cid, owner=caller.address, size=size, stored_time=now_time()))
    return FileInfo(cid=cid, sha256=to_hex(digest), size=size)


@router.get("/{cid}", operation_id="get_file")
async def get_file(cid: str, market: TheMarket, _caller: Caller) -> Response:
    """The file's bytes. Hash them: the CID is the promise, not this server."""
    size = _size(market, cid)
    headers = {"content-length": str(size), "etag": f'"{cid}"', "content-disposition": f'attachment; filename="{cid}"'}
    return StreamingResponse(market.files.chunks(cid), media_type="application/octet-stream", headers=headers)


@router.head("/{cid}", operation_id="stat_file")
async def stat_file(cid: str, market: TheMarket, _caller: Caller) -> Response:
    """200 with its length if the file is here, else 404."""
    return Response(headers={"content-length": str(_size(market, cid)), "etag": f'"{cid}"'})


def _size(market: TheMarket, cid: str) -> int:
    size = market.files.size(cid)
    if size is None:
        raise NotFound(f"no file {cid}", remedy="upload it with PUT /v1/files/{cid}")
    return size
