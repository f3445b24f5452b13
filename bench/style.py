"""Is a style taken for a print? What `gravurekit evaluate style` says of engrave, and of what `--match` fits.

    python bench/style.py DATA [--pictures N] [--only default,presets,match]

DATA holds `figures`, photographs of people, and `prints`, a folder of real prints for each book.

- default: engrave at its default settings: J, T, K and hues with their intervals, beside the controls and the books.
- presets: each of its presets.
- match: half of each book with enough pictures is matched; T is the distance to its other half, over the median
  distance between books, before and after.

Minutes to an hour on two cores: the judges learn once, each fit draws a thousand pictures.
"""

import argparse
import tempfile
from pathlib import Path

import numpy as np
from filter_goals import Goal, at_least, at_most, say, table

from gravurekit import crafts, folder, foreign, storage
from gravurekit.executor import make_executor
from gravurekit.measures import patches, texture
from gravurekit.progress import SILENT
from gravurekit.stages import evaluate, stylize
from gravurekit.stages.evaluate import Evaluation

PART = "style"
PICTURES = 64  # photographs that are drawn; judges learn from about half of them, the others are measured
SEVERAL = 40  # pictures of a book that is worth halving
LOCAL = make_executor("local", 0)


def drawn(data: Path, scratch: Path, name: str, pictures: int, **settings: object) -> Path:
    """Some of the photographs, drawn by engrave: a styled folder."""
    names = foreign.picture_files(data / "figures")
    some = storage.make_folder(scratch / "photographs")
    for n in range(pictures):
        storage.link_or_copy(data / "figures" / (chosen := names[n * len(names) // pictures]), some / chosen)
    job = stylize.Job(some, scratch / name, stylize.Settings.model_validate({"style": "engrave", **settings}), {})
    stylize.run(job, LOCAL, SILENT)
    return job.out


def evaluated(data: Path, styled: Path, scratch: Path) -> Evaluation:
    settings = evaluate.Settings(pictures=PICTURES)
    out = scratch / f"{styled.name}.json"
    return evaluate.run(
        evaluate.Job(styled, data / "figures", data / "prints", out, scratch / "cache", settings), SILENT
    )


def default(data: Path, scratch: Path, pictures: int) -> list[Goal]:
    made = evaluated(data, drawn(data, scratch, "engrave", pictures), scratch)
    for cells in evaluate.table(made):
        say(f"{cells[0]:36}" + "".join(f"{cell:>19}" for cell in cells[1:]))
    for item in made.deviations[:6]:
        say(f"  {item.name}: {item.value:+.2f} sd; books {item.least:+.2f} to {item.most:+.2f}")
    own, controls = made.style, {item.name: item for item in made.controls}
    band = min(item.judged.value for item in made.books)
    goals = [at_least(PART, "J, over the lowest held-back book's", own.judged.value / band, 1)]
    for name in ("photo", "cartoon"):
        goals += [
            at_least(
                PART, f"J: lower end over the upper one of {name}", own.judged.low / controls[name].judged.high, 1
            ),
            at_most(
                PART, f"T: upper end over the lower one of {name}", own.texture.high / controls[name].texture.low, 1
            ),
        ]
    return [
        *goals,
        at_most(PART, "T to the farthest book (reach)", max(own.to_books.values()), 0.9),
        at_least(PART, "K: tone kept", own.tone.value, 0.9),
        at_least(PART, "K: edges kept", own.edges.value, 0.85),
        at_most(PART, "K: hue of the print", own.print_hue.value, 8, "°"),
        at_most(PART, "K: hue of the wash", own.wash_hue.value, 4, "°"),
        at_most(PART, "controls that the measure can't tell from books", len(made.doubts), 0),
    ]


def presets(data: Path, scratch: Path, pictures: int) -> list[Goal]:
    for name in crafts.load("styles", "engrave").PRESETS:
        own = evaluated(data, drawn(data, scratch, name, pictures, preset=name), scratch).style
        most = max(own.to_books.values())
        say(f"{name}: J {own.judged}, T {own.texture}, at most {most:.2f}, K {own.tone} {own.edges}")
    return []


def match(data: Path, scratch: Path, pictures: int) -> list[Goal]:
    """Fit half of a book, look at the other half."""
    books = {path: foreign.picture_files(path) for path in sorted((data / "prints").iterdir())}
    looked = {path: seen(path, names) for path, names in books.items()}
    scale = texture.scale_of(list(looked.values()))
    profiles = [texture.profile(texture.projected(found, scale)) for found in looked.values()]
    unit = np.median([texture.apart(a, b) for n, a in enumerate(profiles) for b in profiles[:n]])
    goals = []
    for path, names in books.items():
        if len(names) < SEVERAL:
            continue
        half = storage.make_folder(scratch / f"half-{path.name}")
        for name in names[::2]:
            storage.link_or_copy(path / name, half / Path(name).name)
        other = texture.profile(texture.projected(seen(path, names[1::2]), scale))
        preset = scratch / f"{path.name}.toml"
        job = stylize.Job(data / "figures", scratch / "none", stylize.Settings(style="engrave"), {})
        stylize.match(job, half, preset, LOCAL, SILENT)
        before, after = (
            texture.apart(texture.profile(texture.projected(seen_styled(styled), scale)), other) / unit
            for styled in (
                drawn(data, scratch, "engrave", pictures),
                drawn(data, scratch, f"like-{path.name}", pictures, preset=str(preset)),
            )
        )
        say(f"{path.name}: T to its other half {before:.2f} → {after:.2f}")
        goals.append(at_most(PART, f"{path.name}: T after --match on its other half (reach)", after, 0.6))
    return goals


def seen(path: Path, names: list[str]) -> np.ndarray:
    """The textures of pictures, (patches, features) float32."""
    return np.concatenate([texture.features(patches.grey(patches.read(path / name))) for name in names])


def seen_styled(styled: Path) -> np.ndarray:
    return seen(styled, [item.plain_file_name for item in folder.read(styled)])


PARTS = {"default": default, "presets": presets, "match": match}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path)
    parser.add_argument("--pictures", type=int, default=PICTURES)
    parser.add_argument("--only", default=",".join(PARTS))
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        goals = [
            goal for name in asked.only.split(",") for goal in PARTS[name](asked.data, Path(scratch), asked.pictures)
        ]
    say()
    table(goals)


if __name__ == "__main__":
    main()
