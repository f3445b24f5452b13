"""The page of shards: samples as they are in the tensors themselves, how many of which label and split there are, how
light they are, and their colours on the ab plane.
"""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from gravurekit import shards, storage
from gravurekit.audit import Fault, inspect
from gravurekit.errors import DataError
from gravurekit.executor import Executor
from gravurekit.metadata import owner_of
from gravurekit.parts import TASK_SIZE
from gravurekit.progress import Watch
from gravurekit.receipt import Receipt, receipt_if_any
from gravurekit.reports import Report, _gallery, _page, _plots, _thumbs
from gravurekit.reports._gallery import Group, Item
from gravurekit.reports._plots import Plot
from gravurekit.reports._sections import Table
from gravurekit.reports._thumbs import Place, Shown, Thumb
from gravurekit.shards import index, palette, reader

if TYPE_CHECKING:
    import numpy as np

PLANES = 8  # labels whose colours are drawn on planes of their own
LEVELS = 64  # bars of the histogram of lightness
INK, TARGET, PRINT, PHOTO = "L, the input", "target", "both together", "L of the photograph"


@dataclass(frozen=True)
class Tensor:
    """A tensor of a sample that is to be shown `side` px long: `kind` of INK and so on."""

    path: str
    sha256: str
    row: int
    kind: str
    side: int


@dataclass(frozen=True)
class Content:
    """What a shards folder holds. `samples`: lines of the index."""

    path: Path
    receipt: Receipt | None
    manifest: dict[str, Any]
    samples: list[dict[str, Any]]
    faults: list[Fault] = field(default_factory=list)

    @property
    def name(self) -> str:
        """Of the folder."""
        return self.path.resolve().name or str(self.path)

    @property
    def knobs(self) -> dict[str, str]:
        """The settings of the stage."""
        return _page.knobs(self.receipt.plan) if self.receipt else {}

    @property
    def kinds(self) -> list[str]:
        """What of a sample is shown."""
        found = [INK, TARGET]
        if self.manifest.get("target") == "wash" and self.manifest.get("input") == "plain":
            found.append(PRINT)
        return found + ([PHOTO] if "L_photo" in self.manifest["tensors"] else [])


def fits(path: Path) -> bool:
    """Whether the folder is one of shards: by its marker, or its manifest."""
    return owner_of(path) == "shard" or (not owner_of(path) and (path / shards.MANIFEST).is_file())


def write(source: Path, out: Path, thumb: int, limit: int, png: bool, executor: Executor, watch: Watch) -> Report:
    """Write the page of the shards in `source`. Raises UsageError if `out` is somebody else's, DataError if there is no
    manifest that can be read."""
    _page.refuse_to_overwrite(out)
    content = _read(source)
    executor.reach(None, [source])
    members: dict[str, list[dict[str, Any]]] = {name: [] for name in shards.SPLITS}
    for sample in content.samples:
        members[sample["split"]].append(sample)
    present = [(name, False, samples) for name, samples in members.items() if samples]
    chosen = _gallery.chosen(present, limit)
    sums = {str(shard["file"]): str(shard["sha256"]) for shard in content.manifest["shards"]}
    groups = [
        Group(name, False, [_item(sample, content, sums, thumb) for sample in some])
        for (name, _, _), some in zip(present, chosen, strict=True)
    ]
    maker, files = _Maker(), _page.files_of(out)
    gallery = _gallery.gather(groups, files, maker.make, executor, watch, [len(samples) for _, _, samples in present])
    plots = [*_counts(content), *_lightness(maker.levels, gallery.shown), *_colours(content)]
    page = {
        "content": content, "eyebrow": "Report · shards", "kind": "shard", "plots": plots, "gallery": gallery,
        "tables": list(_tables(content)), "thumb": thumb, "wrong": "Something is wrong with these shards",
        "count": len(content.samples),
        "ways": {"figures": "Figures", "pictures": "Samples"}, "head": _headline(content),
    }  # fmt: skip
    _page.write(out, "tensors.html", page, ("gallery.js", "viewer.js"))
    gallery.finish(files)
    written = _page.write_plots(files, plots if png else [])
    counts = {name: len(samples) for name, samples in members.items()}
    said = ", ".join(f"{name} {count}" for name, count in counts.items())
    return Report(out, "shards", f"{said}; {gallery.shown} samples shown", {"samples": counts, "shown": gallery.shown},
                  written)  # fmt: skip


# ---- what is in the folder -----------------------------------------------------------------------------


