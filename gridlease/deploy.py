"""`gridlease deploy`: puts the committed bytecode on a chain and writes where it is."""

from pathlib import Path

import typer
from eth_abi.abi import encode

from protocol.calls import abi_hash, artefact
from protocol.deployment import Deployment
from protocol.errors import WrongChain
from protocol.hashing import Address, checksum_address, from_hex
from protocol.keys import LocalKey, load_raw_key
from protocol.rpc import Rpc
from protocol.wallet import transact

DEV_CHAINS = (31337, 1337)
DEV_NOTICE_SECONDS = 10
NOTICE_SECONDS = 300


def deploy_ledger(rpc: Rpc, key: LocalKey, chain_id: int, token: Address | None) -> Deployment:
    """Creates the ledger, and on a dev chain the test dollar; raises `WrongChain`, `TransactionReverted`."""
    rpc.require_chain(chain_id)
    is_dev = chain_id in DEV_CHAINS
    if token is None:
        if not is_dev:
            raise WrongChain(DEV_CHAINS[0], chain_id)
        token, _ = _create(rpc, key, "TestDollar", b"")
    min_notice = DEV_NOTICE_SECONDS if is_dev else NOTICE_SECONDS
    registry, _ = _create(rpc, key, "ProviderRegistry", b"")
    arguments = encode(["address", "address", "uint32"], [token, registry, min_notice])
    ledger, block = _create(rpc, key, "ComputeLedger", arguments)
    return Deployment(
        chain_id=chain_id,
        ledger=ledger,
        token=token,
        registry=registry,
        deploy_block=block,
        genesis_hash=rpc.call("eth_getBlockByNumber", "0x0", False)["hash"],
        min_notice=min_notice,
        abi_hash=abi_hash(),
    )


def _create(rpc: Rpc, key: LocalKey, contract: str, arguments: bytes) -> tuple[Address, int]:
    code = from_hex(artefact(contract)["bytecode"]) + arguments
    mined = transact(rpc, key, None, code, contract, f"creating {contract}")
    return checksum_address(mined["contractAddress"]), int(mined["blockNumber"], 16)


def run_deploy(rpc_url: str, chain_id: int, key_file: Path, token: str | None, out: Path) -> None:
    """Deploys, and writes <chain-id>.json below `out`."""
    key = load_raw_key(key_file)
    with Rpc(rpc_url) as rpc:
        deployment = deploy_ledger(rpc, key, chain_id, checksum_address(token) if token else None)
    path = out / f"{chain_id}.json"
    deployment.save(path)
    typer.echo(
        f"ledger {deployment.ledger}\ntoken  {deployment.token}\nblock  {deployment.deploy_block}\nfile   {path}"
    )
