"""What every room agrees on: words, numbers, signed messages, hashes. Imports nothing of ours."""
