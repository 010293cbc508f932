"""The envelopes: Etherscan's own, and JSON-RPC's for `module=proxy`. A refusal is an answer too: HTTP 200, NOTOK."""

from typing import Any, Final

Body = dict[str, Any]

WINDOW_TOO_LARGE: Final = (
    "Result window is too large, PageNo x Offset size must be less than or equal to 10000"  # clients compare it
)
INVALID_PARAMS: Final = -32602
METHOD_NOT_SUPPORTED: Final = -32004
UNAVAILABLE: Final = -32002


class NotOk(Exception):
    """No answer, and why; what a script shows to its user."""

    def __init__(self, says: str) -> None:
        self.says = says
        super().__init__(says)

    def body(self) -> Body:
        return {"status": "0", "message": "NOTOK", "result": self.says}


class WindowTooLarge(NotOk):
    """Further down a list than pages lead."""

    def __init__(self) -> None:
        super().__init__(WINDOW_TOO_LARGE)

    def body(self) -> Body:
        return {"status": "0", "message": WINDOW_TOO_LARGE, "result": None}


class RpcError(NotOk):
    """A JSON-RPC error of ours or of the node."""

    def __init__(self, says: str, code: int = INVALID_PARAMS, data: object = None) -> None:
        self.code, self.data = code, data
        super().__init__(says)

    def body(self) -> Body:
        error = {"code": self.code, "message": self.says}
        return {"jsonrpc": "2.0", "id": 1, "error": error if self.data is None else {**error, "data": self.data}}


def ok(result: object) -> Body:
    return {"status": "1", "message": "OK", "result": result}


def none_found(what: str) -> Body:
    """An empty list is status 0 there, and clients know it by these words."""
    return {"status": "0", "message": f"No {what} found", "result": []}


def rpc(result: object) -> Body:
    return {"jsonrpc": "2.0", "id": 1, "result": result}
