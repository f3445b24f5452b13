"""Names of the files that colorize makes of a print: `NAME.png`, and what lies beside it."""

from pathlib import PurePosixPath

PANEL, INK, WASH, PAPER = "panel", "ink", "wash", "paper"
KINDS = (PANEL, INK, WASH, PAPER)
SAMPLE, SHEET = "-sample-", "-samples"


def named(stem: str, number: int) -> str:
    """The file of a print after its own name, and the `number` that tells it from others of that name."""
    return f"{stem}.png" if number == 1 else f"{stem}-{number}.png"


def sample_name(name: str, number: int) -> str:
    """Of several samples of the print whose file were `name`, the file of one, from 1."""
    return f"{PurePosixPath(name).stem}{SAMPLE}{number}.png"


def sheet_name(name: str) -> str:
    """The sheet that shows all samples, by the print's name or a sample's."""
    return f"{PurePosixPath(name).stem.rpartition(SAMPLE)[0] or PurePosixPath(name).stem}{SHEET}.png"


def beside(name: str) -> dict[str, str]:
    """By kind, what may lie beside a file of colours."""
    return {kind: f"{PurePosixPath(name).stem}-{kind}.png" for kind in KINDS}


def all_of(name: str, samples: int = 1) -> set[str]:
    """Each file that may come of a print whose file is `name`."""
    names = [name] if samples == 1 else [sample_name(name, number) for number in range(1, samples + 1)]
    found = {name, *names, *(other for one in names for other in beside(one).values())}
    return found if samples == 1 else found | {sheet_name(name)}


def with_it(name: str) -> set[str]:
    """What goes with a file of colours when that is forgotten."""
    return {*beside(name).values(), sheet_name(name)}
