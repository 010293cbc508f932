"""`/v1/ledger`: the mirror's facts as JSON, for programs."""

from fastapi import APIRouter

from explorer.api import chain, leases, people, proofs, search


def routers() -> list[APIRouter]:
    """All routers of `/v1/ledger`."""
    return [family.router for family in (chain, leases, people, search, proofs)]
