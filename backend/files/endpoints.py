"""PUT, GET and HEAD of files by CID."""

from fastapi import APIRouter, Request, Response
from fastapi.responses import FileResponse
from starlette.requests import ClientDisconnect

from backend.door import Caller, TheMarket
from backend.errors import BadRequest, TooLarge
from backend.files import service
from backend.files.download import FileDownload
from backend.openapi import bytes_as
from protocol.hashing import sha256_of_cid, to_hex
from protocol.wire.files import FileInfo

router = APIRouter(prefix="/v1/files", tags=["files"])


@router.put(
    "/{cid}",
    response_model=FileInfo,
    responses={201: {"model": FileInfo}},
    operation_id="put_file",
    openapi_extra={"requestBody": bytes_as("application/octet-stream")},
)
async def put_file(cid: str, request: Request, response: Response, market: TheMarket, caller: Caller) -> FileInfo:
    """Stores the body, which must hash to the CID. Sending the same file again changes nothing.

    For large files and bad lines there are uploads in pieces: POST /v1/files/uploads.
    """
    digest = sha256_of_cid(cid)
    declared = request.headers.get("content-length", "0")
    if declared.isdigit() and int(declared) > market.settings.max_file_bytes:
        raise TooLarge(f"file is over {market.settings.max_file_bytes} bytes", remedy="split it")
    market.files.require_room(int(declared) if declared.isdigit() else 0)
    # Whoever holds the bytes may have the file; whoever only knows its name may not, though the bytes are here already.
    try:
        draft = await market.files.receive(cid, request.stream())
    except ClientDisconnect as error:
        raise BadRequest("the connection broke", remedy="send it again") from error
    try:
        response.status_code = 200 if market.files.size(cid) is not None else 201
        size = await market.db.written(lambda session: service.keep(session, market, caller.address, cid, draft))
    finally:
        draft.unlink(missing_ok=True)
    return FileInfo(cid=cid, sha256=to_hex(digest), size=size)


@router.get(
    "/{cid}",
    operation_id="get_file",
    response_class=FileResponse,
    responses={200: {"content": {"application/octet-stream": {}}}, 206: {"description": "the range asked for"}},
)
async def get_file(cid: str, market: TheMarket, caller: Caller) -> FileDownload:
    """The file's bytes, or a `Range` of them. Hash them: the CID is the promise, not this server."""
    with market.db.read() as session:
        path = service.readable_path(session, market, caller.address, cid)
    return FileDownload(path, cid)


@router.head("/{cid}", response_class=Response, operation_id="stat_file")
async def stat_file(cid: str, market: TheMarket, caller: Caller) -> Response:
    """200 with its length if the file is here, else 404."""
    with market.db.read() as session:
        path = service.readable_path(session, market, caller.address, cid)
    headers = {"content-length": str(path.stat().st_size), "etag": f'"{cid}"', "accept-ranges": "bytes"}
    return Response(headers=headers)
