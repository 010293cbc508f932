"""The buyer's account on a market: balances, API keys, and signing in with a wallet (EIP-4361)."""

from collections.abc import Sequence
from urllib.parse import quote, urlsplit

from pydantic import RootModel, SecretStr

from client.errors import BadLogin, NotFound
from client.http import Http
from protocol.clock import now_at
from protocol.hashing import to_hex
from protocol.keys import Signer
from protocol.signin import sign_in_message, sign_text
from protocol.wire.accounts import (
    ALL_SCOPES,
    AccountInfo,
    ApiKey,
    ChainInfo,
    KeyChange,
    KeyRequest,
    NewApiKey,
    NonceAnswer,
    RotateRequest,
    Scope,
    Session,
    VerifyRequest,
)


class KeyList(RootModel[list[ApiKey]]):
    """The account's live API keys, without their secrets."""


class Keys:
    """API keys of the signed-in wallet; all but `all` and `get` need a session, not an API key."""

    def __init__(self, http: Http) -> None:
        self._http = http

    def create(
        self,
        name: str,
        *,
        scopes: Sequence[Scope] = ALL_SCOPES,
        cap_base: int | None = None,
        daily_cap_base: int | None = None,
        expires_time: int | None = None,
    ) -> NewApiKey:
        """A new key. Its secret is in this answer and never again. Caps in base units, expiry in unix seconds."""
        request = KeyRequest(
            name=name,
            scopes=list(scopes),
            cap_base=cap_base,
            daily_cap_base=daily_cap_base,
            expires_time=expires_time,
        )
        return self._http.post("/v1/keys", NewApiKey, request)

    def all(self) -> list[ApiKey]:
        return self._http.get("/v1/keys", KeyList).root

    def get(self, key_id: str) -> ApiKey:
        """Raises `NotFound`."""
        for key in self.all():
            if key.id == key_id:
                return key
        raise NotFound("not_found", 404, f"no API key {key_id[:80]!r}", "`gridlease keys list` shows them")

    def change(self, key_id: str, change: KeyChange) -> ApiKey:
        """Only what was set in `change`; None takes a cap or the expiry away."""
        return self._http.patch(f"/v1/keys/{quote(key_id, safe='')}", ApiKey, change)

    def rotate(self, key_id: str, *, overlap_seconds: int = 86_400) -> NewApiKey:
        """A new secret for the same key; the old one works for so long."""
        path = f"/v1/keys/{quote(key_id, safe='')}/rotate"
        return self._http.post(path, NewApiKey, RotateRequest(overlap_seconds=overlap_seconds))

    def revoke(self, key_id: str) -> None:
        """At this market. Its delegate stays approved on chain until you revoke that too."""
        self._http.request("DELETE", f"/v1/keys/{quote(key_id, safe='')}")


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


def end_session(http: Http) -> None:
    """Signs out: the token works no more."""
    http.request("DELETE", "/v1/auth/session")
