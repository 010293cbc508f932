"""The market as the signed-in wallet, for the commands that no API key may give; signed out again at the end."""

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass

from client.account import chain_info, end_session, sign_in, with_session
from client.cli.wallet import WalletOptions, open_wallet
from client.errors import OtherLedger
from client.http import Http
from client.settings import Login, WalletFile, load_login, resolve
from protocol.errors import MarketError
from protocol.keys import LocalKey
from protocol.wire.accounts import ChainInfo


@dataclass(frozen=True, slots=True, kw_only=True)
class WalletSession:
    """One sign-in."""

    key: LocalKey
    chain: ChainInfo
    http: Http
    #: of this market, if there is one
    login: Login | None


@contextmanager
def signed_in(wallet: WalletOptions) -> Iterator[WalletSession]:
    """By the wallet of the options, or the one that `login` remembered. Raises `OtherLedger`, `BadLogin`."""
    url = resolve().url
    stored = load_login()
    login = stored if stored is not None and stored.url == url else None
    file = wallet.file(login.wallet if login else WalletFile())
    anonymous = Http(url)
    chain = chain_info(anonymous)
    if login is not None and (login.chain_id, login.ledger) != (chain.chain_id, chain.ledger):
        raise OtherLedger(
            f"ledger {login.ledger} on chain {login.chain_id}", f"ledger {chain.ledger} on chain {chain.chain_id}"
        )
    key = open_wallet(file)
    http = with_session(anonymous, sign_in(anonymous, key, chain))
    try:
        yield WalletSession(key=key, chain=chain, http=http, login=login)
    finally:
        # It ends by itself in a day; a market that does not answer is no reason to fail now.
        with suppress(MarketError):
            end_session(http)
        http.close()
        anonymous.close()
