import hashlib
from pathlib import Path

import pytest

from layers.weasyprint.native.lock import (
    DEBIAN_NAMES,
    HEADER,
    Locked,
    choice,
    lock_text,
    locked_packages,
    present,
)
from layers.weasyprint.native.refusal import Refusal
from local.setup.paths import ROOT

LAYER = ROOT / "layers/weasyprint"
HASH = "a" * 64
PANGO = Locked("libpango-1.0-0", "1.50.12+ds-1", HASH)
FONT = Locked("fonts-droid-fallback", "1:6.0.1r16-1.1", HASH)


def test_what_is_written_is_read_again() -> None:
    text = lock_text([PANGO, FONT])
    assert text.startswith(HEADER)
    assert locked_packages(text, [PANGO.package, FONT.package]) == (FONT, PANGO)


@pytest.mark.parametrize("architecture", sorted(DEBIAN_NAMES))
def test_the_committed_locks_hold_exactly_what_was_chosen(architecture: str) -> None:
    wanted = choice((LAYER / "packages.toml").read_text()).all_packages
    locked = locked_packages((LAYER / architecture / "packages.lock").read_text(), wanted)
    assert [entry.package for entry in locked] == sorted(wanted)


def test_both_architectures_have_the_same_fonts_and_licences() -> None:
    wanted = choice((LAYER / "packages.toml").read_text()).all_packages
    first, second = (
        {
            entry
            for entry in locked_packages((LAYER / name / "packages.lock").read_text(), wanted)
            if entry.package.startswith("fonts-")
        }
        for name in DEBIAN_NAMES
    )
    assert first == second != set()


def test_no_committed_file_of_the_layer_names_a_host() -> None:
    for path in LAYER.rglob("*"):
        if path.is_file() and path.suffix not in {".pyc", ".deb", ".whl"}:
            text = path.read_text()
            assert "http:" not in text, path
            assert "https:" not in text, path


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("libpango-1.0-0 1.50.12+ds-1\n", "line 1 of the lock is not a package with its version and hash"),
        ("# one\nlibpango-1.0-0 1.50.12+ds-1 abc\n", "line 2 of the lock is not"),
        (lock_text([PANGO]) * 2, "line 4 of the lock is not"),
        (lock_text([FONT]), "the lock lacks libpango-1.0-0 (make layer-lock writes it anew)"),
        (lock_text([PANGO, FONT]), "the lock names fonts-droid-fallback, which packages.toml does not"),
    ],
)
def test_a_lock_that_does_not_fit_is_refused(text: str, sentence: str) -> None:
    with pytest.raises(Refusal) as caught:
        locked_packages(text, [PANGO.package])
    assert sentence in str(caught.value)


def package(folder: Path, name: str, content: bytes = b"a package") -> Locked:
    folder.mkdir(exist_ok=True)
    (folder / name).write_bytes(content)
    parts = name.removesuffix(".deb").split("_")
    return Locked(parts[0], parts[1].replace("%3a", ":"), hashlib.sha256(content).hexdigest())


def test_a_package_is_found_for_its_architecture_or_for_all(tmp_path: Path) -> None:
    first, second = tmp_path / "vendor", tmp_path / "cache"
    one = package(second, "libpango-1.0-0_1.50.12+ds-1_arm64.deb")
    other = package(first, "fonts-droid-fallback_1%3a6.0.1r16-1.1_all.deb")
    assert present(one, [first, second], "arm64") == second / "libpango-1.0-0_1.50.12+ds-1_arm64.deb"
    assert present(one, [first, second], "amd64") is None
    assert present(other, [first, second], "amd64") == first / "fonts-droid-fallback_1%3a6.0.1r16-1.1_all.deb"


def test_a_package_with_another_hash_stops_the_build(tmp_path: Path) -> None:
    entry = package(tmp_path, "zlib1g_1%3a1.2.13.dfsg-1_amd64.deb")
    (tmp_path / "zlib1g_1%3a1.2.13.dfsg-1_amd64.deb").write_bytes(b"something else")
    with pytest.raises(Refusal, match=r"^zlib1g 1:1\.2\.13\.dfsg-1 has another hash than the lock says$"):
        present(entry, [tmp_path], "amd64")


def test_every_refusal_is_one_sentence_that_names_both_ways_out() -> None:
    sentence = Refusal("the program apt-get is missing").sentence
    assert sentence.startswith("The PDF layer cannot be built here: the program apt-get is missing; ")
    assert sentence.count(". ") == 0
    assert sentence.endswith(".")
    assert "\n" not in sentence
    assert "container route" in sentence
    assert "WeasyPrintLayerArn" in sentence
