from pathlib import Path

import pytest

from local.deploy_to_aws import deploy_arguments, refuse_without_native_libraries
from local.problem import Problem


def test_deploying_is_refused_in_one_sentence_until_the_pdf_layer_has_its_libraries(tmp_path: Path) -> None:
    with pytest.raises(Problem) as caught:
        refuse_without_native_libraries(tmp_path / "native")
    assert "\n" not in str(caught.value)
    assert "native is missing" in str(caught.value)
    (tmp_path / "native").mkdir()
    refuse_without_native_libraries(tmp_path / "native")


def test_sam_asks_for_the_parameters_until_they_are_saved() -> None:
    assert deploy_arguments("[default.deploy.parameters]\n") == ["deploy", "--guided"]
    assert deploy_arguments('parameter_overrides = "DirectusUrl=..."\n') == ["deploy"]
