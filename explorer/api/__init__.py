"""`/v1/ledger`: the mirror's facts as JSON, for programs. What its answers mean is in docs/ledger-api.md."""

from fastapi import APIRouter

from explorer.api import chain, leases, people, progress, proofs, search, stream


def routers() -> list[APIRouter]:
    """All routers of `/v1/ledger`."""
    return [family.router for family in (progress, chain, leases, people, search, stream, proofs)]
