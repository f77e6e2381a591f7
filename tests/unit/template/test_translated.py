"""What CloudFormation receives, where SAM adds to the template or takes from it."""

from __future__ import annotations

import pytest

from tests.unit.template.translated import resources_of, translated_template, translation


def test_cloudformation_names_the_schedules_so_that_another_stack_can_have_its_own() -> None:
    schedules = resources_of("AWS::Scheduler::Schedule")
    assert sorted(schedules) == [
        "ReconcileFunctionHourly",
        "ReconcileFunctionNightly",
        "RemindersFunctionHourly",
    ]
    assert not any("Name" in schedule["Properties"] for schedule in schedules.values())


def test_the_parameter_for_the_log_level_reaches_lambda_and_powertools() -> None:
    """Lambda's own filter is before ours: a level that only Powertools knows changes nothing."""
    for function in resources_of("AWS::Lambda::Function").values():
        assert function["Properties"]["LoggingConfig"] == {
            "LogFormat": "JSON",
            "ApplicationLogLevel": {"Ref": "LogLevel"},
        }
        variables = function["Properties"]["Environment"]["Variables"]
        assert variables["POWERTOOLS_LOG_LEVEL"] == {"Ref": "LogLevel"}
        assert "LOG_LEVEL" not in variables, "Powertools' former name"


@pytest.mark.parametrize("other", [{}, {"LogLevel": "DEBUG"}])
def test_the_local_sandbox_tells_the_functions_the_level_that_was_asked_for(other: dict[str, str]) -> None:
    levels = {function["log_level"] for function in translation(**other)["functions"].values()}
    assert levels == {other.get("LogLevel", "INFO")}


def test_no_log_level_silences_the_metrics() -> None:
    """Lambda counts a line without a level as INFO; Powertools' metrics are such lines."""
    assert translated_template()["Parameters"]["LogLevel"]["AllowedValues"] == ["DEBUG", "INFO"]
