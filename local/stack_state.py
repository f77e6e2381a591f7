"""What a stack remembers from one start to the next, in files of its directory.

`ports.json` stays when the data goes; `data/credentials.json`, `data/facts.json` and `data/logins.json` go with it.
"""

import json
from pathlib import Path
from typing import Any

from local.credentials import Credentials, write_private
from local.problem import Problem


class StackState:
    """The files of one stack; everything is read anew, because another process may have written it."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.data = directory / "data"
        self.ports_file = directory / "ports.json"
        self.facts_file = self.data / "facts.json"
        self.credentials_file = self.data / "credentials.json"
        self._logins_file = self.data / "logins.json"

    def ports(self) -> dict[str, int]:
        """Return the port of each program. Raises `Problem` before the first start."""
        if not self.ports_file.exists():
            raise Problem(f"No stack was ever started in {self.directory}; start it with make up.")
        ports: dict[str, int] = json.loads(self.ports_file.read_text())
        return ports

    def credentials(self) -> Credentials:
        """Return the secrets, made at the first call."""
        return Credentials.load_or_new(self.credentials_file)

    def logins(self) -> dict[str, Any]:
        """Return the people of the seed data."""
        logins: dict[str, Any] = json.loads(self._logins_file.read_text())
        return logins

    def remember_logins(self, logins: dict[str, Any]) -> None:
        """Keep the people of the seed data."""
        write_private(self._logins_file, json.dumps(logins, indent=2))

    def facts(self) -> dict[str, Any]:
        """Return what was done so far: the database chosen, what is deployed, applied, seeded."""
        return json.loads(self.facts_file.read_text()) if self.facts_file.exists() else {}

    def remember(self, **facts: object) -> None:
        """Add to the facts."""
        write_private(self.facts_file, json.dumps({**self.facts(), **facts}, indent=2))
