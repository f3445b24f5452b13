"""Controls that are made from Settings: none is missing, none lets through what the Settings refuse."""

from typing import Any

import pytest

from gravurekit import crafts
from gravurekit.settings import Settings, layered
from gravurekit.stages import colorize, stylize
from gravurekit.studio import Settings as StudioSettings
from gravurekit.studio.knobs import form

KINDS: dict[str, type[Settings]] = {
    **{name: crafts.load("styles", name).Settings for name in crafts.names("styles")},
    **{name: crafts.load("filters", name).Settings for name in crafts.names("filters")},
    "a stage's": stylize.Settings, "another's": colorize.Settings, "the studio's": StudioSettings,
}  # fmt: skip


def ends(control: dict[str, Any]) -> list[Any]:
    """What a control can be moved to, at its ends and in the middle."""
    match control["kind"]:
        case "range":
            low, high = control["low"], control["high"]
            return [[low, low], [low, high], [high, high], [low + control["step"], high]]
        case "number":
            return [control["low"], control["low"] + control["step"], control["high"]]
        case "whole":
            return [int(control["low"]), int(control["high"])]
        case "flag":
            return [False, True]
        case "choice":
            return list(control["choices"])
    return []


@pytest.mark.parametrize("name", KINDS)
def test_each_knob_is_a_control(name: str) -> None:
    kind = KINDS[name]
    made = form(kind)
    assert [control["name"] for control in made] == list(kind.model_fields)
    for control in made:
        field = kind.model_fields[control["name"]]
        assert control["help"] == field.description and control["default"] == field.default


@pytest.mark.parametrize("name", KINDS)
def test_the_settings_take_whatever_a_control_says(name: str) -> None:
    kind = KINDS[name]
    odd = {"median", "threshold_block"}  # must be odd, which no slider knows: refused in words
    for control in form(kind):
        for value in ends(control) if control["name"] not in odd else []:
            layered(kind, name, {control["name"]: value})


@pytest.mark.parametrize("name", KINDS)
def test_a_default_lies_on_its_slider(name: str) -> None:
    for control in form(KINDS[name]):
        if control["kind"] in ("number", "whole", "range"):
            values = control["default"] if control["kind"] == "range" else [control["default"]]
            assert all(control["low"] <= value <= control["high"] for value in values), control
            assert 0 < control["step"] <= control["high"] - control["low"]


def test_only_those_that_are_asked_for() -> None:
    assert [control["name"] for control in form(colorize.Settings, ["strength", "photo"])] == ["strength", "photo"]
