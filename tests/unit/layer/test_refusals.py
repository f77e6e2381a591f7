"""What a person sees when the layer cannot be built: the Makefile's own target, offline."""

import subprocess
import sys
from pathlib import Path

import pytest

from layers.weasyprint.native.lock import choice, locked_packages
from local.setup.paths import ROOT

LAYER = ROOT / "layers/weasyprint"
WAYS_OUT = (
    "; build it in the Amazon Linux container instead (docs/layer.md, container route)"
    " or pass a finished one as WeasyPrintLayerArn."
)


@pytest.fixture
def programs(tmp_path: Path) -> Path:
    """A PATH on which there is make's shell and nothing of Debian's."""
    folder = tmp_path / "programs"
    folder.mkdir()
    (folder / "sh").symlink_to("/bin/sh")
    return folder


def build(tmp_path: Path, programs: Path, architecture: str = "x86_64", **variables: str) -> list[str]:
    """Return the lines written to standard error by a build that must fail."""
    outcome = subprocess.run(
        [
            "/usr/bin/make",
            "--silent",
            "-f",
            "../Makefile",
            "build-WeasyPrintLayer",
            f"PYTHON={sys.executable}",
        ],
        cwd=LAYER / architecture,
        env={
            "ARTIFACTS_DIR": str(tmp_path / "artifacts"),
            "HOME": str(tmp_path),
            "LAYER_CACHE": str(tmp_path / "cache"),
            "LAYER_PACKAGES": str(tmp_path / "packages"),
            "LAYER_WHEELS": str(tmp_path / "wheels"),
            "PATH": str(programs),
            **variables,
        },
        capture_output=True,
        text=True,
        check=False,
    )
    assert outcome.returncode != 0
    assert not (tmp_path / "artifacts").exists()
    assert not list((tmp_path / "cache" / "finished").glob("*"))
    return [line for line in outcome.stderr.splitlines() if not line.startswith("make")]


def test_a_machine_without_apt_is_told_the_other_ways(tmp_path: Path, programs: Path) -> None:
    assert build(tmp_path, programs) == [
        f"The PDF layer cannot be built here: the program apt-get is missing{WAYS_OUT}"
    ]


def test_a_package_with_another_hash_is_never_unpacked(tmp_path: Path, programs: Path) -> None:
    wanted = choice((LAYER / "packages.toml").read_text()).all_packages
    first = locked_packages((LAYER / "x86_64/packages.lock").read_text(), wanted)[0]
    (tmp_path / "packages").mkdir()
    (tmp_path / "packages" / first.file_names("amd64")[0]).write_bytes(b"something else")
    assert build(tmp_path, programs) == [
        f"The PDF layer cannot be built here: {first.package} {first.version} has another hash than the lock says{WAYS_OUT}"
    ]


def test_a_mirror_that_lost_a_package_is_named_by_apt(tmp_path: Path, programs: Path) -> None:
    (programs / "apt-get").write_text(
        "#!/bin/sh\ncase \"$*\" in *download*) echo \"E: Version '1' for 'x' was not found\" >&2; exit 100;; esac\n"
    )
    (programs / "apt-get").chmod(0o755)
    (line,) = build(tmp_path, programs, LAYER_MIRROR="http://mirror.invalid/debian")
    assert line == (
        f"The PDF layer cannot be built here: apt-get failed (E: Version '1' for 'x' was not found){WAYS_OUT}"
    )


def test_an_apt_that_brings_nothing_is_noticed(tmp_path: Path, programs: Path) -> None:
    (programs / "apt-get").write_text("#!/bin/sh\n")
    (programs / "apt-get").chmod(0o755)
    (line,) = build(tmp_path, programs, LAYER_MIRROR="http://mirror.invalid/debian")
    assert "apt-get did not bring base-files " in line


def test_no_network_is_said(tmp_path: Path, programs: Path) -> None:
    (programs / "apt-get").write_text('#!/bin/sh\necho "E: Failed to fetch the lists" >&2\nexit 100\n')
    (programs / "apt-get").chmod(0o755)
    (line,) = build(tmp_path, programs, LAYER_MIRROR="http://mirror.invalid/debian")
    assert "apt-get failed (E: Failed to fetch the lists)" in line
