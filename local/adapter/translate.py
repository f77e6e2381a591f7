"""Built SAM template -> plain CloudFormation, offline. Run by the Python of the environment `sam`.

    python translate.py BUILT_DIRECTORY < request.json > answer.json

request: `{"parameters": {name: value}, "region": str, "stack_name": str, "code_bucket": str}`
answer: `{"template": {...}, "functions": {logical id: {"task", "layers", "handler", "runtime", "variables",
"log_format", "log_level"}}}`. Code locations in the template are placeholders `s3://<code_bucket>/<logical id>` that the
caller replaces, because what a function's zip holds (its bootstrap) depends on paths of this machine.

The functions are declared `provided.al2023`: the emulator then speaks the genuine Runtime API to our
bootstrap, which starts the real runtime client; its own Python executor is a home-made one.
"""

import json
import logging
import sys
from pathlib import Path
from typing import Any, Final

from samcli.yamlhelper import yaml_parse
from samtranslator.translator.transform import transform

RUNTIME: Final = "provided.al2023"


class _NoManagedPolicies:
    """The template names no AWS managed policies by short name, so none have to be looked up."""

    def load(self) -> dict[str, str]:
        return {}


def layer_name(entry: dict[str, Any]) -> str:
    """Return the logical id of a layer that the template builds; of a choice, the one that is built is listed first."""
    reference = entry if "Ref" in entry else entry["Fn::If"][1]
    return str(reference["Ref"])


def log_level(logging_config: dict[str, Any], parameters: dict[str, Any]) -> str:
    """Return the level that Lambda filters by and tells the function; empty where it does neither, as for text."""
    if logging_config.get("LogFormat") != "JSON":
        return ""
    level = logging_config.get("ApplicationLogLevel", "INFO")
    return str(parameters[level["Ref"]] if isinstance(level, dict) else level)


def describe(
    template: dict[str, Any], built: Path, code_bucket: str, parameters: dict[str, Any]
) -> dict[str, Any]:
    """Return what the sandbox must know of each function, and put placeholders where its code was."""
    shared = template.get("Globals", {}).get("Function", {})
    shared_variables = shared.get("Environment", {}).get("Variables", {})
    functions: dict[str, Any] = {}
    for name, resource in template["Resources"].items():
        properties = resource.get("Properties", {})
        if resource["Type"] == "AWS::Serverless::LayerVersion":
            properties["ContentUri"] = f"s3://{code_bucket}/{name}"
        if resource["Type"] != "AWS::Serverless::Function":
            continue
        # SAM concatenates the layers of Globals with the function's own.
        layers = [layer_name(entry) for entry in [*shared.get("Layers", []), *properties.get("Layers", [])]]
        variables = {**shared_variables, **properties.get("Environment", {}).get("Variables", {})}
        logging_config = properties.get("LoggingConfig", shared.get("LoggingConfig", {}))
        functions[name] = {
            "task": str((built / properties["CodeUri"]).resolve()),
            "layers": [str(built / layer) for layer in layers],
            "handler": properties.get("Handler", shared.get("Handler")),
            "runtime": properties.get("Runtime", shared.get("Runtime")),
            "variables": sorted(variables),
            "log_format": logging_config.get("LogFormat", "Text"),
            "log_level": log_level(logging_config, parameters),
        }
        properties["CodeUri"] = f"s3://{code_bucket}/{name}"
        properties["Runtime"] = RUNTIME
    return functions


def main() -> None:
    """Read the request, write the answer."""
    logging.getLogger("samtranslator").setLevel(logging.ERROR)
    built = Path(sys.argv[1])
    request = json.load(sys.stdin)
    template = yaml_parse((built / "template.yaml").read_text())
    defaults = {name: value.get("Default") for name, value in template.get("Parameters", {}).items()}
    parameters = {**defaults, **request["parameters"]}
    functions = describe(template, built, request["code_bucket"], parameters)
    pseudo = {
        "AWS::Region": request["region"],
        "AWS::Partition": "aws",
        "AWS::StackName": request["stack_name"],
    }
    translated = transform(template, {**pseudo, **parameters}, _NoManagedPolicies())
    translated.pop("Globals", None)
    json.dump({"template": translated, "functions": functions}, sys.stdout)


if __name__ == "__main__":
    main()
