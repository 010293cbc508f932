"""Our tries and RLP against the `rlp` and `trie` libraries, which no shipped code imports."""

import pytest
import rlp
from hypothesis import given, settings
from hypothesis import strategies as st
from trie import HexaryTrie

from protocol.errors import BadProof
from protocol.hashing import keccak256
from protocol.proofs import EMPTY_ROOT, verify_mpt
from protocol.rlp import decode, encode, integer
from protocol.tries import ordered_path, ordered_root

ITEMS = st.recursive(st.binary(max_size=70), lambda inner: st.lists(inner, max_size=20), max_leaves=40)
VALUES = st.lists(st.binary(min_size=1, max_size=60), max_size=300)


@given(ITEMS)
def test_rlp_equals_the_library(item: object) -> None:
    encoded = rlp.encode(item)
    assert encode(item) == encoded  # type: ignore[arg-type]
    assert decode(encoded) == rlp.decode(encoded)


@given(st.binary(max_size=80))
def test_decoding_has_one_spelling(data: bytes) -> None:
    try:
        item = decode(data)
    except BadProof:
        return
    assert encode(item) == data


@pytest.mark.parametrize(
    "data", ["8100", "b800", "b90001" + "00", "f800", "c180c1", "83aabb", "", "b8", "bf" + "ff" * 8]
)
def test_a_second_spelling_is_refused(data: str) -> None:
    with pytest.raises(BadProof):
        decode(bytes.fromhex(data))


def test_deep_nesting_is_refused_before_the_stack_ends() -> None:
    data = b"\xc0"
    for _ in range(3000):
        data = rlp.codec.length_prefix(len(data), 0xC0) + data
    with pytest.raises(BadProof, match="nested"):
        decode(data)


@settings(max_examples=60, deadline=None)
@given(VALUES)
def test_the_ordered_root_and_every_path_equal_the_library(values: list[bytes]) -> None:
    oracle = HexaryTrie({})
    for index, value in enumerate(values):
        oracle[rlp.encode(index)] = value
    assert ordered_root(values) == oracle.root_hash
    for index in {0, len(values) // 2, len(values) - 1} if values else set():
        path = ordered_path(values, index)
        assert verify_mpt(oracle.root_hash, rlp.encode(index), path) == values[index]
        with pytest.raises(BadProof, match="too many"):
            verify_mpt(oracle.root_hash, rlp.encode(index), [*path, path[-1]])
        with pytest.raises(BadProof, match="missing"):
            verify_mpt(oracle.root_hash, rlp.encode(index), path[:-1])


@settings(max_examples=60, deadline=None)
@given(st.dictionaries(st.binary(min_size=1, max_size=6), st.binary(min_size=1, max_size=50), min_size=1), st.data())
def test_presence_and_absence_equal_the_library(content: dict[bytes, bytes], data: st.DataObject) -> None:
    oracle = HexaryTrie({})
    for key, value in content.items():
        oracle[keccak256(key)] = value
    asked = keccak256(data.draw(st.one_of(st.sampled_from(sorted(content)), st.binary(max_size=6))))
    # `get_proof` repeats embedded nodes; a minimal path leaves them out.
    path = [
        encoded
        for depth, node in enumerate(oracle.get_proof(asked))
        if len(encoded := rlp.encode(node)) >= 32 or depth == 0
    ]
    expected = oracle[asked] if asked in oracle else None  # noqa: SIM401
    assert verify_mpt(oracle.root_hash, asked, [node for node in path if node != b"\x80"]) == expected


def test_integers_have_no_leading_zero() -> None:
    assert [integer(0), integer(127), integer(256)] == [b"", b"\x7f", b"\x01\x00"]


def test_an_empty_trie_holds_nothing_in_both_spellings_that_nodes_give_it() -> None:
    """A ledger without events has no storage yet: its head is provably zero."""
    for nodes in ([], [b"\x80"]):
        assert verify_mpt(EMPTY_ROOT, bytes(32), nodes) is None
    with pytest.raises(BadProof):
        verify_mpt(EMPTY_ROOT, bytes(32), [b"\x80", b"\x80"])
