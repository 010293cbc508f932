"""`gridlease account`: what the ledger holds for you, and the transactions that only your own wallet can send."""

from typing import Annotated

import typer

from client.cli.console import JSON_HELP, confirm, facts, market, moment, money_words, print_json, refuse_usage, say
from client.cli.groups import takes
from client.cli.session import RpcUrl, Yes, done, opened
from client.cli.wallet import WalletOptions
from client.funds import DEV_CHAINS
from protocol.hashing import ZERO_ADDRESS, Address, checksum_address
from protocol.units import format_dollars, parse_dollars
from protocol.wire.accounts import AccountInfo

app = typer.Typer(name="account", add_completion=False, no_args_is_help=True, help="Your money and your key's cap.")

AsJson = Annotated[bool, typer.Option("--json", help=JSON_HELP)]
Dollars = Annotated[str, typer.Argument(metavar="DOLLARS", help="At most 6 decimals, such as 5 or 0.25.")]
Of = Annotated[str | None, typer.Option("--of", help="Account whose beneficiary your wallet is. Default: your own.")]
_DAY_SECONDS = 86_400


@app.command(epilog="Example: gridlease account balance --json")
def balance(as_json: AsJson = False) -> None:
    """What is free, locked in leases, bonded, and left of the API key's cap, in dollars."""
    with market() as client:
        account, chain = client.account(), client.chain()
    if as_json:
        print_json(account)
        return
    pairs = [
        ("account", account.address),
        ("free", format_dollars(account.free_base)),
        ("locked", f"{format_dollars(account.locked_base)} in running leases, not yet paid"),
        ("bonded", f"{format_dollars(account.bonded_base)} at stake in leases served and in challenges"),
    ]
    if account.beneficiary is not None:
        pairs.append(("beneficiary", f"{account.beneficiary} alone withdraws; this account cannot buy"))
    facts([*pairs, ("delegate", _delegate_words(account)), ("as of", f"block {account.block_number}")])
    if account.free_base == 0 and account.beneficiary is None:
        first = "gridlease account faucet, then " if chain.chain_id in DEV_CHAINS else ""
        say(f"Nothing is free to buy with: {first}gridlease account deposit 5")


@app.command(epilog="Example: gridlease account deposit 5 --keystore wallet.json")
@takes(wallet=WalletOptions)
def deposit(
    dollars: Dollars,
    *,
    wallet: WalletOptions,
    rpc: RpcUrl = None,
    yes: Yes = False,
    as_json: AsJson = False,
) -> None:
    """Move dollars from your wallet into the ledger; one transaction where the token takes permits."""
    amount = _amount(dollars)
    with opened(wallet, rpc) as session:
        confirm(f"Deposit {money_words(amount)} from {session.key.address} into {session.ledger_words}.", yes=yes)
        done(session.funds.deposit(amount), f"Deposited {format_dollars(amount)}", as_json)


@app.command(epilog="Example: gridlease account withdraw 2.50 --to 0x…")
@takes(wallet=WalletOptions)
def withdraw(
    dollars: Dollars,
    to: Annotated[str | None, typer.Option("--to", help="Receiving address. Default: your wallet.")] = None,
    of: Of = None,
    *,
    wallet: WalletOptions,
    rpc: RpcUrl = None,
    yes: Yes = False,
    as_json: AsJson = False,
) -> None:
    """Take free dollars out of the ledger."""
    amount = _amount(dollars)
    with opened(wallet, rpc, of=_address(of)) as session:
        receiver = checksum_address(to) if to else session.key.address
        whose = f" of {session.owner}" if of else ""
        confirm(f"Withdraw {money_words(amount)}{whose} from {session.ledger_words} to {receiver}.", yes=yes)
        done(
            session.funds.withdraw(amount, receiver, account=session.owner),
            f"Withdrew {format_dollars(amount)}",
            as_json,
        )


