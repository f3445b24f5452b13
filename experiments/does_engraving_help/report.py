"""From the results in `results/`: the tables and plots of docs/experiments/does-engraving-help.md.

    python experiments/does_engraving_help/report.py

Of an arm with several seeds a picture's figure is the mean over the seeds. An interval holds 95 of 100 resamples of the
pictures; a difference is paired, picture by picture. It is called a tie unless all seeds agree, and the interval over
pictures and seeds, which is wider, lies on one side of 0.
"""

import json
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from plan import FOREIGN, OWN, PRIMARY, ablations, arms
from runs import KNOWN, known_of, path_of

from gravurekit import storage
from gravurekit.measures.bootstrap import Figure, figure

DOC = Path("docs/experiments/does-engraving-help.md")
RESAMPLES, SEED = 2000, 0
MOST = 100  # seeds of an arm
NETWORK, PALETTE = "network", "told its palette"
TOLD = {NETWORK: "told nothing", PALETTE: "told its palette"}
HELD_BACK = "held back"
PLATES = ("real_life_in_london_20484", "calthrop_english_costume_33020")
PAIRS = (("engrave", "photo"), ("engrave", "cartoon"), ("cartoon", "photo"))
AS_USED = {"cartoon": "as-cartoon", "photo": "as-soft"}  # how a print would be shown to those who know none


@dataclass(frozen=True)
class Arm:
    """All seeds of one network."""

    name: str
    results: Sequence[dict[str, Any]]

    def has(self, test: str, part: str) -> bool:
        return all(part in result["tests"].get(test, {}) for result in self.results)

    def values(self, test: str, part: str, row: str, what: str) -> np.ndarray:
        """(seeds, pictures)."""
        if row in KNOWN:
            known = json.loads(known_of(test).read_bytes())[part]
            assert known["which"] == self.which(test, part), "these aren't the same pictures"
            return np.array([known["rows"][row][what]] * len(self.results))
        return np.array([result["tests"][test][part]["rows"][row][what] for result in self.results])

    def which(self, test: str, part: str) -> str:
        """The digest of the pictures, the same for all that may be paired."""
        (found,) = {str(result["tests"][test][part]["which"]) for result in self.results}
        return found


def results() -> dict[str, Arm]:
    """What is there of the plan, by name, the seeds in order."""
    found: dict[str, list[dict[str, Any]]] = {}
    for entry in [*arms(MOST), *ablations()]:
        if path_of(entry).exists():
            found.setdefault(entry.name, []).append(json.loads(path_of(entry).read_bytes()))
    return {name: Arm(name, those) for name, those in found.items()}


def mean_of(values: np.ndarray) -> Figure:
    """(pictures,) → the mean."""
    return figure(len(values), lambda rows: float(values[rows].mean()), RESAMPLES, SEED)


def across(one: np.ndarray, other: np.ndarray) -> Figure:
    """(seeds, pictures) both → the mean of the differences. Its interval holds 95 of 100 resamples of the pictures and
    of the seeds of each: other pictures and other trainings might have been."""
    rng = np.random.default_rng(SEED)

    def again() -> float:
        pictures = rng.integers(one.shape[1], size=one.shape[1])
        mine, theirs = (rng.integers(len(arm), size=len(arm)) for arm in (one, other))
        return float(one[mine][:, pictures].mean() - other[theirs][:, pictures].mean())

    low, high = np.quantile([again() for _ in range(RESAMPLES)], [0.025, 0.975])
    return Figure(float(one.mean() - other.mean()), float(low), float(high))


def signed(found: Figure) -> str:
    """A difference and its interval."""
    return f"{found.value:+.2f} ({found.low:+.2f} to {found.high:+.2f})"


def ratio_of(own: np.ndarray, true: np.ndarray) -> Figure:
    """(pictures,) both → the sum of one over that of the other."""
    return figure(len(own), lambda rows: float(own[rows].sum() / true[rows].sum()), RESAMPLES, SEED)


# ---- tables ----------------------------------------------------------------------------------------------

Table = list[tuple[str, ...]]
HEAD = ("", "ΔE2000 alone", "by seed", "ΔE as seen", "colourfulness ratio", "difference", "grey share")


def rows_of(found: dict[str, Arm], names: Iterable[str], test: str, part: str = HELD_BACK) -> Table:
    """A table of one test: the arms that were tested, then those who know no network."""
    present = [found[name] for name in names if name in found and found[name].has(test, part)]
    lines = [HEAD]
    if not present:
        return lines
    for row, said in TOLD.items():
        for arm in present:
            if row in arm.results[0]["tests"][test][part]["rows"]:
                lines.append((f"**{arm.name}**, {said}", *_cells(arm, test, part, row)))
    lines += [(row, *_cells(present[0], test, part, row)) for row in KNOWN]
    return lines


