"""Which form of a few colours, told as a palette, a trained network obeys best.

    python experiments/palettes.py MODEL PRINTS [--each 2] [--forms]

MODEL: a run's folder, trained with `palette = true`; PRINTS: a folder of folders of real prints. Of each folder some
prints are fed as `colorize` feeds them, and told red, blue, green and ochre in turn, in each of the forms of the table:
neutral (share of paper), spread (standard deviation, ab units), fading (share between paper and colour), most (chroma).
The last row is what `recolour.transferred` makes of what the network says when it is told nothing.

Printed, as means over the prints: turn, by how many degrees of hue (of a and b) the mean colour over the figure moves
from red to blue; least, of the print where it moves the least; miss, by how many degrees it lies beside the colour that
was asked for; chroma of the figure's mean; and paper, the mean chroma over bare paper. The figure is where ink covers
more than a fifth, bare is where there is none, both within the picture, as the network sees it; what `tint` makes of
bare paper afterwards isn't in these figures.

Then palettes of several colours, told together, and told one by one and shared out (`recolour.shared_out`): mean chroma
over the figure, and the share of it that has, with a chroma of 12 or more, the hue of each colour to 30°.
"""

import argparse
import itertools
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np

from gravurekit import edges, images, paper, recolour, swatches, tint
from gravurekit.fed import on_sheet, redrawn
from gravurekit.model import palette
from gravurekit.model.predictor import Predictor

ASKED = ("red", "blue", "green", "ochre")
LAMPS = ("#ff0000", "#0000ff")  # what CSS calls red and blue
SEVERAL = ("red,blue", "blue,ochre", "green,ochre", "#a01828,#e0b088", "red,teal,gold")
FIRST = (swatches.NEUTRAL, swatches.SPREAD, swatches.FADING, swatches.MOST)
TRIED = {"neutral": (0, 0.2, 0.35, 0.5, 0.6, 0.7, 0.8), "spread": (0, 5, 8, 12, 18), "fading": (0, 0.25, 0.5, 0.75),
         "most": (30, 40, 50, 60, 80)}  # fmt: skip


class Fed:
    """A print as the network sees it."""

    def __init__(self, path: Path, predictor: Predictor) -> None:
        pixels = images.read(path).pixels
        ink = paper.apart(pixels).grey
        L = tint.grey_lightness(redrawn(ink, predictor.about.get("style")))
        self.sheet, self.place = on_sheet(L, *predictor.trained_size)
        self.dark = edges.ground(((self.sheet + 16) / 116) ** 3)
        cover = 1 - np.clip(self.sheet / 100, 0, 1)
        cover[cover < 0.02] = 0
        cover = cv2.GaussianBlur(cover, (0, 0), 2.0)
        inside = np.zeros(cover.shape, bool)
        inside[self.place] = True
        self.figure, self.paper = inside & (cover > 0.2), inside & (cover < 0.02)


def hue(ab: np.ndarray) -> float:
    return float(np.degrees(np.arctan2(ab[1], ab[0])))


def between(one: float, other: float) -> float:
    return abs((one - other + 180) % 360 - 180)


def asked(form: tuple[float, ...]) -> dict[str, np.ndarray]:
    """The histograms of the colours."""
    return {name: swatches.histogram(swatches.colours(name), *form) for name in ASKED}


def told(each: Fed, predictor: Predictor, histogram: np.ndarray) -> np.ndarray:
    return predictor.predict(each.sheet, palette=palette.from_histogram(histogram)).ab


def transferred(each: Fed, predictor: Predictor, histogram: np.ndarray) -> np.ndarray:
    painted = cv2.GaussianBlur(each.figure.astype(np.float32), (0, 0), 2.0)
    return recolour.transferred(predictor.predict(each.sheet).ab, histogram, painted)


