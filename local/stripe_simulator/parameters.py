"""What is asked of the parameters of every operation that writes: only what is simulated, and metadata as Stripe's."""

from typing import Any

from local.stripe_simulator.errors import NotSimulated, StripeError

_METADATA_KEYS, _METADATA_KEY_LENGTH, _METADATA_VALUE_LENGTH = 50, 40, 500


def refuse_what_is_not_simulated(given: Any, allowed: Any, path: str = "") -> None:
    """`NotSimulated` for the first parameter or value that `allowed` does not have.

    `allowed` maps names to what is allowed below them: None for anything, a set for these values, a mapping for
    these parameters.
    """
    if isinstance(given, list):
        for index, item in enumerate(given):
            refuse_what_is_not_simulated(item, allowed, f"{path}[{index}]")
    elif isinstance(allowed, set):
        if given not in allowed:
            raise NotSimulated(f"The value {str(given).lower()!r} of the parameter {path}")
    elif isinstance(allowed, dict) and isinstance(given, dict):
        for name, value in given.items():
            below = f"{path}[{name}]" if path else name
            if name not in allowed:
                raise NotSimulated(f"The parameter {below}")
            refuse_what_is_not_simulated(value, allowed[name], below)


def check_metadata(metadata: dict[str, str], name: str) -> None:
    """Stripe's 400 for metadata that is too much; `name` is the parameter's (`payment_intent_data[metadata]`)."""
    if len(metadata) > _METADATA_KEYS:
        raise StripeError(400, f"You can have at most {_METADATA_KEYS} metadata keys.", parameter=name)
    for key, value in metadata.items():
        if len(key) > _METADATA_KEY_LENGTH:
            message = f"Metadata keys have at most {_METADATA_KEY_LENGTH} characters."
            raise StripeError(400, message, parameter=f"{name}[{key[:_METADATA_KEY_LENGTH]}]")
        if len(value) > _METADATA_VALUE_LENGTH:
            message = f"Metadata values have at most {_METADATA_VALUE_LENGTH} characters."
            raise StripeError(400, message, parameter=f"{name}[{key}]")
