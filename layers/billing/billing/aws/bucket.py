"""The documents bucket: finished documents under flat keys, each with the SHA-256 of its bytes in its metadata."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from billing.errors import UpstreamFailed, UpstreamUnavailable

if TYPE_CHECKING:
    from types_boto3_s3 import S3Client


_SHA256 = "sha256"


@dataclass(frozen=True)
class StoredObject:
    """An object as it is in the bucket. `sha256` is empty on an object that somebody else put there."""

    key: str
    size: int
    sha256: str


class DocumentStore(Protocol):
    """Where finished documents live."""

    def find(self, key: str) -> StoredObject | None:
        """The object under that key, None if there is none."""
        ...

    def put(self, key: str, content: bytes, sha256: str) -> StoredObject:
        """Store the bytes, whatever was there before. Raises `UpstreamUnavailable` or `UpstreamFailed`."""
        ...


class S3DocumentStore:
    """`DocumentStore` on S3, the bucket that is Directus's storage location as well."""

    def __init__(self, client: S3Client, bucket: str, *, content_type: str = "application/pdf") -> None:
        """`client` is a boto3 S3 client; `content_type` is that of everything this store puts."""
        self._client = client
        self._bucket = bucket
        self._content_type = content_type

    def find(self, key: str) -> StoredObject | None:
        """The object under that key; the role needs `s3:ListBucket`, else S3 says 403 for a missing one."""
        from botocore.exceptions import BotoCoreError, ClientError  # noqa: PLC0415  # large, and only needed here

        try:
            head = self._client.head_object(Bucket=self._bucket, Key=key)
        except ClientError as error:
            if _status(error) == 404:  # noqa: PLR2004  # HTTP's own number
                return None
            raise bucket_failure(error) from error
        except BotoCoreError as error:
            raise bucket_unreachable() from error
        return StoredObject(key, head["ContentLength"], head.get("Metadata", {}).get(_SHA256, ""))

    def put(self, key: str, content: bytes, sha256: str) -> StoredObject:
        """Store the bytes; S3 writes an object whole or not at all."""
        from botocore.exceptions import BotoCoreError, ClientError  # noqa: PLC0415  # large, and only needed here

        try:
            self._client.put_object(
                Bucket=self._bucket,
                Key=key,
                Body=content,
                ContentType=self._content_type,
                Metadata={_SHA256: sha256},
            )
        except ClientError as error:
            raise bucket_failure(error) from error
        except BotoCoreError as error:
            raise bucket_unreachable() from error
        return StoredObject(key, len(content), sha256)


def _status(error: Exception) -> int:
    response = getattr(error, "response", {})
    return int(response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0))


def bucket_failure(error: Exception) -> UpstreamFailed | UpstreamUnavailable:
    """What S3's refusal means: throttling and server faults may pass; a missing bucket or permission will not."""
    status = _status(error)
    if status == 429 or status >= 500 or status == 0:  # noqa: PLR2004  # HTTP's own numbers
        return bucket_unreachable()
    message = (
        f"The documents bucket refused a request ({status}); check the function's role and the bucket's name."
    )
    return UpstreamFailed(message, code="documents_bucket_refused")


def bucket_unreachable() -> UpstreamUnavailable:
    """S3 gave no answer."""
    message = "The documents bucket cannot be reached."
    return UpstreamUnavailable(message, code="documents_bucket_unavailable")
