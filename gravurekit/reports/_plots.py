"""Plots, by matplotlib: as SVG that stands in the page and takes its colours, light or dark, and as PNG for papers.

Why matplotlib: what it draws is a picture and needs no script. An interactive library would put megabytes of its own
code into each page, and couldn't draw for paper without a browser.
"""

import io
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from gravurekit.words import clean, short

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

WIDTH, HEIGHT = 5.6, 2.7  # inches
SMALL, SQUARE = (3.0, 1.9), (3.0, 2.9)
DPI = 300  # of a PNG
BARS = 30  # names that a chart of bars has room for
BINS = 40
DECADES = 1e4  # the highest over the lowest place on a logarithmic scale of a distribution
LOGARITHMIC = 20.0  # the highest over the lowest value from which on a scale is logarithmic, where it may be
TINY = 1e-30  # no value that is drawn is nearer to 0
# what a colour is called in the page's style, and what stands for it in a drawing and on paper
INK, SOFT, GRID, CARD = "#211e19", "#655f55", "#e0dbd0", "#ffffff"
COLOURS = {
    "ink": INK, "soft": SOFT, "line": GRID, "card": CARD, "kept": "#5f7f63", "dropped": "#b0583b", "cut": "#8a1f2d",
    "learnt": "#1f6fb2", "held": "#b8431f", "augmented": "#7a5a00", "palette": "#8a2f8f", "row": "#6b655b",
}  # fmt: skip


@dataclass(frozen=True)
class Plot:
    """A drawing: `name` for its file, `title` and `about` for people; `draw` puts it on axes."""

    name: str
    title: str
    draw: "Callable[[Axes], None]" = field(repr=False)
    about: str = ""
    size: tuple[float, float] = (WIDTH, HEIGHT)  # inches

    @property
    def small(self) -> bool:
        """Whether several stand side by side."""
        return self.size[0] < WIDTH

    def svg(self) -> str:
        """An <svg> for a page, that names no file and fetches nothing. Its colours are the page's: `var(--NAME)`."""
        with _drawn(self) as figure:
            out = io.StringIO()
            about = dict.fromkeys(("Creator", "Date", "Format", "Type"))
            figure.savefig(out, format="svg", transparent=True, metadata=about)
        return _for_page(out.getvalue(), self.name, f"{self.title}. {self.about}".removesuffix(". "))

    def png(self) -> bytes:
        """A PNG on white paper."""
        with _drawn(self) as figure:
            figure.suptitle(clean(self.title), x=0.01, ha="left", fontsize=10)
            out = io.BytesIO()
            figure.savefig(out, format="png", dpi=DPI, facecolor="white", metadata={"Software": None})
        return out.getvalue()


@contextmanager
def _drawn(plot: Plot) -> "Iterator[Figure]":
    import matplotlib
    from matplotlib.figure import Figure

    with matplotlib.rc_context(STYLE):
        figure = Figure(figsize=plot.size, layout="constrained")
        axes = figure.add_subplot()
        axes.spines[["top", "right"]].set_visible(False)
        plot.draw(axes)
        yield figure


STYLE: Any = {
    "svg.fonttype": "none", "svg.hashsalt": "gravurekit", "font.family": "sans-serif", "font.size": 9,
    "text.color": INK, "axes.edgecolor": SOFT, "axes.labelcolor": SOFT, "xtick.color": SOFT, "ytick.color": SOFT,
    "axes.titlesize": 10, "axes.grid": True, "axes.axisbelow": True, "grid.color": GRID, "grid.linewidth": 0.7,
    "legend.frameon": False, "legend.fontsize": 8.5, "lines.linewidth": 1.5, "axes.facecolor": "none",
    "text.parse_math": False,  # words from the web hold $ signs
}  # fmt: skip


