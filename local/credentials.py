"""The secrets of one local stack: made once, kept with its data, readable by this user only."""

import dataclasses
import json
import os
import secrets
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Credentials:
    """Random values that mean nothing outside this machine.

    `storage_*` is the access key of Directus's own IAM user on the emulated bucket, given by the emulator;
    empty until then. `deployment` names the stack on Stripe sessions.
    """

    admin_email: str
    admin_password: str
    admin_token: str
    service_token: str
    directus_key: str
    directus_secret: str
    flow_secret: str
    stripe_secret_key: str
    webhook_secret: str
    storage_access_key_id: str = ""
    storage_secret_access_key: str = ""

    @classmethod
    def new(cls) -> "Credentials":
        """Draw new ones."""
        return cls(
            admin_email="admin@example.com",
            admin_password=secrets.token_urlsafe(18),
            admin_token=secrets.token_urlsafe(32),
            service_token=secrets.token_urlsafe(32),
            directus_key=secrets.token_hex(16),
            directus_secret=secrets.token_hex(32),
            flow_secret=secrets.token_urlsafe(36),
            stripe_secret_key=f"sk_test_{secrets.token_hex(24)}",
            webhook_secret=f"whsec_{secrets.token_hex(24)}",
        )

    @classmethod
    def load_or_new(cls, path: Path) -> "Credentials":
        """Read them from `path`, or generate new ones and write them there."""
        if path.exists():
            return cls(**json.loads(path.read_text()))
        created = cls.new()
        created.save(path)
        return created

    def save(self, path: Path) -> None:
        """Write them to `path`, mode 0600."""
        write_private(path, json.dumps(dataclasses.asdict(self), indent=2))


def write_private(path: Path, text: str) -> None:
    """Write a file that is complete or absent, and never readable by others."""
    path.parent.mkdir(parents=True, exist_ok=True)
    writing = path.with_name(f".{path.name}.writing")
    writing.unlink(missing_ok=True)
    descriptor = os.open(writing, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "w") as file:
        file.write(text)
    writing.rename(path)
