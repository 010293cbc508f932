"""Writes court.json: trace proofs, result hashes and votes as Python makes them, for the court to check."""

import json
import sys
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[2]))

from protocol.hashing import checksum_address, keccak256, to_hex
from protocol.results import JobResult, Output, TraceLeaf
from protocol.trace import JobEnd, final_value, open_trace, segment_value, trace_root, vote_commitment
from protocol.trace import leaf_proof as proof_of

PATH = Path(__file__).parent / "court.json"
#: powers of two, their neighbours, and sizes where several levels have an odd node
SIZES = (1, 2, 3, 4, 5, 6, 7, 8, 9, 11, 13, 16, 17, 21, 33)


def _trace(size: int) -> tuple[TraceLeaf, ...]:
    return tuple(
        TraceLeaf(index=index, state_hash=keccak256(f"state {size} {index}".encode()), work=1_000_007 * (index + 1))
        for index in range(size)
    )


def _leaf(trace: tuple[TraceLeaf, ...], position: int) -> dict[str, Any]:
    leaf = trace[position - 1]
    return {
        "position": position,
        "state": to_hex(leaf.state_hash),
        "work": leaf.work,
        "leaf": to_hex(leaf.leaf()),
        "value": to_hex(segment_value(leaf.state_hash, leaf.work)),
        "proof": [to_hex(sibling) for sibling in proof_of(trace, position)],
    }


def _result(size: int, outputs: int) -> dict[str, Any]:
    trace = _trace(size)
    result = JobResult(
        job_hash=keccak256(b"job"),
        status="failed" if outputs % 2 else "succeeded",
        exit_code=outputs % 2 * 3,
        outputs=tuple(
            Output(path=f"file {index}", sha256=keccak256(f"file {index}".encode()), size=index)
            for index in range(outputs)
        ),
        trace=trace,
        work=trace[-1].work,
    )
    end = JobEnd.of(result)
    opening = open_trace(trace, end=end)
    return {
        "job": to_hex(result.job_hash),
        "status": end.status,
        "exitCode": end.exit_code,
        "outputs": end.outputs,
        "outputsRoot": to_hex(end.outputs_root),
        "segments": opening.segments,
        "root": to_hex(opening.root),
        "state": to_hex(opening.state),
        "work": opening.work,
        "proof": [to_hex(sibling) for sibling in opening.proof],
        "result": to_hex(result.result_hash()),
        "finalValue": to_hex(final_value(opening.state, opening.work, end)),
    }


def _vote(number: int) -> dict[str, Any]:
    lease, value, salt = (keccak256(f"{name} {number}".encode()) for name in ("lease", "value", "salt"))
    juror = checksum_address(keccak256(f"juror {number}".encode())[12:])
    commitment = vote_commitment(lease=lease, round_=number + 1, juror=juror, value=value, salt=salt)
    return {
        "lease": to_hex(lease),
        "round": number + 1,
        "juror": juror,
        "value": to_hex(value),
        "salt": to_hex(salt),
        "commitment": to_hex(commitment),
    }


def vectors() -> dict[str, Any]:
    """The whole file."""
    return {
        "traces": [
            {
                "segments": size,
                "root": to_hex(trace_root(_trace(size))),
                "leaves": [_leaf(_trace(size), position) for position in range(1, size + 1)],
            }
            for size in SIZES
        ],
        "results": [_result(size, outputs) for size, outputs in ((1, 0), (1, 1), (5, 2), (16, 3), (21, 7))],
        "votes": [_vote(number) for number in range(2)],
    }


def main() -> int:
    text = json.dumps(vectors(), indent=1) + "\n"
    if "--check" not in sys.argv:
        PATH.write_text(text)
        return 0
    if PATH.read_text() == text:
        return 0
    sys.stderr.write("tests/vectors/court.json is out of date: run `make vectors`\n")
    return 1


if __name__ == "__main__":
    raise SystemExit(main())
