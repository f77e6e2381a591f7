import pytest

from layers.weasyprint.native import gates
from layers.weasyprint.native.elf import GLIBC, MACHINES, SharedObject, closure, shared_object
from layers.weasyprint.native.lock import choice
from layers.weasyprint.native.refusal import Refusal
from local.setup.paths import ROOT

X86 = MACHINES["x86_64"]

READELF = """
ELF Header:
  Class:                             ELF64
  Machine:                           Advanced Micro Devices X86-64
  Version:                           0x1

Dynamic section at offset 0x6cdc8 contains 33 entries:
  Tag        Type                         Name/Value
 0x0000000000000001 (NEEDED)             Shared library: [libglib-2.0.so.0]
 0x0000000000000001 (NEEDED)             Shared library: [libc.so.6]
 0x000000000000000e (SONAME)             Library soname: [libpango-1.0.so.0]

Version definition section '.gnu.version_d' contains 2 entries:
  0x0000: Rev: 1  Flags: BASE  Index: 1  Cnt: 1  Name: libpango
  0x001c: Rev: 1  Flags: none  Index: 2  Cnt: 1  Name: GLIBC_2.99

Version needs section '.gnu.version_r' contains 2 entries:
 Addr: 0x0000000000015c68  Offset: 0x00015c68  Link: 4 (.dynstr)
  000000: Version: 1  File: libc.so.6  Cnt: 3
  0x0010:   Name: GLIBC_2.4  Flags: none  Version: 5
  0x0020:   Name: GLIBC_2.14  Flags: none  Version: 4
  0x0030:   Name: GLIBC_2.2.5  Flags: none  Version: 2
"""


def library(*needed: str, glibc: tuple[int, ...] | None = (2, 17), machine: str = X86) -> SharedObject:
    return SharedObject(machine, needed, glibc)


def test_readelf_is_read() -> None:
    assert shared_object(READELF) == SharedObject(X86, ("libglib-2.0.so.0", "libc.so.6"), (2, 14))


def test_a_file_without_needs_asks_for_no_version() -> None:
    assert shared_object("  Machine:   AArch64\n") == SharedObject("AArch64", (), None)


NEEDS = {
    "libpango-1.0.so.0": ("libglib-2.0.so.0", "libharfbuzz.so.0", "libc.so.6"),
    "libharfbuzz.so.0": ("libglib-2.0.so.0", "libfreetype.so.6"),
    "libglib-2.0.so.0": ("libc.so.6", "libpango-1.0.so.0"),  # a circle must end
    "libfreetype.so.6": (),
}


def test_the_closure_is_what_the_opened_libraries_need_without_glibc() -> None:
    assert closure(["libpango-1.0.so.0"], NEEDS.get) == set(NEEDS)
    assert closure(["libfreetype.so.6"], NEEDS.get) == {"libfreetype.so.6"}
    assert closure(GLIBC, NEEDS.get) == set()


def test_a_library_that_no_package_brings_stops_the_build() -> None:
    lacking = {name: needed for name, needed in NEEDS.items() if name != "libfreetype.so.6"}
    with pytest.raises(
        Refusal, match=r"^no locked package brings libfreetype\.so\.6, which libharfbuzz\.so\.0 needs$"
    ):
        closure(["libpango-1.0.so.0"], lacking.get)
    with pytest.raises(Refusal, match="which WeasyPrint needs"):
        closure(["libharfbuzz-subset.so.0"], lacking.get)


@pytest.mark.parametrize("version", [(2, 34), (2, 4), (2, 2, 5), None])
def test_what_amazon_linux_has_passes(version: tuple[int, ...] | None) -> None:
    gates.refuse_too_new_glibc({"lib/liba.so": library(glibc=version)})


@pytest.mark.parametrize(("version", "said"), [((2, 35), "2.35"), ((2, 34, 1), "2.34.1"), ((3, 0), "3.0")])
def test_a_too_new_glibc_stops_the_build(version: tuple[int, ...], said: str) -> None:
    objects = {"liba.so": library(), "libexpat.so.1": library(glibc=version)}
    with pytest.raises(Refusal) as caught:
        gates.refuse_too_new_glibc(objects)
    assert str(caught.value) == f"libexpat.so.1 needs GLIBC_{said}, and Lambda has GLIBC_2.34"


def test_another_processor_stops_the_build() -> None:
    gates.refuse_other_machine({"liba.so": library()}, "x86_64")
    with pytest.raises(Refusal, match=r"^liba\.so is for Advanced Micro Devices X86-64, not for arm64$"):
        gates.refuse_other_machine({"liba.so": library()}, "arm64")


def test_a_missing_subsetter_stops_the_build() -> None:
    gates.refuse_without_subset(["libharfbuzz.so.0", "libharfbuzz-subset.so.0"])
    with pytest.raises(Refusal, match=r"^libharfbuzz-subset\.so\.0 is missing, .* nine times slower$"):
        gates.refuse_without_subset(["libharfbuzz.so.0"])


def test_the_subsetter_is_among_what_is_opened() -> None:
    assert gates.SUBSET in choice((ROOT / "layers/weasyprint/packages.toml").read_text()).opened


def test_a_need_that_nothing_meets_stops_the_build() -> None:
    objects = {"python/_cffi_backend.so": library("libffi.so.8", "libc.so.6")}
    gates.refuse_unmet_needs(objects, ["libffi.so.8"])
    with pytest.raises(
        Refusal, match=r"^python/_cffi_backend\.so needs libffi\.so\.8, which the layer does not bring$"
    ):
        gates.refuse_unmet_needs(objects, [])


def test_a_layer_above_our_limit_stops_the_build() -> None:
    gates.refuse_too_large(gates.MAXIMUM_BYTES)
    with pytest.raises(Refusal, match=r"^the layer has 90\.0 MB, more than the 90 MB we allow$"):
        gates.refuse_too_large(gates.MAXIMUM_BYTES + 1)