def _for_page(svg: str, name: str, title: str) -> str:
    """The <svg> element alone, its names its own, its colours the page's, its words in the page's font."""
    svg = svg[svg.index("<svg") :]
    svg = re.sub(r"\s*<metadata>.*?</metadata>", "", svg, flags=re.DOTALL)
    svg = re.sub(r'(\bid="|url\(#|href="#)', rf"\g<1>{name}-", svg)
    for word, code in COLOURS.items():
        svg = svg.replace(code, f"var(--{word})")
    svg = re.sub(r"font: ([\d.]+)px [^;\"]*", r"font: \1px system-ui, sans-serif", svg)
    head = re.search(r"<svg[^>]*>", svg)
    viewbox = re.search(r'viewBox="[^"]*"', head[0] if head else "")
    begin = f'<svg class="plot" {viewbox[0] if viewbox else ""} role="img" aria-label="{_escaped(title)}">'
    return begin + svg[head.end() if head else 0 :].strip()


def _escaped(text: str) -> str:
    return clean(text).replace("&", "&amp;").replace("<", "&lt;").replace('"', "&quot;")


# ---- kinds of plots ------------------------------------------------------------------------------------


def bars(
    name: str, title: str, rows: Mapping[str, Mapping[str, int]], about: str = "", names: Mapping[str, str] = {}
) -> Plot:
    """How many of each: a level bar a row, in parts. `rows`: by row, counts by the name of a colour; `names`: what the
    legend says of a colour, if not its name."""
    shown = list(rows.items())[:BARS]
    if rest := list(rows.items())[BARS:]:
        parts = {colour: sum(counts.get(colour, 0) for _, counts in rest) for _, counts in rest for colour in counts}
        shown.append((f"{len(rest)} others", parts))

    def draw(axes: "Axes") -> None:
        places = np.arange(len(shown))[::-1]
        starts = np.zeros(len(shown))
        for colour in dict.fromkeys(colour for _, counts in shown for colour in counts):
            widths = np.array([counts.get(colour, 0) for _, counts in shown], float)
            axes.barh(places, widths, left=starts, height=0.7, color=COLOURS[colour],
                      label=names.get(colour, colour))  # fmt: skip
            starts += widths
        axes.set_yticks(places, [short(clean(word), 40) for word, _ in shown])
        axes.grid(visible=False, axis="y")
        axes.tick_params(axis="y", length=0)
        for place, end in zip(places, starts, strict=True):
            axes.annotate(f"{int(end):,}", (end, place), (3, 0), textcoords="offset points", va="center", fontsize=8,
                          color=SOFT)  # fmt: skip
        axes.margins(x=0.1, y=0.02)
        _whole_numbers(axes.xaxis)
        if len({colour for _, counts in shown for colour in counts}) > 1:
            _legend(axes)

    return Plot(name, title, draw, about, (WIDTH, 0.7 + 0.21 * len(shown)))


@dataclass(frozen=True)
class Cut:
    """Where pictures are cut off: below `value`, or above it. One that is `off` cuts none."""

    value: float
    above: bool = False
    off: bool = False


def spread(
    name: str, title: str, values: Mapping[str, Sequence[float]], cut: Cut | None, about: str = "", wide: bool = False
) -> Plot:
    """How many pictures have which value, by the name of a colour; and where they are cut off. `wide`: values may lie
    so far apart that only a logarithmic scale shows them."""
    found = np.concatenate([np.asarray(those, float) for those in values.values()])
    low, high = (float(found.min()), float(found.max())) if len(found) else (0.0, 1.0)
    if cut and not cut.off:
        low, high = min(low, cut.value), max(high, cut.value)
    logarithmic = wide and low >= 0 and high > LOGARITHMIC * max(low, TINY)
    if logarithmic:  # nothing that is smaller can be told apart
        low = max(low, high / DECADES)
    if high - low < 1e-9:
        low, high = low - 0.5, high + 0.5
    edges = np.geomspace(low, high, BINS + 1) if logarithmic else np.linspace(low, high, BINS + 1)

    def draw(axes: "Axes") -> None:
        inside = [np.clip(those, low, high) for those in values.values()]
        colours = [COLOURS[name] for name in values]
        axes.hist(inside, edges.tolist(), stacked=True, color=colours, label=list(values))
        if logarithmic:
            axes.set_xscale("log")
            _plain_powers(axes.xaxis)
        _whole_numbers(axes.yaxis)
        if cut and not cut.off:
            axes.axvline(cut.value, color=COLOURS["cut"], linewidth=1.6, label=f"cut {cut.value:g}")
            axes.axvspan(*((cut.value, high) if cut.above else (low, cut.value)), color=COLOURS["cut"], alpha=0.1, lw=0)
        axes.set_ylabel("pictures")
        axes.margins(x=0)
        _legend(axes)

    return Plot(name, title, draw, about, SMALL)


