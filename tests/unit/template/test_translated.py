"""What CloudFormation receives, where SAM adds to the template or takes from it."""

from __future__ import annotations

from tests.unit.template.translated import resources_of


def test_cloudformation_names_the_schedules_so_that_another_stack_can_have_its_own() -> None:
    schedules = resources_of("AWS::Scheduler::Schedule")
    assert sorted(schedules) == [
        "ReconcileFunctionHourly",
        "ReconcileFunctionNightly",
        "RemindersFunctionHourly",
    ]
    assert not any("Name" in schedule["Properties"] for schedule in schedules.values())
