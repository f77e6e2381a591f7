"""apt with lists, status and cache of its own: it reads how this machine reaches its mirror, and changes nothing."""

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final
from urllib.parse import unquote

from .commands import run
from .lock import Locked
from .refusal import Refusal

KEYRINGS: Final = (
    "/usr/share/keyrings/debian-archive-keyring.gpg",
    "/usr/share/keyrings/debian-archive-keyring.pgp",
)
SECURITY: Final = "-security"


@dataclass(frozen=True)
class Mirror:
    """Addresses of a Debian site and of its security updates, without a slash at the end."""

    main: str
    security: str


@dataclass(frozen=True)
class Suites:
    """Names of the suite the packages come from, and of an older one."""

    first: str
    second: str


def configured_mirror(index_targets: str) -> Mirror | None:
    """Return the mirror that `apt-get indextargets` (site and release, separated by a space) tells of, if any."""
    main = security = None
    for line in index_targets.splitlines():
        site, _, release = line.strip().partition(" ")
        if release.endswith(SECURITY):
            security = security or site.rstrip("/")
        elif site:
            main = main or site.rstrip("/")
    if main is None:
        return None
    return Mirror(main, security or f"{main}{SECURITY}")


def this_machines_mirror() -> Mirror | None:
    """Ask this machine's apt."""
    target = ("apt-get", "indextargets", "--format", "$(SITE) $(RELEASE)", "Created-By: Packages")
    return configured_mirror(run(target))


def sources(mirror: Mirror, suites: Suites, keyring: str | None) -> str:
    """Return the text of a sources.list."""
    signed = f" [signed-by={keyring}]" if keyring else ""
    return "".join(
        f"deb{signed} {site} {suite} main\n"
        for site, suite in (
            (mirror.main, suites.first),
            (mirror.security, f"{suites.first}{SECURITY}"),
            (mirror.main, suites.second),
        )
    )


def configuration(state: Path, architecture: str) -> str:
    """Return apt's configuration; given with `-c` it comes after this machine's own and wins."""
    settings = {
        "APT::Architecture": architecture,
        "APT::Sandbox::User": "root",  # as root apt would otherwise become a user who cannot write here
        "Acquire::Languages": "none",
        "Acquire::Retries": "2",
        "Dir::Cache": state / "cache",
        "Dir::Etc::preferences": "/dev/null",
        "Dir::Etc::preferencesparts": "/dev/null",
        "Dir::Etc::sourcelist": state / "sources.list",
        "Dir::Etc::sourceparts": "/dev/null",
        "Dir::State": state,
        "Dir::State::lists": state / "lists",
        "Dir::State::status": state / "status",
    }
    cleared = (
        "APT::Architectures",
        "APT::Update::Pre-Invoke",
        "APT::Update::Post-Invoke",
        "APT::Update::Post-Invoke-Success",
    )
    return "".join(
        (
            *(f"#clear {name};\n" for name in cleared),
            f'APT::Architectures {{ "{architecture}"; }};\n',
            *(f'{name} "{value}";\n' for name, value in settings.items()),
        )
    )


def described(line: str) -> Locked:
    """Read a line of `apt-get download --print-uris`: 'address' file size SHA256:hash."""
    match = re.fullmatch(r"'[^']*' ([^_]+)_([^_]+)_[^_]+\.deb \d+ SHA256:([0-9a-f]{64})", line.strip())
    if match is None:
        raise Refusal("apt-get does not say the SHA-256 of a package")
    package, version, sha256 = match.groups()
    return Locked(package, unquote(version), sha256)


class Apt:
    """One architecture's apt; `directory` keeps its lists."""

    def __init__(self, directory: Path, architecture: str, mirror: Mirror, suites: Suites) -> None:
        self._directory = directory
        self._suites = suites
        for name in ("lists/partial", "cache/archives/partial"):
            (directory / name).mkdir(parents=True, exist_ok=True)
        (directory / "status").touch()
        keyring = next((path for path in KEYRINGS if Path(path).exists()), None)
        (directory / "sources.list").write_text(sources(mirror, suites, keyring))
        (directory / "apt.conf").write_text(configuration(directory, architecture))

    def read_lists(self) -> None:
        """Read the suites' package lists; raise `Refusal` without network, or when a suite is not there."""
        self._run("update", "-o", "APT::Update::Error-Mode=any")

    def newest(self, packages: Iterable[str], of_second_suite: Iterable[str]) -> list[Locked]:
        """Return versions and hashes of the packages, each the newest of its suite."""
        names = [*packages, *(f"{name}/{self._suites.second}" for name in of_second_suite)]
        lines = self._run("download", "--print-uris", *names)
        return [described(line) for line in lines.splitlines() if line.startswith("'")]

    def download(self, wanted: Sequence[Locked], folder: Path) -> None:
        """Bring exactly these versions; raise `Refusal` when one is gone."""
        folder.mkdir(parents=True, exist_ok=True)
        self._run("download", *(f"{entry.package}={entry.version}" for entry in wanted), cwd=folder)

    def _run(self, *arguments: str, cwd: Path | None = None) -> str:
        return run(["apt-get", "-qq", "-c", self._directory / "apt.conf", *arguments], cwd=cwd)


def mirror_of(variables: Mapping[str, str]) -> Mirror:
    """Return the mirror that `LAYER_MIRROR` and `LAYER_SECURITY_MIRROR` name, else the one this machine's apt uses.

    Raises `Refusal` when neither says any.
    """
    named, security = (
        variables.get(name, "").rstrip("/") for name in ("LAYER_MIRROR", "LAYER_SECURITY_MIRROR")
    )
    if named:
        return Mirror(named, security or f"{named}{SECURITY}")
    found = this_machines_mirror()
    if found is None:
        raise Refusal("this machine's apt is configured with no mirror, and LAYER_MIRROR names none")
    return Mirror(found.main, security or found.security)
