"""Which form of a few colours, told as a palette, a trained network obeys best.

    python experiments/palettes.py MODEL PRINTS [--each 2] [--forms]

MODEL: a run's folder, trained with `palette = true`; PRINTS: a folder of folders of real prints. Of each folder some
prints are fed as `colorize` feeds them, and told red, blue, green and ochre in turn, in each of the forms of the table:
neutral (share of paper), spread (standard deviation, ab units), fading (share between paper and colour), most (chroma).

Printed, as means over the prints: turn, by how many degrees of hue (of a and b) the mean colour over the figure moves
from red to blue; miss, by how many degrees it lies beside the colour that was asked for; chroma of the figure's mean;
and paper, the chroma over the paper that is bare. The figure is where ink covers more than a fifth, the paper where
there is none, both within the picture.
"""

import argparse
import itertools
from pathlib import Path

import cv2
import numpy as np

from gravurekit import images, swatches, tint
from gravurekit.fed import on_sheet, redrawn
from gravurekit.model import palette
from gravurekit.model.predictor import Predictor

ASKED = ("red", "blue", "green", "ochre")
FIRST = (swatches.NEUTRAL, swatches.SPREAD, swatches.FADING, swatches.MOST)
TRIED = {"neutral": (0, 0.2, 0.35, 0.5, 0.65), "spread": (0, 5, 8, 12, 18), "fading": (0, 0.25, 0.5, 0.75),
         "most": (30, 40, 55, 70, 90)}  # fmt: skip


class Fed:
    """A print as the network sees it."""

    def __init__(self, path: Path, predictor: Predictor) -> None:
        pixels = images.read(path).pixels
        ink = tint.print_ink(pixels)
        L = tint.grey_lightness(redrawn(ink, predictor.about.get("style")))
        self.sheet, self.place = on_sheet(L, *predictor.trained_size)
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


def figures(fed: list[Fed], predictor: Predictor, form: tuple[float, ...]) -> list[float]:
    """turn, miss, chroma, paper: their means over the prints."""
    told = {name: palette.from_histogram(swatches.histogram(swatches.colours(name), *form)) for name in ASKED}
    wanted = {name: hue(swatches.as_wash(swatches.colour(name))[1:]) for name in ASKED}
    found = []
    for each in fed:
        mean, paper = {}, []
        for name in ASKED:
            ab = predictor.predict(each.sheet, palette=told[name]).ab
            mean[name] = ab[each.figure].mean(0)
            if each.paper.sum() > 100:
                paper.append(np.hypot(*ab[each.paper].T).mean())
        turn = between(hue(mean["red"]), hue(mean["blue"]))
        miss = np.mean([between(hue(mean[name]), wanted[name]) for name in ASKED])
        chroma = np.mean([np.hypot(*ab) for ab in mean.values()])
        found.append([turn, miss, chroma, np.mean(paper) if paper else np.nan])
    return [float(value) for value in np.nanmean(found, axis=0)]


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
    fed = [Fed(path, predictor) for path in chosen]
    hues = (f"{name} {hue(swatches.as_wash(swatches.colour(name))[1:]):.0f}°" for name in ASKED)
    print(f"{len(fed)} prints; {', '.join(hues)}")  # noqa: T201
    print(" ".join(f"{name:>8}" for name in (*TRIED, "turn", "miss", "chroma", "paper")))  # noqa: T201
    for form in forms() if options.forms else [FIRST]:
        print(" ".join(f"{value:8.2f}" for value in (*form, *figures(fed, predictor, form))), flush=True)  # noqa: T201


if __name__ == "__main__":
    main()
