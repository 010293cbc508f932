"""The buyer's account on a market: balances, API keys, and signing in with a wallet (EIP-4361)."""

from urllib.parse import urlsplit

from pydantic import RootModel, SecretStr

from client.errors import BadLogin
from client.http import Http
from protocol.clock import now_at
from protocol.hashing import to_hex
from protocol.keys import Signer
from protocol.signin import sign_in_message, sign_text
from protocol.wire.accounts import (
    AccountInfo,
    ApiKey,
    ChainInfo,
    KeyRequest,
    NewApiKey,
    NonceAnswer,
    Session,
    VerifyRequest,
)


class KeyList(RootModel[list[ApiKey]]):
    """The account's live API keys, without their secrets."""


class Keys:
    """API keys of the signed-in wallet; needs a session, not an API key."""

    def __init__(self, http: Http) -> None:
        self._http = http

    def create(self, name: str) -> NewApiKey:
        """A new key. Its secret is in this answer and never again."""
        return self._http.post("/v1/keys", NewApiKey, KeyRequest(name=name))

    def all(self) -> list[ApiKey]:
        return self._http.get("/v1/keys", KeyList).root

    def revoke(self, key_id: str) -> None:
        self._http.request("DELETE", f"/v1/keys/{key_id}")


def balances(http: Http) -> AccountInfo:
    """What the mirror says the account holds."""
    return http.get("/v1/account", AccountInfo)


def chain_info(http: Http) -> ChainInfo:
    """Which ledger the market settles on."""
    return http.get("/v1/chain", ChainInfo)


def sign_in(http: Http, wallet: Signer, chain: ChainInfo) -> Session:
    """A session for the wallet's account. Raises `BadLogin` if the market asks to sign for another site or chain."""
    asked = http.post("/v1/auth/nonce", NonceAnswer)
    # A hostile market could pass on another market's nonce and take over the session there.
    if asked.domain != urlsplit(http.url).netloc:
        raise BadLogin(f"{http.url} asks to sign in at {asked.domain!r}; use the URL that the market itself names")
    if asked.chain_id != chain.chain_id:
        raise BadLogin(f"expected a sign-in for chain {chain.chain_id}, the market asks for {asked.chain_id}")
    message = sign_in_message(asked, wallet.address, now_at())
    signature = to_hex(sign_text(wallet, message))
    return http.post("/v1/auth/verify", Session, VerifyRequest(message=message, signature=signature))


def with_session(http: Http, session: Session) -> Http:
    """The same market, as the signed-in wallet."""
    return Http(http.url, SecretStr(session.token))
