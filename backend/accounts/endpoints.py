"""Sign-in, API keys, the account, and which chain this is."""

from urllib.parse import urlsplit

from fastapi import APIRouter, Response

from backend.accounts import service
from backend.accounts.tables import ApiKeyRow
from backend.door import Caller, TheMarket, Wallet
from protocol.hashing import Address, to_hex
from protocol.wire.accounts import (
    AccountInfo,
    ApiKey,
    ChainInfo,
    DelegateInfo,
    KeyRequest,
    NewApiKey,
    NonceAnswer,
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
    with market.db.write() as session:
        row = service.issue_nonce(session)
    return NonceAnswer(
        nonce=row.nonce,
        domain=urlsplit(rules.uri).netloc,
        uri=rules.uri,
        chain_id=rules.chain_id,
        expires_at=service.as_datetime(row.expires_time),
    )


@router.post("/auth/verify", response_model=Session, operation_id="verify")
async def verify(request: VerifyRequest, market: TheMarket) -> Session:
    """Exchanges a signed EIP-4361 message for a session token."""
    with market.db.write() as session:
        token, row = service.sign_in(
            session, market.sign_in_rules, request.message, request.signature, market.settings.session_hours
        )
    return Session(token=token, address=row.address, expires_at=service.as_datetime(row.expires_time))


@router.post("/keys", response_model=NewApiKey, status_code=201, operation_id="create_key")
async def create_key(request: KeyRequest, market: TheMarket, caller: Wallet) -> NewApiKey:
    """A new API key. Approve its delegate on chain with a cap; the wallet is not needed after that."""
    with market.db.write() as session:
        secret, row = service.create_key(
            session, market.hosted, caller.address, request.name, test_chain=market.is_test_chain
        )
    return NewApiKey(key=secret, **_shown(row).model_dump())


@router.get("/keys", response_model=list[ApiKey], operation_id="list_keys")
async def list_keys(market: TheMarket, caller: Caller) -> list[ApiKey]:
    """The account's live API keys, without their secrets."""
    with market.db.read() as session:
        return [_shown(row) for row in service.list_keys(session, caller.address)]


@router.delete("/keys/{key_id}", status_code=204, operation_id="revoke_key")
async def revoke_key(key_id: str, market: TheMarket, caller: Wallet) -> Response:
    """Revokes an API key here. Revoke its delegate on chain as well."""
    with market.db.write() as session:
        service.revoke_key(session, caller.address, key_id)
    return Response(status_code=204)


@router.get("/account", response_model=AccountInfo, operation_id="account")
async def account(market: TheMarket, caller: Caller) -> AccountInfo:
    """Balances as the mirror has them, and what the key's delegate may still commit."""
    status = market.mirror.status()
    row = market.mirror.account(caller.address)
    delegate = None
    if caller.api_key is not None:
        found = market.mirror.delegate(caller.address, Address(caller.api_key.delegate))
        delegate = DelegateInfo(
            address=caller.api_key.delegate,
            remaining_base=found.remaining_base if found else 0,
            until_time=found.until_time if found else 0,
        )
    return AccountInfo(
        address=caller.address,
        free_base=row.free_base,
        locked_base=row.locked_base,
        bonded_base=row.bonded_base,
        open_leases=row.open_leases,
        epoch=row.epoch,
        beneficiary=row.beneficiary,
        delegate=delegate,
        block_number=status.block_number,
        block_hash=to_hex(status.block_hash),
    )


def _shown(row: ApiKeyRow) -> ApiKey:
    return ApiKey(
        id=row.id,
        name=row.name,
        buyer=row.buyer,
        delegate=row.delegate,
        voucher_signer=row.voucher_signer,
        created_at=service.as_datetime(row.created_time),
        last_used_at=service.as_datetime(row.last_used_time) if row.last_used_time else None,
    )
