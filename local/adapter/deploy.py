"""Creates or updates the stack on the emulator and sets what its CloudFormation drops."""

import hashlib
import json
import os
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import boto3
from botocore.config import Config
from botocore.exceptions import ClientError

from local.adapter.emulator_gaps import (
    with_emulated_permissions,
    with_local_visibility,
    with_routes,
    without_tls_only,
)
from local.adapter.sandbox import (
    Function,
    Mode,
    available_mode,
    bootstrap,
    bootstrap_zip,
    merged_layers,
    placeholder_zip,
)
from local.problem import Problem
from local.setup.paths import ROOT, python_environment
from local.waiting import NeverHappened, wait_for

CODE_BUCKET: Final = "local-code"
"""Holds the bootstraps and the template; not part of the app."""

TRANSLATOR: Final = ROOT / "local/adapter/translate.py"
"""A program, because it needs SAM's libraries, which live in an environment of their own."""

DEPLOY_SECONDS: Final = 180
POLL_SECONDS: Final = 0.1


@dataclass(frozen=True)
class Emulator:
    """Where the emulated AWS answers and who its root is; `secret_access_key` is not checked for the root."""

    endpoint_url: str
    region: str
    access_key_id: str = "test"
    secret_access_key: str = "test"  # noqa: S105 - the emulator's root has no secret

    def client(self, service: str) -> Any:
        """Return a boto3 client of the root."""
        return boto3.client(
            service,  # type: ignore[call-overload]  # typed per literal name; this takes any of them
            endpoint_url=self.endpoint_url,
            region_name=self.region,
            aws_access_key_id=self.access_key_id,
            aws_secret_access_key=self.secret_access_key,
            config=Config(retries={"total_max_attempts": 3}, read_timeout=60),
        )


@dataclass(frozen=True)
class Deployed:
    """A deployed stack: physical ids by logical id, the outputs, and how its functions run."""

    resources: Mapping[str, str]
    outputs: Mapping[str, str]
    mode: Mode


def deploy(emulator: Emulator, *, built: Path, stack_name: str, parameters: Mapping[str, str]) -> Deployed:
    """Deploy the built template.

    Raises `Problem` with the reasons CloudFormation gives when a resource cannot be made.
    """
    answer = translated(built, parameters, region=emulator.region, stack_name=stack_name)
    template = without_tls_only(answer["template"])
    template = with_local_visibility(with_emulated_permissions(with_routes(template)))
    mode = available_mode()
    _upload_code(emulator, template, answer["functions"], mode)
    _create_or_update(emulator, template, stack_name, parameters)
    resources = _physical_ids(emulator, stack_name)
    set_dropped_properties(emulator, template, resources, parameters)
    stack = emulator.client("cloudformation").describe_stacks(StackName=stack_name)["Stacks"][0]
    outputs = {output["OutputKey"]: output["OutputValue"] for output in stack.get("Outputs", [])}
    return Deployed(resources=resources, outputs=outputs, mode=mode)


def translated(built: Path, parameters: Mapping[str, str], *, region: str, stack_name: str) -> dict[str, Any]:
    """Return what `translate.py` answers, kept beside the build because starting SAM's libraries takes seconds."""
    wanted = {"parameters": dict(parameters), "region": region, "stack_name": stack_name}
    request = json.dumps({**wanted, "code_bucket": CODE_BUCKET}, sort_keys=True)
    key = hashlib.sha256(TRANSLATOR.read_bytes() + request.encode()).hexdigest()[:16]
    kept = built.parent / f"translated-{key}.json"
    if not kept.exists():
        writing = kept.with_suffix(f".{os.getpid()}.building")
        writing.write_text(translate(built, request, region=region))
        writing.rename(kept)
    answer: dict[str, Any] = json.loads(kept.read_text())
    return answer


