"""The one setting of Directus that we manage: how many wrong passwords suspend a user (`auth_login_attempts`).

With a number, a stranger who knows an address can lock its owner out until an administrator acts. Empty, Directus allows
unlimited guessing. So it is emptied only if the guard extension slows guessing.
"""

from typing import Any

from directus.changes import Change

ATTEMPTS = "auth_login_attempts"
#: The first version of the guard that slows guessing (docs/decisions/0024-login-throttle.md).
_SLOWS_GUESSING = (1, 5, 0)


def slows_guessing(guard: str) -> bool:
    """Whether this version of the guard extension (`1.5.0`) does; False if it is not a version."""
    parts = guard.split(".")
    if not all(part.isdecimal() for part in parts):
        return False
    return tuple(int(part) for part in parts) >= _SLOWS_GUESSING


def compare(settings: dict[str, Any], guard: str) -> list[Change]:
    """What differs on a target, given its settings and the version of its guard."""
    attempts = settings.get(ATTEMPTS)
    if attempts is None or not slows_guessing(guard):
        return []
    summary = f"empty setting {ATTEMPTS} ({attempts} wrong passwords of a stranger lock a user out)"
    return [Change(summary, "PATCH", "/settings", {ATTEMPTS: None})]


def danger(settings: dict[str, Any], guard: str) -> str | None:
    """What is wrong with the two together if `compare` cannot fix it, else None."""
    if slows_guessing(guard):
        return None
    attempts = settings.get(ATTEMPTS)
    now = (
        "passwords can be guessed without limit"
        if attempts is None
        else f"{attempts} wrong passwords of a stranger lock a user out"
    )
    return (
        f"The guard extension {guard} does not slow guessing, and {ATTEMPTS} is {attempts or 'empty'}: {now}. Copy "
        "directus/extensions/billing-guard again, restart Directus and run make apply."
    )
