"""Directus as the local stack runs it: its environment, its first database, its extensions."""

import json
import shutil
import subprocess
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from local.credentials import Credentials
from local.ports import HOST
from local.postgresql_server import PostgresqlServer
from local.problem import Problem
from local.setup.paths import ROOT, directus_tree, node_environment
from local.supervisor import Program

EXTENSIONS: Final = ROOT / "directus" / "extensions"

HARDENED: Final[Mapping[str, str]] = {
    # What a request may cost.
    "MAX_BATCH_MUTATION": "1000",
    "MAX_PAYLOAD_SIZE": "1mb",
    "MAX_RELATIONAL_DEPTH": "4",
    # No QUERY_LIMIT_MAX: it would also cut mutations by query, silently.
    "RATE_LIMITER_ENABLED": "true",
    "RATE_LIMITER_POINTS": "300",  # per second and address; the functions together stay under 50
    "RATE_LIMITER_DURATION": "1",
    # It answers 503 when the machine is busy with something else, which a laptop or CI machine always is.
    "PRESSURE_LIMITER_ENABLED": "false",
    # A forged X-Forwarded-For must not escape the limiter.
    "IP_TRUST_PROXY": "false",
    # Endpoints that are not used here.
    "AI_ENABLED": "false",
    "CORS_ENABLED": "false",
    "GRAPHQL_INTROSPECTION": "false",
    "MCP_ENABLED": "false",
    "OPENAPI_ENABLED": "false",
    "ROOT_REDIRECT": "false",
    "TELEMETRY": "false",
    "WEBSOCKETS_ENABLED": "false",
    # Sessions and files.
    "ACCESS_TOKEN_TTL": "5m",
    "ASSETS_CACHE_REVALIDATE": "true",
    "FILES_MIME_TYPE_ALLOW_LIST": "application/pdf,image/png,image/jpeg,image/svg+xml",
    "RETENTION_ENABLED": "true",
    # Anyone who may edit flows can read the flows' secret, and nothing else.
    "FLOWS_ENV_ALLOW_LIST": "BILLING_FUNCTIONS_URL,BILLING_FLOW_SECRET",
    # The default denies every address of this machine; here the functions' API is one.
    "IMPORT_IP_DENY_LIST": "169.254.169.254",
}
"""notes on each: docs; cookies stay without `Secure` and HSTS off because the local address is http."""


@dataclass(frozen=True)
class Storage:
    """The emulated bucket in which Directus keeps its files."""

    bucket: str
    region: str
    endpoint_url: str


_ALLOWED_FILES: Final = "FILES_MIME_TYPE_ALLOW_LIST"

OWN_STORAGE: Final = "cloud"
"""Name of the storage location of a Directus that shares no bucket: files on its own disk."""


