from pathlib import Path

import pytest

from layers.weasyprint.native.apt import (
    Mirror,
    Suites,
    configuration,
    configured_mirror,
    described,
    mirror_of,
    sources,
)
from layers.weasyprint.native.commands import complaint, run
from layers.weasyprint.native.lock import Locked
from layers.weasyprint.native.refusal import Refusal

TARGETS = """http://mirror.example/debian bookworm
http://mirror.example/debian bookworm-updates
http://security.example/debian-security bookworm-security
http://other.example/extra nodistro
"""


def test_the_mirror_is_the_one_this_machines_apt_uses() -> None:
    assert configured_mirror(TARGETS) == Mirror(
        "http://mirror.example/debian", "http://security.example/debian-security"
    )


def test_a_machine_without_a_security_site_uses_the_mirrors_neighbour() -> None:
    assert configured_mirror("http://mirror.example/debian/ trixie\n") == Mirror(
        "http://mirror.example/debian", "http://mirror.example/debian-security"
    )


def test_a_machine_whose_apt_knows_no_mirror_names_none() -> None:
    assert configured_mirror("") is None


def test_a_named_mirror_is_used_without_asking_apt() -> None:
    named = {"LAYER_MIRROR": "http://m.example/debian/", "LAYER_SECURITY_MIRROR": ""}
    assert mirror_of(named) == Mirror("http://m.example/debian", "http://m.example/debian-security")
    both = {**named, "LAYER_SECURITY_MIRROR": "http://s.example/x"}
    assert mirror_of(both) == Mirror("http://m.example/debian", "http://s.example/x")


def test_the_second_suite_is_another_name_on_the_same_site() -> None:
    text = sources(
        Mirror("http://m.example/d", "http://s.example/s"), Suites("bookworm", "bullseye"), "/k.gpg"
    )
    assert text.splitlines() == [
        "deb [signed-by=/k.gpg] http://m.example/d bookworm main",
        "deb [signed-by=/k.gpg] http://s.example/s bookworm-security main",
        "deb [signed-by=/k.gpg] http://m.example/d bullseye main",
    ]


def test_apt_gets_lists_and_status_of_its_own(tmp_path: Path) -> None:
    text = configuration(tmp_path, "arm64")
    for name in (
        "Dir::State",
        "Dir::State::lists",
        "Dir::State::status",
        "Dir::Cache",
        "Dir::Etc::sourcelist",
    ):
        (line,) = [line for line in text.splitlines() if line.startswith(f"{name} ")]
        assert str(tmp_path) in line
    assert 'APT::Architectures { "arm64"; };' in text
    assert "#clear APT::Update::Post-Invoke-Success;" in text


def test_what_apt_says_of_a_package_becomes_a_line_of_the_lock() -> None:
    line = f"'http://m.example/f.deb' fonts-droid-fallback_1%3a6.0.1r16-1.1_all.deb 1806736 SHA256:{'b' * 64}"
    assert described(line) == Locked("fonts-droid-fallback", "1:6.0.1r16-1.1", "b" * 64)


def test_a_weaker_hash_is_not_taken() -> None:
    with pytest.raises(Refusal, match="does not say the SHA-256"):
        described("'http://m.example/f.deb' zlib1g_1_amd64.deb 5 MD5Sum:abc")


def test_a_missing_program_stops_the_build() -> None:
    with pytest.raises(Refusal, match=r"^the program no-such-program is missing$"):
        run(["no-such-program"])


def test_a_version_that_is_gone_is_named() -> None:
    said = "W: something\nE: Version '1.0-1' for 'libpango-1.0-0' was not found.\n"
    assert complaint(said) == "E: Version '1.0-1' for 'libpango-1.0-0' was not found"
    assert complaint("") == "it said nothing"