def translate(directory: Path, request: str, *, region: str) -> str:
    """Return the answer of `translate.py` (its docstring has both forms) for the template in that directory.

    Raises `Problem` with what the translator said.
    """
    outcome = subprocess.run(
        [python_environment("sam") / "bin/python", TRANSLATOR, directory],
        input=request,
        capture_output=True,
        text=True,
        check=False,
        env={"AWS_DEFAULT_REGION": region, "SAM_CLI_TELEMETRY": "0", "PATH": "/usr/bin:/bin"},
    )
    if outcome.returncode:
        raise Problem(f"The template could not be translated:\n{outcome.stderr.strip()[-1500:]}")
    return outcome.stdout


def _upload_code(emulator: Emulator, template: dict[str, Any], functions: dict[str, Any], mode: Mode) -> None:
    """Upload a bootstrap per function and a placeholder per layer; point the template to them.

    The keys carry the contents' digest, so that a changed build is a changed property.
    """
    s3 = emulator.client("s3")
    if CODE_BUCKET not in {bucket["Name"] for bucket in s3.list_buckets()["Buckets"]}:
        s3.create_bucket(Bucket=CODE_BUCKET)
    contents: dict[str, bytes] = {}
    for name, described in functions.items():
        function = Function(
            task=Path(described["task"]),
            layers=tuple(Path(layer) for layer in described["layers"]),
            handler=described["handler"],
            runtime=described["runtime"],
            variables=tuple(described["variables"]),
            log_format=described["log_format"],
            log_level=described["log_level"],
        )
        opt = merged_layers(function.layers)
        contents[name] = bootstrap_zip(
            bootstrap(function, opt=opt, endpoint_url=emulator.endpoint_url, mode=mode)
        )
    for resource in template["Resources"].values():
        if resource["Type"] not in ("AWS::Lambda::Function", "AWS::Lambda::LayerVersion"):
            continue
        location = resource["Properties"]["Code" if resource["Type"].endswith("Function") else "Content"]
        name = location["S3Key"]
        content = contents.get(name, placeholder_zip())
        location["S3Key"] = f"{name}-{hashlib.sha256(content).hexdigest()[:16]}.zip"
        s3.put_object(Bucket=CODE_BUCKET, Key=location["S3Key"], Body=content)


def _create_or_update(
    emulator: Emulator, template: dict[str, Any], stack_name: str, parameters: Mapping[str, str]
) -> None:
    cloudformation = emulator.client("cloudformation")
    key = f"{stack_name}.json"
    emulator.client("s3").put_object(Bucket=CODE_BUCKET, Key=key, Body=json.dumps(template).encode())
    request: dict[str, Any] = {
        "StackName": stack_name,
        "TemplateURL": f"{emulator.endpoint_url}/{CODE_BUCKET}/{key}",
        "Capabilities": ["CAPABILITY_IAM", "CAPABILITY_AUTO_EXPAND"],
        "Parameters": [{"ParameterKey": name, "ParameterValue": value} for name, value in parameters.items()],
    }
    try:
        if _exists(cloudformation, stack_name):
            cloudformation.update_stack(**request)
        else:
            cloudformation.create_stack(**request)
    except ClientError as error:
        if "No updates" in str(error):
            return
        raise Problem(f"The emulator refused the template: {error}") from error
    _wait(cloudformation, stack_name)


def is_deployed(emulator: Emulator, stack_name: str) -> bool:
    """Return whether the emulator knows the stack; after a kill it may have forgotten it."""
    return _exists(emulator.client("cloudformation"), stack_name)


def _exists(cloudformation: Any, stack_name: str) -> bool:
    try:
        cloudformation.describe_stacks(StackName=stack_name)
    except ClientError as error:
        if "does not exist" in str(error):
            return False
        raise
    return True


