"""The command line: exit codes that scripts can trust, one line for an error, and a fast front door."""

import json
import os
import re
import signal
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
from typer.testing import CliRunner

from gridlease.cli import COMMANDS, app, exit_code
from protocol.errors import BadManifest, BadProof, NodeUnavailable
from tests.support.market_server import BUYER, KEY, LEDGER, WEIGHTS, MarketServer

ROOT = Path(__file__).parents[3]
HEAVY = ("httpx", "web3", "fastapi", "sqlmodel", "celery", "pydantic", "eth_account", "client.sdk", "backend")


@pytest.fixture
def runner(market: MarketServer, monkeypatch: pytest.MonkeyPatch) -> CliRunner:
    monkeypatch.setenv("GRIDLEASE_URL", market.url)
    monkeypatch.setenv("GRIDLEASE_KEY", KEY)
    return CliRunner()


class TestFrontDoor:
    def test_help_loads_no_room_and_no_heavy_library(self) -> None:
        code = (
            "import sys\nfrom gridlease.cli import app\n"
            "try:\n    app(['--help'])\nexcept SystemExit as end:\n    assert not end.code\n"
            f"print([name for name in {HEAVY!r} if name in sys.modules], file=sys.stderr)"
        )
        done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
        assert done.stderr.strip() == "[]"
        assert "Buy compute" in done.stdout

    @pytest.mark.parametrize("name", sorted(COMMANDS))
    def test_the_help_of_a_command_loads_no_server_and_no_chain_library(self, name: str) -> None:
        heavy = ("web3", "fastapi", "sqlalchemy", "celery", "alembic", "uvicorn", "wasmtime", "eth_account")
        code = (
            "import sys\nfrom gridlease.cli import app\n"
            f"try:\n    app([{name!r}, '--help'])\nexcept SystemExit as end:\n    assert not end.code\n"
            f"print([name for name in {heavy!r} if name in sys.modules], file=sys.stderr)"
        )
        done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
        assert done.stderr.strip() == "[]"

    def test_a_missing_extra_is_named_even_when_it_shows_late(self) -> None:
        code = (
            "import sys; sys.modules['psutil'] = None\nfrom gridlease.cli import app\n"
            "app(['provider', 'join', 'http://127.0.0.1:1', '--zone', 'DE', '--yes'])"
        )
        done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=False)
        assert done.returncode == 2
        assert done.stderr.splitlines() == [
            "error: `gridlease provider` needs psutil, which is not installed; pip install 'gridlease[provider]'"
        ]

    @pytest.mark.parametrize(
        ("command", "variable", "text"),
        [
            ("serve", "GRIDLEASE_PORT", "abc"),
            ("worker", "GRIDLEASE_FEE_BASE", "-1"),
            ("indexer", "GRIDLEASE_POLL_SECONDS", "0"),
        ],
    )
    def test_a_wrong_setting_is_one_line_that_names_it(
        self, monkeypatch: pytest.MonkeyPatch, command: str, variable: str, text: str
    ) -> None:
        monkeypatch.setenv(variable, text)
        result = CliRunner().invoke(app, [command, "status"] if command == "indexer" else [command])
        assert result.exit_code == 2
        assert result.stderr.startswith(f"error: {variable}: Input should be")

    def test_every_registered_command_is_listed_with_a_help_text(self) -> None:
        project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
        assert set(project["entry-points"]["gridlease.commands"]) == set(COMMANDS)

    def test_the_sdk_is_a_lazy_name_of_the_package(self) -> None:
        code = "import gridlease, sys; assert 'httpx' not in sys.modules; print(gridlease.Client.__module__)"
        done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
        assert done.stdout.strip() == "client.sdk"

    def test_an_unknown_command_is_a_usage_error(self) -> None:
        assert CliRunner().invoke(app, ["rnu"]).exit_code == 2

    def test_each_kind_of_error_has_its_exit_code(self) -> None:
        assert exit_code(BadManifest("limits", "too high", "lower it")) == 2
        assert exit_code(BadProof("receipt", "root differs")) == 1
        assert exit_code(NodeUnavailable("http://x", "refused")) == 5


