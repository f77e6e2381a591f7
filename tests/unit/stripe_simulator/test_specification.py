import hashlib
import json
import subprocess
import sys
import zipfile
from pathlib import Path
from typing import Any

import pytest

from local.setup.paths import ROOT
from local.stripe_simulator import specification
from local.stripe_simulator.openapi import apply_patch


def reference(name: str) -> dict[str, str]:
    return {"$ref": f"#/components/schemas/{name}"}


def small_document() -> dict[str, Any]:
    """A document in Stripe's shape with all operations the project keeps, each answering a charge."""
    answer = {"200": {"content": {"application/json": {"schema": reference("charge")}}}}
    operation = {"operationId": "Name", "description": "prose", "responses": answer, "parameters": []}
    paths: dict[str, Any] = {
        path: {method: dict(operation) for method in methods}
        for path, methods in specification.OPERATIONS.items()
    }
    paths["/v1/customers"] = {"post": {"operationId": "PostCustomers", "responses": {}}}
    schemas: dict[str, Any] = {
        name: {"x-resourceId": name, "type": "object", "properties": {}} for name in specification.RESOURCES
    }
    schemas["charge"]["properties"] = {
        "description": {"type": "string", "description": "prose"},
        "customer": {"anyOf": [{"type": "string"}, reference("customer")], "x-expansionResources": {}},
        "outcome": reference("charge_outcome"),
    }
    schemas["charge_outcome"] = {
        "type": "object",
        "properties": {"deep": reference("customer")},
        "title": "prose",
    }
    schemas["customer"] = {"x-resourceId": "customer", "properties": {"secret": {"type": "string"}}}
    schemas["unused"] = {"type": "object"}
    return {
        "openapi": "3.0.0",
        "info": {"title": "Stripe API", "version": "2026-08-26.dahlia"},
        "paths": paths,
        "components": {"schemas": schemas},
    }


def test_pruning_keeps_what_our_operations_refer_to_and_the_names_of_all_others() -> None:
    pruned = specification.prune(small_document())
    schemas = pruned["components"]["schemas"]
    assert set(schemas) == specification.RESOURCES | {"charge_outcome", "customer"}
    assert schemas["customer"] == {"type": "object"}  # a resource we never render
    assert set(pruned["paths"]) == set(specification.OPERATIONS)
    assert pruned["x-all-operations"]["/v1/customers"] == {"post": "PostCustomers"}


def test_pruning_drops_prose_but_not_a_property_called_description() -> None:
    charge = specification.prune(small_document())["components"]["schemas"]["charge"]
    assert charge["properties"]["description"] == {"type": "string"}
    assert "x-expansionResources" in charge["properties"]["customer"]


def test_the_document_lies_in_the_cache_the_set_up_uses_under_a_name_of_its_own(tmp_path: Path) -> None:
    asked = subprocess.run(
        [
            sys.executable,
            "-c",
            "from local.stripe_simulator import specification; print(specification.document_path())",
        ],
        cwd=ROOT,
        env={"DIRECTUS_LEGAL_BILLING_CACHE": str(tmp_path)},
        capture_output=True,
        text=True,
        check=True,
    )
    path = Path(asked.stdout.strip())
    assert path.parents[1] == tmp_path
    assert path.parent.name.startswith("stripe-")


def test_a_file_that_is_not_the_pinned_one_is_refused(tmp_path: Path) -> None:
    forged = tmp_path / "forged.whl"
    with zipfile.ZipFile(forged, "w") as archive:
        archive.writestr(specification.MEMBER, json.dumps(small_document()))
    with pytest.raises(specification.SpecificationError, match="not the pinned file"):
        specification.read_wheel(forged)


def test_the_pinned_content_is_accepted_and_other_content_is_not() -> None:
    digest = hashlib.sha256(b"right").hexdigest()
    specification.check(b"right", digest, "a file")
    with pytest.raises(specification.SpecificationError, match="a file"):
        specification.check(b"wrong", digest, "a file")


def test_a_patch_moves_and_adds() -> None:
    document: dict[str, Any] = {"paths": {"/v1/a~b": {"old": 1}}, "list": [1]}
    apply_patch(
        document,
        [
            {"op": "move", "from": "/paths/~1v1~1a~0b/old", "path": "/paths/~1v1~1a~0b/new"},
            {"op": "add", "path": "/list/-", "value": 2},
        ],
    )
    assert document == {"paths": {"/v1/a~b": {"new": 1}}, "list": [1, 2]}
    with pytest.raises(ValueError, match="test"):
        apply_patch(document, [{"op": "test", "path": "/list"}])
