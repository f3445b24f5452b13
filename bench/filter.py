"""What the filter reaches of its goals, on real pictures.

    python bench/filter.py DATA [--only near,veto,truth,monochrome,figure,probe,join,decide] [--sample N] [--up-to N]

DATA holds `figures` (people), `photos` (garments), `prints`, `irrelevant` and `neardup` with its GROUND_TRUTH.csv. Each
part is a file beside this one, and says there how it measures:

- near: recall of edited copies and false pairs, beside imagehash and imagededup (filter_near.py)
- veto: garments in another colour, and pictures in one frame, that are taken for one (filter_veto.py)
- truth: the stage over `neardup` (filter_truth.py)
- monochrome: toned pictures found, coloured ones flagged (filter_quality.py)
- figure: the score of relevance (filter_figure.py)
- probe: pictures a second on one core (filter_probe.py)
- join: the exact join of codes (filter_join.py)
- decide: the decision step (filter_decide.py)

The table at the end has each goal beside what was reached. Times hold for an idle machine.
"""

import argparse
import time
from collections.abc import Callable
from pathlib import Path

import filter_decide
import filter_figure
import filter_join
import filter_near
import filter_probe
import filter_quality
import filter_truth
import filter_veto
from filter_goals import Goal, say, table

PARTS: dict[str, Callable[[argparse.Namespace], list[Goal] | None]] = {
    "near": lambda given: filter_near.run(given.data, given.sample),
    "veto": lambda given: filter_veto.run(given.data, given.sample // 5),
    "truth": lambda given: filter_truth.run(given.data),
    "monochrome": lambda given: filter_quality.run(given.data),
    "figure": lambda given: filter_figure.run(given.data),
    "probe": lambda given: filter_probe.run(given.data),
    "join": lambda given: filter_join.run(given.up_to),
    "decide": lambda given: filter_decide.run(given.up_to),
}


def parts(text: str) -> list[str]:
    """Names of parts, with commas between."""
    names = text.split(",")
    if strange := [name for name in names if name not in PARTS]:
        raise argparse.ArgumentTypeError(f"no part is called {strange[0]!r}; there are {', '.join(PARTS)}")
    return [name for name in PARTS if name in names]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path, metavar="DATA", help="the folder of figures, photos, prints, …")
    parser.add_argument("--only", type=parts, default=list(PARTS), metavar="PART,…", help="measure these parts")
    parser.add_argument(
        "--sample", type=int, default=300, metavar="N", help="pictures that are edited, for near and veto"
    )
    parser.add_argument("--up-to", type=int, default=1_000_000, metavar="N", help="codes to join, Records to decide")
    given = parser.parse_args()
    goals: list[Goal] = []
    for name in given.only:
        began = time.perf_counter()
        goals += PARTS[name](given) or []
        say(f"{name}: {time.perf_counter() - began:.0f} s in all\n")
    table(goals)


if __name__ == "__main__":
    main()
