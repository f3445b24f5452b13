"""The decision step: from what was measured to kept and dropped Records. No picture is opened here, but for pairs that
figures can't tell apart.
"""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from gravurekit import crafts
from gravurekit.record import Record
from gravurekit.stages._decisions import pair

if TYPE_CHECKING:  # OpenCV loads only when pictures are read
    import numpy as np

    from gravurekit.filters import Compare
    from gravurekit.probe import Probes

IRRELEVANT, SURPLUS, BY_HAND = "irrelevant", "surplus", "by-hand"


@dataclass(frozen=True)
class Rules:
    """By what is judged. `cuts`: the least score, by the name of the score; `by_hand`: what people decided, by key;
    `per_label`: how many of a label are kept, the best by the score `best_by` (0: all)."""

    subject: str
    skip: Sequence[str]
    tables: Mapping[str, Mapping[str, Any]]
    cuts: Mapping[str, float] = field(default_factory=dict)
    per_label: int = 0
    best_by: str = ""
    by_hand: Mapping[str, bool] = field(default_factory=dict)


@dataclass(frozen=True)
class Verdict:
    """Why a picture is dropped, and for which twin."""

    reason: str
    detail: str
    kept_key: str = ""


Scores = Mapping[str, "np.ndarray"]  # (N,) float32 each; nan: not measured


def chosen(rules: Rules) -> list[str]:
    """The filters that serve for the subject: those that look at one picture first, then those that compare."""
    loaded = {name: crafts.load("filters", name) for name in crafts.names("filters") if name not in rules.skip}
    names = [name for name, craft in loaded.items() if rules.subject in craft.SUBJECTS]
    return sorted(names, key=lambda name: (loaded[name].COMPARES, not getattr(loaded[name], "FIRST", False), name))


def judged(
    probes: "Probes", scores: Scores, earlier: "Probes | None", rules: Rules, compare: "Compare"
) -> tuple[list[Record], list[Record]]:
    """Kept Records with what was measured, and dropped ones with the reason. `earlier`: pictures of other folders, of
    which no copy is kept."""
    court = _Court(probes, scores, earlier, rules, compare)
    verdicts, clusters = court.verdicts()
    known = measured(probes, scores)
    kept, dropped = [], []
    for row, item in enumerate(known):
        item = item.but(cluster=clusters.get(row, _cluster(item, compare)))
        if verdict := verdicts.get(row):
            dropped.append(item.but(reason=verdict.reason, detail=verdict.detail, kept_key=verdict.kept_key))
        else:
            kept.append(item)
    return kept, dropped


def _cluster(item: Record, compare: "Compare") -> str:
    """The cluster that a picture came with, unless people set it apart from the picture that this is named after."""
    cluster = item.cluster or item.key
    return item.key if pair(item.key, cluster) in compare.apart else cluster


