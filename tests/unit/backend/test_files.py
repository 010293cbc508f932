"""Files over HTTP: read by their owners and the parties to a job, whole or in pieces, within a quota and a disk."""

import base64
import fcntl
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlsplit

import httpx
import pytest
from sqlmodel import update

from backend.files import access, uploads
from backend.files.tables import UploadRow
from backend.jobs.tables import JobRow
from backend.leases.tables import LeaseIntention
from protocol.clock import now_time
from protocol.hashing import cid_of, sha256
from tests.support.accounts_market import MODULE, MarketWorld, Somebody, job_body, market_world
from tests.support.asgi_reader import scope_of
from tests.unit.backend.test_sign_in import refused

BYTES: Final = bytes(range(256)) * 40
CID: Final = cid_of(sha256(BYTES))
TUS: Final = {"tus-resumable": "1.0.0"}


def metadata(cid: str) -> str:
    return f"cid {base64.b64encode(cid.encode()).decode()}"


def begin(who: Somebody, content: bytes = BYTES, cid: str | None = None) -> httpx.Response:
    headers = {**TUS, "upload-length": str(len(content)), "upload-metadata": metadata(cid or cid_of(sha256(content)))}
    return who.call("POST", "/v1/files/uploads", headers=headers)


def piece(who: Somebody, url: str, offset: int, content: bytes) -> httpx.Response:
    headers = {**TUS, "upload-offset": str(offset), "content-type": "application/offset+octet-stream"}
    return who.call("PATCH", url, headers=headers, content=content)


async def _cut(who: Somebody, url: str, content: bytes) -> None:
    """A piece whose connection breaks after `content`."""
    headers = {**TUS, "upload-offset": "0", "content-type": "application/offset+octet-stream"}
    headers["authorization"] = f"Bearer {who.token}"
    came: list[Any] = [{"type": "http.request", "body": content, "more_body": True}, {"type": "http.disconnect"}]

    async def receive() -> Any:
        return came.pop(0)

    async def send(_message: Any) -> None:
        """Nobody is there to hear it."""

    await who.world.app(scope_of(urlsplit(url).path.encode(), headers=headers, method="PATCH"), receive, send)


def files_below(world: MarketWorld) -> list[Path]:
    return [path for path in world.market.settings.files_dir.rglob("*") if path.is_file()]


class TestReading:
    def test_is_for_who_stored_it_and_for_nobody_else(self, any_world: MarketWorld) -> None:
        owner, stranger = any_world.somebody("owner"), any_world.somebody("stranger")
        owner.put(BYTES)
        assert owner.call("GET", f"/v1/files/{CID}").content == BYTES
        for method in ("GET", "HEAD"):
            assert stranger.call(method, f"/v1/files/{CID}").status_code == 404
        absent = stranger.call("GET", f"/v1/files/{cid_of(sha256(b'absent'))}").json()
        there = stranger.call("GET", f"/v1/files/{CID}").json()
        assert {**absent, "request_id": "", "detail": ""} == {**there, "request_id": "", "detail": ""}

    def test_is_not_won_by_naming_a_file(self, world: MarketWorld) -> None:
        """Neither by an empty PUT of its name, nor as the input of a job of one's own."""
        owner, thief = world.somebody("owner"), world.somebody("thief")
        owner.put(BYTES)
        assert thief.call("PUT", f"/v1/files/{CID}", content=b"").status_code == 400
        assert begin(thief).status_code == 201
        world.somebody("provider").offer()
        thief.make_key()
        thief.fund()
        module = thief.put(MODULE)
        body = job_body(module, manifest={"inputs": {"loot": CID}})
        answer = thief.call("POST", "/v1/jobs", by_key=True, json=body, headers={"Idempotency-Key": "theft"})
        assert CID in refused(answer, 400, "bad_request")["missing"]
        assert thief.call("GET", f"/v1/files/{CID}").status_code == 404

    def test_of_a_range_goes_on_where_a_download_broke(self, world: MarketWorld) -> None:
        owner = world.somebody("owner")
        owner.put(BYTES)
        headers = {"range": "bytes=4096-", "if-range": f'"{CID}"'}
        answer = owner.call("GET", f"/v1/files/{CID}", headers=headers)
        assert (answer.status_code, answer.content) == (206, BYTES[4096:])
        assert answer.headers["content-range"] == f"bytes 4096-{len(BYTES) - 1}/{len(BYTES)}"
        headers = {"range": "bytes=4096-", "if-range": '"another"'}
        assert owner.call("GET", f"/v1/files/{CID}", headers=headers).content == BYTES
        absent = owner.call("GET", f"/v1/files/{CID}", headers={"range": "bytes=99999-"})
        assert (absent.status_code, absent.json()["code"]) == (416, "bad_range")
        assert absent.headers["content-range"] == f"bytes */{len(BYTES)}"
        malformed = owner.call("GET", f"/v1/files/{CID}", headers={"range": "bytes=last"})
        assert (malformed.status_code, malformed.json()["code"]) == (400, "bad_range")