@dataclass(frozen=True)
class Line:
    """A line over the steps. `style`: a colour's name, and how it is dashed (matplotlib's word); a `faint` one lies
    below its running mean and has no word in the legend."""

    label: str
    style: tuple[str, str]
    points: Sequence[tuple[int, float]]
    faint: bool = False


@dataclass(frozen=True)
class Marks:
    """What a plot of lines has besides: `rule`, a value that is drawn across, with a word for it; `best`, a point that
    is marked, likewise; `starts`: steps where the training went on."""

    rule: tuple[float, str] | None = None
    best: tuple[int, float, str] | None = None
    starts: Sequence[int] = ()


def curves(
    name: str, title: str, unit: str, lines: Sequence[Line], end: int, marks: Marks = Marks(), about: str = "",
    zero: bool = False, wide: bool = False,
) -> Plot:  # fmt: skip
    """Lines over the steps 0 to `end`, with gaps where values are no numbers. `zero`: the scale begins at 0; `wide`:
    as for `spread`."""

    def draw(axes: "Axes") -> None:
        for line in sorted(lines, key=lambda line: not line.faint):
            _draw_line(axes, line)
        if marks.rule:
            axes.axhline(marks.rule[0], color=INK, linewidth=1, linestyle="--", label=marks.rule[1])
        for step in marks.starts:
            axes.axvline(step, color=SOFT, linewidth=0.8, linestyle=":")
        if marks.best:
            step, value, said = marks.best
            axes.plot([step], [value], "o", color=COLOURS["held"], markersize=5, label=said)
        values = [value for line in lines for _, value in line.points if value == value]
        if wide and min(values) > TINY and max(values) > LOGARITHMIC * min(values):
            axes.set_yscale("log")
            _plain_powers(axes.yaxis)
        elif zero:
            axes.set_ylim(bottom=min(0.0, *values))
        axes.set_xlim(0, max(1, end))
        axes.set_xlabel("step")
        axes.set_ylabel(unit)
        _whole_numbers(axes.xaxis)
        _legend(axes, 2)

    return Plot(name, title, draw, about)


def _draw_line(axes: "Axes", line: Line) -> None:
    steps, values = [step for step, _ in line.points], [value for _, value in line.points]
    colour, dashes = line.style
    look: dict[str, Any] = {"alpha": 0.3, "linewidth": 0.8} if line.faint else {"label": line.label}
    axes.plot(steps, values, color=COLOURS[colour], linestyle=dashes, **look)
    alone = [place for place, value in enumerate(values) if value == value and _is_alone(values, place)]
    if alone:  # a line of one point can't be seen
        axes.plot(
            [steps[n] for n in alone], [values[n] for n in alone], ".", color=COLOURS[colour], alpha=look.get("alpha")
        )


def _is_alone(values: Sequence[float], place: int) -> bool:
    """Whether there are gaps on both sides."""
    around = values[max(0, place - 1) : place + 2]
    return sum(value == value for value in around) == 1