@app.command(epilog="Examples: gridlease account delegate --cap 5 --days 30 · gridlease account delegate --revoke")
@takes(wallet=WalletOptions)
def delegate(
    cap: Annotated[
        str | None, typer.Option("--cap", metavar="DOLLARS", help="The most that the API key may commit in all.")
    ] = None,
    days: Annotated[int, typer.Option(min=1, max=3650, help="Days until the allowance ends.")] = 30,
    revoke: Annotated[bool, typer.Option("--revoke", help="Take the allowance back. Open leases go on.")] = False,
    address: Annotated[
        str | None, typer.Option("--address", help="Delegate to allow. Default: the one of your API key.")
    ] = None,
    *,
    wallet: WalletOptions,
    rpc: RpcUrl = None,
    yes: Yes = False,
    as_json: AsJson = False,
) -> None:
    """Let your API key buy with your deposit, up to a cap. A stolen key can misspend the cap, and nothing else."""
    if revoke == (cap is not None):
        refuse_usage("give either --cap DOLLARS or --revoke")
    cap_base = 0 if cap is None else _amount(cap)
    with opened(wallet, rpc) as session:
        who = checksum_address(address) if address else session.delegate()
        until_time = 0 if revoke else session.funds.chain_time() + days * _DAY_SECONDS
        if revoke:
            sentence, past = f"Revoke delegate {who} on {session.ledger_words}.", "Revoked"
        else:
            sentence = f"Allow {who} to commit at most {money_words(cap_base)} on {session.ledger_words}"
            sentence, past = f"{sentence} until {moment(until_time)}.", f"Allowed {format_dollars(cap_base)}"
        confirm(sentence, yes=yes)
        done(session.funds.approve_delegate(who, cap_base, until_time), past, as_json)


@app.command(epilog="Examples: gridlease account beneficiary 0x… · gridlease account beneficiary --none --of 0x…")
@takes(wallet=WalletOptions)
def beneficiary(
    address: Annotated[str | None, typer.Argument(metavar="ADDRESS", help="Who alone withdraws from now on.")] = None,
    none: Annotated[bool, typer.Option("--none", help="Give the money back to the account itself.")] = False,
    of: Of = None,
    *,
    wallet: WalletOptions,
    rpc: RpcUrl = None,
    yes: Yes = False,
    as_json: AsJson = False,
) -> None:
    """Hand an account's money to another address, so that a stolen key of the account cannot take it.

    From then on only that address withdraws or changes this, and the account neither buys nor challenges. Meant for a
    provider's operator key, which lies on a machine that works.
    """
    if none == (address is not None):
        refuse_usage("give either ADDRESS or --none")
    to = _address(address)
    if to == ZERO_ADDRESS:
        refuse_usage("nobody holds the key of the zero address; to undo it, use --none")
    with opened(wallet, rpc, of=_address(of)) as session:
        if to in (session.owner, session.chain.ledger, session.chain.token):
            refuse_usage(f"{to} is the account itself, the ledger or its token; name a wallet that you hold the key of")
        if to is None:
            sentence = f"{session.owner} withdraws its own money on {session.ledger_words} again, and buys with it."
            past = "Given back"
        else:
            sentence = (
                f"Hand the money of {session.owner} on {session.ledger_words} to {to}. From then on only {to} "
                f"withdraws it or changes this, {session.owner} neither buys nor challenges, and if that key is lost, "
                "so is the money."
            )
            past = f"Handed to {to}"
        confirm(sentence, yes=yes)
        done(session.funds.set_beneficiary(session.owner, to), past, as_json)


@app.command(epilog="Example: gridlease account faucet 100 --private-key-file key.txt")
@takes(wallet=WalletOptions)
def faucet(
    dollars: Dollars = "100",
    *,
    wallet: WalletOptions,
    rpc: RpcUrl = None,
    as_json: AsJson = False,
) -> None:
    """Make test dollars, and gas, for your wallet. Only on dev chains."""
    amount = _amount(dollars)
    with opened(wallet, rpc) as session:
        done(session.funds.mint(amount), f"Made {format_dollars(amount)} of test money", as_json)


def _address(text: str | None) -> Address | None:
    return None if text is None else checksum_address(text)


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
