"""Leases while they run: usage receipts in, vouchers out, and what happens when a provider dies."""
