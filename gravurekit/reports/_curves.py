"""Which charts the log of a training makes: what belongs together, what is drawn how, and what to say of it. Figures
that aren't known here get charts of their own."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from gravurekit.reports import _plots
from gravurekit.reports._plots import Line, Marks, Plot
from gravurekit.reports._run import figure
from gravurekit.reports._runlog import Point, RunLog
from gravurekit.words import clean, short

# colour and dashes of a line
LOOKS = {
    "learnt": ("learnt", "-"), "held": ("held", "-"), "augmented": ("augmented", "--"), "known": ("learnt", ":"),
    "palette": ("palette", "-"), "row0": ("row", "--"), "row1": ("row", ":"), "row2": ("row", "-."),
}  # fmt: skip
OTHERS = 12  # figures that aren't known here, and are drawn all the same
COUNTERS = {"seen", "epoch", "steps", "seconds"}  # they grow with the steps: nothing to see


@dataclass(frozen=True)
class _Spec:
    """A chart: figures of validations, by name with a label and the look of their line (of LOOKS), and, if it is given,
    one of the steps. `rows`: how the names begin of figures that aren't the network's, but what it is compared with."""

    title: str
    unit: str
    figures: Mapping[str, tuple[str, str]] = field(default_factory=dict)
    of_steps: str = ""
    about: str = ""
    zero: bool = False
    percent: bool = False
    rule: tuple[float, str] | None = None
    spread: bool = False
    best: bool = False
    rows: str = ""


def _with_others(name: str, label: str = "held-back pictures") -> dict[str, tuple[str, str]]:
    """A figure, and the same of the pictures augmented and of the training split."""
    return {
        name: (label, "held"),
        f"augmented_{name}": ("the same, augmented", "augmented"),
        f"train_{name}": ("training pictures", "known"),
    }


SPECS = (
    _Spec("Loss", "", _with_others("loss"), "loss", about="What training minimises.", spread=True),
    _Spec("Colour loss", "", _with_others("colour_loss"), "colour_loss", spread=True),
    _Spec("Class loss", "", _with_others("class_loss"), "class_loss", spread=True),
    _Spec("Lightness loss", "", _with_others("lightness_loss"), "lightness_loss", spread=True),
    _Spec(
        "Colour difference", "ΔE2000",
        {**_with_others("delta_e", "no palette given"), "delta_e_palette": ("own palette given", "palette")},
        rows="delta_e_",
        about="The mean over the pictures; lower is better. A network below the grey line does better than no colour.",
    ),
    _Spec("ab error", "ab units", _with_others("ab_error"), about="The mean distance in a and b; lower is better."),
    _Spec(
        "Chroma ratio", "",
        {**_with_others("chroma_ratio", "no palette given"), "chroma_ratio_palette": ("own palette given", "palette")},
        about="Chroma of the result over that of the truth: below 1 it is duller.",
        zero=True, rule=(1.0, "as the truth"),
    ),
    _Spec("Score", "", _with_others("score"), about="What decides which step is the best; lower is better.", best=True),
    _Spec("Class right", "%", _with_others("top1"), zero=True, percent=True),
    _Spec("Learning rate", "", of_steps="learning_rate", zero=True),
    _Spec("Speed", "pictures/s", of_steps="samples_per_second", zero=True),
    _Spec("Time spent waiting for pictures", "%", of_steps="waiting", zero=True, percent=True),
)  # fmt: skip
PLAIN = ("learning_rate", "samples_per_second")  # figures of steps that need no running mean


def plots(log: RunLog) -> Iterator[Plot]:
    """The charts for which the log has figures; at the end figures that aren't known here."""
    known = set(COUNTERS)
    for spec in SPECS:
        known |= {spec.of_steps, *(name for name, _, _ in _figures(spec, log))}
        if chart := _drawn(spec, log):
            yield chart
    steps = [name for name in sorted(log.curves["train"]) if name not in known]
    validations = {_stripped(name) for name in log.curves["validation"]} - {_stripped(name) for name in known}
    others = [_Spec(f"{name} (training)", "", of_steps=name) for name in steps]
    others += [_Spec(name, "", _with_others(name)) for name in sorted(validations)]
    yield from (chart for spec in others[:OTHERS] if (chart := _drawn(spec, log)))


def _stripped(name: str) -> str:
    """The figure that a name is of, whatever pictures it was taken over."""
    return name.removeprefix("augmented_").removeprefix("train_")


def _drawn(spec: _Spec, log: RunLog) -> Plot | None:
    """A chart, if the log has a line for it."""
    factor = 100.0 if spec.percent else 1.0
    lines = list(_lines(spec, log, factor))
    if not lines:
        return None
    score = log.curve("validation", "score") if spec.best else None
    best = (*score.least, f"best: {figure(score.least[1])} at step {score.least[0]:,}") if score else None
    marks = Marks(spec.rule, best, [step for step in log.starts if step > 0])
    about = f"{spec.about} Dotted uprights: begun again from a saved state.".strip() if marks.starts else spec.about
    title = clean(short(spec.title, 60))
    name = "curve-" + "".join(c if c.isascii() and c.isalnum() else "-" for c in title.lower())
    return _plots.curves(name, title, spec.unit, lines, log.step, marks, about, spec.zero, spec.spread)


def _lines(spec: _Spec, log: RunLog, factor: float) -> Iterator[Line]:
    if spec.of_steps and (curve := log.curve("train", spec.of_steps)):
        smoothed = spec.of_steps not in PLAIN and len(curve.smooth) > 20
        yield Line(_label("each step", curve.last[1] * factor), LOOKS["learnt"], _times(curve.points, factor), smoothed)
        if smoothed:
            points = _times(curve.smooth, factor)
            yield Line(_label("each step, running mean", points[-1][1]), LOOKS["learnt"], points)
    for name, label, style in _figures(spec, log):
        if curve := log.curve("validation", name):
            yield Line(_label(label, curve.last[1] * factor), LOOKS[style], _times(curve.points, factor))


def _label(name: str, last: float) -> str:
    """What the legend says of a line: its name, and its last value."""
    return f"{clean(short(name, 40))}  {figure(last)}"


def _figures(spec: _Spec, log: RunLog) -> Iterator[tuple[str, str, str]]:
    """The figures of validations that a chart has room for: name, label, class."""
    yield from ((name, label, style) for name, (label, style) in spec.figures.items())
    rows = [name for name in sorted(log.curves["validation"]) if spec.rows and name.startswith(spec.rows)]
    for number, name in enumerate(name for name in rows if name not in spec.figures):
        yield name, name.removeprefix(spec.rows).replace("_", " "), f"row{number % 3}"


def _times(points: list[Point], factor: float) -> list[Point]:
    return points if factor == 1 else [(step, value * factor) for step, value in points]