def _read(path: Path) -> Content:
    manifest = reader.read_manifest(path)
    faults = list(inspect(path).faults)
    samples: list[dict[str, Any]] = []
    try:
        for entry in index.read(path / shards.INDEX, ("split", "shard", "row", "key", "labels")):
            if entry["split"] in shards.SPLITS:
                samples.append(entry)
    except DataError as error:
        faults.append(Fault("index", str(error), "what comes after isn't shown"))
    for shard in manifest["shards"]:
        if storage.size_of(path / shard["file"]) != shard["bytes"]:
            faults.append(Fault("shard", f"{path / shard['file']} is missing or was cut short", reader.ANEW))
    return Content(path, receipt_if_any(path), manifest, samples, faults)


def _item(sample: Mapping[str, Any], content: Content, sums: Mapping[str, str], side: int) -> Item:
    file = str(sample["shard"])
    path = str(content.path / file) if file in sums else ""  # no other file is opened
    shots = [(kind, Tensor(path, sums.get(file, ""), sample["row"], kind, side)) for kind in content.kinds]
    facets = {
        "keyword": _words(sample.get("keywords")), "label": _words(sample["labels"]),
        "source": _words([sample.get("source")]), "licence": _words([sample.get("license")]),
    }  # fmt: skip
    names = {
        "creator": "creator", "page": "page_url", "picture": "url", "licence text": "license_url", "title": "title",
        "drawn of": "photo_key", "variant": "variant", "cluster": "cluster", "shard": "shard", "row": "row",
    }  # fmt: skip
    facts = {said: str(sample[name]) for said, name in names.items() if sample.get(name) not in (None, "")}
    title = sample.get("title") if isinstance(sample.get("title"), str) else ""
    return Item(sample["key"], title or "", (0, 0), shots, (), "", "", facets, {}, facts)


def _words(found: Any) -> list[str]:
    return [word for word in found if isinstance(word, str) and word] if isinstance(found, list) else []


# ---- tensors as pictures -------------------------------------------------------------------------------


class _Maker:
    """Makes small pictures of tensors, and counts how light the inputs are on the way."""

    def __init__(self) -> None:
        self.levels: Counter[int] = Counter()

    def make(self, tensors: Sequence[Tensor], place: Place, executor: Executor, watch: Watch) -> Mapping[Tensor, Shown]:
        """As `_thumbs.make`."""
        by_row: dict[tuple[str, int], list[Tensor]] = {}
        for tensor in tensors:
            by_row.setdefault((tensor.path, tensor.row), []).append(tensor)
        rows = list(by_row.values())
        tasks = [tuple(rows[n : n + TASK_SIZE]) for n in range(0, len(rows), TASK_SIZE)]
        watch.begin("samples", len(rows))
        found: dict[Tensor, Shown] = {}
        for outcome in executor.map(_pictures, tasks):
            wanted = [tensor for row in tasks[outcome.index] for tensor in row]
            thumbs, levels = outcome.value or ([Thumb(fault=f"reading it {outcome.lost}")] * len(wanted), {})
            found |= {tensor: _thumbs.placed(thumb, place) for tensor, thumb in zip(wanted, thumbs, strict=True)}
            self.levels.update(levels)
            watch.advance(len(tasks[outcome.index]))
        return {tensor: found[tensor] for tensor in tensors}