def _cells(arm: Arm, test: str, part: str, row: str) -> Iterator[str]:
    seeds = arm.values(test, part, row, "delta_e").mean(1)
    own = arm.values(test, part, row, "colourfulness").mean(0)
    true = arm.values(test, part, "truth", "colourfulness").mean(0)
    yield str(mean_of(arm.values(test, part, row, "delta_e").mean(0)))
    yield "–" if np.ptp(seeds) < 5e-3 else " ".join(f"{value:.2f}" for value in seeds)
    yield f"{arm.values(test, part, row, 'seen_delta_e').mean():.2f}"
    yield str(ratio_of(own, true))
    yield f"{(own - true).mean():+.1f}"
    yield f"{arm.values(test, part, row, 'grey').mean():.2f}"


@dataclass(frozen=True)
class Difference:
    """`one` less `other`, in ΔE2000 alone: below 0 `one` is nearer to the truth. `seen`: the same as seen, where the
    true pictures are the same; `colour` of colourfulness and `grey` of grey shares: above 0 `one` has more."""

    one: str
    other: str
    test: str
    row: str
    pictures: Figure
    trainings: Figure  # the same, over pictures and seeds
    seen: Figure | None
    colour: float
    grey: float
    seeds: tuple[float, ...]

    @property
    def verdict(self) -> str:
        if self.trainings.low <= 0 <= self.trainings.high or min(self.seeds) * max(self.seeds) <= 0:
            return "tie"
        return f"{self.one if self.pictures.value < 0 else self.other} is nearer"


def difference(one: Arm, other: Arm, test: str, part: str, row: str, against: str = "", known: str = "") -> Difference:
    """Paired, picture by picture. `against`: the test of `other`, where it isn't the same; `known`: a row of those who
    know no network, in the place of `other`."""
    against, theirs = against or test, known or row
    assert one.which(test, part) == other.which(against, part), "these aren't the same pictures"

    def both(what: str) -> tuple[np.ndarray, np.ndarray]:
        return one.values(test, part, row, what), other.values(against, part, theirs, what)

    def less(what: str) -> np.ndarray:
        mine, yours = both(what)
        return np.asarray(mine.mean(0) - yours.mean(0))

    mine, yours = both("delta_e")
    seeds = tuple(float(x - y) for x, y in zip(mine.mean(1), yours.mean(1), strict=False))
    name = test if part == HELD_BACK else part
    return Difference(
        one.name, known or other.name, name if against == test else f"{name}, {against}", row,
        mean_of(less("delta_e")), across(mine, yours), mean_of(less("seen_delta_e")) if against == test else None,
        float(less("colourfulness").mean()), float(less("grey").mean()), seeds,
    )  # fmt: skip


def differences(found: dict[str, Arm]) -> list[Difference]:
    """All that answers the question."""
    wanted = [(*pair, test, HELD_BACK, test) for test in (*PRIMARY, *FOREIGN) for pair in PAIRS]
    wanted += [("engrave", other, PRIMARY[0], HELD_BACK, shown) for other, shown in AS_USED.items()]
    wanted += [(*pair, PRIMARY[0], plates, PRIMARY[0]) for plates in PLATES for pair in PAIRS]
    return [
        difference(found[one], found[other], test, part, row, shown)
        for row in TOLD
        for one, other, test, part, shown in wanted
        if one in found and other in found and found[one].has(test, part) and found[other].has(shown, part)
    ]


def against_known(found: dict[str, Arm]) -> list[Difference]:
    """Each arm less grey, and less the picture's own mean colour."""
    places = [*((test, HELD_BACK) for test in PRIMARY), *((PRIMARY[0], plates) for plates in PLATES)]
    return [
        difference(found[name], found[name], test, part, row, known=known)
        for row, known in ((NETWORK, "grey"), (PALETTE, "grey"), (PALETTE, "own mean"))
        for test, part in places
        for name in OWN
        if name in found and found[name].has(test, part)
    ]


def differences_table(found: Iterable[Difference]) -> Table:
    lines: Table = [
        ("test", "told", "less", "ΔE2000 alone: over pictures", "over pictures and seeds", "by seed", "", "as seen",
         "colourfulness", "grey share")
    ]  # fmt: skip
    for one in found:
        seeds = " ".join(f"{value:+.2f}" for value in one.seeds)
        seen = signed(one.seen) if one.seen else "–"
        lines.append(
            (one.test, TOLD[one.row], f"{one.one} − {one.other}", signed(one.pictures),
             f"{one.trainings.low:+.2f} to {one.trainings.high:+.2f}", seeds, one.verdict, seen,
             f"{one.colour:+.1f}", f"{one.grey:+.2f}")
        )  # fmt: skip
    return lines


def own_table(found: dict[str, Arm]) -> Table:
    """Each arm on held-back pictures drawn as those that it has learnt from, and as a print would be shown to it."""
    lines: Table = [("", *HEAD)]
    for name, test in [*((own, own) for own in OWN), *AS_USED.items()]:
        if name in found and found[name].has(test, HELD_BACK):
            lines += [(test, *line) for line in rows_of(found, [name], test)[1 : 1 + len(TOLD)]]
    return lines


