"""Who somebody is: sign-in with Ethereum for wallets, API keys for programs."""
