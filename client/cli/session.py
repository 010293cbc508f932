"""The wallet, opened for one transaction of the buyer's commands, and what they say when it is in a block."""

from dataclasses import dataclass
from typing import Annotated, Any

import typer

from client.cli.console import market, print_json, refuse_usage
from client.cli.wallet import WalletOptions, open_wallet
from client.errors import OtherLedger, OtherWallet
from client.funds import Funds, Sent
from client.settings import Login, WalletFile, load_login
from protocol.errors import NoNodeNamed
from protocol.hashing import Address, checksum_address
from protocol.keys import LocalKey
from protocol.rpc import Rpc
from protocol.wire.accounts import AccountInfo, ChainInfo

RpcUrl = Annotated[str | None, typer.Option("--rpc", help="Node to send through. Default: the one the market names.")]
Yes = Annotated[bool, typer.Option("--yes", "-y", help="Do not ask before money moves.")]


@dataclass(frozen=True, slots=True, kw_only=True)
class Session:
    """The wallet, opened for one transaction."""

    key: LocalKey
    chain: ChainInfo
    #: whose money it is
    owner: Address
    #: of the API key; None where the wallet acts for another account
    account: AccountInfo | None
    login: Login | None
    funds: Funds
    node: Rpc

    @property
    def ledger_words(self) -> str:
        return f"ledger {self.chain.ledger} on chain {self.chain.chain_id}"

    def delegate(self) -> Address:
        if self.account is not None and self.account.delegate is not None:
            return checksum_address(self.account.delegate.address)
        if self.login is None or self.login.delegate is None:
            refuse_usage("the market names no delegate for this key; add --address 0x…")
        return checksum_address(self.login.delegate)

    def __enter__(self) -> "Session":
        return self

    def __exit__(self, *_: Any) -> None:
        self.node.close()


def opened(wallet: WalletOptions, rpc: str | None, *, of: Address | None = None) -> Session:
    """Checks market, ledger, wallet and node against each other before anything is signed.

    `of` is an account whose beneficiary the wallet is; without it the wallet must be the API key's own.
    """
    with market() as client:
        chain, url = client.chain(), client.url
        account = client.account() if of is None else None
    login = load_login()
    if login is not None and login.url != url:
        login = None
    if login is not None and (login.chain_id, login.ledger) != (chain.chain_id, chain.ledger):
        raise OtherLedger(
            f"ledger {login.ledger} on chain {login.chain_id}", f"ledger {chain.ledger} on chain {chain.chain_id}"
        )
    remembered = login.wallet if login is not None else WalletFile()
    key = open_wallet(wallet.file(remembered))
    if account is not None and key.address != account.address:
        raise OtherWallet(account.address, key.address)
    node_url = rpc or chain.rpc_url
    if node_url is None:
        raise NoNodeNamed
    node = Rpc(node_url)
    return Session(
        key=key,
        chain=chain,
        owner=of or key.address,
        account=account,
        login=login,
        funds=Funds(chain, key, node),
        node=node,
    )


def done(sent: Sent, words: str, as_json: bool) -> None:
    if as_json:
        print_json({"tx_hash": sent.tx_hash, "block_number": sent.block_number})
    else:
        typer.echo(f"{words} in block {sent.block_number}, transaction {sent.tx_hash}.")
