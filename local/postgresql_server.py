"""The local stack's PostgreSQL: its own cluster on loopback, deleted with its directory.

Its data is not worth a disk's patience (`fsync=off`): a killed Directus loses nothing by that, a power cut may.
"""

import os
import pwd
import secrets
import shutil
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from local.ports import HOST
from local.problem import Problem
from local.supervisor import Program

USER: Final = "billing"
DATABASE: Final = "directus"


@dataclass(frozen=True)
class PostgresqlServer:
    """One cluster; `directory` must be reachable by the user that runs it, see `runs_as`."""

    directory: Path
    port: int

    def prepare(self, log: Path) -> None:
        """Make the cluster, once; an interrupted attempt does not count."""
        if self._data.exists():
            return
        building = self.directory / "building"
        shutil.rmtree(building, ignore_errors=True)
        self.directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        password = self.directory / "password"
        password.write_text(secrets.token_hex(16))
        password.chmod(0o600)
        if user := runs_as():
            entry = pwd.getpwnam(user)
            for path in (self.directory, password):
                os.chown(path, entry.pw_uid, entry.pw_gid)
        log.parent.mkdir(parents=True, exist_ok=True)
        how = ["-U", USER, "-A", "scram-sha-256", f"--pwfile={password}", "-E", "UTF8", "--no-sync"]
        with log.open("ab") as output:
            code = subprocess.run(
                [*_as_its_user(), str(_programs() / "initdb"), "-D", str(building), *how],
                cwd=self.directory,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                check=False,
            ).returncode
        if code:
            raise Problem(f"PostgreSQL could not make its cluster (exit code {code}); see {log}.")
        building.rename(self._data)

    def program(self) -> Program:
        """Return how it is started."""
        settings = {
            "port": str(self.port),
            "listen_addresses": HOST,
            "unix_socket_directories": "",  # their paths may have 107 characters at most
            "fsync": "off",
        }
        options = [part for name, value in settings.items() for part in ("-c", f"{name}={value}")]
        return Program(
            name="postgresql",
            arguments=[*_as_its_user(), str(_programs() / "postgres"), "-D", str(self._data), *options],
            environment={"PATH": os.environ.get("PATH", "/usr/bin:/bin"), "LANG": "C.UTF-8", "TZ": "UTC"},
            directory=self.directory,
            ready=self._is_ready,
        )

    def make_database(self) -> None:
        """Recreate the database of Directus, empty."""
        for command in (f"DROP DATABASE IF EXISTS {DATABASE}", f"CREATE DATABASE {DATABASE}"):
            where = ["-h", HOST, "-p", str(self.port), "-U", USER, "-d", "postgres"]
            run = subprocess.run(
                [str(_programs() / "psql"), "-qX", *where, "-c", command],
                env={"PGPASSWORD": self._password(), "PATH": os.environ.get("PATH", "/usr/bin:/bin")},
                capture_output=True,
                text=True,
                check=False,
            )
            if run.returncode:
                raise Problem(f"PostgreSQL could not make the database: {run.stderr.strip()}")

    def directus_environment(self) -> dict[str, str]:
        """Return the variables by which Directus finds its database."""
        return {
            "DB_CLIENT": "pg",
            "DB_HOST": HOST,
            "DB_PORT": str(self.port),
            "DB_DATABASE": DATABASE,
            "DB_USER": USER,
            "DB_PASSWORD": f"string:{self._password()}",
        }

    @property
    def _data(self) -> Path:
        return self.directory / "cluster"

    def _password(self) -> str:
        return (self.directory / "password").read_text()

    def _is_ready(self) -> bool:
        asked = [str(_programs() / "pg_isready"), "-q", "-h", HOST, "-p", str(self.port)]
        return subprocess.run(asked, check=False).returncode == 0


def runs_as() -> str | None:
    """Return who runs PostgreSQL when we are root, whom it refuses: `postgres` or `nobody`; None for ourselves."""
    if os.geteuid() != 0:
        return None
    return "postgres" if any(entry.pw_name == "postgres" for entry in pwd.getpwall()) else "nobody"


def postgresql_programs() -> Path | None:
    """Return the directory of `initdb`, `postgres` and `pg_isready`, the newest version's; None where there is none."""
    # sorted by number: 9.6 is older than 15
    versions = sorted(Path("/usr/lib/postgresql").glob("*/bin"), key=_version)
    for folder in (*reversed(versions), Path("/usr/local/pgsql/bin")):
        if all((folder / name).exists() for name in ("initdb", "postgres", "pg_isready")):
            return folder
    return None


def _version(folder: Path) -> tuple[int, ...]:
    return tuple(int(part) for part in folder.parent.name.split(".") if part.isdecimal())


def _as_its_user() -> Sequence[str]:
    user = runs_as()
    if user is None:
        return []
    group = str(pwd.getpwnam(user).pw_gid)
    # setpriv becomes the program: the process that the supervisor knows is PostgreSQL itself.
    return ["setpriv", "--reuid", user, "--regid", group, "--clear-groups", "--"]


def _programs() -> Path:
    folder = postgresql_programs()
    if folder is None:
        raise Problem("PostgreSQL is not installed; the set-up of the tests installs it.")
    return folder
