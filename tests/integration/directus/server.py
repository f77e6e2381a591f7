"""A real Directus on a real database, started once per database for the whole test run.

`running("sqlite")` and `running("postgresql")` start one each on first use: bootstrapped, guarded, the model applied, the
seed data written. Everything is stopped when Python ends.
"""

import atexit
import secrets
import shutil
import signal
import subprocess
import tempfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

from directus.installer import apply
from directus.rest import Directus, InstallerError
from local.directus_server import HARDENED
from local.postgresql_server import PostgresqlServer, postgresql_programs
from local.seed import seed, seed_id
from local.setup.paths import ROOT, directus_tree, node_environment
from local.waiting import NeverHappened, wait_for
from tests.integration.directus.functions_stub import FunctionsStub, free_port

SECONDS = 90.0
FLOW_SECRET = "flow-secret-" + secrets.token_hex(12)
ADMIN_TOKEN = "admin-" + secrets.token_hex(16)
SERVICE_TOKEN = "service-" + secrets.token_hex(16)
#: The people of the seed data by their key there.
PEOPLE = ("sofia", "james", "ingrid", "maria", "juergen", "haruka", "siobhan", "lukasz", "zoe")


@dataclass
class RunningDirectus:
    """One running Directus; people act through `as_`."""

    database: str
    url: str
    stub: FunctionsStub
    directory: Path
    seeded: dict[str, list[dict[str, Any]]] = field(default_factory=dict)
    tokens: dict[str, str] = field(default_factory=dict)
    variables: dict[str, str] = field(default_factory=dict, repr=False)
    _clients: dict[str, Directus] = field(default_factory=dict)

    @property
    def admin(self) -> Directus:
        return self._client("administrator", ADMIN_TOKEN)

    @property
    def service(self) -> Directus:
        return self._client("service", SERVICE_TOKEN)

    @property
    def nobody(self) -> Directus:
        return self._client("nobody", None)

    def as_(self, person: str) -> Directus:
        """A user of the seed data (`sofia`, `maria`, ...), `service`, `administrator` or `nobody`."""
        if person in PEOPLE:
            return self._client(person, self.tokens[person])
        return {"service": self.service, "administrator": self.admin, "nobody": self.nobody}[person]

    def _client(self, name: str, token: str | None) -> Directus:
        return self._clients.setdefault(name, Directus(self.url, token, timeout=30))

    def ids(self, person: str, path: str) -> set[str]:
        """The ids a person sees in a list."""
        return {row["id"] for row in self.as_(person).rows(path, fields="id")}


@cache
def running(database: str) -> RunningDirectus:
    """The Directus on `sqlite` or `postgresql`, complete."""
    server = start(database)
    apply(server.url, ADMIN_TOKEN, service_token=SERVICE_TOKEN)
    server.seeded = seed(server.url, ADMIN_TOKEN)
    for person in PEOPLE:
        server.tokens[person] = f"{person}-{secrets.token_hex(16)}"
        server.admin.call("PATCH", f"/users/{seed_id('user', person)}", {"token": server.tokens[person]})
    return server


def start(database: str) -> RunningDirectus:
    """Bootstrap and start an empty Directus with the guard."""
    directory = Path(tempfile.mkdtemp(prefix="billing-directus-"))
    atexit.register(shutil.rmtree, directory, ignore_errors=True)
    (directory / "uploads").mkdir()
    (directory / "no-extensions").mkdir()
    stub = FunctionsStub(free_port())
    stub.start()
    atexit.register(stub.stop)
    port = free_port()
    server = RunningDirectus(database, f"http://127.0.0.1:{port}", stub, directory)
    server.variables = _environment(server, port)
    tree, program = _program()
    with (directory / "log").open("ab") as log:
        subprocess.run(
            [*program, "bootstrap"], cwd=tree, env=server.variables, stdout=log, stderr=log, check=True
        )
        _spawn([*program, "start"], log=log, cwd=tree, env=server.variables)
    _wait_until_ready(server)
    return server


@contextmanager
def another(server: RunningDirectus, variables: Mapping[str, str]) -> Iterator[RunningDirectus]:
    """One more Directus on the same database, with some variables of its own; its `directory` only has its log."""
    port = free_port()
    url = f"http://127.0.0.1:{port}"
    second = RunningDirectus(server.database, url, server.stub, server.directory / f"on-port-{port}")
    second.directory.mkdir()
    second.tokens = server.tokens
    second.variables = {**server.variables, "PORT": str(port), "PUBLIC_URL": url, **variables}
    tree, program = _program()
    with (second.directory / "log").open("ab") as log:
        process = _spawn([*program, "start"], log=log, cwd=tree, env=second.variables)
    try:
        _wait_until_ready(second)
        yield second
    finally:
        _end(process)