def figures(
    fed: list[Fed], predictor: Predictor, histograms: dict[str, np.ndarray], way: Callable[..., np.ndarray] = told
) -> list[float]:
    """turn, least, miss, chroma, paper."""
    wanted = {name: hue(swatches.as_wash(swatches.colour(name))[1:]) for name in ASKED}
    found = []
    for each in fed:
        colours = {name: way(each, predictor, histograms[name]) for name in ASKED}
        mean = {name: ab[each.figure].mean(0) for name, ab in colours.items()}
        bare = each.paper.sum() > 100
        paper = [np.hypot(*ab[each.paper].T).mean() if bare else np.nan for ab in colours.values()]
        turn = between(hue(mean["red"]), hue(mean["blue"]))
        miss = np.mean([between(hue(mean[name]), wanted[name]) for name in ASKED])
        chroma = np.mean([np.hypot(*ab) for ab in mean.values()])
        found.append([turn, turn, miss, chroma, np.mean(paper)])
    means = np.nanmean(found, axis=0)
    means[1] = min(row[1] for row in found)
    return [float(value) for value in means]


def several(fed: list[Fed], predictor: Predictor, text: str) -> list[list[float]]:
    """Told together, and shared out: chroma, and how much of the figure has each colour."""
    asked = swatches.colours(text)
    whole = swatches.histogram(asked)
    parts = swatches.parts(whole)
    wanted = [hue(swatches.as_wash(rgb)[1:]) for rgb in asked]
    rows: list[list[list[float]]] = [[], []]
    for each in fed:
        together = told(each, predictor, whole)
        single = np.array([told(each, predictor, histogram) for histogram, _ in parts])
        painted = recolour.covered(each.sheet)
        shares = recolour.shared_out(together, single, [amount for _, amount in parts], painted, each.dark)
        for row, ab in zip(rows, (together, recolour.laid(together, single, shares, painted)), strict=True):
            colours = ab[each.figure]
            chroma, hues = np.hypot(*colours.T), np.degrees(np.arctan2(colours[:, 1], colours[:, 0]))
            near = [(chroma >= 12) & (abs((hues - want + 180) % 360 - 180) <= 30) for want in wanted]
            row.append([float(chroma.mean()), *(float(there.mean()) for there in near)])
    return [np.mean(row, axis=0).tolist() for row in rows]


def forms() -> list[tuple[float, ...]]:
    """The form that there is, and those that differ from it in one number."""
    some = [FIRST]
    for place, values in enumerate(TRIED.values()):
        some += [(*FIRST[:place], value, *FIRST[place + 1 :]) for value in values if value != FIRST[place]]
    return some


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("model", type=Path)
    parser.add_argument("prints", type=Path)
    parser.add_argument("--each", type=int, default=2, help="prints of each folder")
    parser.add_argument("--forms", action="store_true", help="also forms that differ from ours in one number")
    options = parser.parse_args()
    predictor = Predictor.load(options.model)
    books = [sorted(book.iterdir()) for book in sorted(options.prints.iterdir()) if book.is_dir()]
    chosen = itertools.chain(*(book[:: max(1, len(book) // options.each)][: options.each] for book in books))
    fed = [each for each in (Fed(path, predictor) for path in chosen) if each.figure.sum() > 50]
    hues = (f"{name} {hue(swatches.as_wash(swatches.colour(name))[1:]):.0f}°" for name in (*ASKED, *LAMPS))
    print(f"{len(fed)} prints; {', '.join(hues)}")  # noqa: T201
    print(" ".join(f"{name:>8}" for name in (*TRIED, "turn", "least", "miss", "chroma", "paper")))  # noqa: T201
    for form in forms() if options.forms else [FIRST]:
        row = (*form, *figures(fed, predictor, asked(form)))
        print(" ".join(f"{value:8.2f}" for value in row), flush=True)  # noqa: T201
    row = figures(fed, predictor, asked(FIRST), transferred)
    print(" " * 36 + " ".join(f"{value:8.2f}" for value in row))  # noqa: T201
    for text in SEVERAL:
        for way, found in zip(("together", "shared out"), several(fed, predictor, text), strict=True):
            print(f"{text:20}{way:>12}" + "".join(f"{value:8.2f}" for value in found), flush=True)  # noqa: T201


if __name__ == "__main__":
    main()
