"""The local stack: the template on the AWS emulator, the real Directus, the Stripe simulator, a mail catcher.

    stack = Stack(Path(".local"))
    stack.up()
    stack.description()["functions"]["api_url"]
    stack.down()

`<directory>/data` is everything that survives `down` (`stack_state.py`); `stack.json` describes the running stack
(`stack_json.py`); `logs/` and `run/` belong to the supervisor.
"""

import fcntl
import hashlib
import json
import os
import platform
import shutil
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any, Final

from local import aws_account, directus_content, programs
from local.adapter.build import built, claim
from local.adapter.deploy import Emulator, deploy, is_deployed
from local.adapter.pdf_layer import LAMBDA_NAMES
from local.adapter.sandbox import Mode, available_mode
from local.credentials import write_private
from local.directus_server import DirectusServer, Storage
from local.ports import HOST, choose_ports
from local.postgresql_server import PostgresqlServer, runs_as
from local.problem import Problem
from local.setup.paths import ROOT
from local.stack_json import description
from local.stack_state import StackState
from local.stripe_simulator.specification import SpecificationError, obtain
from local.supervisor import Program, Supervisor

PORTS: Final = ("ministack", "directus", "stripe_simulator", "mail", "smtp")
STOP_ORDER: Final = ("stripe_simulator", "directus", "postgresql", "ministack", "mail_catcher")
"""Callers before those they call; the emulator saves its state while mail can still arrive."""

DATABASES: Final = ("sqlite", "postgresql")
DATABASE_VARIABLE: Final = "DIRECTUS_DATABASE"
"""Environment variable that chooses Directus's database for a first start; SQLite without it."""

STACK_NAME: Final = "legal-billing"
DEPLOYMENT: Final = "local"
SENDER_EMAIL: Final = "billing@example.com"

type Say = Callable[[str], None]


