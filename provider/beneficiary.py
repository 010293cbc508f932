"""Hands what an agent earns to its owner's wallet: the operator key lies on a machine that works, and may be stolen."""

from protocol.errors import RpcRefused
from protocol.hashing import ZERO_ADDRESS, Address, checksum_address
from protocol.keys import LocalKey
from protocol.rpc import Rpc
from protocol.wallet import read, send
from provider.errors import AgentError
from provider.settings import AgentSettings


def name_beneficiary(settings: AgentSettings, key: LocalKey, wanted: Address) -> None:
    """Sends one transaction, unless it is so already. Raises `AgentError` if it is too late or nobody pays the gas."""
    ledger = checksum_address(settings.ledger)
    if wanted in (ZERO_ADDRESS, key.address, ledger):
        raise AgentError(f"{wanted} is no wallet of yours", "give --beneficiary the address of a key that you hold")
    with Rpc(settings.rpc_url) as rpc:
        rpc.require_chain(settings.chain_id)
        found = checksum_address(read(rpc, "ComputeLedger", ledger, "beneficiary", key.address)[0])
        if found == wanted:
            return
        if found != ZERO_ADDRESS:
            raise AgentError(
                f"the beneficiary of {key.address} is {found}, and only that one changes it",
                f"`gridlease account beneficiary {wanted} --of {key.address}` with its wallet",
            )
        try:
            send(rpc, key, "ComputeLedger", ledger, "setBeneficiary", key.address, wanted)
        except RpcRefused as error:
            if "insufficient funds" in error.rpc_message.lower():
                raise AgentError(
                    f"the operator key {key.address} cannot pay the gas of naming a beneficiary",
                    "send it a little of the chain's own coin, then join again",
                ) from error
            raise
