"""parquet: tables with the pictures in them, for Hugging Face's `datasets` and whatever else reads Parquet.

Pictures are columns `image` (and `plain`, `wash`) of {bytes, path}, marked as images, so that `datasets` decodes them
and the Hub shows them. The tensors of shards are columns `L`, `wash`, maybe `L_photo`, of fixed shape (C, H, W), uint8
in OpenCV's 8-bit Lab scaling (L·255/100, a+128, b+128): marked as Array3D, which gives the very bytes that are trained
on, where a picture would round them once more; for pictures to look at, export styled/. `label` is a ClassLabel.
"""

import json
import re
from collections.abc import Iterable, Iterator
from itertools import chain
from typing import TYPE_CHECKING, Any

from pydantic import Field

from gravurekit import settings as base
from gravurekit import storage
from gravurekit.errors import MissingExtra
from gravurekit.exports import Layout, Place, Sample

if TYPE_CHECKING:
    import pyarrow as pa

REVISION = 1
OURS = re.compile(r"data/(?:train|val|test)-\d{5,}-of-\d{5,}\.parquet")
GROUP_BYTES = 64 * 1024 * 1024  # of pictures, after which a row group ends: what is in memory at once
LISTS = {"labels": "string", "keywords": "string", "box": "uint16"}
NUMBERS = {"variant": "int32", "width": "int32", "height": "int32"}


class Settings(base.Settings):
    """How samples are put into Parquet files."""

    rows_per_file: int = Field(2000, ge=1, le=100_000, description="Samples of a file, at most.")
    rows_per_group: int = Field(
        100, ge=1, le=100_000, description="Samples of a row group, at most; 64 MB end one too."
    )


def together(settings: Settings) -> int:
    """Samples of one file."""
    return settings.rows_per_file


def called(split: str, number: int, count: int) -> str:
    """The name of a file, as the Hub names those of a split."""
    return f"data/{split or 'train'}-{number:05d}-of-{count:05d}.parquet"


def check() -> None:
    """Raises MissingExtra without pyarrow."""
    try:
        import pyarrow.parquet  # noqa: F401
    except ImportError:
        raise MissingExtra("export parquet", "export") from None


def write(samples: Iterable[Sample], place: Place, settings: Settings) -> list[dict[str, str]]:
    """Write a Parquet file beside `place.stem`, row group by row group; none if there are no samples."""
    import pyarrow.parquet as pq

    coming = iter(samples)
    if (first := next(coming, None)) is None:
        return []
    schema = _schema(place.layout)
    names: list[dict[str, str]] = []
    texts = [name for name in schema.names if name not in (*place.layout.files, *place.layout.tensors)]
    with (
        storage.writing(place.stem.with_suffix(".parquet")) as file,
        pq.ParquetWriter(
            file, schema, compression="zstd", use_dictionary=texts, write_page_checksum=True, write_page_index=True
        ) as writer,
    ):
        for group in _groups(chain([first], coming), settings.rows_per_group):
            writer.write_table(_table(group, place.layout, schema))
            names += [{} for _ in group]
    return names


def _groups(samples: Iterable[Sample], rows: int) -> Iterator[list[Sample]]:
    group: list[Sample] = []
    size = 0
    for sample in samples:
        group.append(sample)
        size += sum(len(file.data) for file in sample.files.values())
        size += sum(tensor.nbytes for tensor in sample.tensors.values())
        if len(group) >= rows or size >= GROUP_BYTES:
            yield group
            group, size = [], 0
    if group:
        yield group


# ---- what `datasets` is told -----------------------------------------------------------------------------


def _schema(layout: Layout) -> "pa.Schema":
    """The columns, and in the metadata what `datasets` takes them for."""
    import pyarrow as pa

    picture = pa.struct([("bytes", pa.binary()), ("path", pa.string())])
    tensor = pa.list_(pa.list_(pa.list_(pa.uint8())))
    fields = [pa.field(name, picture) for name in layout.files]
    fields += [pa.field(name, tensor, metadata=_array3d(shape)) for name, shape in layout.tensors.items()]
    fields += [pa.field("label", pa.int64())] if layout.classes else []
    for name in layout.facts:
        kind = pa.list_(_plain(LISTS[name])) if name in LISTS else _plain(NUMBERS.get(name, "string"))
        fields.append(pa.field(name, kind))
    about = json.dumps({"info": {"features": _features(layout)}}, ensure_ascii=False)
    return pa.schema(fields, metadata={"huggingface": about})


def _array3d(shape: tuple[int, int, int]) -> dict[str, str]:
    """What makes a column an Array3D wherever `datasets` is imported; others read lists."""
    name = "datasets.features.features.Array3DExtensionType"
    return {"ARROW:extension:name": name, "ARROW:extension:metadata": json.dumps([shape, "uint8"])}


def _plain(name: str) -> "pa.DataType":
    import pyarrow as pa

    return pa.type_for_alias(name)


def _features(layout: Layout) -> dict[str, Any]:
    """The features of `datasets`, as its own files have them."""
    found: dict[str, Any] = {name: {"_type": "Image"} for name in layout.files}
    for name, shape in layout.tensors.items():
        found[name] = {"shape": list(shape), "dtype": "uint8", "_type": "Array3D"}
    if layout.classes:
        found["label"] = {"names": list(layout.classes), "_type": "ClassLabel"}
    for name in layout.facts:
        if name in LISTS:
            found[name] = {"feature": {"dtype": LISTS[name], "_type": "Value"}, "_type": "List"}
        else:
            found[name] = {"dtype": NUMBERS.get(name, "string"), "_type": "Value"}
    return found


# ---- rows ------------------------------------------------------------------------------------------------


def _table(group: list[Sample], layout: Layout, schema: "pa.Schema") -> "pa.Table":
    import pyarrow as pa

    columns: dict[str, Any] = {}
    for name in layout.files:
        columns[name] = pa.array([_cell(sample, name) for sample in group], schema.field(name).type)
    for name in layout.tensors:
        columns[name] = _tensors(group, name)
    if layout.classes:
        # no class is no number: a ClassLabel of -1 would be the last one
        columns["label"] = pa.array([sample.label if sample.label >= 0 else None for sample in group], pa.int64())
    for name in layout.facts:
        columns[name] = pa.array([sample.facts[name] for sample in group], schema.field(name).type)
    return pa.table(columns, schema)


def _cell(sample: Sample, name: str) -> dict[str, Any] | None:
    file = sample.files.get(name)
    if file is None:
        return None
    suffix = file.extension if name == "image" else f"{name}.{file.extension}"
    return {"bytes": file.data, "path": f"{sample.name}.{suffix}"}


def _tensors(group: list[Sample], name: str) -> "pa.Array":
    """(N, C, H, W) uint8 as lists of lists of lists, without a Python object for each number."""
    import numpy as np
    import pyarrow as pa

    stack = np.stack([sample.tensors[name] for sample in group])
    found: pa.Array = pa.array(stack.reshape(-1))
    for axis in (3, 2, 1):
        ends = np.arange(0, len(found) + 1, stack.shape[axis], dtype=np.int32)
        found = pa.ListArray.from_arrays(pa.array(ends), found)
    return found
