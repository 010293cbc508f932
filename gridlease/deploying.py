"""What `gridlease deploy` says: on stdout the contracts, one a line or as JSON."""

import json
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import typer

from gridlease.court_terms import CourtTerms
from gridlease.deploy import Placed, default_terms, deploy_ledger, earlier_deployment
from gridlease.inspection import inspect
from protocol.calls import abi_hash
from protocol.deployment import load_deployment
from protocol.hashing import checksum_address, to_hex
from protocol.keys import load_raw_key
from protocol.rpc import Rpc
from protocol.units import parse_dollars


@dataclass(frozen=True, slots=True, kw_only=True)
class CourtOptions:
    """The court's terms as they were typed; None is the chain's default. Dollars are text, times are seconds."""

    stake: str | None = None
    fee: str | None = None
    move: int | None = None
    commit: int | None = None
    reveal: int | None = None

    def terms(self, chain_id: int) -> CourtTerms:
        typed = {
            "seat_bond": None if self.stake is None else parse_dollars(self.stake),
            "fee_per_seat": None if self.fee is None else parse_dollars(self.fee),
            "move_time": self.move,
            "commit_time": self.commit,
            "reveal_time": self.reveal,
        }
        return replace(default_terms(chain_id), **{name: value for name, value in typed.items() if value is not None})


def run_deploy(
    rpc_url: str,
    chain_id: int,
    key_file: Path,
    token: str | None,
    out: Path,
    options: CourtOptions,
    *,
    incomplete_blooms: bool,
    as_json: bool,
) -> None:
    """Deploys what is missing, and writes <chain-id>.json below `out`."""
    key = load_raw_key(key_file)
    path = out / f"{chain_id}.json"
    placed: list[Placed] = []

    def say(one: Placed) -> None:
        placed.append(one)
        if not as_json:
            when = "already there" if one.block is None else f"created in block {one.block}"
            typer.echo(f"{one.contract:16} {one.address}  {when}\n{'':16} code {to_hex(one.code_hash)}")
            typer.echo(f"{'':16} ABI  {abi_hash(one.contract)}")

    known = earlier_deployment(path)
    with Rpc(rpc_url) as rpc:
        deployment = deploy_ledger(
            rpc,
            key,
            chain_id,
            checksum_address(token) if token else None,
            court_terms=options.terms(chain_id),
            known=known,
            say=say,
        )
    # Said once, it is said: a chain does not change its rules.
    complete_blooms = not incomplete_blooms and (known is None or known.complete_blooms)
    replace(deployment, complete_blooms=complete_blooms).save(path)
    if as_json:
        contracts = [
            {
                "contract": one.contract,
                "address": one.address,
                "code_hash": to_hex(one.code_hash),
                "abi_hash": abi_hash(one.contract),
                "created_block": one.block,
            }
            for one in placed
        ]
        facts = {"file": str(path), "deploy_block": deployment.deploy_block, "token": deployment.token}
        typer.echo(json.dumps({"chain_id": chain_id, **facts, "contracts": contracts}))
    else:
        typer.echo(f"{'token':16} {deployment.token}\n{'first block':16} {deployment.deploy_block}\n{'file':16} {path}")


def run_verify(rpc_url: str, chain_id: int | None, file: Path, *, as_json: bool) -> None:
    """Compares a deployment with the committed bytecode; exit code 1 if a contract differs."""
    deployment = load_deployment(file)
    if chain_id not in (None, deployment.chain_id):
        raise typer.BadParameter(f"{file} is of chain {deployment.chain_id}, --chain-id says {chain_id}")
    with Rpc(rpc_url) as rpc:
        findings = inspect(rpc, deployment)
    holds = all(finding.holds for finding in findings)
    if as_json:
        contracts = [asdict(finding) for finding in findings]
        typer.echo(json.dumps({"chain_id": deployment.chain_id, "holds": holds, "contracts": contracts}))
    else:
        for found in findings:
            verdict = "ok" if found.holds else "DIFFERS"
            typer.echo(f"{found.contract:16} {found.address}  {verdict}: {found.says}\n{'':16} code {found.code_hash}")
            if found.abi_hash is not None:
                typer.echo(f"{'':16} ABI  {found.abi_hash}")
    if not holds:
        raise typer.Exit(1)
