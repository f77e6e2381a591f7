"""What one part of a run of reconciliation tells the next: an object in the documents bucket that nobody else reads.

It holds ids only (Stripe's and ours), and the bucket's lifecycle removes it after two days.
"""

from __future__ import annotations

import gzip
import json
import re
import uuid
from typing import TYPE_CHECKING

from billing.errors import UpstreamUnavailable

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

    from types_boto3_s3 import S3Client


#: Of the objects' keys; template.yaml names it, too. Documents have flat keys.
PREFIX = "reconcile/"
_NAME = re.compile(r"[0-9a-f]{32}")


class S3RunNotes:
    """`RunNotes` (`reconcile_ports`) on S3."""

    def __init__(self, client: S3Client, bucket: str) -> None:
        """`client` is a boto3 S3 client."""
        self._client = client
        self._bucket = bucket

    def keep(self, notes: Mapping[str, Collection[str]]) -> str:
        """Store what was noted; gives the name that the next part asks for it by."""
        from botocore.exceptions import BotoCoreError, ClientError  # noqa: PLC0415  # large, and only needed here

        name = uuid.uuid4().hex
        content = json.dumps({kind: sorted(ids) for kind, ids in notes.items()}).encode()
        try:
            self._client.put_object(
                Bucket=self._bucket,
                Key=_key(name),
                Body=gzip.compress(content, compresslevel=1),
                ContentType="application/gzip",
            )
        except (BotoCoreError, ClientError) as error:
            message = f"The bucket did not accept the notes of the run ({type(error).__name__})."
            raise UpstreamUnavailable(message, code="documents_bucket_unavailable") from error
        return name

    def recall(self, name: str) -> Mapping[str, Collection[str]]:
        """What was stored under that name."""
        from botocore.exceptions import BotoCoreError, ClientError  # noqa: PLC0415  # large, and only needed here

        if _NAME.fullmatch(name) is None:
            message = "There are no notes of a run with this name."
            raise UpstreamUnavailable(message, code="notes_unknown")
        try:
            stored = self._client.get_object(Bucket=self._bucket, Key=_key(name))["Body"].read()
        except (BotoCoreError, ClientError) as error:
            message = f"The notes of the run could not be read ({type(error).__name__})."
            raise UpstreamUnavailable(message, code="documents_bucket_unavailable") from error
        notes: dict[str, list[str]] = json.loads(gzip.decompress(stored))
        return notes


def _key(name: str) -> str:
    return f"{PREFIX}{name}.json.gz"
