"""`gridlease account`: what the ledger holds for you, and the transactions that only your own wallet can send."""

from dataclasses import dataclass
from typing import Annotated, Any

import typer

from client.cli.console import JSON_HELP, confirm, facts, market, moment, money_words, print_json, refuse_usage, say
from client.cli.wallet import Keystore, PasswordFile, PrivateKeyFile, open_wallet, wallet_file
from client.errors import OtherLedger, OtherWallet
from client.funds import DEV_CHAINS, Funds, Sent
from client.settings import Login, WalletFile, load_login
from protocol.hashing import Address, checksum_address
from protocol.keys import LocalKey
from protocol.rpc import Rpc
from protocol.units import format_dollars, parse_dollars
from protocol.wire.accounts import AccountInfo, ChainInfo

app = typer.Typer(name="account", add_completion=False, no_args_is_help=True, help="Your money and your key's cap.")

RpcUrl = Annotated[str | None, typer.Option("--rpc", help="Node to send through. Default: the one the market names.")]
Yes = Annotated[bool, typer.Option("--yes", "-y", help="Do not ask before money moves.")]
AsJson = Annotated[bool, typer.Option("--json", help=JSON_HELP)]
Dollars = Annotated[str, typer.Argument(metavar="DOLLARS", help="At most 6 decimals, such as 5 or 0.25.")]
_DAY_SECONDS = 86_400


@app.command(epilog="Example: gridlease account balance --json")
def balance(as_json: AsJson = False) -> None:
    """What is free, locked in leases, and left of the API key's cap, in dollars."""
    with market() as client:
        account, chain = client.account(), client.chain()
    if as_json:
        print_json(account)
        return
    pairs = [
        ("account", account.address),
        ("free", format_dollars(account.free_base)),
        ("locked", f"{format_dollars(account.locked_base)} in running leases, not yet paid"),
    ]
    facts([*pairs, ("delegate", _delegate_words(account)), ("as of", f"block {account.block_number}")])
    if account.free_base == 0:
        first = "gridlease account faucet, then " if chain.chain_id in DEV_CHAINS else ""
        say(f"Nothing is free to buy with: {first}gridlease account deposit 5")


@app.command(epilog="Example: gridlease account deposit 5 --keystore wallet.json")
def deposit(
    dollars: Dollars,
    keystore: Keystore = None,
    password_file: PasswordFile = None,
    private_key_file: PrivateKeyFile = None,
    rpc: RpcUrl = None,
    yes: Yes = False,
    as_json: AsJson = False,
) -> None:
    """Move dollars from your wallet into the ledger; one transaction where the token takes permits."""
    amount = _amount(dollars)
    with _opened(keystore, password_file, private_key_file, rpc) as session:
        confirm(f"Deposit {money_words(amount)} from {session.key.address} into {session.ledger_words}.", yes=yes)
        _done(session.funds.deposit(amount), f"Deposited {format_dollars(amount)}", as_json)


@app.command(epilog="Example: gridlease account withdraw 2.50 --to 0x…")
def withdraw(
    dollars: Dollars,
    to: Annotated[str | None, typer.Option("--to", help="Receiving address. Default: your wallet.")] = None,
    keystore: Keystore = None,
    password_file: PasswordFile = None,
    private_key_file: PrivateKeyFile = None,
    rpc: RpcUrl = None,
    yes: Yes = False,
    as_json: AsJson = False,
) -> None:
    """Take free dollars out of the ledger."""
    amount = _amount(dollars)
    with _opened(keystore, password_file, private_key_file, rpc) as session:
        receiver = checksum_address(to) if to else session.key.address
        confirm(f"Withdraw {money_words(amount)} from {session.ledger_words} to {receiver}.", yes=yes)
        _done(session.funds.withdraw(amount, receiver), f"Withdrew {format_dollars(amount)}", as_json)