def _program() -> tuple[Path, list[str]]:
    """Directus's working directory and command: it looks for extensions only where a package.json is.

    Not `directus/cli.js`: at each start that first asks npm's registry what is newest and waits up to 8 s for the answer.
    """
    tree = directus_tree()
    assert tree.is_dir(), "Directus is not built; run the set-up (make test does)."
    return tree, ["node", str(tree / "node_modules/@directus/api/dist/cli/run.js")]


def _environment(server: RunningDirectus, port: int) -> dict[str, str]:
    return {
        **node_environment(),
        **HARDENED,
        **_database(server),
        "HOME": str(server.directory),
        "TZ": "America/New_York",  # a server that is not on UTC must make no difference
        "HOST": "127.0.0.1",
        "PORT": str(port),
        "PUBLIC_URL": server.url,
        "LOG_STYLE": "raw",
        "SECRET": "string:" + secrets.token_hex(32),
        "ADMIN_EMAIL": "admin@example.com",
        "ADMIN_PASSWORD": "string:" + secrets.token_hex(16),
        "ADMIN_TOKEN": f"string:{ADMIN_TOKEN}",
        "EXTENSIONS_PATH": str(ROOT / "directus/extensions"),
        # Reports are pages; where documents are uploaded, Directus must take these.
        "FILES_MIME_TYPE_ALLOW_LIST": HARDENED["FILES_MIME_TYPE_ALLOW_LIST"] + ",text/html",
        "STORAGE_LOCATIONS": "local",
        "STORAGE_LOCAL_ROOT": str(server.directory / "uploads"),
        "EMAIL_TRANSPORT": "smtp",
        "EMAIL_SMTP_HOST": "127.0.0.1",
        "EMAIL_SMTP_PORT": "9",  # a closed port: these tests send no mail
        "RATE_LIMITER_POINTS": "100000",
        "BILLING_FUNCTIONS_URL": server.stub.url,
        "BILLING_FLOW_SECRET": f"string:{FLOW_SECRET}",
    }


def _database(server: RunningDirectus) -> dict[str, str]:
    if server.database == "sqlite":
        return {"DB_CLIENT": "sqlite3", "DB_FILENAME": str(server.directory / "directus.sqlite")}
    return _postgresql().directus_environment()


def _postgresql() -> PostgresqlServer:
    """Start our own PostgreSQL in a temporary directory, with an empty database."""
    assert postgresql_programs(), "PostgreSQL is not installed; run the set-up (make test does)."
    directory = Path(tempfile.mkdtemp(prefix="billing-postgresql-"))
    atexit.register(shutil.rmtree, directory, ignore_errors=True)
    cluster = PostgresqlServer(directory, free_port())
    cluster.prepare(directory / "log")
    program = cluster.program()
    with (directory / "log").open("ab") as log:
        _spawn(list(program.arguments), log=log, cwd=directory, env=dict(program.environment))
    _wait_with_log("PostgreSQL", program.ready, directory / "log")
    cluster.make_database()
    return cluster


def _spawn(command: list[str], **options: Any) -> "subprocess.Popen[bytes]":
    log = options.pop("log")
    process = subprocess.Popen(command, stdout=log, stderr=log, stdin=subprocess.DEVNULL, **options)
    atexit.register(_end, process)
    return process


def _end(process: "subprocess.Popen[bytes]") -> None:
    # SIGINT: PostgreSQL takes SIGTERM as "when the last client has gone".
    process.send_signal(signal.SIGINT)
    try:
        process.wait(10)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


def _wait_until_ready(server: RunningDirectus) -> None:
    def answers() -> bool:
        try:
            return bool(server.nobody.answer("GET", "/server/ping")[0] == 200)
        except InstallerError:
            return False

    _wait_with_log("Directus", answers, server.directory / "log")


def _wait_with_log(what: str, ready: Callable[[], bool], log: Path) -> None:
    try:
        wait_for(what, ready, seconds=SECONDS)
    except NeverHappened as error:
        error.add_note(log.read_text())
        raise


def code_of(answer: Any) -> str | None:
    """`extensions.code` of Directus's first error."""
    if not isinstance(answer, Mapping) or not answer.get("errors"):
        return None
    code = answer["errors"][0].get("extensions", {}).get("code")
    return None if code is None else str(code)
