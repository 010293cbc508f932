"""The read door for proofs: `make.Bundles`, and `export`, the list of events that a history is checked against.

Nothing is imported here, so that the commands' help stays fast.
"""
