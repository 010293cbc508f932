"""Catching up from far behind: a process fetches and verifies ranges while this one folds and stores the range before.

Blocks come *light* here: their header, and the ledger's logs, shown to be all there are either by each block's receipts
trie (`receipts`) or by a storage proof of the ledger head at the end of the range (`head`). What a light block lacks,
its transactions and raw receipts, `indexer.deepen` fetches later.

Nothing is imported here: the fetching process starts with as little as it needs.
"""
