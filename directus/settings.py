"""The one setting of Directus that is ours: how many wrong passwords suspend a person (`auth_login_attempts`).

While it holds a number, a stranger who knows an address locks its owner out until an administrator acts. Empty, Directus
lets anybody guess without end. So it is emptied only where the guard extension slows guessing.
"""

from typing import Any

from directus.changes import Change

ATTEMPTS = "auth_login_attempts"
#: The first version of the guard that slows guessing (docs/decisions/0024-login-throttle.md).
_SLOWS_GUESSING = (1, 5, 0)


def slows_guessing(guard: str) -> bool:
    """Whether this version of the guard extension (`1.5.0`) does; False for what is no version."""
    parts = guard.split(".")
    if not all(part.isdecimal() for part in parts):
        return False
    return tuple(int(part) for part in parts) >= _SLOWS_GUESSING


def compare(settings: dict[str, Any], guard: str) -> list[Change]:
    """What differs on a target, given its settings and the version of its guard."""
    attempts = settings.get(ATTEMPTS)
    if attempts is None or not slows_guessing(guard):
        return []
    summary = (
        f"empty setting {ATTEMPTS} (after {attempts} wrong passwords a stranger has locked a person out)"
    )
    return [Change(summary, "PATCH", "/settings", {ATTEMPTS: None})]


def danger(settings: dict[str, Any], guard: str) -> str | None:
    """What is wrong with the two together where `compare` cannot mend it; None where nothing is."""
    if slows_guessing(guard):
        return None
    attempts = settings.get(ATTEMPTS)
    now = (
        "anybody may guess passwords without end"
        if attempts is None
        else f"{attempts} wrong passwords of a stranger lock a person out"
    )
    return (
        f"The guard extension {guard} does not slow guessing, and {ATTEMPTS} is {attempts or 'empty'}: {now}. Copy "
        "directus/extensions/billing-guard again, restart Directus and run make apply."
    )
