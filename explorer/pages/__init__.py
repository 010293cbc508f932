"""Pages for people, one file per family; paths as EIP-3091 has them."""

from fastapi import APIRouter

from explorer.pages import accounts, blocks, home, jobs, leases, proofs, providers, search, transactions


def routers() -> list[APIRouter]:
    """All page routers."""
    families = (home, blocks, transactions, accounts, providers, leases, jobs, search, proofs)
    return [family.router for family in families]
