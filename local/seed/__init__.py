"""The seed data: a small law firm with its people, clients and invoices in every state."""

from local.seed.program import seed, seed_id

__all__ = ["seed", "seed_id"]
