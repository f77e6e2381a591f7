import pytest

from local.deploy_to_aws import NATIVE_LIBRARIES, refuse_without_native_libraries
from local.problem import Problem


def test_deploying_is_refused_in_one_sentence_until_the_pdf_layer_has_its_libraries() -> None:
    if NATIVE_LIBRARIES.exists():
        refuse_without_native_libraries()
        return
    with pytest.raises(Problem) as caught:
        refuse_without_native_libraries()
    assert "\n" not in str(caught.value)
    assert "layers/weasyprint/native is missing" in str(caught.value)