class TestParty:
    """A job of two lanes: its buyer, a provider in each lane, and one whose lease is over."""

    @pytest.fixture
    def job(self, world: MarketWorld) -> dict[str, Any]:
        people = {name: world.somebody(name) for name in ("buyer", "first", "second", "dead", "stranger")}
        people["first"].offer()
        people["buyer"].make_key()
        people["buyer"].fund()
        made = people["buyer"].job()
        assert made.status_code == 202, made.text
        job_id = made.json()["id"]
        files = {
            "module": cid_of(sha256(MODULE)),
            "checkpoint": people["dead"].put(b"state of lane 0"),
            "output": people["dead"].put(b"output of the job"),
        }
        with world.market.db.write() as session:
            row = session.get_one(JobRow, job_id)
            row.order_message = row.order_message.replace('"replicas":"1"', '"replicas":"2"')
            session.add(row)
            for fill, name, state in ((0, "dead", "ended"), (1, "second", "running"), (2, "first", "proposed")):
                session.add(
                    LeaseIntention(
                        lease=f"0x{fill:064x}",
                        job_id=job_id,
                        fill=fill,
                        provider=people[name].address,
                        offer_digest="0x",
                        rate=1,
                        state=state,
                        proposed_time=now_time(),
                    )
                )
            access.belongs(session, job_id, [files["checkpoint"]], 0)
            access.belongs(session, job_id, [files["output"]], access.NO_LANE)
        return {"people": people, "files": files}

    @pytest.mark.parametrize(
        ("name", "readable"),
        [
            ("buyer", {"module", "checkpoint", "output"}),
            # The successor in lane 0 goes on from its checkpoint; lane 1 must not see what it will be compared with.
            ("first", {"module", "checkpoint"}),
            ("second", {"module"}),
            # It made them itself.
            ("dead", {"checkpoint", "output"}),
            ("stranger", set()),
        ],
    )
    def test_reads_what_its_part_needs(self, job: dict[str, Any], name: str, readable: set[str]) -> None:
        who = job["people"][name]
        found = {kind for kind, cid in job["files"].items() if who.call("GET", f"/v1/files/{cid}").status_code == 200}
        assert found == readable


