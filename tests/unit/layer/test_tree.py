import io
import os
import tarfile
from pathlib import Path

import pytest

from layers.weasyprint.native.deb import data_member, unpack
from layers.weasyprint.native.python_part import is_hyphenated, pip_options, trim
from layers.weasyprint.native.refusal import Refusal
from layers.weasyprint.native.tree import MODIFIED, compile_python, settle, size_of, tree_hash


def fill(folder: Path, *, reverse: bool = False) -> Path:
    files = {"python/a.py": "A = {1, 2, 3}\n", "python/pack/b.py": "def f() -> str:\n    return 'f'\n"}
    for name in sorted(files, reverse=reverse):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(files[name])
    return folder


def test_two_builds_are_the_same_bytes_whenever_and_in_whatever_order(tmp_path: Path) -> None:
    first, second = fill(tmp_path / "one"), fill(tmp_path / "two", reverse=True)
    os.utime(second / "python/a.py", (1, 1))
    (second / "python/pack/b.py").chmod(0o600)
    hashes = []
    for folder in (first, second):
        compile_python(folder / "python", "/opt/python")
        settle(folder)
        hashes.append(tree_hash(folder))
    assert hashes[0] == hashes[1]
    assert len(list(first.rglob("*.pyc"))) == 2
    assert {path.stat().st_mtime for path in first.rglob("*")} == {MODIFIED}


def test_byte_code_trusts_its_source_and_names_where_lambda_has_it(tmp_path: Path) -> None:
    compile_python(fill(tmp_path) / "python", "/opt/python")
    (compiled,) = tmp_path.rglob("a.*.pyc")
    content = compiled.read_bytes()
    assert int.from_bytes(content[4:8], "little") == 0b01  # hash-based, unchecked
    assert b"/opt/python/a.py" in content
    assert str(tmp_path).encode() not in content


@pytest.mark.parametrize("change", ["content", "mode", "time", "name", "more"])
def test_every_difference_changes_the_hash(tmp_path: Path, change: str) -> None:
    settle(fill(tmp_path))
    before = tree_hash(tmp_path)
    file = tmp_path / "python/a.py"
    if change == "content":
        file.write_text("A = {1, 2, 4}\n")
        os.utime(file, (MODIFIED, MODIFIED))
    elif change == "mode":
        file.chmod(0o755)
    elif change == "time":
        os.utime(file, (MODIFIED + 1, MODIFIED + 1))
    elif change == "name":
        file.rename(file.with_name("c.py"))
    else:
        (tmp_path / "python/empty").mkdir()
    assert tree_hash(tmp_path) != before


def test_sizes_are_added(tmp_path: Path) -> None:
    fill(tmp_path)
    assert size_of(tmp_path) == sum(path.stat().st_size for path in tmp_path.rglob("*.py"))


def archive(*members: tuple[str, bytes]) -> bytes:
    text = b"!<arch>\n"
    for name, content in members:
        text += f"{name:<16}{'0':<12}{'0':<6}{'0':<6}{'100644':<8}{len(content):<10}`\n".encode()
        text += content + b"\n" * (len(content) % 2)
    return text


def test_a_package_is_unpacked_without_dpkg(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w:xz") as tar:
        entry = tarfile.TarInfo("./usr/share/fonts/x.ttf")
        entry.size = 4
        tar.addfile(entry, io.BytesIO(b"font"))
    package = tmp_path / "x.deb"
    package.write_bytes(
        archive(("debian-binary", b"2.0"), ("control.tar.xz", b"c"), ("data.tar.xz", packed.getvalue()))
    )
    monkeypatch.setenv("PATH", str(tmp_path))
    unpack(package, tmp_path / "root")
    assert (tmp_path / "root/usr/share/fonts/x.ttf").read_bytes() == b"font"


def test_what_is_no_package_is_refused() -> None:
    for content in (b"PK\x03\x04", archive(("debian-binary", b"2.0"))):
        with pytest.raises(Refusal, match=r"not a \.deb file"):
            data_member(content)


def test_wheels_are_chosen_for_lambda_and_by_hash_alone() -> None:
    options = pip_options("arm64")
    assert {"--require-hashes", "--only-binary", ":all:", "--no-deps"} <= set(options)
    platforms = [options[at + 1] for at, option in enumerate(options) if option == "--platform"]
    assert platforms[0] == "manylinux_2_28_aarch64"
    assert all(name.endswith("_aarch64") for name in platforms)


@pytest.mark.parametrize(
    ("name", "kept"),
    [("hyph_de_DE.dic", True), ("hyph_en_US.dic", True), ("hyph_fr.dic", True), ("hyph_hu_HU.dic", False)],
)
def test_hyphenation_is_kept_for_our_languages(name: str, kept: bool) -> None:  # noqa: FBT001 - the table's answer
    assert is_hyphenated(name) is kept


def test_trimming_keeps_the_libraries_that_what_remains_is_linked_to(tmp_path: Path) -> None:
    linked = {
        "PIL/_imaging.so": ("libtiff-1.so",),
        "PIL/_webp.so": ("libwebp-1.so",),
        "pillow.libs/libtiff-1.so": ("libjpeg-1.so", "libc.so.6"),
        "pillow.libs/libjpeg-1.so": (),
        "pillow.libs/libwebp-1.so": (),
        "fontTools/misc/bezierTools.so": (),
        "zopfli/zopfli.so": (),
    }
    for name in (*linked, "fontTools/misc/bezierTools.py", "x-1.dist-info/RECORD", "x-1.dist-info/METADATA"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text("")
    trim(tmp_path, lambda path: linked[path.relative_to(tmp_path).as_posix()])
    assert {path.relative_to(tmp_path).as_posix() for path in tmp_path.rglob("*") if path.is_file()} == {
        "PIL/_imaging.so",
        "pillow.libs/libtiff-1.so",
        "pillow.libs/libjpeg-1.so",
        "fontTools/misc/bezierTools.py",
        "x-1.dist-info/METADATA",
    }
