"""From the results in `results/`: the tables and plots of docs/experiments/does-engraving-help.md.

    python experiments/does_engraving_help/report.py [--results DIR] [--page FILE]

Of an arm with several seeds a picture's figure is the mean over the seeds. An interval holds 95 of 100 resamples of the
pictures; a difference is paired, picture by picture. It is called a tie unless the interval over pictures and
trainings, which is wider, lies on one side of 0: Student's t, with the variances of the pictures' mean and of the seeds
of both arms added up, and degrees of freedom as Welch and Satterthwaite have them.
"""

import argparse
import json
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from plan import ELSEWHERE, FOREIGN, OWN, PRIMARY, ablations, arms
from runs import KNOWN, RESULTS, known_of, path_of
from scipy import stats

from gravurekit import storage
from gravurekit.measures.bootstrap import Figure, figure

DOC = Path("docs/experiments/does-engraving-help.md")
RESAMPLES, SEED = 2000, 0
MOST = 100  # seeds of an arm
NETWORK, PALETTE, HINTS = "network", "told its palette", "told hints"
TOLD = {NETWORK: "told nothing", PALETTE: "told its palette"}
ALL_TOLD = {**TOLD, HINTS: "told hints"}
HELD_BACK = "held back"
PLATES = ("real_life_in_london_20484", "calthrop_english_costume_33020")
PAIRS = (("engrave", "photo"), ("engrave", "cartoon"), ("cartoon", "photo"))
AS_USED = {"cartoon": "as-cartoon", "photo": "as-soft"}  # how a print would be shown to those who know none
FITTED = (("cartoon", "as-cartoon", "photo", "as-soft"), ("cartoon", "as-cartoon", "photo", "as-toned"),
          ("engrave", "etching", "cartoon", "as-cartoon"), ("engrave", "etching", "photo", "as-soft"),
          ("engrave", "etching", "photo", "as-toned"),
          ("engrave", "engrave", "photo", "photo"), ("engrave", "engrave", "cartoon", "cartoon"),
          ("cartoon", "cartoon", "photo", "photo"))  # fmt: skip
# Ablations that can be compared otherwise too: with what, in which test of either
ALSO = (("fed the coloured print", "coloured", "engrave", "etching"),
        ("squared error", "etching", "engrave", "etching"))  # fmt: skip
SAME = {"coloured", "etching"}  # the same prints: of the one the coloured print is fed, of the other its ink


@dataclass(frozen=True)
class Arm:
    """All seeds of one network."""

    name: str
    results: Sequence[dict[str, Any]]
    place: Path  # where all results are

    def has(self, test: str, part: str) -> bool:
        return all(part in result["tests"].get(test, {}) for result in self.results)

    def values(self, test: str, part: str, row: str, what: str) -> np.ndarray:
        """(seeds, pictures)."""
        if row in KNOWN:
            known = json.loads(known_of(test, self.place).read_bytes())[part]
            assert known["which"] == self.which(test, part), "these aren't the same pictures"
            return np.array([known["rows"][row][what]] * len(self.results))
        return np.array([result["tests"][test][part]["rows"][row][what] for result in self.results])

    def which(self, test: str, part: str) -> str:
        """The digest of the pictures, the same for all that may be paired."""
        (found,) = {str(result["tests"][test][part]["which"]) for result in self.results}
        return found


def results(place: Path) -> dict[str, Arm]:
    """What is there of the plan, by name, the seeds in order. Raises SystemExit if shards of one name weren't the same
    shards everywhere."""
    found: dict[str, list[dict[str, Any]]] = {}
    for entry in [*arms(MOST), *ablations()]:
        if (path := path_of(entry, place)).exists():
            found.setdefault(entry.name, []).append(json.loads(path.read_bytes()))
    same: dict[tuple[str, ...], str] = {}
    for one in (one for those in found.values() for one in those):
        learnt = ("learnt from", one["shards"], *one["sharded"])
        tested = [(("tested on", test, part), f"{said['of']} {said['revision']}")
                  for test, parts in one["tests"].items() for part, said in parts.items()]  # fmt: skip
        for what, digest in [(learnt, one["learnt_from"]), *tested]:
            if same.setdefault(what, digest) != digest:
                raise SystemExit(
                    f"{place}: {one['name']} of seed {one['seed']} was {' '.join(what)} of other pictures, or otherwise"
                )
    return {name: Arm(name, those, place) for name, those in found.items()}


