"""One call buys one job, however the network behaves, and what comes back is recomputed."""

import json
from pathlib import Path

import pytest

from client.drafts import Draft
from client.errors import (
    BadAnswer,
    JobFailed,
    JobNotEnded,
    MarketRefused,
    MarketUnavailable,
    NotFound,
    NotFunded,
    NotLoggedIn,
    NotMatched,
)
from client.sdk import Client, require_success
from client.verify import download
from protocol.errors import BadManifest, TermOutOfRange
from protocol.hashing import cid_of, sha256
from protocol.wire.jobs import Job, OutputFile
from tests.support.market_server import WEIGHTS, MarketServer


class TestSubmit:
    def test_a_broken_connection_buys_once_under_one_idempotency_key(
        self, client: Client, market: MarketServer, module: Path
    ) -> None:
        market.state.cut["POST", "/v1/jobs"] = 2
        job = client.submit(module)
        keys = {seen.headers["idempotency-key"] for seen in market.state.requests("POST", "/v1/jobs")}
        assert len(market.state.requests("POST", "/v1/jobs")) == 3
        assert len(keys) == 1
        assert list(market.state.jobs) == [job.id]

    def test_two_calls_are_two_jobs(self, client: Client, market: MarketServer, module: Path) -> None:
        assert client.submit(module).id != client.submit(module).id

    def test_a_post_without_an_idempotency_key_is_never_repeated(self, client: Client, market: MarketServer) -> None:
        market.state.cut["POST", "/v1/auth/nonce"] = 1
        with pytest.raises(MarketUnavailable):
            client.http.post("/v1/auth/nonce", Job)
        assert len(market.state.requests("POST", "/v1/auth/nonce")) == 1

    @pytest.mark.parametrize(
        ("status", "code", "kind"),
        [
            (402, "not_funded", NotFunded),
            (409, "not_matched", NotMatched),
            (404, "not_found", NotFound),
            (422, "bad_manifest", MarketRefused),
        ],
    )
    def test_a_problem_becomes_its_type_with_remedy_and_facts(
        self, client: Client, market: MarketServer, module: Path, status: int, code: str, kind: type[MarketRefused]
    ) -> None:
        members = {"code": code, "detail": "no", "remedy": "change it", "needed_base": "7"}
        market.state.problems["POST", "/v1/jobs"] = (status, members)
        with pytest.raises(MarketRefused) as caught:
            client.submit(module)
        assert type(caught.value) is kind
        assert (caught.value.code, caught.value.status, caught.value.remedy) == (code, status, "change it")
        assert caught.value.extras == {"needed_base": "7"}
        assert str(caught.value) == "no; change it"

    def test_bad_terms_are_refused_before_anything_is_sent(
        self, client: Client, market: MarketServer, module: Path
    ) -> None:
        with pytest.raises(TermOutOfRange):
            client.quote(module, max_price="0.0000001")
        with pytest.raises(BadManifest, match="max_leases"):
            client.quote(module, max_leases=99)
        assert market.state.requests("POST", "/v1/jobs") == []

    def test_a_quote_uploads_nothing(self, client: Client, market: MarketServer, module: Path) -> None:
        assert client.quote(module).would_match
        assert market.state.files == {}
        assert market.state.jobs == {}

    def test_an_answer_that_is_no_job_is_named(self, client: Client, market: MarketServer) -> None:
        with pytest.raises(BadAnswer, match="GET /v1/account"):
            client.http.get("/v1/account", Job)

    def test_without_a_key_the_remedy_is_to_log_in(self, market: MarketServer) -> None:
        with Client(market.url) as stranger, pytest.raises(NotLoggedIn, match="gridlease login"):
            stranger.account()


