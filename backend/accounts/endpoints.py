"""Sign-in, API keys, the account, and which chain this is."""

from typing import Annotated
from urllib.parse import urlsplit

from anyio import to_thread
from fastapi import APIRouter, Query, Response

from backend.accounts import caps, contract_wallet, keys, sign_in
from backend.accounts.service import as_datetime
from backend.accounts.tables import ApiKeyRow
from backend.door import Caller, TheMarket, Token, Wallet
from backend.market import Market
from protocol.clock import now_time
from protocol.hashing import Address, to_hex
from protocol.wire.accounts import (
    AccountInfo,
    ApiKey,
    ChainInfo,
    DelegateInfo,
    KeyChange,
    KeyRequest,
    NewApiKey,
    NonceAnswer,
    RotateRequest,
    Session,
    VerifyRequest,
)

router = APIRouter(prefix="/v1", tags=["account"])


@router.get("/chain", response_model=ChainInfo, operation_id="chain")
async def chain(market: TheMarket) -> ChainInfo:
    """Which ledger this market settles on, and what it charges."""
    status = market.mirror.status()
    deployment = market.deployment
    return ChainInfo(
        chain_id=deployment.chain_id,
        ledger=deployment.ledger,
        token=deployment.token,
        registry=deployment.registry,
        court=deployment.court,
        rpc_url=market.settings.told_rpc_url,
        matcher=market.submission_key.address,
        fee_base=market.settings.fee_base,
        deploy_block=deployment.deploy_block,
        min_notice=deployment.min_notice,
        block_time=status.block_time,
        block_number=status.block_number,
    )


@router.post("/auth/nonce", response_model=NonceAnswer, operation_id="nonce")
async def nonce(market: TheMarket) -> NonceAnswer:
    """A nonce and what else to put into an EIP-4361 message."""
    rules = market.sign_in_rules
    row = await market.db.written(sign_in.issue_nonce)
    return NonceAnswer(
        nonce=row.nonce,
        domain=urlsplit(rules.uri).netloc,
        uri=rules.uri,
        chain_id=rules.chain_id,
        expires_at=as_datetime(row.expires_time),
    )


@router.post("/auth/verify", response_model=Session, operation_id="verify")
async def verify(request: VerifyRequest, market: TheMarket) -> Session:
    """Exchanges a signed EIP-4361 message for a session token. The nonce is used up, whatever comes of it."""
    rules = market.sign_in_rules
    nonce = sign_in.nonce_of(request.message, rules)
    nonce_time = await market.db.written(lambda session: sign_in.spend_nonce(session, nonce))

    def contract(wallet: Address, digest: bytes, signature: bytes) -> bool:
        return contract_wallet.signed(market, wallet, digest, signature, market.settings.contract_wallet_gas)

    # In a thread: the grammar is slow, and a contract wallet's node may be slower. Neither holds up anybody else.
    address = await to_thread.run_sync(
        sign_in.check, request.message, request.signature, rules, nonce, nonce_time, contract
    )
    hours = market.settings.session_hours
    token, row = await market.db.written(lambda session: sign_in.open_session(session, address, hours))
    return Session(token=token, address=row.address, expires_at=as_datetime(row.expires_time))


@router.delete("/auth/session", status_code=204, operation_id="end_session")
async def end_session(
    market: TheMarket, caller: Wallet, token: Token, everywhere: Annotated[bool, Query(alias="all")] = False
) -> Response:
    """Signs out: the token of this call works no more, or with `all=true` no token of this wallet."""
    ended = None if everywhere else token
    await market.db.written(lambda session: sign_in.end_sessions(session, caller.address, ended))
    return Response(status_code=204)


