"""What the parts of a run tell each other, in the documents bucket."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from botocore.exceptions import EndpointConnectionError

from billing.errors import UpstreamUnavailable
from billing.reconcile.run_notes import PREFIX, S3RunNotes
from tests.fakes.aws import failing, refusal

if TYPE_CHECKING:
    from tests.fakes.aws_account import Account


@pytest.fixture
def bucket(aws: Account) -> Any:
    return aws.bucket("documents")


def notes_in(bucket: Any) -> S3RunNotes:
    return S3RunNotes(bucket, "documents")


def test_what_was_kept_comes_back_under_its_name(bucket: Any) -> None:
    name = notes_in(bucket).keep({"explained": {"pi_2", "pi_1"}, "seen": set()})
    assert notes_in(bucket).recall(name) == {"explained": ["pi_1", "pi_2"], "seen": []}
    (kept,) = bucket.list_objects_v2(Bucket="documents")["Contents"]
    assert kept["Key"].startswith(PREFIX)


def test_two_runs_at_once_do_not_read_each_others(bucket: Any) -> None:
    one, two = (notes_in(bucket).keep({"seen": {name}}) for name in ("one", "two"))
    assert notes_in(bucket).recall(one) == {"seen": ["one"]}
    assert notes_in(bucket).recall(two) == {"seen": ["two"]}


def test_a_hundred_thousand_payments_fit_into_a_few_megabytes(bucket: Any) -> None:
    names = {f"pi_{number:024x}" for number in range(100_000)} | {
        f"cs_{number:061x}" for number in range(100_000)
    }
    notes_in(bucket).keep({"explained": names})
    (kept,) = bucket.list_objects_v2(Bucket="documents")["Contents"]
    assert kept["Size"] < 16_000_000


@pytest.mark.parametrize(
    "error",
    [refusal("PutObject", "SlowDown"), EndpointConnectionError(endpoint_url="http://127.0.0.1")],
)
def test_a_bucket_that_is_away_is_an_upstream_that_is_away(error: Exception) -> None:
    with pytest.raises(UpstreamUnavailable):
        notes_in(failing(put_object=error)).keep({"seen": ()})
    with pytest.raises(UpstreamUnavailable):
        notes_in(failing(get_object=error)).recall("0" * 32)


@pytest.mark.parametrize("name", ["0" * 32, "../invoice.pdf", "", "0" * 31 + "G"])
def test_notes_that_nobody_kept_are_told_and_no_other_object_is_read(bucket: Any, name: str) -> None:
    bucket.put_object(Bucket="documents", Key=f"{PREFIX}../invoice.pdf.json.gz", Body=b"private")
    with pytest.raises(UpstreamUnavailable):
        notes_in(bucket).recall(name)