def mean_of(values: np.ndarray) -> Figure:
    """(pictures,) → the mean."""
    return figure(len(values), lambda rows: float(values[rows].mean()), RESAMPLES, SEED)


def across(one: np.ndarray, other: np.ndarray, pooled: tuple[float, int] | None = None) -> Figure:
    """(seeds, pictures) both → the mean of the differences. Its interval is over other pictures and other trainings,
    which might have been. `pooled`: the standard deviation of seeds and its degrees of freedom, of more arms than
    these; for arms of one seed, whose own nobody knows."""
    less = one.mean(0) - other.mean(0)
    parts = [(less.var(ddof=1) / len(less), len(less) - 1)]
    seeds = [arm for arm in (one, other) if len(arm) == 1 or np.ptp(arm, axis=0).any()]  # who knows no network has none
    if pooled:
        parts.append((pooled[0] ** 2 * sum(1 / len(arm) for arm in seeds), pooled[1]))
    else:
        parts += [(arm.mean(1).var(ddof=1) / len(arm), len(arm) - 1) for arm in seeds if len(arm) > 1]
    whole = sum(part for part, _ in parts)
    if not whole > 0:
        return Figure(float(less.mean()), float(less.mean()), float(less.mean()))
    freedom = whole**2 / sum(part**2 / count for part, count in parts)
    half = float(stats.t.ppf(0.975, freedom) * whole**0.5)
    return Figure(float(less.mean()), float(less.mean()) - half, float(less.mean()) + half)


def spread_of_seeds(found: dict[str, Arm], test: str, part: str, row: str) -> tuple[float, int]:
    """The standard deviation of seeds in one test, of all arms together, and its degrees of freedom."""
    seeds = [found[name].values(test, part, row, "delta_e").mean(1) for name in OWN
             if name in found and found[name].has(test, part) and len(found[name].results) > 1]  # fmt: skip
    freedom = sum(len(arm) - 1 for arm in seeds)
    return (sum(arm.var(ddof=1) * (len(arm) - 1) for arm in seeds) / max(freedom, 1)) ** 0.5, freedom


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
    for row, said in ALL_TOLD.items():
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
    """`one` less `other`, in ΔE2000 alone: below 0 `one` is nearer to the truth. `seen` is the same as seen, `colour`
    of colourfulness: None where the true pictures aren't the same; `grey` of grey shares. Above 0 `one` has more."""

    one: str
    other: str
    test: str
    row: str
    pictures: Figure
    trainings: Figure  # the same, over pictures and trainings
    seen: Figure | None
    colour: Figure | None
    grey: Figure
    seeds: tuple[float, ...]

    @property
    def verdict(self) -> str:
        if len(self.seeds) < 2 or not self.trainings.low * self.trainings.high > 0:
            return "tie"
        return f"{self.one if self.pictures.value < 0 else self.other} is nearer"


def difference(
    one: Arm, other: Arm, test: str, part: str, row: str, against: str = "", known: str = "",
    pooled: tuple[float, int] | None = None,
) -> Difference:  # fmt: skip
    """Paired, picture by picture. `against`: the test of `other`, where it isn't the same; `known`: a row of those who
    know no network, in the place of `other`; `pooled`: see `across`."""
    against, theirs = against or test, known or row
    assert one.which(test, part) == other.which(against, part), "these aren't the same pictures"

    def both(what: str) -> tuple[np.ndarray, np.ndarray]:
        return one.values(test, part, row, what), other.values(against, part, theirs, what)

    def less(what: str) -> np.ndarray:
        mine, yours = both(what)
        return np.asarray(mine.mean(0) - yours.mean(0))

    mine, yours = both("delta_e")
    seeds = tuple(float(x - y) for x, y in zip(mine.mean(1), yours.mean(1), strict=False))
    name, same = test if part == HELD_BACK else part, against == test or {test, against} == SAME
    return Difference(
        one.name, known or other.name, name if against == test else f"{name}; {against}", row,
        mean_of(less("delta_e")), across(mine, yours, pooled), mean_of(less("seen_delta_e")) if same else None,
        mean_of(less("colourfulness")) if same else None, mean_of(less("grey")), seeds,
    )  # fmt: skip


