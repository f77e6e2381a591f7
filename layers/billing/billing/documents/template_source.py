"""Where a firm keeps its own template: under a prefix of the documents bucket, or in a folder of a layer."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from billing.aws.bucket import bucket_failure, bucket_unreachable
from billing.documents.template_override import TemplateRefused

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from types_boto3_s3 import S3Client


#: A template with its pictures inside is a tenth of it.
MAX_BYTES = 2_000_000
MAX_FILES = 40
#: Layers are unpacked here.
_LAYERS = "/opt/"


def template_reader(client: S3Client, bucket: str, prefix: str) -> Callable[[], Mapping[str, bytes]]:
    """Reads what the parameter `TemplatePrefix` names: `/opt/…` is a layer's folder, anything else is in the bucket.

    It returns the files by their names within the folder, as they are now; none if there are none. Raises
    `TemplateRefused` if they are too many or too large, `UpstreamUnavailable`, `UpstreamFailed`.
    """
    if prefix.startswith(_LAYERS):
        return lambda: files_in(Path(prefix))
    return S3TemplateFolder(client, bucket, prefix).read


def files_in(folder: Path) -> dict[str, bytes]:
    """The files below a folder, by their names within it."""
    paths = [path for path in sorted(folder.rglob("*")) if path.is_file()]
    _refuse_too_much(len(paths), sum(path.stat().st_size for path in paths))
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in paths}


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


def _refuse_too_much(files: int, size: int) -> None:
    if files > MAX_FILES or size > MAX_BYTES:
        message = f"it has {files} files of {size} bytes in all; at most {MAX_FILES} files and {MAX_BYTES} bytes are read"
        raise TemplateRefused(message)
