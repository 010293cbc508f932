from itertools import pairwise

import pytest

from protocol.hashing import ZERO_HASH, checksum_address, keccak256
from protocol.merkle import merkle_proof, merkle_root, proof_holds, tag
from protocol.results import TRACE, JobResult, Output, TraceLeaf
from protocol.trace import (
    JobEnd,
    final_value,
    leaf_proof,
    middle,
    open_trace,
    segment_value,
    trace_root,
    vote_commitment,
)

SIZES = [*range(1, 35), 63, 64, 65, 100]


def make_trace(size: int) -> tuple[TraceLeaf, ...]:
    return tuple(
        TraceLeaf(index=index, state_hash=keccak256(bytes([index])), work=10 * (index + 1)) for index in range(size)
    )


def make_result(trace: tuple[TraceLeaf, ...]) -> JobResult:
    outputs = (Output(path="b", sha256=keccak256(b"b"), size=1), Output(path="a", sha256=keccak256(b"a"), size=2))
    return JobResult(
        job_hash=keccak256(b"job"), status="failed", exit_code=3, outputs=outputs, trace=trace, work=trace[-1].work
    )


def holds(trace: tuple[TraceLeaf, ...], position: int, proof: tuple[bytes, ...]) -> bool:
    leaf = trace[position - 1].leaf()
    return proof_holds(TRACE, trace_root(trace), len(trace), position - 1, leaf, proof)


class TestLeafProof:
    @pytest.mark.parametrize("size", SIZES)
    def test_every_leaf_is_proved_at_its_own_place_only(self, size: int) -> None:
        trace = make_trace(size)
        root = trace_root(trace)
        for position in range(1, size + 1):
            proof = leaf_proof(trace, position)
            leaf = trace[position - 1].leaf()
            places = [place for place in range(size + 1) if proof_holds(TRACE, root, size, place, leaf, proof)]
            assert places == [position - 1]

    def test_a_node_without_sibling_moves_up(self) -> None:
        # Of five leaves the last one meets its only sibling at the top.
        trace = make_trace(5)
        assert leaf_proof(trace, 5) == (trace_root(trace[:4]),)
        assert len(leaf_proof(trace, 1)) == 3

    def test_a_single_leaf_is_the_root(self) -> None:
        trace = make_trace(1)
        assert leaf_proof(trace, 1) == ()
        assert trace_root(trace) == trace[0].leaf()

    @pytest.mark.parametrize("size", [2, 3, 5, 8, 21])
    def test_changed_proofs_are_refused(self, size: int) -> None:
        trace = make_trace(size)
        for position in range(1, size + 1):
            proof = leaf_proof(trace, position)
            assert not holds(trace, position, proof[:-1])
            assert not holds(trace, position, (*proof, ZERO_HASH))
            assert not holds(trace, position, (keccak256(proof[0]), *proof[1:]))

    def test_another_count_is_refused_where_the_path_differs(self) -> None:
        trace = make_trace(5)
        proof = leaf_proof(trace, 5)
        leaf = trace[4].leaf()
        assert proof_holds(TRACE, trace_root(trace), 5, 4, leaf, proof)
        assert not proof_holds(TRACE, trace_root(trace), 6, 4, leaf, proof)

    def test_another_domain_is_refused(self) -> None:
        leaves = [leaf.leaf() for leaf in make_trace(4)]
        proof = merkle_proof(TRACE, leaves, 1)
        assert not proof_holds(tag("other"), merkle_root(TRACE, leaves), 4, 1, leaves[1], proof)

    @pytest.mark.parametrize("position", [0, 4, -1])
    def test_no_leaf_outside_the_trace(self, position: int) -> None:
        with pytest.raises(IndexError):
            leaf_proof(make_trace(3), position)


class TestOpenTrace:
    def test_a_result_is_opened_with_its_end(self) -> None:
        trace = make_trace(7)
        result = make_result(trace)
        opening = open_trace(trace, end=JobEnd.of(result))
        assert (opening.segments, opening.state, opening.work) == (7, trace[-1].state_hash, 70)
        assert opening.ended
        assert holds(trace, 7, opening.proof)
        assert (opening.end.status, opening.end.exit_code, opening.end.outputs) == (1, 3, 2)
        assert opening.end.outputs_root == result.outputs_root()
        assert (opening.start_position, opening.start_work, opening.start_proof) == (0, 0, ())

    def test_a_lease_that_went_on_proves_its_start(self) -> None:
        trace = make_trace(7)
        opening = open_trace(trace, end=None, start_position=3)
        assert not opening.ended
        assert (opening.start_position, opening.start_work) == (3, 30)
        assert holds(trace, 3, opening.start_proof)


class TestMiddle:
    @pytest.mark.parametrize("size", [1, 2, 3, 7, 4096, 1 << 16])
    @pytest.mark.parametrize("agrees", [True, False])
    def test_sixteen_halvings_leave_one_segment(self, size: int, agrees: bool) -> None:
        lo, hi, moves = 0, size, 0
        while hi - lo > 1:
            between = middle(lo, hi)
            assert lo < between < hi
            lo, hi = (between, hi) if agrees else (lo, between)
            moves += 1
        assert moves <= 16


class TestValues:
    def test_each_fact_changes_the_value(self) -> None:
        end = JobEnd(status=0, exit_code=0, outputs=1, outputs_root=keccak256(b"outputs"))
        state = keccak256(b"state")
        values = [
            segment_value(state, 5),
            segment_value(state, 6),
            segment_value(keccak256(state), 5),
            final_value(state, 5, end),
            final_value(state, 6, end),
            final_value(keccak256(state), 5, end),
            final_value(state, 5, JobEnd(status=1, exit_code=0, outputs=1, outputs_root=end.outputs_root)),
            final_value(state, 5, JobEnd(status=0, exit_code=1, outputs=1, outputs_root=end.outputs_root)),
            final_value(state, 5, JobEnd(status=0, exit_code=0, outputs=2, outputs_root=end.outputs_root)),
            final_value(state, 5, JobEnd(status=0, exit_code=0, outputs=1, outputs_root=ZERO_HASH)),
        ]
        assert len(set(values)) == len(values)

    def test_a_commitment_is_bound_to_all_of_its_parts(self) -> None:
        parts = {
            "lease": keccak256(b"lease"),
            "round_": 1,
            "juror": checksum_address(bytes(19) + b"\1"),
            "value": keccak256(b"value"),
            "salt": keccak256(b"salt"),
        }
        changes = {
            "lease": keccak256(b"other"),
            "round_": 2,
            "juror": checksum_address(bytes(19) + b"\2"),
            "value": keccak256(b"other"),
            "salt": keccak256(b"other"),
        }
        made = [vote_commitment(**parts)]  # type: ignore[arg-type]
        made += [vote_commitment(**(parts | {name: other})) for name, other in changes.items()]  # type: ignore[arg-type]
        assert all(a != b for a, b in pairwise(sorted(made)))
