"""Documents that were drawn and are not yet wholly in Directus, kept beside the documents in the bucket.

Directus knows nothing of these objects and none of its rows names one, so removing them can lose no document.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

from billing.adapters.document_store import bucket_failure, bucket_unreachable
from billing.core.document_plan import UnfinishedDocument

if TYPE_CHECKING:
    from types_boto3_s3 import S3Client

#: Never the beginning of a document's key, which is a uuid: Directus deletes objects by the prefix of a file's name.
FOLDER = "unfinished/"


class UnfinishedDocuments(Protocol):
    """Where a drawn document waits until everything of it is where it belongs."""

    def keep(self, document: UnfinishedDocument) -> None:
        """Store it whole or not at all."""
        ...

    def of(self, subject: str) -> tuple[list[UnfinishedDocument], list[str]]:
        """What somebody began for this invoice (of a receipt: this payment) and did not finish, or not yet.

        And the keys of what cannot be read.
        """
        ...

    def forget(self, document: UnfinishedDocument) -> None:
        """Remove it; one that is gone already is no error."""
        ...


class S3UnfinishedDocuments:
    """`UnfinishedDocuments` on S3; one object for each, the plan and the bytes together."""

    def __init__(self, client: S3Client, bucket: str) -> None:
        """`client` is a boto3 S3 client."""
        self._client = client
        self._bucket = bucket

    def keep(self, document: UnfinishedDocument) -> None:
        """Store it; S3 writes an object whole or not at all."""
        from botocore.exceptions import BotoCoreError, ClientError  # noqa: PLC0415  # large, and only needed here

        try:
            self._client.put_object(Bucket=self._bucket, Key=_key(document), Body=document.to_bytes())
        except ClientError as error:
            raise bucket_failure(error) from error
        except BotoCoreError as error:
            raise bucket_unreachable() from error

    def of(self, subject: str) -> tuple[list[UnfinishedDocument], list[str]]:
        """There are hardly ever any, and never many: each crash leaves one, and the next run takes it along."""
        from botocore.exceptions import BotoCoreError, ClientError  # noqa: PLC0415  # large, and only needed here

        try:
            page = self._client.list_objects_v2(Bucket=self._bucket, Prefix=f"{FOLDER}{subject}/")
            keys = [entry["Key"] for entry in page.get("Contents", [])]
            written = {key: self._read(key) for key in keys}
        except ClientError as error:
            raise bucket_failure(error) from error
        except BotoCoreError as error:
            raise bucket_unreachable() from error
        found: list[UnfinishedDocument] = []
        unreadable: list[str] = []
        for key, content in written.items():
            if content is not None:
                try:
                    found.append(UnfinishedDocument.from_bytes(subject, content))
                except (KeyError, TypeError, ValueError):
                    unreadable.append(key)
        return found, unreadable

    def forget(self, document: UnfinishedDocument) -> None:
        """Remove it; S3 takes the removal of what is gone for done."""
        from botocore.exceptions import BotoCoreError, ClientError  # noqa: PLC0415  # large, and only needed here

        try:
            self._client.delete_object(Bucket=self._bucket, Key=_key(document))
        except ClientError as error:
            raise bucket_failure(error) from error
        except BotoCoreError as error:
            raise bucket_unreachable() from error

    def _read(self, key: str) -> bytes | None:
        """None if another worker has finished it since it was listed."""
        try:
            return self._client.get_object(Bucket=self._bucket, Key=key)["Body"].read()
        except self._client.exceptions.NoSuchKey:
            return None


def _key(document: UnfinishedDocument) -> str:
    return f"{FOLDER}{document.subject}/{document.planned.identity.file_id}"