class Stack:
    """One local stack in a directory of its own; several may run side by side.

    All methods raise `Problem` with one plain sentence when they cannot do what they say.
    """

    def __init__(
        self,
        directory: Path,
        *,
        source: Path = ROOT,
        say: Say | None = None,
        database: str | None = None,
        parameters: Mapping[str, str] | None = None,
    ) -> None:
        """`database` is `sqlite` or `postgresql`; None: what the data is in, else `DIRECTUS_DATABASE`, else SQLite.

        `parameters` are the template's that are to differ from the ordinary ones. With `DocumentDelivery` `upload`
        Directus keeps its files by itself, as Directus Cloud does, and knows nothing of the bucket.
        """
        self.directory = directory.resolve()
        self._wanted_database = database
        self._wanted_parameters = dict(parameters or {})
        self._source = source
        self._say: Say = say or (lambda _: None)
        self._state = StackState(self.directory)
        self._description_file = self.directory / "stack.json"
        self._supervisor = Supervisor(self.directory)

    # ---- what a person or a test asks for ----------------------------------------------------------------------

    def up(self, fresh: bool = False) -> None:  # noqa: FBT001, FBT002 - the one choice there is
        """Start what does not run, deploy what changed, and return when everything answers.

        `fresh` begins with empty data. A first start that fails leaves nothing running.
        """
        with self._alone():
            if fresh:
                self._stop_everything()
                self._forget_data()
            self._decide_database()
            was_whole = set(self._supervisor.running()) == set(self._programs())
            try:
                self._bring_up()
            except BaseException:
                # A stack that ran before keeps running: a mistake in a template must not cost it.
                if not was_whole:
                    self._stop_everything()
                raise

    def down(self) -> None:
        """Stop everything this stack started; its data stays."""
        with self._alone():
            self._stop_everything()

    def discard(self) -> None:
        """Stop everything and delete all data, also what PostgreSQL keeps outside the stack's directory."""
        with self._alone():
            self._stop_everything()
            self._forget_data()

    def stop_process(self, name: str) -> None:
        """Stop one of the programs (`directus`, `ministack`, ...); its data stays."""
        self._supervisor.stop(name, self._program(name).stop_seconds)

    def start_process(self, name: str) -> None:
        """Start it again on the same port with the same data and return when it answers."""
        self._supervisor.start(self._program(name))

    def running(self) -> list[str]:
        """Return the names of the programs that run."""
        return self._supervisor.running()

    @property
    def database(self) -> str:
        """Directus's database: `sqlite` or `postgresql`."""
        facts = self._state.facts()
        # Data from before there was a choice is in SQLite.
        chosen = facts.get("database") or ("sqlite" if facts else None)
        return str(chosen or self._wanted_database or os.environ.get(DATABASE_VARIABLE) or "sqlite")

    def description(self) -> dict[str, Any]:
        """Return what `stack.json` says."""
        if not self._description_file.exists():
            raise Problem(f"No stack runs in {self.directory}; start it with make up.")
        described: dict[str, Any] = json.loads(self._description_file.read_text())
        return described

    # ---- up ----------------------------------------------------------------------------------------------------

    def _bring_up(self) -> None:
        self._forget_half_filled_data()
        self._state.data.mkdir(parents=True, exist_ok=True)
        running = self._supervisor.running()
        owners = {"mail": "mail_catcher", "smtp": "mail_catcher"}
        ports = [*PORTS, *(["postgresql"] if self.database == "postgresql" else [])]
        listening = [name for name in ports if owners.get(name, name) in running]
        choose_ports(ports, self._state.ports_file, running=listening)
        self._state.credentials()
        with ThreadPoolExecutor(max_workers=2) as threads:
            building = threads.submit(self._timed, "sam build", lambda: built(self._source, self._say))
            foundations = threads.submit(
                self._timed, "emulator, mail catcher, first database", self._start_foundations
            )
            directory, _ = _results(building, foundations)
        self._timed("deployment", lambda: self._deploy(directory))
        if self._directus().copy_extensions():
            self._supervisor.stop("directus")
        with ThreadPoolExecutor(max_workers=2) as threads:
            simulator = threads.submit(
                self._timed, "Stripe simulator", lambda: self.start_process("stripe_simulator")
            )
            directus = threads.submit(self._timed, "Directus", lambda: self.start_process("directus"))
            _results(simulator, directus)
        self._timed("model and seed data", self._fill_directus)
        described = description(
            url=self._url,
            api_url=self._api_url(),
            emulator=self.emulator(),
            outputs=self._state.facts()["outputs"],
            credentials=self._state.credentials(),
            logins=self._state.logins(),
        )
        write_private(self._description_file, json.dumps(described, indent=2))

    def _forget_half_filled_data(self) -> None:
        """Seed data is written once, into an empty model; where that was interrupted, everything begins anew."""
        facts = self._state.facts()
        if facts.get("seeding") and not facts.get("seeded"):
            self._say(
                "  the last start was interrupted while it wrote the seed data; beginning with empty data"
            )
            self._stop_everything()
            self._forget_data()
            self._decide_database()

    def _forget_data(self) -> None:
        if cluster := self._state.facts().get("postgresql"):
            shutil.rmtree(cluster, ignore_errors=True)
        shutil.rmtree(self._state.data, ignore_errors=True)

    def _decide_database(self) -> None:
        """The first start decides; data does not move from one database to another."""
        database = self.database
        if database not in DATABASES:
            raise Problem(f"{DATABASE_VARIABLE} is {database!r}; it must be one of {', '.join(DATABASES)}.")
        if self._wanted_database not in {None, database}:
            raise Problem(
                f"The data in {self.directory} is in {database}; begin with empty data to change that."
            )
        self._state.data.mkdir(parents=True, exist_ok=True)
        self._state.remember(database=database)
        if database == "postgresql" and "postgresql" not in self._state.facts():
            self._state.remember(postgresql=str(self._new_cluster_directory()))

    def _new_cluster_directory(self) -> Path:
        """PostgreSQL refuses root, and the user that runs it instead cannot enter the stack's private directory."""
        if runs_as() is None:
            return self._state.data / "postgresql"
        return Path(tempfile.mkdtemp(prefix="directus-legal-billing-postgresql."))

    def _programs(self) -> list[str]:
        return [name for name in STOP_ORDER if name != "postgresql" or self.database == "postgresql"]

    def _start_foundations(self) -> None:
        self.start_process("mail_catcher")
        self.start_process("ministack")
        if (postgresql := self._postgresql()) is not None:
            postgresql.prepare(self._supervisor.log("postgresql"))
            self.start_process("postgresql")
        self._directus().bootstrap(self._supervisor.log("directus"))

    def _deploy(self, built_directory: Path) -> None:
        emulator = self.emulator()
        parameters = self.parameters()
        mode = available_mode()
        self._state.remember(build=str(built_directory))
        claim(built_directory, self._state.facts_file)
        key = _digest(str(built_directory), parameters, mode, _adapter_sources())
        if self._state.facts().get("deployed") != key or not is_deployed(emulator, STACK_NAME):
            self._state.remember(deployed=None)
            deployed = deploy(emulator, built=built_directory, stack_name=STACK_NAME, parameters=parameters)
            self._state.remember(
                deployed=key, resources=dict(deployed.resources), outputs=dict(deployed.outputs)
            )
        self._prepare_account(emulator)
        self._say(f"  functions run {_said(mode)}")

    def _prepare_account(self, emulator: Emulator) -> None:
        outputs = self._state.facts()["outputs"]
        credentials = self._state.credentials()
        aws_account.verify_sender(emulator, SENDER_EMAIL)
        aws_account.fill_secrets(
            emulator,
            {
                outputs["FlowSecretArn"]: credentials.flow_secret,
                outputs["WebhookSecretArn"]: credentials.webhook_secret,
                outputs["StripeSecretArn"]: credentials.stripe_secret_key,
                outputs["DirectusTokenSecretArn"]: credentials.service_token,
            },
        )
        known = (credentials.storage_access_key_id, credentials.storage_secret_access_key)
        key_id, secret = aws_account.storage_access_key(emulator, outputs["DocumentsBucketName"], known)
        if (key_id, secret) != known:
            changed = replace(credentials, storage_access_key_id=key_id, storage_secret_access_key=secret)
            changed.save(self._state.credentials_file)

    def _fill_directus(self) -> None:
        credentials = self._state.credentials()
        url = self._directus().url
        key = directus_content.digest()
        if self._state.facts().get("applied") != key:
            directus_content.install(url, credentials.admin_token, service_token=credentials.service_token)
            self._state.remember(applied=key)
        if not self._state.facts().get("seeded"):
            self._state.remember(seeding=True)
            logins = directus_content.fill(url, credentials.admin_token)
            self._state.remember_logins(logins)
            self._state.remember(seeded=True)
        if not self._state.facts().get("documents_ordered"):
            # The seed writes rows as if people had worked for months; their documents are drawn like any other.
            directus_content.order_documents(
                url,
                credentials.admin_token,
                functions_url=self._api_url(),
                flow_secret=credentials.flow_secret,
                say=self._say,
            )
            self._state.remember(documents_ordered=True)

    # ---- down --------------------------------------------------------------------------------------------------

    def _stop_everything(self) -> None:
        for name in STOP_ORDER:
            seconds = 60.0 if name == "ministack" else 20.0
            self._supervisor.stop(name, seconds)
        self._supervisor.stop_strays()
        self._description_file.unlink(missing_ok=True)

    # ---- the parts ---------------------------------------------------------------------------------------------

    def emulator(self) -> Emulator:
        """Return the emulated AWS."""
        return Emulator(endpoint_url=self._url("ministack"), region=programs.REGION)

    def parameters(self) -> dict[str, str]:
        """Return the parameters with which the template is deployed."""
        simulator = self._url("stripe_simulator")
        ordinary = {
            "AllowedPaymentMethodTypes": "card,us_bank_account",
            "AlarmTopicArn": "",
            "Architecture": LAMBDA_NAMES.get(platform.machine(), platform.machine()),
            "Deployment": DEPLOYMENT,
            "DocumentDelivery": "register",
            "DirectusStorage": "s3",
            "DirectusUrl": self._url("directus"),
            "FirmTimezone": "America/New_York",
            "LogLevel": "INFO",
            "LogRetentionDays": "7",
            "PortalOrigins": simulator,
            "PortalUrl": "",
            "ReturnUrl": f"{simulator}/paid",
            "ScheduleState": "DISABLED",
            "SenderEmail": SENDER_EMAIL,
            "StripeApiBase": simulator,
            "TemplatePrefix": "",
            "WeasyPrintLayerArn": "",
        }
        unknown = sorted(self._wanted_parameters.keys() - ordinary.keys())
        if unknown:
            raise Problem(f"The template has no parameter {', '.join(unknown)}.")
        return {**ordinary, **self._wanted_parameters}

    def resources(self) -> dict[str, str]:
        """Return the physical ids of the deployed resources by logical id."""
        resources: dict[str, str] = self._state.facts()["resources"]
        return resources

    def _program(self, name: str) -> Program:
        ports = self._state.ports()
        if name == "mail_catcher":
            return programs.mail_catcher(
                self._state.data / "mail", smtp_port=ports["smtp"], http_port=ports["mail"]
            )
        if name == "ministack":
            return programs.ministack(
                self._state.data / "ministack", port=ports["ministack"], smtp_port=ports["smtp"]
            )
        if name == "directus":
            return self._directus().program(
                storage=self._storage(), functions_url=self._api_url(), ready=programs.answers
            )
        if name == "stripe_simulator":
            return programs.stripe_simulator(
                self._state.data / "stripe_simulator.sqlite",
                port=ports["stripe_simulator"],
                credentials=self._state.credentials(),
                webhook_url=f"{self._api_url()}/stripe/webhook",
                document=_stripe_document(),
            )
        if name == "postgresql" and (postgresql := self._postgresql()) is not None:
            return postgresql.program()
        raise Problem(f"There is no program {name!r} in the stack; there are {', '.join(self._programs())}.")

    def _directus(self) -> DirectusServer:
        ports = self._state.ports()
        return DirectusServer(
            directory=self._state.data / "directus",
            port=ports["directus"],
            smtp_port=ports["smtp"],
            credentials=self._state.credentials(),
            postgresql=self._postgresql(),
        )

    def _storage(self) -> Storage | None:
        """The bucket that Directus shares with the functions, if it shares one."""
        if self.parameters()["DocumentDelivery"] == "upload":
            return None
        return Storage(
            bucket=self._state.facts()["outputs"]["DocumentsBucketName"],
            region=programs.REGION,
            endpoint_url=self._url("ministack"),
        )

    def _postgresql(self) -> PostgresqlServer | None:
        if self.database != "postgresql":
            return None
        return PostgresqlServer(Path(self._state.facts()["postgresql"]), self._state.ports()["postgresql"])

    def _api_url(self) -> str:
        # `<id>.execute-api.localhost` does not resolve everywhere; the path form always does.
        api = self._state.facts()["outputs"]["ApiId"]
        return f"{self._url('ministack')}/_aws/execute-api/{api}/$default"

    def _url(self, name: str) -> str:
        return f"http://{HOST}:{self._state.ports()[name]}"

    # ---- how ---------------------------------------------------------------------------------------------------

    def _timed[T](self, name: str, work: Callable[[], T]) -> T:
        began = time.monotonic()
        result = work()
        self._say(f"  {name}: {time.monotonic() - began:.1f} s")
        return result

    @contextmanager
    def _alone(self) -> Iterator[None]:
        """Keep a second `up` or `down` of the same directory out while one works."""
        self.directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        with (self.directory / "lock").open("w") as lock:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                raise Problem(f"Another start or stop is at work in {self.directory}; wait for it.") from None
            yield


def _results[A, B](first: Future[A], second: Future[B]) -> tuple[A, B]:
    """Return both results; when both failed, the first's error is raised."""
    errors = [error for error in (first.exception(), second.exception()) if error is not None]
    if errors:
        raise errors[0]
    return first.result(), second.result()


def _adapter_sources() -> str:
    sources = sorted((ROOT / "local" / "adapter").glob("*.py"))
    return hashlib.sha256(b"".join(path.read_bytes() for path in sources)).hexdigest()


def _digest(*parts: object) -> str:
    return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()[:16]


def _said(mode: Mode) -> str:
    if mode is Mode.BUBBLEWRAP:
        return "in bubblewrap, /var/task and /opt read-only as in Lambda"
    return (
        "as plain processes without Lambda's /var/task and /opt: bubblewrap is missing, this kernel forbids"
        " namespaces, or FUNCTIONS_MODE=process asked for it"
    )


def _stripe_document() -> Path:
    try:
        return obtain()
    except SpecificationError as error:
        raise Problem(f"Stripe's OpenAPI document is missing: {error}") from error
