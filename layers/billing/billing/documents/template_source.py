"""Where a firm keeps its own template: under a prefix of the documents bucket, or in a folder of a layer."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from billing.aws.bucket import bucket_failure, bucket_unreachable
from billing.errors import Unprocessable

if TYPE_CHECKING:
    from collections.abc import Mapping

    from types_boto3_s3 import S3Client


#: A template with its pictures inside is a tenth of it.
MAX_BYTES = 2_000_000
MAX_FILES = 40
#: Layers are unpacked here.
_LAYERS = "/opt/"


class TemplateSource(Protocol):
    """A folder of template files."""

    def read(self) -> Mapping[str, bytes]:
        """The files by their names within the folder, as they are now; empty if there are none.

        Raises `Unprocessable` `bad_template` if they are too many or too large, `UpstreamUnavailable`, `UpstreamFailed`.
        """
        ...


class S3TemplateFolder:
    """Objects under a prefix. Asked for before every invoice, so what does not change is not fetched again."""

    def __init__(self, client: S3Client, bucket: str, prefix: str) -> None:
        """`prefix` names the folder, with or without a slash at its end."""
        self._client = client
        self._bucket = bucket
        self._prefix = prefix.rstrip("/") + "/"
        self._seen: dict[str, str] = {}
        self._files: dict[str, bytes] = {}

    def read(self) -> Mapping[str, bytes]:
        """The objects as they are now; one that is replaced meanwhile makes the whole reading fail, to be tried again."""
        from botocore.exceptions import BotoCoreError, ClientError  # noqa: PLC0415  # large, and only needed here

        try:
            seen = self._list()
            if seen != self._seen:
                files = {name: self._fetch(name, tag) for name, tag in seen.items()}
                self._seen, self._files = seen, files
        except ClientError as error:
            if error.response.get("Error", {}).get("Code") in {"PreconditionFailed", "NoSuchKey"}:
                raise bucket_unreachable() from error
            raise bucket_failure(error) from error
        except BotoCoreError as error:
            raise bucket_unreachable() from error
        return self._files

    def _list(self) -> dict[str, str]:
        """Names and entity tags; a folder that the S3 console has made is an object without a name."""
        answer = self._client.list_objects_v2(Bucket=self._bucket, Prefix=self._prefix, MaxKeys=MAX_FILES + 1)
        found = [item for item in answer.get("Contents", []) if not item["Key"].endswith("/")]
        _refuse_too_much(len(found), sum(item["Size"] for item in found))
        return {item["Key"].removeprefix(self._prefix): item["ETag"] for item in found}

    def _fetch(self, name: str, tag: str) -> bytes:
        answer = self._client.get_object(Bucket=self._bucket, Key=self._prefix + name, IfMatch=tag)
        return answer["Body"].read()


class LayerTemplateFolder:
    """A folder that came with the function; it never changes while the function runs."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._files: dict[str, bytes] | None = None

    def read(self) -> Mapping[str, bytes]:
        """Read the files, once."""
        if self._files is None:
            paths = [path for path in sorted(self._folder.rglob("*")) if path.is_file()]
            _refuse_too_much(len(paths), sum(path.stat().st_size for path in paths))
            self._files = {path.relative_to(self._folder).as_posix(): path.read_bytes() for path in paths}
        return self._files


def template_source(client: S3Client, bucket: str, prefix: str) -> TemplateSource:
    """What the parameter `TemplatePrefix` names: `/opt/…` is a layer's folder, anything else is in the bucket."""
    if prefix.startswith(_LAYERS):
        return LayerTemplateFolder(Path(prefix))
    return S3TemplateFolder(client, bucket, prefix)


def _refuse_too_much(files: int, size: int) -> None:
    if files > MAX_FILES or size > MAX_BYTES:
        message = (
            f"The firm's own template cannot be used: it has {files} files of {size} bytes in all; "
            f"at most {MAX_FILES} files and {MAX_BYTES} bytes are read."
        )
        raise Unprocessable(message, code="bad_template")
