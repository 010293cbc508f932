"""`join`: from a bare machine to an agent's folder with a key, settings and a signed offer."""

import os
import secrets
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from protocol.chain import Chain
from protocol.deployment import Deployment
from protocol.errors import NoNodeNamed
from protocol.hashing import checksum_address
from protocol.keys import LocalKey, load_keystore, save_keystore
from protocol.wire.accounts import ChainInfo
from protocol.zones import zone_by_id
from provider.calibration import Calibration, calibrate_once
from provider.detect import Machine, detect
from provider.errors import AgentError
from provider.market import HttpMarket
from provider.offers import median_rate
from provider.settings import FILE_NAME, AgentSettings, write_settings

DEFAULT_RATE: Final = 100_000
"""Pico-dollars per 10⁶ work where no other offer shows a price: a dollar for 10¹³ work."""

_MEMORY_SHARE: Final = 2
"""Jobs get half of the memory that is free at joining."""


@dataclass(frozen=True, slots=True, kw_only=True)
class JoinRequest:
    """What the machine's owner decides."""

    url: str
    data_dir: Path
    name: str
    zone: str
    #: pico-dollars per 10⁶ work; None = the market's median
    rate: int | None
    #: None = a new random password in the agent's folder
    password_file: Path | None
    #: None = the node that the market names
    rpc_url: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Joined:
    """An agent that is ready to serve."""

    settings: AgentSettings
    key: LocalKey
    machine: Machine
    calibration: Calibration


def join(request: JoinRequest) -> Joined:
    """Prepares the folder; a second time it only changes what is asked for. Raises `AgentError` and its cousins."""
    zone = zone_by_id(request.zone)
    folder = request.data_dir.absolute()
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    folder.chmod(0o700)
    machine = detect(folder)
    calibration = calibrate_once(folder)
    password_file = _password_file(folder, request.password_file)
    key = _operator_key(folder / "operator.json", password_file)
    market = HttpMarket(request.url, key)
    chain = market.chain()
    rate = request.rate or median_rate([offer.rate for offer in market.offers()], DEFAULT_RATE)
    market.close()
    _refuse_other_ledger(folder, chain)
    rpc_url = request.rpc_url or chain.rpc_url
    if rpc_url is None:
        raise NoNodeNamed
    write_settings(
        folder,
        {
            "market_url": request.url.rstrip("/"),
            "name": request.name,
            "zone": zone.id,
            "rate": rate,
            "ledger": chain.ledger,
            "chain_id": chain.chain_id,
            "rpc_url": rpc_url,
            "password_file": password_file,
            "memory_bytes": machine.memory_bytes // _MEMORY_SHARE,
        },
    )
    settings = AgentSettings.load(folder)
    settings.leaving_mark.unlink(missing_ok=True)
    return Joined(settings=settings, key=key, machine=machine, calibration=calibration)


def open_key(settings: AgentSettings) -> LocalKey:
    """The operator key of a folder that has joined."""
    return load_keystore(settings.keystore, settings.password())


def open_chain(settings: AgentSettings, info: ChainInfo) -> Chain:
    """The joined ledger through the agent's node; raises `AgentError`, `WrongChain`, `DeploymentMissing`."""
    deployment = Deployment(
        chain_id=settings.chain_id,
        ledger=checksum_address(info.ledger),
        token=checksum_address(info.token),
        registry=checksum_address(info.registry),
        court=checksum_address(info.court),
        deploy_block=info.deploy_block,
        genesis_hash="",
        min_notice=info.min_notice,
        abi_hash="",
    )
    if (info.ledger, info.chain_id) != (settings.ledger, settings.chain_id):
        raise AgentError(
            f"the market now settles on {info.ledger} of chain {info.chain_id}, joined was {settings.ledger}",
            "join again if you trust the new ledger",
        )
    chain = Chain(settings.rpc_url, deployment)
    chain.require()
    return chain


def _password_file(folder: Path, given: Path | None) -> Path:
    if given is not None:
        return given.absolute()
    path = folder / "password"
    if not path.exists():
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(descriptor, "w") as file:
            file.write(secrets.token_urlsafe(32))
    return path


def _operator_key(keystore: Path, password_file: Path) -> LocalKey:
    try:
        password = password_file.read_text().rstrip("\n")
    except OSError as error:
        raise AgentError(f"password file {password_file}: {error.strerror}", "give --password-file") from None
    if not keystore.exists():
        save_keystore(keystore, LocalKey.create(), password)
    return load_keystore(keystore, password)


def _refuse_other_ledger(folder: Path, chain: ChainInfo) -> None:
    """Open leases of another ledger would be forgotten with their vouchers."""
    if not (folder / FILE_NAME).exists():
        return
    before = AgentSettings.load(folder)
    if (before.ledger, before.chain_id) != (chain.ledger, chain.chain_id):
        raise AgentError(
            f"this folder serves {before.ledger} on chain {before.chain_id}, the market is on {chain.ledger}",
            "use another --data-dir",
        )
