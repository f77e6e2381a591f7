import platform
from pathlib import Path

from local.adapter.pdf_layer import LAMBDA_NAMES, PdfLayer, prepare
from local.setup.paths import CACHE


def checkout(folder: Path, recipe: str) -> Path:
    """Return a checkout whose PDF layer is made by a Makefile of ours, for this machine's processor."""
    architecture = LAMBDA_NAMES.get(platform.machine(), platform.machine())
    (folder / "layers/weasyprint" / architecture).mkdir(parents=True)
    (folder / "layers/weasyprint/Makefile").write_text(f"prepare:\n\t@{recipe}\n")
    return folder


def test_a_layer_that_can_be_built_is_used_whole(tmp_path: Path) -> None:
    layer = prepare(checkout(tmp_path, 'test "$$LAYER_NATIVE" = yes && test -n "$$LAYER_CACHE"'))
    assert layer.reason is None
    assert layer.variables == {"LAYER_CACHE": str(CACHE / "layer"), "LAYER_NATIVE": "yes"}


def test_one_that_cannot_be_built_is_python_alone_with_the_builders_sentence(tmp_path: Path) -> None:
    layer = prepare(checkout(tmp_path, 'echo "The PDF layer cannot be built here: no apt." >&2; exit 1'))
    assert layer.reason == "The PDF layer cannot be built here: no apt."
    assert layer.variables["LAYER_NATIVE"] == "no"


def test_the_two_are_never_taken_for_each_other() -> None:
    assert PdfLayer("x86_64").key != PdfLayer("x86_64", reason="no apt").key != PdfLayer("arm64").key


def test_a_checkout_without_a_lock_for_this_processor_goes_on(tmp_path: Path) -> None:
    layer = prepare(tmp_path)
    assert layer.reason == f"There is no PDF layer for {layer.architecture}."
