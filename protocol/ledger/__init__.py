"""The reference model of the whole ledger, in plain Python: what ComputeLedger and ProviderRegistry must do.

Written from DESIGN, SPEC and the interfaces' words, to be read: a function per call of the contracts, over plain
state; no gas, no storage layout, integers only. `tests/differential` holds it to the deployed bytecode, operation by
operation.

- `state`: what is remembered, who calls, what a call comes to
- `signing`: who signed
- `accounts`: money in and out, beneficiaries, delegates, cancelling
- `opening`: `open_leases`
- `leases`: `redeem`, `close`, `resign`, `acknowledge`, `close_last`
- `claims`: `commit_claim`, `claim`, `challenge`, `rule`, `finalise`
- `registry`: attestations
"""
