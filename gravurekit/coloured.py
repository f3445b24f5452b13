"""Names of the files that colorize makes of a print: `NAME.png`, and what lies beside it."""

from pathlib import PurePosixPath

PANEL, INK, WASH, PAPER = "panel", "ink", "wash", "paper"
KINDS = (PANEL, INK, WASH, PAPER)
SAMPLE, SHEET = "-sample-", "-samples"
LONGEST = 180  # bytes of a print's own name; disks take 255, of which a file that is being written needs some more


def named(stem: str, number: int) -> str:
    """The file of a print after its own name, and the `number` that tells it from others of that name. What is longer
    than a disk takes is cut."""
    short = stem.encode()[:LONGEST].decode("utf-8", "ignore")
    return f"{short}.png" if number == 1 else f"{short}-{number}.png"


def sample_name(name: str, number: int) -> str:
    """Of several samples of the print whose file were `name`, the file of one, from 1."""
    return f"{PurePosixPath(name).stem}{SAMPLE}{number}.png"


def sheet_name(name: str) -> str:
    """The sheet that shows all samples, by the name of one."""
    return f"{PurePosixPath(name).stem.rpartition(SAMPLE)[0] or PurePosixPath(name).stem}{SHEET}.png"


def beside(name: str) -> dict[str, str]:
    """By kind, what may lie beside a file of colours."""
    return {kind: f"{PurePosixPath(name).stem}-{kind}.png" for kind in KINDS}


def all_of(name: str, samples: int = 1) -> set[str]:
    """Each file that may come of a print whose file is `name`."""
    names = [name] if samples == 1 else [sample_name(name, number) for number in range(1, samples + 1)]
    found = {name, *names, *(other for one in names for other in beside(one).values())}
    return found if samples == 1 else found | {sheet_name(names[0])}


def with_it(name: str, is_sample: bool) -> set[str]:
    """What may lie beside a file of colours, and goes with it when that is forgotten."""
    return {*beside(name).values(), *([sheet_name(name)] if is_sample else [])}
