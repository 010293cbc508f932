"""The buyer's SDK and commands. `from gridlease import Client` is the way in."""