class TestErrors:
    @pytest.mark.parametrize(
        ("status", "code", "expected"), [(402, "not_funded", 3), (409, "not_matched", 4), (503, "node_unavailable", 1)]
    )
    def test_a_refusal_is_one_line_and_an_exit_code(
        self, runner: CliRunner, market: MarketServer, module: Path, status: int, code: str, expected: int
    ) -> None:
        problem = {"code": code, "detail": "it is so", "remedy": "do that"}
        market.state.problems["POST", "/v1/jobs"] = (status, problem)
        result = runner.invoke(app, ["run", "--yes", str(module)])
        assert result.exit_code == expected
        assert result.stderr.splitlines()[-1] == "error: it is so; do that"
        assert "Traceback" not in result.output

    def test_json_errors_are_one_document_on_stdout(
        self, runner: CliRunner, market: MarketServer, module: Path
    ) -> None:
        problem = {"code": "not_funded", "detail": "it is so", "remedy": "deposit", "needed_base": "7"}
        market.state.problems["POST", "/v1/jobs"] = (402, problem)
        result = runner.invoke(app, ["run", "--yes", "--json", str(module)])
        assert json.loads(result.stdout) == {
            "error": {
                "code": "not_funded",
                "message": "it is so; deposit",
                "exit_code": 3,
                "remedy": "deposit",
                "needed_base": "7",
            }
        }

    def test_a_markets_text_cannot_steer_the_terminal(self, runner: CliRunner, market: MarketServer) -> None:
        market.state.problems["GET", "/v1/account"] = (400, {"code": "x", "detail": "a\x1b[2Jb\r\nc"})
        result = runner.invoke(app, ["account", "balance"])
        assert result.stderr == "error: a [2Jb  c\n"

    def test_without_a_login_the_error_says_how(self, market: MarketServer) -> None:
        result = CliRunner(env={"GRIDLEASE_URL": market.url}).invoke(app, ["account", "balance"])
        assert result.exit_code == 2
        assert "gridlease login" in result.stderr


class TestRun:
    def test_a_module_is_bought_and_its_outputs_downloaded(
        self, runner: CliRunner, market: MarketServer, module: Path, tmp_path: Path
    ) -> None:
        data = tmp_path / "digits.csv"
        data.write_text("1,2")
        options = ["--input", f"digits.csv={data}", "--segments", "4", "--memory", "32", "--out", str(tmp_path / "out")]
        result = runner.invoke(app, ["run", *options, "--yes", "--json", "--", str(module), "--epochs", "3", "--json"])
        assert result.exit_code == 0, result.output
        answer = json.loads(result.stdout)
        assert (tmp_path / "out" / "weights.bin").read_bytes() == WEIGHTS
        assert [check["holds"] for check in answer["checks"]] == [True, True]
        manifest = market.state.manifests[answer["id"]]
        assert manifest.arguments == ("--epochs", "3", "--json")
        assert (manifest.segments, manifest.limits.memory_bytes) == (4, 32 * 2**20)

    def test_without_terminal_price_or_consent_nothing_is_bought(
        self, runner: CliRunner, market: MarketServer, module: Path
    ) -> None:
        result = runner.invoke(app, ["run", str(module)])
        assert result.exit_code == 2
        assert "--yes" in result.output
        assert market.state.jobs == {}
        assert runner.invoke(app, ["run", "--max-price", "$0.05", str(module)]).exit_code == 0

    def test_a_dry_run_says_why_nothing_matches(self, runner: CliRunner, market: MarketServer, module: Path) -> None:
        assert runner.invoke(app, ["run", "--dry-run", str(module)]).exit_code == 0
        market.state.matches = False
        result = runner.invoke(app, ["run", "--dry-run", str(module)])
        assert result.exit_code == 4
        assert "1 refused by rate" in result.stderr
        assert "to take the nearest: raise max_rate to 100000" in result.stderr

    def test_a_result_that_does_not_recompute_fails(
        self, runner: CliRunner, market: MarketServer, module: Path
    ) -> None:
        market.state.lies = True
        result = runner.invoke(app, ["run", "--yes", str(module)])
        assert result.exit_code == 1
        assert "result hash WRONG" in result.stderr

    def test_detached_prints_the_id_and_wait_picks_it_up(self, runner: CliRunner, module: Path, tmp_path: Path) -> None:
        job_id = runner.invoke(app, ["run", "--yes", "--detach", str(module)]).stdout.strip()
        result = runner.invoke(app, ["job", "wait", job_id, "--out", str(tmp_path / "out")])
        assert result.exit_code == 0, result.output
        assert (tmp_path / "out" / "weights.bin").exists()

    def test_ctrl_c_detaches_and_says_how_to_come_back(self, market: MarketServer, module: Path) -> None:
        market.state.pace = 0
        environment = os.environ | {"GRIDLEASE_URL": market.url, "GRIDLEASE_KEY": KEY}
        command = [sys.executable, "-m", "gridlease.cli", "run", "--yes", str(module)]
        with subprocess.Popen(command, cwd=ROOT, env=environment, stderr=subprocess.PIPE, text=True) as process:
            assert process.stderr is not None
            assert "Bought job_1" in process.stderr.readline()
            assert process.stderr.readline().startswith("queued")
            process.send_signal(signal.SIGINT)
            said = process.stderr.read()
        assert process.returncode == 130
        assert "gridlease job wait job_1" in said
        assert "gridlease job cancel job_1" in said
        assert "Traceback" not in said
        assert market.state.jobs["job_1"].state != "canceled"


