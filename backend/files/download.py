"""A file, or a range of it, as an answer."""

from pathlib import Path
from typing import Final

from starlette.datastructures import Headers
from starlette.responses import FileResponse
from starlette.types import Message, Receive, Scope, Send

from backend import problems

_REFUSED: Final = frozenset({400, 416})
_REMEDY: Final = "ask for bytes that the file has, such as `Range: bytes=0-`, or for all of it"


class FileDownload(FileResponse):
    """Refuses a range that there is not by a problem, as every other refusal is said."""

    def __init__(self, path: Path, cid: str) -> None:
        # What a name stands for never changes, so the name is the validator.
        headers = {"etag": f'"{cid}"'}
        super().__init__(path, media_type="application/octet-stream", filename=cid, headers=headers)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        refused: Message | None = None

        async def unless_refused(message: Message) -> None:
            nonlocal refused
            if message["type"] == "http.response.start" and message["status"] in _REFUSED:
                refused = message
            if refused is None:
                await send(message)

        await super().__call__(scope, receive, unless_refused)
        if refused is not None:
            answer = problems.problem(refused["status"], "bad_range", "the file has no such range", _REMEDY)
            if held := Headers(raw=refused["headers"]).get("content-range"):
                answer.headers["content-range"] = held
            await answer(scope, receive, send)