def differences(found: dict[str, Arm]) -> list[Difference]:
    """All that answers the question."""
    wanted = [(*pair, test, HELD_BACK, test) for test in (*PRIMARY, *FOREIGN) for pair in PAIRS]
    wanted += [(one, other, mine, HELD_BACK, theirs) for one, mine, other, theirs in FITTED]
    wanted += [(*pair, PRIMARY[0], plates, PRIMARY[0]) for plates in PLATES for pair in PAIRS]
    return [
        difference(found[one], found[other], test, part, row, shown)
        for row in TOLD
        for one, other, test, part, shown in wanted
        if one in found and other in found and found[one].has(test, part) and found[other].has(shown, part)
    ]


def against_known(found: dict[str, Arm]) -> list[Difference]:
    """Each arm less grey, and less the picture's own mean colour."""
    places = [*((test, HELD_BACK) for test in (*PRIMARY, *FOREIGN)), *((PRIMARY[0], plates) for plates in PLATES)]
    return [
        difference(found[name], found[name], test, part, row, known=known)
        for row, known in ((NETWORK, "grey"), (PALETTE, "grey"), (PALETTE, "own mean"))
        for test, part in places
        for name in OWN
        if name in found and found[name].has(test, part)
    ]


def differences_table(found: Iterable[Difference]) -> Table:
    lines: Table = [
        ("test", "told", "less", "ΔE2000 alone: over pictures", "over pictures and trainings", "by seed", "", "as seen",
         "colourfulness", "grey share")
    ]  # fmt: skip
    for one in found:
        seeds = " ".join(f"{value:+.2f}" for value in one.seeds)
        seen, colour = (signed(said) if said else "–" for said in (one.seen, one.colour))
        lines.append(
            (one.test, TOLD[one.row], f"{one.one} − {one.other}", signed(one.pictures),
             f"{one.trainings.low:+.2f} to {one.trainings.high:+.2f}", seeds, one.verdict, seen, colour,
             signed(one.grey))
        )  # fmt: skip
    return lines


def own_table(found: dict[str, Arm]) -> Table:
    """Each arm on held-back pictures drawn as those that it has learnt from, and as a print would be shown to it."""
    lines: Table = [("", *HEAD)]
    for name, test in [*((own, own) for own in OWN), *AS_USED.items(), ("photo", "as-toned")]:
        if name in found and found[name].has(test, HELD_BACK):
            lines += [(test, *line) for line in rows_of(found, [name], test)[1 : None if test == name else 4]]
    return lines


def changes(found: dict[str, Arm], test: str = "", part: str = HELD_BACK) -> Iterator[Difference]:
    """What each ablation does to that of which it is a change, in the first of its tests, or in `test`. Where that has
    several seeds, to their mean."""
    firsts = {entry.name: entry.tests[0] for entry in ablations()}
    for entry in ablations():
        arm, base = found.get(entry.name), found.get(entry.versus)
        mine, theirs = test or entry.tests[0], test or firsts.get(entry.versus, PRIMARY[0])
        if arm is None or base is None or not arm.has(mine, part) or not base.has(theirs, part):
            continue
        rows = [one.results[0]["tests"][of][part]["rows"] for one, of in ((arm, mine), (base, theirs))]
        for row in ALL_TOLD:
            if all(row in those for those in rows):
                pooled = spread_of_seeds(found, test or PRIMARY[0], part, row)
                yield difference(arm, base, mine, part, row, theirs, pooled=pooled if pooled[1] else None)


def otherwise(found: dict[str, Arm]) -> Iterator[Difference]:
    """What there is in ALSO."""
    for name, test, versus, against in ALSO:
        if name in found and versus in found and found[name].has(test, HELD_BACK):
            for row in ALL_TOLD:
                pooled = spread_of_seeds(found, PRIMARY[0], HELD_BACK, row)
                yield difference(found[name], found[versus], test, HELD_BACK, row, against, pooled=pooled)


