"""`/v1/ledger`: the mirror's facts as JSON, for programs. What its answers mean is in docs/ledger-api.md."""

from starlette.routing import BaseRoute

from explorer.api import chain, leases, people, progress, proofs, search, stream


def routes() -> list[BaseRoute]:
    """All routes of `/v1/ledger`, those first that are asked most."""
    families = (chain, leases, people, progress, search, stream, proofs)
    return [route for family in families for route in family.router.routes]