def plane(name: str, title: str, palette: np.ndarray, step: int, about: str = "") -> Plot:
    """How often each colour is met: (N, N) counts by cells of a and b, `step` ab units wide, the middle one grey. Each
    cell has its own colour, at L 65, and is the larger the more often it is met (area by logarithm)."""

    def draw(axes: "Axes") -> None:
        edge = len(palette) // 2
        rows, columns = np.nonzero(palette)
        a, b = step * (rows - edge), step * (columns - edge)
        counts = palette[rows, columns].astype(float)
        share = counts / max(1.0, counts.sum())
        size = np.clip(1 + np.log10(np.maximum(share, 1e-12)) / 5, 0.06, 1)  # 1: all of it; 0.06: a hundred-thousandth
        axes.scatter(a, b, s=130 * size**2, c=_lab_to_srgb(65.0, a, b), edgecolors=SOFT, linewidths=0.4, marker="s")
        reach = max(60, step * (1 + int(np.abs(np.concatenate([a, b, [0]])).max()) // step))
        axes.set(xlim=(-reach, reach), ylim=(-reach, reach), xlabel="a: green to red", ylabel="b: blue to yellow")
        axes.set_aspect("equal")
        axes.axhline(0, color=SOFT, linewidth=0.6)
        axes.axvline(0, color=SOFT, linewidth=0.6)

    return Plot(name, title, draw, about, SQUARE)


def _lab_to_srgb(lightness: float, a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """(N,) a and b at one lightness → (N, 3) sRGB 0..1, cut to the gamut."""
    import cv2

    lab = np.stack([np.full(a.shape, lightness), a, b], axis=-1).astype(np.float32)[None]
    return np.clip(cv2.cvtColor(lab, cv2.COLOR_Lab2RGB)[0], 0, 1) if a.size else np.zeros((0, 3))


def levels(name: str, title: str, counts: Sequence[float], unit: str, about: str = "") -> Plot:
    """A histogram that is counted already: `counts` over 0 to 100."""

    def draw(axes: "Axes") -> None:
        edges = np.linspace(0, 100, len(counts) + 1)
        axes.stairs(np.asarray(counts, float), edges, fill=True, color=COLOURS["learnt"])
        axes.set_xlabel(unit)
        axes.set_ylabel("share, %")
        axes.margins(x=0)

    return Plot(name, title, draw, about, SQUARE)


WAYS = ("learnt", "held", "augmented", "palette", "row")  # colours of lines, one after the other


def ways(
    name: str,
    title: str,
    lines: Mapping[str, Sequence[tuple[float, float, str]]],
    across: str,
    up: str,
    about: str = "",
) -> Plot:
    """Lines through points that each have a word: x, y, and that."""

    def draw(axes: "Axes") -> None:
        for colour, (row, points) in zip(WAYS * len(lines), lines.items(), strict=False):
            axes.plot(
                [x for x, _, _ in points],
                [y for _, y, _ in points],
                ".-",
                color=COLOURS[colour],
                label=clean(short(row, 40)),
            )
            for x, y, word in points:
                axes.annotate(word, (x, y), (3, 3), textcoords="offset points", fontsize=7, color=SOFT)
        axes.axvline(1, color=SOFT, linewidth=0.8, linestyle=":")
        axes.set_xlabel(across)
        axes.set_ylabel(up)
        _legend(axes, 2)

    return Plot(name, title, draw, about)


def _plain_powers(axis: Any) -> None:
    """Numbers on a logarithmic scale as they are: matplotlib's own are TeX, which isn't parsed here."""
    from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter

    axis.set_major_locator(LogLocator(numticks=6))
    axis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:,.0f}" if value >= 1 else f"{value:g}"))
    axis.set_minor_formatter(NullFormatter())


def _whole_numbers(axis: Any) -> None:
    from matplotlib.ticker import MaxNLocator, StrMethodFormatter

    axis.set_major_locator(MaxNLocator(nbins=6, integer=True))
    axis.set_major_formatter(StrMethodFormatter("{x:,.0f}"))


def _legend(axes: "Axes", columns: int = 3) -> None:
    """Above the field, where it hides no line."""
    handles, labels = axes.get_legend_handles_labels()
    if labels:
        axes.figure.legend(
            handles, labels, loc="outside upper left", ncols=columns, borderaxespad=0.1, handlelength=1.6
        )
