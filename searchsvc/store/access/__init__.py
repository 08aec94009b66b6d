"""Clients of the store: requests with an idempotency key, and the quotas of tokens."""
