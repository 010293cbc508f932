"""The API that wallets and scripts know from Etherscan, over the mirror: `/api` and `/v2/api`.

Same parameters, envelope and field names; it knows only what touched the ledger and its token, and says so where that
matters. What is supported is in docs/etherscan.md.
"""

from explorer.etherscan.endpoint import router

__all__ = ["router"]