def ablation_table(found: dict[str, Arm]) -> Table:
    """What each change does to the network that it is a change of."""
    lines: Table = [("change", "told", "of", "ΔE2000 alone", "less: over pictures", "over pictures and trainings", "",
                     "as seen", "colourfulness", "grey share")]  # fmt: skip
    for less in [*changes(found), *otherwise(found)]:
        cells = list(_cells(found[less.one], less.test.partition(";")[0], HELD_BACK, less.row))
        seen, colour = (signed(said) if said else "–" for said in (less.seen, less.colour))
        of = less.other if less.test in (*PRIMARY, *FOREIGN) else f"{less.other} ({less.test})"
        lines.append((less.one, ALL_TOLD[less.row], of, cells[0], signed(less.pictures),
                      f"{less.trainings.low:+.2f} to {less.trainings.high:+.2f}", _found(less), seen, colour,
                      signed(less.grey)))  # fmt: skip
    return lines


def elsewhere_table(found: dict[str, Arm]) -> Table:
    """The same changes in other tests, as far as they were made: the difference, in bold where it is no tie."""
    places = [*((test, HELD_BACK) for test in ELSEWHERE[1:]), *((PRIMARY[0], plates) for plates in PLATES)]
    cells = {(less.one, less.row, place): less for place in places for less in changes(found, *place)}
    lines: Table = [("change", "told", *(test if part == HELD_BACK else part for test, part in places))]
    for entry in ablations():
        for row, said in TOLD.items():
            line = [_briefly(cells.get((entry.name, row, place))) for place in places]
            if set(line) != {"–"}:
                lines.append((entry.name, said, *line))
    return lines


def _briefly(less: Difference | None) -> str:
    if less is None:
        return "–"
    value = f"{less.pictures.value:+.2f}"
    return value if _found(less) == "tie" else f"**{value}**"


def _found(less: Difference) -> str:
    if not less.trainings.low * less.trainings.high > 0:
        return "tie"
    return "better" if less.pictures.value < 0 else "worse"


def markdown(lines: Table) -> str:
    """A table as Markdown has it."""
    rule = ("---",) * len(lines[0])
    return "\n".join("| " + " | ".join(line) + " |" for line in [lines[0], rule, *lines[1:]])


# ---- plots -----------------------------------------------------------------------------------------------

COLOURS = {NETWORK: "#1f6f8b", PALETTE: "#b5451f", HINTS: "#4c7a34"}


def plot(found: Sequence[Difference], path: Path, verdict: Callable[[Difference], str]) -> None:
    """Each difference with its interval; left of 0 the first named is nearer."""
    import matplotlib
    from matplotlib.figure import Figure as Drawing

    with matplotlib.rc_context({"svg.hashsalt": "gravurekit", "svg.fonttype": "none", "font.size": 9}):
        drawing = Drawing(figsize=(9, 0.24 * len(found) + 1.2), layout="constrained")
        axes = drawing.add_subplot()
        for place, one in enumerate(found):
            colour = COLOURS[one.row]
            pale = verdict(one) == "tie"
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
        axes.set_xlabel(
            "ΔE2000, below 0: the first is nearer to the truth (blue: told nothing, red: its palette, green: hints)"
        )
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
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--results", type=Path, default=RESULTS)
    parser.add_argument("--page", type=Path, default=DOC, help="a copy of the page, if the results aren't its own")
    asked = parser.parse_args()
    found = results(asked.results)
    if not found:
        raise SystemExit(f"{asked.results} holds no result of this plan: make them first")
    less = differences(found)
    tables = {"differences": differences_table(less), "ablations": ablation_table(found)}
    tables["elsewhere"] = elsewhere_table(found)
    tables["known"] = differences_table(against_known(found))
    names = ("photo", "cartoon", "engrave")
    tables["own"] = own_table(found)
    for test in (*PRIMARY, *FOREIGN):
        tables[test] = rows_of(found, names, test)
    for plates in PLATES:
        tables[plates] = rows_of(found, names, PRIMARY[0], plates)
    text = filled(asked.page.read_text("utf-8"), {name: markdown(table) for name, table in tables.items()})
    storage.write_text(asked.page, text)
    plot(less, asked.page.with_suffix(".svg"), lambda one: one.verdict)
    changed = asked.page.with_name(f"{asked.page.stem}-ablations.svg")
    plot([*changes(found), *otherwise(found)], changed, _found)


if __name__ == "__main__":
    main()
