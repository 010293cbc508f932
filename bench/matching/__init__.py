"""The matching rule, against a drawn market and what is possible; `python -m bench.matching`."""