class TestJob:
    def test_status_logs_list_and_cancel(self, runner: CliRunner, market: MarketServer, module: Path) -> None:
        market.state.pace = 0
        job_id = runner.invoke(app, ["run", "--yes", "--detach", str(module)]).stdout.strip()
        assert json.loads(runner.invoke(app, ["job", "status", job_id, "--json"]).stdout)["id"] == job_id
        assert "from the job" in runner.invoke(app, ["job", "logs", job_id]).stdout
        assert job_id in runner.invoke(app, ["job", "list"]).stdout
        assert "canceled" in runner.invoke(app, ["job", "cancel", job_id]).stderr

    def test_an_id_that_is_a_path_goes_nowhere(self, runner: CliRunner, market: MarketServer) -> None:
        assert runner.invoke(app, ["job", "status", "../keys"]).exit_code == 1
        assert market.state.seen == []


class TestAccount:
    def test_balance_is_in_dollars(self, runner: CliRunner) -> None:
        said = runner.invoke(app, ["account", "balance"]).stdout
        assert "$5.000000" in said
        assert "may commit $2.000000 more until 2027-01-15" in said
        assert re.search(r"^bonded +\$0\.750000 at stake", said, re.MULTILINE)
        assert "alone withdraws" not in said

    def test_balance_names_the_beneficiary(self, runner: CliRunner, market: MarketServer) -> None:
        market.state.beneficiary = LEDGER
        assert f"{LEDGER} alone withdraws" in runner.invoke(app, ["account", "balance"]).stdout
        body = json.loads(runner.invoke(app, ["account", "balance", "--json"]).stdout)
        assert (body["beneficiary"], body["bonded_base"]) == (LEDGER, "750000")

    @pytest.mark.parametrize(
        ("arguments", "fact"),
        [
            ([], "either ADDRESS or --none"),
            (["--none", BUYER.address], "either ADDRESS or --none"),
            (["0x" + "00" * 20], "zero address"),
            (["0x12"], "40 hex digits"),
        ],
    )
    def test_a_beneficiary_is_an_address_or_none(self, runner: CliRunner, arguments: list[str], fact: str) -> None:
        result = runner.invoke(app, ["account", "beneficiary", "--yes", *arguments])
        assert result.exit_code == 2
        assert fact in result.stderr

    def test_another_wallet_than_the_keys_is_refused(self, runner: CliRunner, tmp_path: Path) -> None:
        path = tmp_path / "key"
        path.write_text("0x" + "11" * 32)
        result = runner.invoke(app, ["account", "deposit", "5", "--yes", "--private-key-file", str(path)])
        assert result.exit_code == 1
        assert BUYER.address in result.stderr

    def test_another_ledger_than_at_login_is_refused(
        self, market: MarketServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        runner = CliRunner()
        runner.invoke(app, ["login", market.url, "--key", KEY])
        stored = tmp_path / "config" / "login.json"
        stored.write_text(stored.read_text().replace(LEDGER, BUYER.address))
        path = tmp_path / "key"
        path.write_text("0x" + BUYER.secret().hex())
        result = runner.invoke(app, ["account", "deposit", "5", "--yes", "--private-key-file", str(path)])
        assert result.exit_code == 1
        assert "send nothing" in result.stderr

    def test_a_key_file_is_never_quoted(self, runner: CliRunner, tmp_path: Path) -> None:
        path = tmp_path / "key"
        path.write_text("0xdeadbeef")
        result = runner.invoke(app, ["account", "deposit", "5", "--yes", "--private-key-file", str(path)])
        assert result.exit_code == 2
        assert "deadbeef" not in result.output

    @pytest.mark.parametrize("amount", ["0", "-1", "0.0000001", "much"])
    def test_an_amount_that_is_no_money_is_a_usage_error(self, runner: CliRunner, amount: str) -> None:
        assert runner.invoke(app, ["account", "deposit", "--yes", "--", amount]).exit_code == 2


class TestFiles:
    def test_put_stat_get(self, runner: CliRunner, module: Path, tmp_path: Path) -> None:
        cid = runner.invoke(app, ["files", "put", str(module)]).stdout.split()[0]
        assert json.loads(runner.invoke(app, ["files", "stat", cid, "--json"]).stdout)["size"] == 8
        assert runner.invoke(app, ["files", "get", cid, "-o", str(tmp_path / "copy")]).exit_code == 0
        assert (tmp_path / "copy").read_bytes() == module.read_bytes()