def ablation_table(found: dict[str, Arm]) -> Table:
    """What each change does to the network that it is a change of. One seed says little: what is no more than the
    largest gap between the seeds of `engrave` is no finding."""
    lines: Table = [("change", "told", "of", "ΔE2000 alone", "less", "", "colourfulness ratio", "grey share")]
    for entry in ablations():
        if entry.name not in found or entry.versus not in found:
            continue
        arm, test = found[entry.name], entry.tests[0]
        theirs = next(iter(other.tests for other in ablations() if other.name == entry.versus), PRIMARY)[0]
        base = Arm(entry.versus, [one for one in found[entry.versus].results if one["seed"] == entry.seed])
        for row in (row for row in TOLD if row in arm.results[0]["tests"][test][HELD_BACK]["rows"]):
            less = difference(arm, base, test, HELD_BACK, row, theirs)
            gap = float(np.ptp(found["engrave"].values(PRIMARY[0], HELD_BACK, row, "delta_e").mean(1)))
            cells = list(_cells(arm, test, HELD_BACK, row))
            said = signed(less.pictures)
            lines.append((entry.name, TOLD[row], entry.versus, cells[0], said, _found(less, gap), cells[3], cells[5]))
    return lines


def _found(less: Difference, gap: float) -> str:
    if less.pictures.low <= 0 <= less.pictures.high:
        return "tie"
    if abs(less.pictures.value) <= gap:
        return f"no more than a seed ({gap:.2f})"
    return "better" if less.pictures.value < 0 else "worse"


def markdown(lines: Table) -> str:
    """A table as Markdown has it."""
    rule = ("---",) * len(lines[0])
    return "\n".join("| " + " | ".join(line) + " |" for line in [lines[0], rule, *lines[1:]])


# ---- plots -----------------------------------------------------------------------------------------------


def plot(found: Sequence[Difference], path: Path) -> None:
    """Each difference with its interval; left of 0 the first named is nearer."""
    import matplotlib
    from matplotlib.figure import Figure as Drawing

    with matplotlib.rc_context({"svg.hashsalt": "gravurekit", "svg.fonttype": "none", "font.size": 9}):
        drawing = Drawing(figsize=(9, 0.24 * len(found) + 1.2), layout="constrained")
        axes = drawing.add_subplot()
        for place, one in enumerate(found):
            colour = "#1f6f8b" if one.row == NETWORK else "#b5451f"
            pale = one.verdict == "tie"
            axes.plot([one.trainings.low, one.trainings.high], [place, place], color=colour, lw=0.8, alpha=0.6)
            axes.plot(
                [one.pictures.low, one.pictures.high], [place, place], color=colour, lw=2, alpha=0.4 if pale else 1
            )
            axes.plot(one.pictures.value, place, "o", color=colour, mfc="white" if pale else colour, ms=5)
            axes.plot(one.seeds, [place] * len(one.seeds), "|", color=colour, alpha=0.5)
        axes.axvline(0, color="black", lw=0.8)
        names = [f"{one.test}: {one.one} − {one.other}" for one in found]
        axes.set_yticks(range(len(found)), names)
        axes.set_ylim(len(found) - 0.5, -0.5)
        axes.set_xlabel("ΔE2000, below 0: the first is nearer to the truth (blue: told nothing, red: its palette)")
        axes.spines[["top", "right"]].set_visible(False)
        storage.make_folder(path.parent)
        storage.write_bytes(path, _svg(drawing))


def _svg(drawing: Any) -> bytes:
    import io

    out = io.BytesIO()
    drawing.savefig(out, format="svg", metadata={"Date": None})
    return out.getvalue()


# ---- the page --------------------------------------------------------------------------------------------


def filled(text: str, tables: dict[str, str]) -> str:
    """The page with each table between its marks."""
    for name, table in tables.items():
        begin, end = f"<!-- table {name} -->", f"<!-- end of {name} -->"
        if begin in text:
            head, _, rest = text.partition(begin)
            text = f"{head}{begin}\n\n{table}\n\n{end}{rest.partition(end)[2]}"
    return text


def main() -> None:
    """Write them into the page."""
    found = results()
    less = differences(found)
    tables = {"differences": differences_table(less), "ablations": ablation_table(found)}
    tables["known"] = differences_table(against_known(found))
    names = ("photo", "cartoon", "engrave")
    tables["own"] = own_table(found)
    for test in (*PRIMARY, *FOREIGN):
        tables[test] = rows_of(found, names, test)
    for plates in PLATES:
        tables[plates] = rows_of(found, names, PRIMARY[0], plates)
    text = filled(DOC.read_text("utf-8"), {name: markdown(table) for name, table in tables.items()})
    storage.write_text(DOC, text)
    plot(less, DOC.with_suffix(".svg"))


if __name__ == "__main__":
    main()
