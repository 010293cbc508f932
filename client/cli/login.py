"""`gridlease login`: remember a market and an API key, or make a key by signing in with a wallet."""

import sys
from typing import Annotated

import typer
from pydantic import SecretStr

from client.account import Keys, balances, chain_info, sign_in, with_session
from client.cli.console import JSON_HELP, facts, print_json, refuse_usage, say
from client.cli.groups import takes
from client.cli.wallet import WalletOptions, open_wallet
from client.http import Http
from client.settings import DEFAULT_URL, Environment, Login, WalletFile, is_exposed, normal_url, save_login
from protocol.wire.accounts import ChainInfo

app = typer.Typer(name="login", add_completion=False)


@app.command(
    epilog="Examples: gridlease login http://127.0.0.1:8700 --key glk_test_… · "
    "gridlease login http://127.0.0.1:8700 --keystore wallet.json --name laptop"
)
@takes(wallet=WalletOptions)
def login(
    url: Annotated[str, typer.Argument(help="The market's URL.")] = DEFAULT_URL,
    key: Annotated[
        str | None,
        typer.Option("--key", help="Your API key (glk_…); - reads it from stdin. Default: make one by wallet."),
    ] = None,
    *,
    wallet: WalletOptions,
    name: Annotated[str, typer.Option(help="Name of the new API key.")] = "command line",
    as_json: Annotated[bool, typer.Option("--json", help=JSON_HELP)] = False,
) -> None:
    """Check a key with a market and store both, readable by you only.

    With a wallet and no key, signs in (one free signature) and makes a new API key. The wallet never leaves this
    machine; only the path of its file is remembered, for `gridlease account`.
    """
    site = normal_url(url)
    if is_exposed(site):
        say(f"warning: {site} is not https: anybody on the way can read the API key")
    if key == "-":
        key = sys.stdin.readline().strip()
    given = SecretStr(key) if key else Environment().key
    file = wallet.file(WalletFile()) if wallet.is_given() else WalletFile()
    if given is not None:
        stored = _with_key(site, given, file)
    elif wallet.is_given():
        stored = _with_wallet(site, file, name)
    else:
        refuse_usage("give --key, or --keystore (or --private-key-file) to make a key")
    path = save_login(stored)
    delegate = stored.delegate or "unknown"
    if as_json:
        print_json({"url": site, "chain_id": stored.chain_id, "ledger": stored.ledger, "delegate": stored.delegate})
        return
    facts([("market", site), ("ledger", f"{stored.ledger} on chain {stored.chain_id}"), ("delegate", delegate)])
    say(f"Stored in {path}.")
    if given is None:
        say("Next, let the key spend up to 5 dollars of your deposit: gridlease account delegate --cap 5")


def _with_key(site: str, key: SecretStr, file: WalletFile) -> Login:
    http = Http(site, key)
    chain = chain_info(http)
    delegate = balances(http).delegate
    return _login(site, key, chain, delegate.address if delegate else None, file)


def _with_wallet(site: str, file: WalletFile, name: str) -> Login:
    wallet = open_wallet(file)
    http = Http(site)
    chain = chain_info(http)
    made = Keys(with_session(http, sign_in(http, wallet, chain))).create(name)
    return _login(site, SecretStr(made.key), chain, made.delegate, file)


def _login(site: str, key: SecretStr, chain: ChainInfo, delegate: str | None, wallet: WalletFile) -> Login:
    return Login(url=site, key=key, chain_id=chain.chain_id, ledger=chain.ledger, delegate=delegate, wallet=wallet)
