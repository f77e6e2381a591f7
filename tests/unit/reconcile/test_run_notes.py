"""What the parts of a run tell each other, in the documents bucket."""

from __future__ import annotations

import io
from dataclasses import dataclass, field
from typing import Any, cast

import pytest
from botocore.exceptions import EndpointConnectionError

from billing.errors import UpstreamUnavailable
from billing.reconcile.run_notes import PREFIX, S3RunNotes
from tests.fakes.aws import refusal


@dataclass
class FakeS3:
    """A bucket in memory."""

    objects: dict[tuple[str, str], bytes] = field(default_factory=dict)
    error: Exception | None = None

    def put_object(self, **given: Any) -> None:
        if self.error is not None:
            raise self.error
        self.objects[given["Bucket"], given["Key"]] = given["Body"]

    def get_object(self, **given: Any) -> dict[str, Any]:
        if self.error is not None:
            raise self.error
        if (given["Bucket"], given["Key"]) not in self.objects:
            raise refusal("GetObject", "NoSuchKey")
        return {"Body": io.BytesIO(self.objects[given["Bucket"], given["Key"]])}


def notes_in(bucket: FakeS3) -> S3RunNotes:
    return S3RunNotes(cast("Any", bucket), "documents")


def test_what_was_kept_comes_back_under_its_name() -> None:
    bucket = FakeS3()
    name = notes_in(bucket).keep({"explained": {"pi_2", "pi_1"}, "seen": set()})
    assert notes_in(bucket).recall(name) == {"explained": ["pi_1", "pi_2"], "seen": []}
    ((where, key),) = bucket.objects
    assert (where, key.startswith(PREFIX)) == ("documents", True)


def test_two_runs_at_once_do_not_read_each_others() -> None:
    bucket = FakeS3()
    one, two = (notes_in(bucket).keep({"seen": {name}}) for name in ("one", "two"))
    assert notes_in(bucket).recall(one) == {"seen": ["one"]}
    assert notes_in(bucket).recall(two) == {"seen": ["two"]}


def test_a_hundred_thousand_payments_fit_into_a_few_megabytes() -> None:
    bucket = FakeS3()
    names = {f"pi_{number:024x}" for number in range(100_000)} | {
        f"cs_{number:061x}" for number in range(100_000)
    }
    notes_in(bucket).keep({"explained": names})
    ((_, content),) = bucket.objects.items()
    assert len(content) < 16_000_000


@pytest.mark.parametrize(
    "error",
    [refusal("PutObject", "SlowDown"), EndpointConnectionError(endpoint_url="http://127.0.0.1")],
)
def test_a_bucket_that_is_away_is_an_upstream_that_is_away(error: Exception) -> None:
    with pytest.raises(UpstreamUnavailable):
        notes_in(FakeS3(error=error)).keep({"seen": ()})
    with pytest.raises(UpstreamUnavailable):
        notes_in(FakeS3(error=error)).recall("0" * 32)


@pytest.mark.parametrize("name", ["0" * 32, "../invoice.pdf", "", "0" * 31 + "G"])
def test_notes_that_nobody_kept_are_told_and_no_other_object_is_read(name: str) -> None:
    bucket = FakeS3({("documents", f"{PREFIX}../invoice.pdf.json.gz"): b"private"})
    with pytest.raises(UpstreamUnavailable):
        notes_in(bucket).recall(name)
