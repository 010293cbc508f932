"""Orders that buyers sign themselves, by a wallet or any other key of their own."""
