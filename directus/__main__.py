"""`python -m directus plan|apply|doctor|docs`: the installer's command line."""

import argparse
import os
import sys

from directus import documentation
from directus.access import unknown_permissions
from directus.doctor import Deployment, deployment_from_environment, examine, summary
from directus.installer import apply, plan, target_from_environment
from directus.rest import Directus, InstallerError


def main(arguments: list[str]) -> int:
    """Run one command. Returns 0 on success, otherwise 1 after printing the reason."""
    parser = argparse.ArgumentParser(prog="python -m directus", description=__doc__)
    parser.add_argument("command", choices=["plan", "apply", "doctor", "docs"])
    command = parser.parse_args(arguments).command
    if command == "docs":
        documentation.write()
        return 0
    try:
        url, token = target_from_environment()
        service_token = os.environ.get("BILLING_SERVICE_TOKEN") or None
        if command == "plan":
            return _plan(url, token, service_token)
        if command == "doctor":
            return _doctor(deployment_from_environment(url, token))
        return _apply(url, token, service_token)
    except InstallerError as error:
        print(f"directus {command}: {error}", file=sys.stderr)
        return 1


def _plan(url: str, token: str, service_token: str | None) -> int:
    changes = plan(url, token, service_token=service_token)
    for change in changes:
        print(f"  {change.summary}")
    print(f"{len(changes)} changes to make at {url}; run apply." if changes else f"Nothing to do at {url}.")
    _warn(url, token)
    return 0


def _apply(url: str, token: str, service_token: str | None) -> int:
    changes = apply(url, token, service_token=service_token)
    for change in changes:
        print(f"  {change.summary}")
    print(f"{len(changes)} changes made at {url}." if changes else f"Nothing to do at {url}.")
    _warn(url, token)
    return 0


def _doctor(deployment: Deployment) -> int:
    findings = examine(deployment)
    for finding in findings:
        print(f"  {finding.state:<10}{finding.what}")
    print(summary(findings, deployment.url))
    return 1 if any(finding.state == "wrong" for finding in findings) else 0


def _warn(url: str, token: str) -> None:
    with Directus(url, token) as directus:
        for warning in unknown_permissions(directus.rows("/permissions")):
            print(f"  note: {warning}")


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