@app.command(epilog="Examples: gridlease account delegate --cap 5 --days 30 · gridlease account delegate --revoke")
def delegate(
    cap: Annotated[
        str | None, typer.Option("--cap", metavar="DOLLARS", help="The most that the API key may commit in all.")
    ] = None,
    days: Annotated[int, typer.Option(min=1, max=3650, help="Days until the allowance ends.")] = 30,
    revoke: Annotated[bool, typer.Option("--revoke", help="Take the allowance back. Open leases go on.")] = False,
    address: Annotated[
        str | None, typer.Option("--address", help="Delegate to allow. Default: the one of your API key.")
    ] = None,
    keystore: Keystore = None,
    password_file: PasswordFile = None,
    private_key_file: PrivateKeyFile = None,
    rpc: RpcUrl = None,
    yes: Yes = False,
    as_json: AsJson = False,
) -> None:
    """Let your API key buy with your deposit, up to a cap. A stolen key can misspend the cap, and nothing else."""
    if revoke == (cap is not None):
        refuse_usage("give either --cap DOLLARS or --revoke")
    cap_base = 0 if cap is None else _amount(cap)
    with _opened(keystore, password_file, private_key_file, rpc) as session:
        who = checksum_address(address) if address else session.delegate()
        until_time = 0 if revoke else session.funds.chain_time() + days * _DAY_SECONDS
        if revoke:
            sentence, past = f"Revoke delegate {who} on {session.ledger_words}.", "Revoked"
        else:
            sentence = f"Allow {who} to commit at most {money_words(cap_base)} on {session.ledger_words}"
            sentence, past = f"{sentence} until {moment(until_time)}.", f"Allowed {format_dollars(cap_base)}"
        confirm(sentence, yes=yes)
        _done(session.funds.approve_delegate(who, cap_base, until_time), past, as_json)


@app.command(epilog="Example: gridlease account faucet 100 --private-key-file key.txt")
def faucet(
    dollars: Dollars = "100",
    keystore: Keystore = None,
    password_file: PasswordFile = None,
    private_key_file: PrivateKeyFile = None,
    rpc: RpcUrl = None,
    as_json: AsJson = False,
) -> None:
    """Make test dollars, and gas, for your wallet. Only on dev chains."""
    amount = _amount(dollars)
    with _opened(keystore, password_file, private_key_file, rpc) as session:
        _done(session.funds.mint(amount), f"Made {format_dollars(amount)} of test money", as_json)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Session:
    """The wallet, opened for one transaction."""

    key: LocalKey
    chain: ChainInfo
    account: AccountInfo
    login: Login | None
    funds: Funds
    node: Rpc

    @property
    def ledger_words(self) -> str:
        return f"ledger {self.chain.ledger} on chain {self.chain.chain_id}"

    def delegate(self) -> Address:
        if self.account.delegate is not None:
            return checksum_address(self.account.delegate.address)
        if self.login is None or self.login.delegate is None:
            refuse_usage("the market names no delegate for this key; add --address 0x…")
        return checksum_address(self.login.delegate)

    def __enter__(self) -> "_Session":
        return self

    def __exit__(self, *_: Any) -> None:
        self.node.close()


def _opened(keystore: Any, password_file: Any, private_key_file: Any, rpc: str | None) -> _Session:
    """Checks market, ledger, wallet and node against each other before anything is signed."""
    with market() as client:
        chain, account, url = client.chain(), client.account(), client.url
    login = load_login()
    if login is not None and login.url != url:
        login = None
    if login is not None and (login.chain_id, login.ledger) != (chain.chain_id, chain.ledger):
        raise OtherLedger(
            f"ledger {login.ledger} on chain {login.chain_id}", f"ledger {chain.ledger} on chain {chain.chain_id}"
        )
    remembered = login.wallet if login is not None else WalletFile()
    key = open_wallet(wallet_file(keystore, password_file, private_key_file, remembered))
    if key.address != account.address:
        raise OtherWallet(account.address, key.address)
    node = Rpc(rpc or chain.rpc_url)
    return _Session(key=key, chain=chain, account=account, login=login, funds=Funds(chain, key, node), node=node)


def _amount(dollars: str) -> int:
    amount = parse_dollars(dollars)
    if amount == 0:
        refuse_usage("the amount must be more than 0")
    return amount


def _delegate_words(account: AccountInfo) -> str:
    allowed = account.delegate
    if allowed is None or allowed.until_time == 0:
        return "not allowed to buy yet: gridlease account delegate --cap 5"
    left = format_dollars(allowed.remaining_base)
    return f"{allowed.address} may commit {left} more until {moment(allowed.until_time)}"


def _done(sent: Sent, words: str, as_json: bool) -> None:
    if as_json:
        print_json({"tx_hash": sent.tx_hash, "block_number": sent.block_number})
    else:
        typer.echo(f"{words} in block {sent.block_number}, transaction {sent.tx_hash}.")