def _wait(cloudformation: Any, stack_name: str) -> None:
    def done() -> bool:
        status = cloudformation.describe_stacks(StackName=stack_name)["Stacks"][0]["StackStatus"]
        if status in ("CREATE_COMPLETE", "UPDATE_COMPLETE"):
            return True
        if not status.endswith("IN_PROGRESS"):
            events = cloudformation.describe_stack_events(StackName=stack_name)["StackEvents"]
            reasons = [
                f"{event['LogicalResourceId']}: {event.get('ResourceStatusReason')}"
                for event in events
                if event["ResourceStatus"].endswith("FAILED")
            ]
            raise Problem(f"The deployment ended with {status}: {'; '.join(reasons) or 'no reason given'}")
        return False

    try:
        wait_for("the deployment", done, seconds=DEPLOY_SECONDS, pause=POLL_SECONDS)
    except NeverHappened:
        raise Problem(f"The deployment was not done after {DEPLOY_SECONDS} s.") from None


def _physical_ids(emulator: Emulator, stack_name: str) -> dict[str, str]:
    pages = emulator.client("cloudformation").get_paginator("list_stack_resources")
    return {
        resource["LogicalResourceId"]: resource["PhysicalResourceId"]
        for page in pages.paginate(StackName=stack_name)
        for resource in page["StackResourceSummaries"]
    }


def set_dropped_properties(
    emulator: Emulator, template: dict[str, Any], resources: Mapping[str, str], parameters: Mapping[str, str]
) -> None:
    """Set through the services' own APIs what MiniStack 1.5.33's CloudFormation silently drops."""
    for name, resource in template["Resources"].items():
        properties = resource.get("Properties", {})
        if resource["Type"] == "AWS::Lambda::Function" and "ReservedConcurrentExecutions" in properties:
            emulator.client("lambda").put_function_concurrency(
                FunctionName=resources[name],
                ReservedConcurrentExecutions=properties["ReservedConcurrentExecutions"],
            )
        if resource["Type"] == "AWS::Lambda::Function" and "RecursiveLoop" in properties:
            emulator.client("lambda").put_function_recursion_config(
                FunctionName=resources[name], RecursiveLoop=properties["RecursiveLoop"]
            )
        if resource["Type"] == "AWS::S3::Bucket" and "LifecycleConfiguration" in properties:
            _set_lifecycle(emulator, resources[name], properties["LifecycleConfiguration"])
        if resource["Type"] == "AWS::Scheduler::Schedule" and "ScheduleExpressionTimezone" in properties:
            zone = properties["ScheduleExpressionTimezone"]
            _set_timezone(
                emulator, resources[name], parameters[zone["Ref"]] if isinstance(zone, dict) else zone
            )


def _set_lifecycle(emulator: Emulator, bucket: str, configuration: dict[str, Any]) -> None:
    rules = []
    for rule in configuration["Rules"]:
        # CloudFormation calls the rule's name Id; the API spells it ID, demands a filter, and has one Expiration.
        renamed = {("ID" if key == "Id" else key): value for key, value in rule.items()}
        in_expiration = {"ExpirationInDays": "Days", "ExpiredObjectDeleteMarker": "ExpiredObjectDeleteMarker"}
        expiration = {name: renamed.pop(key) for key, name in in_expiration.items() if key in renamed}
        rules.append(
            {
                "Filter": {"Prefix": renamed.pop("Prefix", "")},
                **({"Expiration": expiration} if expiration else {}),
                **renamed,
            }
        )
    emulator.client("s3").put_bucket_lifecycle_configuration(
        Bucket=bucket, LifecycleConfiguration={"Rules": rules}
    )


def _set_timezone(emulator: Emulator, name: str, zone: str) -> None:
    scheduler = emulator.client("scheduler")
    schedule = scheduler.get_schedule(Name=name)
    if schedule.get("ScheduleExpressionTimezone") == zone:
        return
    kept = ("Description", "FlexibleTimeWindow", "ScheduleExpression", "State", "Target")
    scheduler.update_schedule(
        Name=name,
        ScheduleExpressionTimezone=zone,
        **{key: schedule[key] for key in kept if key in schedule},
    )
