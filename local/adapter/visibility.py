"""How long the emulator hides a message whose worker did not finish: shorter than AWS should.

On AWS a queue's visibility is six times its worker's timeout (template.yaml), because Lambda keeps a throttled message
and tries it again meanwhile. The emulator does not: it leaves the message invisible for the whole time. With the
template's minutes one throttled moment would hold up an invoice of the local stack for six, a PDF for thirty.
(`local/ministack_start.py` lets calls wait for room before the emulator throttles them, so this is for killed workers
and for the worst of days.)
`tests/unit/template/test_template.py` holds the template to AWS's rule.
"""

import copy
from typing import Any, Final

MARGIN_SECONDS: Final = 30
"""What a worker's message is hidden longer than the worker may run, so that no second one begins beside it."""


def with_local_visibility(template: dict[str, Any]) -> dict[str, Any]:
    """Return a copy in which each worker's queue hides a message for the worker's timeout and a margin."""
    result = copy.deepcopy(template)
    resources = result["Resources"]
    for resource in template["Resources"].values():
        if resource["Type"] != "AWS::Lambda::EventSourceMapping":
            continue
        queue, _ = resource["Properties"]["EventSourceArn"]["Fn::GetAtt"]
        function = resource["Properties"]["FunctionName"]["Ref"]
        if resources[queue]["Type"] == "AWS::SQS::Queue":
            seconds = resources[function]["Properties"]["Timeout"] + MARGIN_SECONDS
            resources[queue]["Properties"]["VisibilityTimeout"] = seconds
    return result