@router.post("/keys", response_model=NewApiKey, status_code=201, operation_id="create_key")
async def create_key(request: KeyRequest, market: TheMarket, caller: Wallet) -> NewApiKey:
    """A new API key. Approve its delegate on chain with a cap; the wallet is not needed after that."""
    secret, row = await market.db.written(
        lambda session: keys.create_key(
            session, market.hosted, caller.address, request, test_chain=market.is_test_chain
        )
    )
    return NewApiKey(key=secret, **_shown(market, row).model_dump())


@router.get("/keys", response_model=list[ApiKey], operation_id="list_keys")
async def list_keys(market: TheMarket, caller: Caller) -> list[ApiKey]:
    """The account's live API keys without their secrets, and what is left of their caps here and on chain."""
    with market.db.read() as session:
        return [_shown(market, row) for row in keys.list_keys(session, caller.address)]


@router.patch("/keys/{key_id}", response_model=ApiKey, operation_id="change_key")
async def change_key(key_id: str, change: KeyChange, market: TheMarket, caller: Wallet) -> ApiKey:
    """Changes name, scopes, caps or expiry. What is absent stays; null takes a cap or the expiry away."""
    row = await market.db.written(lambda session: keys.change_key(session, caller.address, key_id, change))
    return _shown(market, row)


@router.post("/keys/{key_id}/rotate", response_model=NewApiKey, operation_id="rotate_key")
async def rotate_key(key_id: str, request: RotateRequest, market: TheMarket, caller: Wallet) -> NewApiKey:
    """A new secret for the same key. Delegate and caps stay, and the old secret works for the overlap."""
    secret, row = await market.db.written(
        lambda session: keys.rotate_key(
            session, caller.address, key_id, request.overlap_seconds, test_chain=market.is_test_chain
        )
    )
    return NewApiKey(key=secret, **_shown(market, row).model_dump())


@router.delete("/keys/{key_id}", status_code=204, operation_id="revoke_key")
async def revoke_key(key_id: str, market: TheMarket, caller: Wallet) -> Response:
    """Revokes an API key here. Revoke its delegate on chain as well."""
    await market.db.written(lambda session: keys.revoke_key(session, caller.address, key_id))
    return Response(status_code=204)


@router.get("/account", response_model=AccountInfo, operation_id="account")
async def account(market: TheMarket, caller: Caller) -> AccountInfo:
    """Balances as the mirror has them, and what the key's delegate may still commit."""
    status = market.mirror.status()
    row = market.mirror.account(caller.address)
    key = _shown(market, caller.api_key) if caller.api_key is not None else None
    return AccountInfo(
        address=caller.address,
        free_base=row.free_base,
        locked_base=row.locked_base,
        bonded_base=row.bonded_base,
        open_leases=row.open_leases,
        epoch=row.epoch,
        beneficiary=row.beneficiary,
        voucher_signer=market.hosted.voucher_signer(caller.address).address,
        delegate=key.allowance if key else None,
        key=key,
        block_number=status.block_number,
        block_hash=to_hex(status.block_hash),
    )


def _shown(market: Market, row: ApiKeyRow) -> ApiKey:
    allowed = market.mirror.delegate(Address(row.buyer), Address(row.delegate))
    return ApiKey(
        id=row.id,
        prefix=row.prefix,
        name=row.name,
        buyer=row.buyer,
        delegate=row.delegate,
        voucher_signer=row.voucher_signer,
        scopes=row.scopes.split(),
        cap_base=row.cap_base,
        daily_cap_base=row.daily_cap_base,
        committed_base=row.committed_base,
        left_base=caps.left_base(row),
        left_today_base=caps.left_today_base(row, now_time()),
        allowance=DelegateInfo(
            address=row.delegate,
            remaining_base=allowed.remaining_base if allowed else 0,
            until_time=allowed.until_time if allowed else 0,
        ),
        created_at=as_datetime(row.created_time),
        expires_at=as_datetime(row.expires_time) if row.expires_time else None,
        last_used_at=as_datetime(row.last_used_time) if row.last_used_time else None,
        previous_until=as_datetime(row.previous_until_time) if row.previous_until_time else None,
    )
