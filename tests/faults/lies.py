"""What a node can say that is not so: each lie changes one answer, chosen and shaped by a seed.

A lie returns the answer to give, or None where this answer cannot be lied about in its way.
"""

import copy
import json
from collections.abc import Callable
from random import Random
from typing import Any, Final

#: method, params, true answer, dice → the false answer
Lie = Callable[[str, list[Any], Any, Random], Any]

_RECEIPTS: Final = "eth_getBlockReceipts"
_LOGS: Final = "eth_getLogs"
_BLOCK: Final = "eth_getBlockByNumber"
_PROOF: Final = "eth_getProof"
#: fields of a block that no hash binds: a node may say of them what it likes, because they are never read
UNBOUND: Final = {"size", "totalDifficulty", "uncles", "withdrawals", "requests"}


def _logs(method: str, answer: Any) -> list[tuple[list[dict[str, Any]], int]]:
    """Each log as the list that it is in and its place there; none where the answer has none."""
    lists = {_RECEIPTS: lambda: [item["logs"] for item in answer], _LOGS: lambda: [answer]}
    return [(logs, place) for logs in lists.get(method, list)() for place in range(len(logs))]


def _flip(text: str, dice: Random) -> str:
    """One hex digit changed."""
    place = dice.randrange(2, len(text))
    digit = dice.choice([digit for digit in "0123456789abcdef" if digit != text[place].lower()])
    return text[:place] + digit + text[place + 1 :]


def drop_log(method: str, params: list[Any], answer: Any, dice: Random) -> Any:
    if not _logs(method, answer):
        return None
    logs, place = dice.choice(_logs(method, answer))
    del logs[place]
    return answer


def alter_log(method: str, params: list[Any], answer: Any, dice: Random) -> Any:
    if not _logs(method, answer):
        return None
    logs, place = dice.choice(_logs(method, answer))
    log = logs[place]
    part = dice.choice(["address", "topics", "data"])
    if part == "topics":
        index = dice.randrange(len(log["topics"]))
        log["topics"][index] = _flip(log["topics"][index], dice)
    elif len(log[part]) > 2:
        log[part] = _flip(log[part], dice)
    else:
        log[part] = "0x00"
    return answer


def shift_word(method: str, params: list[Any], answer: Any, dice: Random) -> Any:
    """A topic becomes data: the same bytes with another boundary."""
    if not _logs(method, answer):
        return None
    logs, place = dice.choice(_logs(method, answer))
    log = logs[place]
    log["data"] = log["topics"].pop() + log["data"][2:]
    return answer


def duplicate_log(method: str, params: list[Any], answer: Any, dice: Random) -> Any:
    if not _logs(method, answer):
        return None
    logs, place = dice.choice(_logs(method, answer))
    logs.insert(place, copy.deepcopy(logs[place]))
    return answer


def reorder_logs(method: str, params: list[Any], answer: Any, dice: Random) -> Any:
    many = [logs for logs, place in _logs(method, answer) if place == 0 and logs[0] != logs[-1]]
    if not many:
        return None
    logs = dice.choice(many)
    logs[0], logs[-1] = logs[-1], logs[0]
    return answer


def no_logs(method: str, params: list[Any], answer: Any, dice: Random) -> Any:
    if not _logs(method, answer):
        return None
    for logs, _ in _logs(method, answer):
        logs.clear()
    return answer


def drop_receipt(method: str, params: list[Any], answer: Any, dice: Random) -> Any:
    if method != _RECEIPTS or not answer:
        return None
    del answer[dice.randrange(len(answer))]
    return answer


def other_status(method: str, params: list[Any], answer: Any, dice: Random) -> Any:
    if method != _RECEIPTS or not answer:
        return None
    item = dice.choice(answer)
    item["status"] = "0x0" if item["status"] == "0x1" else "0x1"
    return answer


def other_gas(method: str, params: list[Any], answer: Any, dice: Random) -> Any:
    if method != _RECEIPTS or not answer:
        return None
    item = dice.choice(answer)
    item["cumulativeGasUsed"] = hex(int(item["cumulativeGasUsed"], 16) + dice.randrange(1, 99))
    return answer


def alter_block(method: str, params: list[Any], answer: Any, dice: Random) -> Any:
    if method != _BLOCK or answer is None or params[0] == "finalized":
        return None
    names = [
        name
        for name, value in answer.items()
        if isinstance(value, str) and value.startswith("0x") and len(value) > 2 and name not in UNBOUND
    ]
    name = dice.choice(names)
    answer[name] = _flip(answer[name], dice)
    return answer


def alter_transaction(method: str, params: list[Any], answer: Any, dice: Random) -> Any:
    if method != _BLOCK or not answer or not answer["transactions"] or not isinstance(answer["transactions"][0], dict):
        return None
    item = dice.choice(answer["transactions"])
    name = dice.choice(["nonce", "to", "input", "value", "gas", "r", "s"])
    value = item.get(name)
    if value is None or len(value) <= 2:
        return None
    item[name] = _flip(value, dice)
    return answer