class TestUpload:
    def test_goes_on_where_it_broke_off(self, any_world: MarketWorld) -> None:
        who = any_world.somebody("owner")
        began = begin(who)
        assert began.status_code == 201, began.text
        url = began.headers["location"]
        assert piece(who, url, 0, BYTES[:3000]).headers["upload-offset"] == "3000"
        state = who.call("HEAD", url, headers=TUS)
        assert (state.headers["upload-offset"], state.headers["upload-length"]) == ("3000", str(len(BYTES)))
        assert who.call("GET", f"/v1/files/{CID}").status_code == 404
        assert piece(who, url, 3000, BYTES[3000:]).status_code == 204
        assert who.call("GET", f"/v1/files/{CID}").content == BYTES
        assert [path.name for path in files_below(any_world)] == [sha256(BYTES).hex()]

    def test_keeps_what_came_before_its_connection_broke(self, world: MarketWorld) -> None:
        who = world.somebody("owner")
        url = begin(who).headers["location"]

        world.together(_cut(who, url, BYTES[:5000]))
        reached = int(who.call("HEAD", url, headers=TUS).headers["upload-offset"])
        assert reached == 5000
        piece(who, url, reached, BYTES[reached:])
        assert who.call("GET", f"/v1/files/{CID}").content == BYTES

    def test_takes_a_piece_only_where_it_stands(self, world: MarketWorld) -> None:
        who = world.somebody("owner")
        url = begin(who).headers["location"]
        piece(who, url, 0, BYTES[:100])
        assert refused(piece(who, url, 0, BYTES), 409, "offset_mismatch")["offset"] == 100
        refused(piece(who, url, 100, BYTES), 413, "too_large")
        assert piece(who, url, 100, BYTES[100:]).status_code == 204
        assert who.call("GET", f"/v1/files/{CID}").content == BYTES

    def test_that_hashes_to_another_name_is_gone(self, world: MarketWorld) -> None:
        who = world.somebody("owner")
        url = begin(who, b"x" * len(BYTES)).headers["location"]
        assert "hash to" in refused(piece(who, url, 0, BYTES), 400, "bad_request")["detail"]
        assert who.call("HEAD", url, headers=TUS).status_code == 404
        assert files_below(world) == []

    def test_is_its_owners_alone(self, world: MarketWorld) -> None:
        owner, stranger = world.somebody("owner"), world.somebody("stranger")
        url = begin(owner).headers["location"]
        assert stranger.call("HEAD", url, headers=TUS).status_code == 404
        assert piece(stranger, url, 0, BYTES).status_code == 404
        assert stranger.call("DELETE", url, headers=TUS).status_code == 404
        assert owner.call("HEAD", url, headers=TUS).headers["upload-offset"] == "0"

    def test_that_is_given_up_or_abandoned_leaves_nothing_and_gives_its_quota_back(self, tmp_path: Path) -> None:
        with market_world(tmp_path, file_quota_bytes=len(BYTES)) as world:
            who = world.somebody("owner")
            url = begin(who).headers["location"]
            piece(who, url, 0, BYTES[:100])
            problem = refused(begin(who, BYTES[1:]), 413, "too_large")
            assert (problem["used_bytes"], problem["quota_bytes"]) == (len(BYTES), len(BYTES))
            refused(who.call("PUT", f"/v1/files/{cid_of(sha256(b'y'))}", content=b"y"), 413, "too_large")
            assert who.call("DELETE", url, headers=TUS).status_code == 204
            assert begin(who).status_code == 201
            with world.market.db.write() as session:
                session.exec(update(UploadRow).values(expires_time=now_time()))
            assert uploads.prune(world.market) == 1
            assert files_below(world) == []
            who.put(BYTES)
            # The same file again costs nothing.
            who.put(BYTES)

    def test_of_another_version_or_without_a_name_is_refused(self, world: MarketWorld) -> None:
        who = world.somebody("owner")
        headers = {"upload-length": "5", "upload-metadata": metadata(CID)}
        refused(who.call("POST", "/v1/files/uploads", headers=headers), 412, "other_tus_version")
        for changed in ({"upload-length": "-1"}, {"upload-length": "9" * 30}, {"upload-metadata": "cid !"}):
            assert who.call("POST", "/v1/files/uploads", headers={**TUS, **headers, **changed}).status_code in (
                400,
                413,
            )
        offered = world.call("OPTIONS", "/v1/files/uploads").headers
        assert (offered["tus-version"], offered["tus-extension"]) == ("1.0.0", "creation,expiration,termination")

    def test_is_written_by_one_request_at_a_time(self, world: MarketWorld) -> None:
        who = world.somebody("owner")
        url = begin(who).headers["location"]
        draft = world.market.settings.files_dir / "drafts" / url.rpartition("/")[2]
        with draft.open("r+b") as held:
            fcntl.flock(held, fcntl.LOCK_EX)
            refused(piece(who, url, 0, BYTES), 423, "upload_busy")


def test_a_disk_that_is_almost_full_takes_nothing_more_and_gives_what_it_has(tmp_path: Path) -> None:
    with market_world(tmp_path) as world:
        who = world.somebody("owner")
        who.put(BYTES)
        url = begin(who, b"z" * 100).headers["location"]
        world.market.files._reserve = 1 << 62
        refused(who.call("PUT", f"/v1/files/{cid_of(sha256(b'more'))}", content=b"more"), 507, "storage_full")
        refused(begin(who, b"more"), 507, "storage_full")
        assert who.call("GET", f"/v1/files/{CID}").content == BYTES
        # What began before goes on, into the reserve.
        assert piece(who, url, 0, b"z" * 100).status_code == 204
