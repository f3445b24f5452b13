"""Sums over the samples of a training: what the manifest says of their lightness and colours."""

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from gravurekit.shards import palette
from gravurekit.shards.palette import Palettes
from gravurekit.shards.writer import Sample


class Tally:
    """Sums that don't depend on the order in which samples come, nor on how they are spread over files."""

    def __init__(self) -> None:
        self.lightness = [0, 0]  # of L in 8 bits, all places; and how many places
        self.moments = [0, 0, 0, 0, 0]  # places that are picture; of these the sums of a, b, a², b²
        self.histogram = np.zeros((palette.SIDE, palette.SIDE), np.int64)
        self.labels, self.keywords = Palettes(), Palettes()

    def watching(self, samples: Iterable[Sample], names: Sequence[tuple[list[str], list[str]]]) -> Iterator[Sample]:
        """The same samples, counted as they pass; `names`: the labels and the keywords of each."""
        for sample, (labels, keywords) in zip(samples, names, strict=True):
            self._add(sample, labels, keywords)
            yield sample

    def _add(self, sample: Sample, labels: Iterable[str], keywords: Iterable[str]) -> None:
        L, wash = sample.planes["L"], sample.planes["wash"]
        self.lightness = [self.lightness[0] + int(L.sum(dtype=np.int64)), self.lightness[1] + L.size]
        y0, x0, y1, x1 = sample.box
        a, b = wash[1:, y0:y1, x0:x1].astype(np.int32) - 128
        moments = (a.size, a.sum(), b.sum(), (a * a).sum(dtype=np.int64), (b * b).sum(dtype=np.int64))
        self.moments = [total + int(more) for total, more in zip(self.moments, moments, strict=True)]
        own = palette.counted(wash, sample.box)
        self.histogram += own
        for palettes, words in ((self.labels, labels), (self.keywords, keywords)):
            for word in words:
                palettes.add(word, own)

    def merge(self, other: "Tally") -> None:
        """Add the sums of other samples."""
        self.lightness = [a + b for a, b in zip(self.lightness, other.lightness, strict=True)]
        self.moments = [a + b for a, b in zip(self.moments, other.moments, strict=True)]
        self.histogram += other.histogram
        self.labels.merge(other.labels.told())
        self.keywords.merge(other.keywords.told())

    def to_json(self) -> dict[str, Any]:
        """All of it as JSON."""
        return {
            "lightness": self.lightness, "moments": self.moments, "histogram": palette.to_text(self.histogram),
            "labels": self.labels.told(), "keywords": self.keywords.told(),
        }  # fmt: skip

    @classmethod
    def from_json(cls, said: Mapping[str, Any]) -> "Tally":
        """What `to_json` gave."""
        tally = cls()
        tally.lightness, tally.moments = list(said["lightness"]), list(said["moments"])
        tally.histogram = palette.from_text(said["histogram"])
        tally.labels.merge(said["labels"])
        tally.keywords.merge(said["keywords"])
        return tally

    def told(self) -> dict[str, Any]:
        """For the manifest: the mean of L/100 over all places; mean and standard deviation of a and b, and how many
        pixels each cell of the ab plane has, over the places that are picture; the palettes of labels and keywords."""
        places, *sums = self.moments
        means = [total / max(1, places) for total in sums]
        spread = [math.sqrt(max(0.0, means[n + 2] - means[n] ** 2)) for n in (0, 1)]
        return {
            "L_mean": round(self.lightness[0] / max(1, self.lightness[1]) / 255, 6),
            "ab": {"mean": [round(m, 4) for m in means[:2]], "std": [round(s, 4) for s in spread], "pixels": places},
            "ab_histogram": palette.to_text(self.histogram),
            "palettes": {
                "labels": _table(self.labels), "keywords": _table(self.keywords),
            },
        }  # fmt: skip


def _table(palettes: Palettes) -> dict[str, dict[str, Any]]:
    return {name: {"samples": samples, "ab": text} for name, (samples, text) in palettes.told().items()}