class _Court:
    """Goes through the rules. Who is dropped by one isn't looked at by the next."""

    def __init__(
        self, probes: "Probes", scores: Scores, earlier: "Probes | None", rules: Rules, compare: "Compare"
    ) -> None:
        import numpy as np

        self.probes, self.scores, self.earlier, self.rules, self.compare = probes, scores, earlier, rules, compare
        self.row_of = {item.key: row for row, item in enumerate(probes.records)}
        others = earlier.records if earlier else ()
        self.cluster_of = {item.key: _cluster(item, compare) for item in (*others, *probes.records)}
        self.alive = np.ones(len(probes), bool)
        self.found: dict[int, Verdict] = {}
        self.clusters: dict[int, str] = {}

    def verdicts(self) -> tuple[dict[int, Verdict], dict[int, str]]:
        """Why rows are dropped, and the clusters of those that are copies."""
        for key, keep in self.rules.by_hand.items():
            if not keep and key in self.row_of:
                self._drop(self.row_of[key], Verdict(BY_HAND, "the decisions file says so"))
        names = chosen(self.rules)
        comparing = [name for name in names if crafts.load("filters", name).COMPARES]
        for name in names[: len(names) - len(comparing)]:
            self._apply(name)
        for name, cut in self.rules.cuts.items():
            self._cut(name, cut)
        for name in comparing:
            self._apply(name)
        if self.rules.per_label:
            self._thin_out()
        return self.found, self.clusters

    def _drop(self, row: int, verdict: Verdict) -> None:
        """Unless somebody wants it."""
        if not self.rules.by_hand.get(self.probes.records[row].key):
            self.found[row] = verdict
            self.alive[row] = False

    def _apply(self, name: str) -> None:
        """One of the filters."""
        import numpy as np

        craft = crafts.load("filters", name)
        knobs = crafts.settings_of("filters", "filter", name, self.rules.tables)
        present = self.probes.take(np.flatnonzero(self.alive))
        if craft.COMPARES:
            found = craft.drops(present.after(self.earlier) if self.earlier else present, knobs, self.compare)
        else:
            found = craft.drops(present, knobs)
        for drop in list(found):
            row = self.row_of[drop.key]
            if craft.COMPARES:  # also of one that is kept by hand: the split mustn't leak
                self.clusters[row] = self.cluster_of[drop.kept_key]
            self._drop(row, Verdict(name.replace("_", "-"), drop.detail, drop.kept_key))

    def _cut(self, name: str, cut: float) -> None:
        import numpy as np

        scores = self.scores.get(name)
        if scores is None or not cut:
            return
        for row in np.flatnonzero(self.alive & (scores < cut)).tolist():
            self._drop(row, Verdict(IRRELEVANT, f"{name} {scores[row]:.3f}, below {cut:g}"))

    def _thin_out(self) -> None:
        """Keep the best of each label; of equal scores the lower rank in its source, then the lower key. A picture has
        its copies' labels as well, and these go where it goes."""
        import numpy as np

        scores = np.nan_to_num(self.scores[self.rules.best_by])
        copies: dict[int, list[int]] = {}
        for row, verdict in self.found.items():
            if verdict.kept_key in self.row_of:
                copies.setdefault(self.row_of[verdict.kept_key], []).append(row)
        places: Counter[str] = Counter()
        for row in sorted(np.flatnonzero(self.alive).tolist(), key=lambda row: self._order(row, scores)):
            labels = {self.probes.records[other].label for other in (row, *copies.get(row, ()))}
            places.update(labels)
            if all(places[label] > self.rules.per_label for label in labels):
                self._drop(row, self._surplus(row, scores, places))
            if not self.alive[row]:
                twin = self.probes.records[row].key
                for copy in copies.get(row, ()):
                    self._drop(copy, Verdict(SURPLUS, f"a copy of {twin}, which is surplus as well"))

    def _surplus(self, row: int, scores: "np.ndarray", places: Mapping[str, int]) -> Verdict:
        label = self.probes.records[row].label
        among = repr(label) if label else "those without a label"
        said = f"{self.rules.best_by} {scores[row]:.3f} is number {places[label]} of {among}"
        return Verdict(SURPLUS, f"{said}; {self.rules.per_label} are kept")

    def _order(self, row: int, scores: "np.ndarray") -> tuple[bool, float, bool, int, str]:
        item = self.probes.records[row]
        return not self.rules.by_hand.get(item.key), -float(scores[row]), not item.rank, item.rank, item.key


def measured(probes: "Probes", scores: Scores) -> Iterator[Record]:
    """The Records with what was measured of each."""
    import numpy as np

    from gravurekit import quality
    from gravurekit.probe import HASH_ALGORITHM

    figures = probes.figures
    columns = {name: figures[name] for name in ("chroma", "chroma_residual", *quality.FIGURES)} | dict(scores)
    # as doubles, so that four digits are four digits
    rounded = [np.round(column.astype(np.float64), 4).tolist() for column in columns.values()]
    sizes = figures["width"].tolist(), figures["height"].tolist()
    digests = np.ascontiguousarray(figures["pixels_sha256"])
    hashes = figures["phash"][:, 0].tolist()
    for row, item in enumerate(probes.records):
        values = ((name, column[row]) for name, column in zip(columns, rounded, strict=True))
        yield item.but(
            width=sizes[0][row],
            height=sizes[1][row],
            pixels_sha256=digests[row].tobytes().hex(),
            phash=f"{hashes[row]:016x}",
            phash_algorithm=HASH_ALGORITHM,
            scores=item.scores | {name: value for name, value in values if value == value},  # nan isn't
        )
