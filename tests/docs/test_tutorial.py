"""docs/tutorial.md: what it shows is done, and looks as it says."""

import re
from dataclasses import replace
from pathlib import Path

import pytest
from manuscript import DOCS, Step, play, steps

# A training that takes no time, in place of the page's; as many validations.
TRAINING = {"--steps 150": "--steps 3", "--validate-every 50": "--validate-every 1"}


def small(step: Step) -> Step:
    command = step.command
    if command.startswith("gravurekit train"):
        for said, instead in TRAINING.items():
            assert said in command
            command = command.replace(said, instead)
    return replace(step, command=command)


def outline(line: str) -> str:
    """A line of output without what differs from machine to machine: numbers, keys, and reasons in brackets."""
    return " ".join(re.sub(r"[0-9a-f]{12,}|-?\d+([.,]\d+)*", "0", line.partition(" (")[0]).split())


@pytest.mark.slow
def test_the_tutorial_goes_as_it_says(tmp_path: Path) -> None:
    found = [small(step) for step in steps(DOCS / "tutorial.md")]
    for step, wrote in zip(found, play(found, tmp_path), strict=True):
        lines = iter([outline(line) for line in wrote.splitlines()])
        for shown in step.shown:
            start = outline(shown.partition("…")[0])
            assert any(line.startswith(start) for line in lines), f"{step.command} doesn't say {shown!r}: {wrote}"
    atelier = tmp_path / "atelier"
    assert (atelier / "preview.png").is_file() and list((atelier / "reports").iterdir())
    assert len(list((atelier / "coloured").glob("*-panel.png"))) == 7
    assert list((atelier / "red").glob("*-samples.png")) and list((atelier / "steered").glob("*.png"))
