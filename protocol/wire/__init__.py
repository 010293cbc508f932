"""The HTTP models that backend, client and provider share. Amounts are decimal strings in base units."""
