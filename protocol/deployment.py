"""Where a ledger lives: one small JSON file per chain."""

import json
import os
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

from protocol.errors import DeploymentMissing, DeploymentOutdated
from protocol.hashing import Address, checksum_address
from protocol.messages import Domain


@dataclass(frozen=True, slots=True, kw_only=True)
class Deployment:
    """One ledger on one chain."""

    chain_id: int
    ledger: Address
    #: the 6-decimals stablecoin that the ledger serves
    token: Address
    #: whose attestations count
    registry: Address
    #: who rules on the disputes of orders that name it as their arbiter
    court: Address
    #: block that holds the ledger's creation
    deploy_block: int
    #: hash of block 0: a dev chain that was reset is another chain
    genesis_hash: str
    #: seconds
    min_notice: int
    #: SHA-256 of the committed artefact, so that code and chain are known to fit
    abi_hash: str
    #: the chain's header blooms have every log's address; where they have not, nothing is ruled out by them
    complete_blooms: bool = True

    @property
    def domain(self) -> Domain:
        return _domain(self.chain_id, self.ledger)

    def save(self, path: Path) -> None:
        """Writes the file in one step, so that no reader sees half of it."""
        content = {
            "chainId": self.chain_id,
            "ledger": self.ledger,
            "token": self.token,
            "registry": self.registry,
            "court": self.court,
            "deployBlock": self.deploy_block,
            "genesisHash": self.genesis_hash,
            "minNotice": self.min_notice,
            "abiHash": self.abi_hash,
            "completeBlooms": self.complete_blooms,
        }
        path.parent.mkdir(parents=True, exist_ok=True)
        draft = path.with_suffix(".draft")
        draft.write_text(json.dumps(content, indent=2) + "\n")
        os.replace(draft, path)


# One for all who sign: it keeps the separator that each signature needs.
@lru_cache(16)
def _domain(chain_id: int, ledger: Address) -> Domain:
    return Domain(chain_id=chain_id, ledger=ledger)


def load_deployment(path: Path) -> Deployment:
    """Reads a deployment file; raises `DeploymentMissing`, `DeploymentOutdated`."""
    try:
        content = json.loads(path.read_text())
        if "ledger" in content and "court" not in content:
            raise DeploymentOutdated(str(path))
        return Deployment(
            chain_id=int(content["chainId"]),
            ledger=checksum_address(content["ledger"]),
            token=checksum_address(content["token"]),
            registry=checksum_address(content["registry"]),
            court=checksum_address(content["court"]),
            deploy_block=int(content["deployBlock"]),
            genesis_hash=str(content["genesisHash"]),
            min_notice=int(content["minNotice"]),
            abi_hash=str(content["abiHash"]),
            # Files from before it have not said.
            complete_blooms=bool(content.get("completeBlooms", True)),
        )
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise DeploymentMissing(str(path)) from error
