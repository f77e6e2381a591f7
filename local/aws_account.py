"""What a person would set up manually in the AWS account after the first deploy: secrets, a user, an identity."""

import json
from collections.abc import Mapping
from typing import Any, Final

from botocore.exceptions import ClientError

from local.adapter.deploy import Emulator

STORAGE_USER: Final = "directus-storage"
STORAGE_POLICY: Final = "documents-bucket"


def fill_secrets(emulator: Emulator, values: Mapping[str, str]) -> None:
    """Store each value under its secret's ARN, unless it is the current one already.

    Storing the same value again would push it into AWSPREVIOUS and so end the life of a rotated one.
    """
    client = emulator.client("secretsmanager")
    for arn, value in values.items():
        if _value_of(client, arn) != value:
            client.put_secret_value(SecretId=arn, SecretString=value)


def _value_of(client: Any, arn: str) -> str | None:
    """What the secret holds. The template creates most of them empty: on AWS without a version, here with an empty one."""
    try:
        return str(client.get_secret_value(SecretId=arn)["SecretString"])
    except ClientError as error:
        if error.response["Error"]["Code"] != "ResourceNotFoundException":
            raise
        return None


def storage_policy(bucket: str) -> dict[str, Any]:
    """Return what Directus's S3 driver needs: objects of one bucket, and listing it, without which a delete fails."""
    return {
        "Version": "2012-10-17",
        "Statement": [
            {
                "Effect": "Allow",
                "Action": [
                    "s3:GetObject",
                    "s3:PutObject",
                    "s3:DeleteObject",
                    "s3:AbortMultipartUpload",
                    "s3:ListMultipartUploadParts",
                ],
                "Resource": f"arn:aws:s3:::{bucket}/*",
            },
            {"Effect": "Allow", "Action": "s3:ListBucket", "Resource": f"arn:aws:s3:::{bucket}"},
        ],
    }


def storage_access_key(emulator: Emulator, bucket: str, known: tuple[str, str]) -> tuple[str, str]:
    """Return an access key (id, secret) of Directus's own IAM user; `known` if the user still has it.

    Makes the user where there is none and puts its policy.
    """
    iam = emulator.client("iam")
    try:
        iam.get_user(UserName=STORAGE_USER)
    except ClientError as error:
        if error.response["Error"]["Code"] != "NoSuchEntity":
            raise
        iam.create_user(UserName=STORAGE_USER)
    iam.put_user_policy(
        UserName=STORAGE_USER, PolicyName=STORAGE_POLICY, PolicyDocument=json.dumps(storage_policy(bucket))
    )
    existing = {
        key["AccessKeyId"] for key in iam.list_access_keys(UserName=STORAGE_USER)["AccessKeyMetadata"]
    }
    if known[0] in existing:
        return known
    for forgotten in existing:
        iam.delete_access_key(UserName=STORAGE_USER, AccessKeyId=forgotten)
    created = iam.create_access_key(UserName=STORAGE_USER)["AccessKey"]
    return created["AccessKeyId"], created["SecretAccessKey"]


def verify_sender(emulator: Emulator, address: str) -> None:
    """Make the address an SES identity; on AWS its owner confirms it by mail."""
    client = emulator.client("sesv2")
    try:
        client.create_email_identity(EmailIdentity=address)
    except ClientError as error:
        if error.response["Error"]["Code"] != "AlreadyExistsException":
            raise