@dataclass(frozen=True)
class DirectusServer:
    """One Directus; `directory` holds a copy of the extensions, and its database on SQLite.

    With `postgresql` its database is there; that server must be running.
    """

    directory: Path
    port: int
    smtp_port: int
    credentials: Credentials
    postgresql: PostgresqlServer | None = None

    @property
    def url(self) -> str:
        """Return the address, without a slash at the end."""
        return f"http://{HOST}:{self.port}"

    @property
    def database(self) -> Path:
        """Return the SQLite file; it exists once Directus was bootstrapped."""
        return self.directory / "directus.sqlite"

    def environment(
        self, database: Mapping[str, str], extra: Mapping[str, str] | None = None
    ) -> dict[str, str]:
        """Return all of Directus's environment: nothing of ours leaks in, Directus reads every variable.

        Directus guesses the type of a value, so secrets carry the prefix `string:`.
        """
        credentials = self.credentials
        return {
            **node_environment(),
            **HARDENED,
            "HOME": str(self.directory),
            "LANG": "C.UTF-8",
            "TZ": "UTC",
            "HOST": HOST,
            "PORT": str(self.port),
            "PUBLIC_URL": self.url,
            "LOG_STYLE": "pretty",
            **database,
            "KEY": f"string:{credentials.directus_key}",
            "SECRET": f"string:{credentials.directus_secret}",
            "EXTENSIONS_PATH": str(self.directory / "extensions"),
            "EMAIL_FROM": "directus@example.com",
            "EMAIL_TRANSPORT": "smtp",
            "EMAIL_SMTP_HOST": HOST,
            "EMAIL_SMTP_PORT": str(self.smtp_port),
            "EMAIL_SMTP_IGNORE_TLS": "true",
            **(extra or {}),
        }

    def bootstrap(self, log: Path) -> None:
        """Make the database and its administrator, once; an interrupted bootstrap does not count."""
        self._make_directory()
        if self.postgresql is None:
            self._bootstrap_sqlite(log)
        else:
            self._bootstrap_postgresql(self.postgresql, log)

    def _bootstrap_sqlite(self, log: Path) -> None:
        if self.database.exists():
            return
        building = self.directory / "directus.building.sqlite"
        building.unlink(missing_ok=True)
        self._run_bootstrap(_sqlite(building), log)
        if not building.exists():
            raise Problem(f"Directus made no database; see {log}.")
        building.chmod(0o600)
        building.rename(self.database)

    def _bootstrap_postgresql(self, server: PostgresqlServer, log: Path) -> None:
        finished = self.directory / "bootstrapped"
        if finished.exists():
            return
        server.make_database()
        self._run_bootstrap(server.directus_environment(), log)
        finished.touch()

    def _run_bootstrap(self, database: Mapping[str, str], log: Path) -> None:
        log.parent.mkdir(parents=True, exist_ok=True)
        administrator = {
            "ADMIN_EMAIL": self.credentials.admin_email,
            "ADMIN_PASSWORD": f"string:{self.credentials.admin_password}",
            "ADMIN_TOKEN": f"string:{self.credentials.admin_token}",
        }
        with log.open("ab") as output:
            code = subprocess.run(
                ["node", _program(), "bootstrap"],
                cwd=self.directory,
                env=self.environment(database, administrator),
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                check=False,
            ).returncode
        if code:
            raise Problem(f"Directus could not make its database (exit code {code}); see {log}.")

    def _connection(self) -> Mapping[str, str]:
        if self.postgresql is not None:
            return self.postgresql.directus_environment()
        return _sqlite(self.database)

    def _make_directory(self) -> None:
        (self.directory / "extensions").mkdir(parents=True, exist_ok=True)
        # Directus looks for extensions among the packages of its working directory first, and where that has
        # no package.json it loads none at all, not even those of EXTENSIONS_PATH, and only warns.
        package = {"name": "directus-local-stack", "private": True}
        (self.directory / "package.json").write_text(json.dumps(package))

    def copy_extensions(self) -> bool:
        """Copy the extensions of the checkout beside the database; return whether anything changed."""
        self._make_directory()
        target = self.directory / "extensions"
        if _contents(EXTENSIONS) == _contents(target):
            return False
        shutil.rmtree(target, ignore_errors=True)
        target.mkdir(parents=True)
        if EXTENSIONS.is_dir():
            shutil.copytree(EXTENSIONS, target, dirs_exist_ok=True)
        return True

    @property
    def uploads(self) -> Path:
        """Return where it keeps its files if it shares no bucket."""
        return self.directory / "uploads"

    def program(
        self, *, storage: Storage | None, functions_url: str, ready: Callable[[str], bool]
    ) -> Program:
        """Return how Directus is started, connected to the bucket (None: it has files of its own) and the functions."""
        extra = {
            **(self._on_its_own_disk() if storage is None else self._in_the_bucket(storage)),
            "BILLING_FUNCTIONS_URL": functions_url,
            "BILLING_FLOW_SECRET": f"string:{self.credentials.flow_secret}",
        }
        return Program(
            name="directus",
            arguments=["node", str(_program()), "start"],
            environment=self.environment(self._connection(), extra),
            directory=self.directory,
            ready=lambda: ready(f"{self.url}/server/ping"),
            ready_seconds=120,
        )

    def _in_the_bucket(self, storage: Storage) -> dict[str, str]:
        credentials = self.credentials
        return {
            "STORAGE_LOCATIONS": "s3",
            "STORAGE_S3_DRIVER": "s3",
            "STORAGE_S3_BUCKET": storage.bucket,
            "STORAGE_S3_REGION": storage.region,
            "STORAGE_S3_ENDPOINT": storage.endpoint_url,
            "STORAGE_S3_FORCE_PATH_STYLE": "true",
            "STORAGE_S3_KEY": f"string:{credentials.storage_access_key_id}",
            "STORAGE_S3_SECRET": f"string:{credentials.storage_secret_access_key}",
        }

    def _on_its_own_disk(self) -> dict[str, str]:
        name = OWN_STORAGE.upper()
        self.uploads.mkdir(parents=True, exist_ok=True)
        return {
            "STORAGE_LOCATIONS": OWN_STORAGE,
            f"STORAGE_{name}_DRIVER": "local",
            f"STORAGE_{name}_ROOT": str(self.uploads),
            # What is uploaded is looked at; what is registered is not. Reconciliation's reports are pages.
            _ALLOWED_FILES: f"{HARDENED[_ALLOWED_FILES]},text/html",
        }


def _sqlite(file: Path) -> dict[str, str]:
    return {"DB_CLIENT": "sqlite3", "DB_FILENAME": str(file)}


def _program() -> Path:
    """Not `directus/cli.js`, which asks at each start what is newest, waits up to 8 s, and then starts this."""
    return directus_tree() / "node_modules" / "@directus" / "api" / "dist" / "cli" / "run.js"


def _contents(directory: Path) -> dict[str, bytes]:
    return {
        str(path.relative_to(directory)): path.read_bytes()
        for path in sorted(directory.rglob("*"))
        if path.is_file()
    }
