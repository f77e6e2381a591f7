"""Which parameters a stack is deployed with, and where its Directus keeps files then."""

import json
from pathlib import Path

import pytest

from local.credentials import Credentials
from local.directus_server import DirectusServer, Storage
from local.problem import Problem
from local.stack import PORTS, Stack


def with_ports(directory: Path) -> Path:
    (directory / "ports.json").write_text(json.dumps(dict.fromkeys(PORTS, 20000)))
    return directory


def test_parameters_that_are_asked_for_are_the_only_ones_that_differ(tmp_path: Path) -> None:
    directory = with_ports(tmp_path)
    ordinary = Stack(directory).parameters()
    assert (ordinary["DocumentDelivery"], ordinary["TemplatePrefix"]) == ("register", "")
    changed = Stack(directory, parameters={"TemplatePrefix": "letterhead"}).parameters()
    assert changed == {**ordinary, "TemplatePrefix": "letterhead"}


def test_a_parameter_that_the_template_does_not_have_is_refused(tmp_path: Path) -> None:
    with pytest.raises(Problem, match="no parameter Template"):
        Stack(with_ports(tmp_path), parameters={"Template": "letterhead"}).parameters()


def file_variables(directory: Path, storage: Storage | None) -> dict[str, str]:
    credentials = Credentials.load_or_new(directory / "credentials.json")
    server = DirectusServer(directory / "directus", 20_000, 20_001, credentials)
    program = server.program(storage=storage, functions_url="http://127.0.0.1:1", ready=lambda _: True)
    return {
        name: value for name, value in program.environment.items() if name.startswith(("STORAGE_", "FILES_"))
    }


def test_directus_shares_the_bucket_or_knows_nothing_of_one(tmp_path: Path) -> None:
    shared = file_variables(tmp_path, Storage("documents", "eu-central-1", "http://127.0.0.1:2"))
    assert shared["STORAGE_LOCATIONS"] == "s3"
    assert shared["STORAGE_S3_BUCKET"] == "documents"
    own = file_variables(tmp_path, None)
    uploads = tmp_path / "directus" / "uploads"
    assert own == {
        "STORAGE_LOCATIONS": "cloud",
        "STORAGE_CLOUD_DRIVER": "local",
        "STORAGE_CLOUD_ROOT": str(uploads),
        "FILES_MIME_TYPE_ALLOW_LIST": "application/pdf,image/png,image/jpeg,image/svg+xml,text/html",
    }
    assert uploads.is_dir()
