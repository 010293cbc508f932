"""One search box: what a text can mean, and where it leads."""

import pytest

from explorer.search import Shape, classify
from protocol.hashing import cid_of, to_hex
from tests.support.fake_mirror import BUYER, FIRST, HEAD_BLOCK, JOB, ORDER, SECOND, FakeMirror, block_hash
from tests.unit.explorer.conftest import Reader


@pytest.mark.parametrize(
    ("text", "shape", "canonical"),
    [
        ("", Shape.EMPTY, ""),
        ("  ", Shape.EMPTY, ""),
        ("42", Shape.BLOCK_NUMBER, "42"),
        ("#1,234", Shape.BLOCK_NUMBER, "1234"),
        (f" {BUYER} ", Shape.ADDRESS, BUYER),
        (BUYER.lower()[2:], Shape.ADDRESS, BUYER),
        (BUYER[:2] + BUYER[2:].swapcase(), Shape.BAD_ADDRESS, BUYER[:2] + BUYER[2:].swapcase()),
        (to_hex(FIRST).upper(), Shape.HASH, to_hex(FIRST)),
        (FIRST.hex(), Shape.HASH, to_hex(FIRST)),
        (cid_of(JOB), Shape.HASH, to_hex(JOB)),
        ("0xAbCd", Shape.PREFIX, "0xabcd"),
        ("job_01jdx", Shape.JOB_ID, "job_01jdx"),
        ("0xab", Shape.OTHER, "0xab"),
        ("hello world", Shape.OTHER, "hello world"),
        ("٤٢", Shape.OTHER, "٤٢"),
    ],
)
def test_a_text_is_recognised_by_its_shape(text: str, shape: Shape, canonical: str) -> None:
    query = classify(text)
    assert (query.shape, query.text) == (shape, canonical)


def test_a_very_long_text_is_recognised_as_nothing() -> None:
    assert classify("a" * 10_000).shape is Shape.OTHER


@pytest.mark.parametrize(
    ("text", "path"),
    [
        (to_hex(SECOND), f"/lease/{to_hex(SECOND)}"),
        (SECOND.hex().upper(), f"/lease/{to_hex(SECOND)}"),
        ("35", "/block/35"),
        (to_hex(block_hash(35)), f"/block/{to_hex(block_hash(35))}"),
        (to_hex(JOB), f"/job/{to_hex(JOB)}"),
        (cid_of(JOB), f"/job/{to_hex(JOB)}"),
        (BUYER, f"/address/{BUYER}"),
    ],
)
def test_an_exact_hit_redirects(reader: Reader, text: str, path: str) -> None:
    response = reader.get(f"/search?q={text}")
    assert response.status_code == 303
    assert response.headers["location"] == path


def test_a_transaction_hash_redirects_to_its_page(reader: Reader, mirror: FakeMirror) -> None:
    tx = to_hex(mirror.rows[0].tx_hash)
    assert reader.get(f"/search?q={tx}").headers["location"] == f"/tx/{tx}"


def test_an_order_digest_lists_its_fills(reader: Reader) -> None:
    response = reader.get(f"/search?q={to_hex(ORDER)}")
    assert response.status_code == 200
    assert f"/lease/{to_hex(FIRST)}" in response.text
    assert f"/lease/{to_hex(SECOND)}" in response.text


def test_the_beginning_of_a_hash_is_listed_and_never_followed(reader: Reader) -> None:
    response = reader.get(f"/search?q={to_hex(SECOND)[:10]}")
    assert response.status_code == 200
    assert f"/lease/{to_hex(SECOND)}" in response.text


def test_what_is_unknown_is_absent_up_to_a_block_and_verified_only_if_it_is(reader: Reader, mirror: FakeMirror) -> None:
    path = "/search?q=0x" + "12" * 32

    def words() -> str:
        text = reader.get(path).text
        return " ".join(text[text.index("is not on this ledger") :].replace("<", " <").split())

    assert reader.get(path).status_code == 404
    assert "(verified up to" in words()
    mirror.proved_block = HEAD_BLOCK
    assert "(verified)" in words()
    mirror.proved_block = None
    assert "verified" not in words()


def test_a_market_job_id_is_explained(reader: Reader) -> None:
    assert "gridlease job status job_01jdx" in reader.get("/search?q=job_01jdx").text
