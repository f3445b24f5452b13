"""How well a trained network meets hints by itself, and how far they reach.

    python experiments/hints.py MODEL PRINTS [--each 1]

MODEL: a run's folder, trained with `hints = true`; PRINTS: a folder of folders of real prints. In each print places in
the figure are hinted, one at a time and four at a time, in red, blue, green and ochre in turn, by squares of several
sizes (px of what the network sees).

"palette" 1: the network is also told the hints' colours as a palette.

Printed, over all hints: delta E, CIEDE2000 between the colour that was asked for and what the network says there, at
equal lightness (median, 90th percentile, share that is met within 5); and by how much of what it changes at the hint it
changes the colours 8, 16 and 32 px away.
"""

import argparse
from pathlib import Path

import numpy as np
from palettes import Fed

from gravurekit import swatches
from gravurekit.model import palette
from gravurekit.model.difference import delta_e_2000
from gravurekit.model.predictor import Predictor

ASKED = ("red", "blue", "green", "ochre")
AWAY = (8, 16, 32)


def places(fed: Fed, count: int) -> np.ndarray:
    """Some places of the figure, (count, 2) y and x, far from one another."""
    all_of_them = np.argwhere(fed.figure)
    chosen = [all_of_them[len(all_of_them) // 2]]
    while len(chosen) < count:
        away = np.min([((all_of_them - place) ** 2).sum(1) for place in chosen], axis=0)
        chosen.append(all_of_them[away.argmax()])
    return np.array(chosen)


def told(sheet: np.ndarray, hinted: list[tuple[np.ndarray, str]], side: int) -> np.ndarray:
    hints = [swatches.Hint(int(x), int(y), swatches.colour(name)) for (y, x), name in hinted]
    shape = sheet.shape[:2]
    return swatches.hint_planes(hints, shape[::-1], shape, (slice(0, shape[0]), slice(0, shape[1])), side)


def figures(fed: list[Fed], predictor: Predictor, together: int, side: int, with_palette: bool) -> list[float]:
    missed, reach = [], []
    for each in fed:
        found = places(each, 4)
        rounds = (
            [list(zip(found, ASKED, strict=True))]
            if together == 4
            else [[pair] for pair in zip(found, ASKED, strict=True)]
        )
        for hinted in rounds:
            given = (
                palette.from_histogram(swatches.histogram([swatches.colour(n) for _, n in hinted]))
                if with_palette
                else None
            )
            before = predictor.predict(each.sheet, palette=given).ab
            after = predictor.predict(each.sheet, palette=given, hints=told(each.sheet, hinted, side)).ab
            for (y, x), name in hinted:
                wanted = swatches.as_wash(swatches.colour(name))
                said = np.array([wanted[0], *after[y, x]], np.float32)
                missed.append(float(delta_e_2000(wanted, said)))
            if together == 1:
                (y, x), _ = hinted[0]
                moved = np.hypot(*(after - before).transpose(2, 0, 1))
                rows, columns = np.indices(moved.shape)
                distance = np.hypot(rows - y, columns - x)
                reach.append([moved[abs(distance - away) < 1].mean() / max(moved[y, x], 1e-3) for away in AWAY])
    share = np.mean(np.array(missed) <= 5)
    return [np.median(missed), np.percentile(missed, 90), share, *(np.median(reach, axis=0) if reach else [np.nan] * 3)]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("model", type=Path)
    parser.add_argument("prints", type=Path)
    parser.add_argument("--each", type=int, default=1, help="prints of each folder")
    options = parser.parse_args()
    predictor = Predictor.load(options.model)
    books = [sorted(book.iterdir()) for book in sorted(options.prints.iterdir()) if book.is_dir()]
    chosen = [path for book in books for path in book[:: max(1, len(book) // options.each)][: options.each]]
    fed = [each for each in (Fed(path, predictor) for path in chosen) if each.figure.sum() > 50]
    print(f"{len(fed)} prints")  # noqa: T201
    columns = ("palette", "hints", "side", "median", "90 %", "met", *(f"{away} px" for away in AWAY))
    print(" ".join(f"{name:>8}" for name in columns))  # noqa: T201
    for with_palette in (False, True):
        for together in (1, 4):
            for side in (2, 4, 6, 8, 12):
                found = figures(fed, predictor, together, side, with_palette)
                print(" ".join(f"{value:8.2f}" for value in (with_palette, together, side, *found)), flush=True)  # noqa: T201


if __name__ == "__main__":
    main()
