"""The firm's reminder policy, from the declarative file beside the package."""

import tomllib
from pathlib import Path

from billing.core.reminders import Policy, Step

POLICY = Path(__file__).parent.parent / "reminder_policy.toml"


def read_policy(path: Path = POLICY) -> Policy:
    """The policy as data; a contradiction in the file fails here, not in the middle of a run."""
    document = tomllib.loads(path.read_text(encoding="utf-8"))
    return Policy(
        steps=tuple(Step(step["name"], step["days_after_due"]) for step in document["steps"]),
        send_from=document["hours"]["from"],
        send_until=document["hours"]["until"],
    )
