"""A simulator of Stripe; see its README. Its secrets come by the environment: arguments are seen by every user."""

from typing import Final

SECRET_KEY_VARIABLE: Final = "STRIPE_SIMULATOR_SECRET_KEY"  # noqa: S105 - the name of a variable
"""sk_test_…, the only key accepted."""

WEBHOOK_SECRETS_VARIABLE: Final = "STRIPE_SIMULATOR_WEBHOOK_SECRETS"
"""whsec_…; two by a comma while one is rolled, the newest first."""