def _pictures(task: tuple[list[Tensor], ...]) -> tuple[list[Thumb], dict[int, int]]:
    """The Thumbs of the tensors of some samples, and how often the inputs have which lightness, of LEVELS."""
    import numpy as np

    thumbs: list[Thumb] = []
    levels = np.zeros(LEVELS, np.int64)
    for wanted in task:
        planes = _planes(wanted[0])
        if isinstance(planes, str):
            thumbs += [Thumb(fault=planes)] * len(wanted)
            continue
        levels += np.bincount(planes["L"].ravel() // (256 // LEVELS), minlength=LEVELS)
        thumbs += [_thumbs.reduced(_seen(planes, tensor.kind), tensor.side) for tensor in wanted]
    return thumbs, {level: int(count) for level, count in enumerate(levels) if count}


def _planes(wanted: Tensor) -> "dict[str, np.ndarray] | str":
    """The tensors of a sample within its box, (planes, H, W) uint8, or what stands in the way."""
    try:
        path = storage.at_hand(Path(wanted.path), wanted.sha256)
        if wanted.row < 0:  # would be one from the end
            raise IndexError
        sample = next(reader.samples_of(path, [wanted.row]))
    except DataError as error:
        return str(error)
    except IndexError:
        return f"{Path(wanted.path).name} has no row {wanted.row}"
    y0, x0, y1, x1 = sample.box
    planes = {name: plane[:, y0:y1, x0:x1] for name, plane in sample.planes.items()}
    return planes if planes["L"].size else "its box is empty"


def _seen(planes: "Mapping[str, np.ndarray]", kind: str) -> "np.ndarray":
    """A tensor as (H, W, 3) uint8 sRGB. `planes`: L and L_photo (1, H, W), wash (3, H, W) uint8 in OpenCV's scaling."""
    import numpy as np

    from gravurekit import color

    if kind in (INK, PHOTO):
        lightness = planes["L" if kind == INK else "L_photo"][0].astype(np.float32) / 2.55
        return color.lab_to_rgb(np.stack([lightness, np.zeros_like(lightness), np.zeros_like(lightness)], axis=-1))
    wash = color.lab_to_rgb(color.lab8_to_lab(planes["wash"].transpose(1, 2, 0)))
    if kind == TARGET:
        return wash
    ink = _seen(planes, INK)
    return color.linear_to_srgb(color.srgb_to_linear(wash) * color.srgb_to_linear(ink))


# ---- figures -------------------------------------------------------------------------------------------


def _headline(content: Content) -> list[tuple[str, str]]:
    manifest = content.manifest
    width, height = manifest["size"]
    found = [("samples", f"{len(content.samples):,}"), ("size", f"{width} × {height} px"),
             ("classes", f"{len(manifest['classes']):,}"), ("files", f"{len(manifest['shards']):,}")]  # fmt: skip
    ab = manifest.get("ab")
    if isinstance(ab, dict):
        found.append(("mean of a, b", ", ".join(f"{value:.1f}" for value in ab["mean"])))
        found.append(("spread of a, b", ", ".join(f"{value:.1f}" for value in ab["std"])))
    found.append(("mean L", f"{100 * manifest['L_mean']:.1f}"))
    return [*found, ("input", str(manifest.get("input", ""))), ("target", str(manifest.get("target", "")))]


def _label(sample: Mapping[str, Any]) -> str:
    return next(iter(_words(sample["labels"])), "no label")


def _counts(content: Content) -> Iterator[Plot]:
    counts = Counter((_label(sample), sample["split"]) for sample in content.samples)
    labels = Counter(_label(sample) for sample in content.samples)
    colours = dict(zip(shards.SPLITS, ("learnt", "held", "palette"), strict=True))
    rows = {
        label: {colours[split]: counts[label, split] for split in shards.SPLITS if counts[label, split]}
        for label, _ in sorted(labels.items(), key=lambda pair: (-pair[1], pair[0]))
    }
    if rows:
        names = {colour: split for split, colour in colours.items()}
        yield _plots.bars("labels", "Samples of each label", rows, "By split.", names)


def _tables(content: Content) -> Iterator[Table]:
    counts = Counter((_label(sample), sample["split"]) for sample in content.samples)
    labels = sorted(
        {label for label, _ in counts}, key=lambda label: (-sum(counts[label, s] for s in shards.SPLITS), label)
    )
    rows: list[list[str | int]] = [[label, *(counts[label, split] for split in shards.SPLITS)] for label in labels]
    yield Table("Samples, by label and split", ("label", *shards.SPLITS), rows)


def _lightness(levels: Counter[int], shown: int) -> Iterator[Plot]:
    if total := levels.total():
        counts = [100 * levels[level] / total for level in range(LEVELS)]
        yield _plots.levels(
            "lightness", "Lightness of the input", counts, "L", f"Of the {shown:,} samples on this page."
        )


def _colours(content: Content) -> Iterator[Plot]:
    """On the ab plane: of all training samples, and of each of the most frequent labels."""
    about = "Of the training samples, a cell 10 ab units wide. The larger the mark, the more often (logarithmic)."
    if isinstance(text := content.manifest.get("ab_histogram"), str):
        yield from _plane("colours", "Colours of all", text, about)
    tables = content.manifest["palettes"].get("labels")
    if not isinstance(tables, dict):
        return
    said = {
        name: found for name, found in tables.items() if isinstance(found, dict) and isinstance(found.get("ab"), str)
    }
    order = sorted(said, key=lambda name: (-int(said[name].get("samples", 0)), name))
    for number, name in enumerate(order[:PLANES]):
        yield from _plane(f"colours-{number + 1}", f"Colours of {name or 'no label'}", said[name]["ab"],
                          f"{said[name].get('samples', 0)} samples.")  # fmt: skip


def _plane(name: str, title: str, text: str, about: str) -> Iterator[Plot]:
    try:
        counts = palette.from_text(text)
    except ValueError:
        return
    yield _plots.plane(name, title, counts, palette.STEP, about)