def drop_transaction(method: str, params: list[Any], answer: Any, dice: Random) -> Any:
    if method != _BLOCK or not answer or not answer["transactions"] or not isinstance(answer["transactions"][0], dict):
        return None
    del answer["transactions"][dice.randrange(len(answer["transactions"]))]
    return answer


def alter_proof(method: str, params: list[Any], answer: Any, dice: Random) -> Any:
    if method != _PROOF:
        return None
    nodes = dice.choice([answer["accountProof"], answer["storageProof"][0]["proof"]])
    if not nodes:
        return None
    if dice.random() < 0.3:
        nodes.pop()
        return answer
    place = dice.randrange(len(nodes))
    nodes[place] = _flip(nodes[place], dice)
    return answer


def forget_field(method: str, params: list[Any], answer: Any, dice: Random) -> Any:
    """Something that every answer has is missing."""
    if method == _RECEIPTS and answer:
        del dice.choice(answer)[dice.choice(["logs", "status", "cumulativeGasUsed", "logsBloom"])]
        return answer
    if method == _BLOCK and answer is not None and params[0] != "finalized":
        del answer[dice.choice(["hash", "parentHash", "stateRoot", "receiptsRoot", "logsBloom", "number", "timestamp"])]
        return answer
    if method == _LOGS and answer:
        del dice.choice(answer)[dice.choice(["address", "topics", "data", "blockNumber", "blockHash", "logIndex"])]
        return answer
    if method == _PROOF:
        del answer[dice.choice(["accountProof", "storageProof"])]
        return answer
    return None


def wrong_type(method: str, params: list[Any], answer: Any, dice: Random) -> Any:
    """A value of another kind, an absurd number, a hostile string."""
    value: Any = dice.choice(
        [None, True, 7, 1.5, [], {}, "", "0x", "0xzz", "<script>", "0x" + "f" * 600, "0x" + "0" * 9]
    )
    if method == _RECEIPTS and answer:
        dice.choice(answer)[dice.choice(["logs", "status", "cumulativeGasUsed", "logsBloom"])] = value
        return None if value == [] else answer
    if method == _LOGS and answer:
        dice.choice(answer)[dice.choice(["address", "topics", "data", "blockNumber", "blockHash", "logIndex"])] = value
        return answer
    if method == _BLOCK and answer is not None and params[0] != "finalized":
        answer[dice.choice(["hash", "parentHash", "stateRoot", "receiptsRoot", "logsBloom", "number"])] = value
        return answer
    return None


def silence(method: str, params: list[Any], answer: Any, dice: Random) -> Any:
    """An empty answer where there is something."""
    if method in (_RECEIPTS, _LOGS, _PROOF) and answer:
        return dice.choice([[], {}, "", 0])
    return None


IN_ANSWERS: Final[list[Lie]] = [
    drop_log,
    alter_log,
    shift_word,
    duplicate_log,
    reorder_logs,
    no_logs,
    drop_receipt,
    other_status,
    other_gas,
    alter_block,
    alter_transaction,
    drop_transaction,
    alter_proof,
    forget_field,
    wrong_type,
    silence,
]

#: HTTP body → the false body
BodyLie = Callable[[bytes, Random], bytes]


def truncated(body: bytes, dice: Random) -> bytes:
    return body[: dice.randrange(len(body))]


def wrong_ids(body: bytes, dice: Random) -> bytes:
    answers = json.loads(body)
    for answer in answers if isinstance(answers, list) else [answers]:
        answer["id"] += dice.randrange(1, 50)
    return json.dumps(answers).encode()


def swapped_ids(body: bytes, dice: Random) -> bytes:
    """Two answers of one request exchanged."""
    answers = json.loads(body)
    if not isinstance(answers, list) or len(answers) < 2:
        return wrong_ids(body, dice)
    one, other = dice.sample(range(len(answers)), 2)
    answers[one]["id"], answers[other]["id"] = answers[other]["id"], answers[one]["id"]
    return json.dumps(answers).encode()


def missing_answer(body: bytes, dice: Random) -> bytes:
    answers = json.loads(body)
    if isinstance(answers, list):
        del answers[dice.randrange(len(answers))]
        return json.dumps(answers).encode()
    return b"{}"


def no_json(body: bytes, dice: Random) -> bytes:
    return dice.choice([b"", b"null", b"<html>502 Bad Gateway</html>", b"[]", b'"ok"', b"\xff\xfe", b"[[[[", b"17"])


IN_BODIES: Final[list[BodyLie]] = [truncated, wrong_ids, swapped_ids, missing_answer, no_json]


def name_of(lie: Lie | BodyLie) -> str:
    """In words."""
    return str(getattr(lie, "__name__", lie)).replace("_", " ")