class TestRun:
    def test_a_job_is_bought_followed_checked_and_downloaded(
        self, client: Client, module: Path, tmp_path: Path
    ) -> None:
        looks: list[Job] = []
        outcome = client.run(Draft.of(module, segments=6), out=tmp_path / "out", on_progress=looks.append)
        assert outcome.files["weights.bin"].read_bytes() == WEIGHTS
        assert [check.holds for check in outcome.checks] == [True, True]
        assert [look.segments.done for look in looks] == [2, 4, 6]

    def test_a_result_hash_that_does_not_recompute_is_not_trusted(
        self, client: Client, market: MarketServer, module: Path
    ) -> None:
        market.state.lies = True
        outcome = client.run(module)
        assert not outcome.trusted
        assert [check.name for check in outcome.checks if check.holds is False] == ["result hash"]

    def test_waiting_outlives_a_market_that_is_away(self, client: Client, market: MarketServer, module: Path) -> None:
        job = client.submit(module)
        market.state.cut["GET", "/v1/jobs/"] = 6
        assert client.wait(job).state == "succeeded"

    def test_waiting_ends_at_its_timeout_and_leaves_the_job(
        self, client: Client, market: MarketServer, module: Path
    ) -> None:
        market.state.pace = 0
        job = client.submit(Draft.of(module, segments=3))
        with pytest.raises(JobNotEnded, match=job.id):
            client.wait(job, timeout_seconds=0.05)
        assert client.cancel(job).state == "canceled"

    def test_an_order_that_nobody_met_is_not_matched_and_a_failed_job_is_failed(
        self, client: Client, module: Path
    ) -> None:
        job = client.submit(module)
        with pytest.raises(NotMatched):
            require_success(job.model_copy(update={"state": "expired"}))
        with pytest.raises(JobFailed) as caught:
            require_success(job.model_copy(update={"state": "failed", "failure": "out of work"}))
        assert caught.value.job.id == job.id


class TestOutputs:
    @pytest.mark.parametrize("name", ["../x", "/etc/x", "a/../../x", "a\\x", "a//x", ".", "a/.", "x\x1b[2J"])
    def test_a_name_that_leads_out_of_the_folder_is_refused(self, client: Client, tmp_path: Path, name: str) -> None:
        output = OutputFile(path=name, cid=cid_of(sha256(WEIGHTS)), size=1)
        with pytest.raises(BadAnswer, match="out of the folder"):
            download(client.files, [output], tmp_path)

    def test_a_link_that_leads_out_of_the_folder_is_refused(self, client: Client, tmp_path: Path) -> None:
        (tmp_path / "out").mkdir()
        (tmp_path / "out" / "link").symlink_to(tmp_path)
        output = OutputFile(path="link/x", cid=cid_of(sha256(WEIGHTS)), size=1)
        with pytest.raises(BadAnswer, match="by a link"):
            download(client.files, [output], tmp_path / "out")


class TestDraft:
    def test_a_manifest_file_names_local_files_beside_it(self, client: Client, module: Path, tmp_path: Path) -> None:
        (tmp_path / "digits.csv").write_text("1,2")
        data = {
            "runtime": "wasi-det/1",
            "module": module.name,
            "inputs": {"digits.csv": "digits.csv"},
            "limits": {"memory_bytes": 65536, "work": 10, "wall_seconds": 5, "output_bytes": 0},
        }
        path = tmp_path / "job.json"
        path.write_text(json.dumps(data))
        manifest = client.upload(path)
        assert manifest.inputs == {"digits.csv": cid_of(sha256(b"1,2"))}
        assert manifest.module == cid_of(sha256(module.read_bytes()))

    def test_a_manifest_and_its_draft_have_one_hash(self, client: Client, module: Path) -> None:
        manifest = client.upload(Draft.of(module, arguments=["--epochs", "3"], segments=4))
        assert client.upload(manifest).job_hash() == manifest.job_hash()

    def test_a_missing_input_is_named(self, client: Client, module: Path) -> None:
        with pytest.raises(BadManifest, match=r"inputs\.digits"):
            client.upload(Draft.of(module, inputs={"digits": "nowhere.csv"}))
