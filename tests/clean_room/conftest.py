"""The built functions and layers, merged once for all tests of the clean room."""

from collections.abc import Callable
from pathlib import Path

import pytest

from local.adapter.build import built
from local.setup.paths import ROOT
from tests.clean_room.room import Room, merged

LAYERS = ("BillingLayer", "DependenciesLayer", "WeasyPrintLayer")
ARN = "arn:aws:secretsmanager:eu-west-1:123456789012:secret:x"
VARIABLES = {
    "AWS_ACCESS_KEY_ID": "test",
    "AWS_LAMBDA_INITIALIZATION_TYPE": "on-demand",
    "AWS_SECRET_ACCESS_KEY": "test",
    "DEPLOYMENT": "clean-room",
    "DIRECTUS_STORAGE": "s3",
    "DIRECTUS_TOKEN_SECRET": ARN,
    "DIRECTUS_URL": "https://directus.example.com",
    "DOCUMENTS_BUCKET": "documents",
    "INVOICE_QUEUE_URL": "https://sqs.example.com/invoices",
    "POWERTOOLS_METRICS_NAMESPACE": "LegalBilling/main",
    "POWERTOOLS_SERVICE_NAME": "render_pdf_worker",
    "RENDER_DLQ_URL": "https://sqs.example.com/dead",
    "RENDER_QUEUE_URL": "https://sqs.example.com/render",
}
"""What the template gives the render worker; nothing of it is reached."""


@pytest.fixture(scope="session")
def build() -> Path:
    """Return the directory that `sam build` made."""
    refusals: list[str] = []
    directory = built(ROOT, refusals.append)
    assert not refusals, refusals[0]
    return directory


@pytest.fixture(scope="session")
def room(build: Path, tmp_path_factory: pytest.TempPathFactory) -> Callable[..., Room]:
    """Return how to open a room; named folders in it stay empty."""
    opt = merged([build / name for name in LAYERS], tmp_path_factory.mktemp("clean-room") / "opt")

    def opened(*hidden: str, **variables: str) -> Room:
        return Room(opt, build / "RenderPdfWorkerFunction", hidden, {**VARIABLES, **variables})

    return opened
