"""The index of shards as a Parquet file, for those who ask it with SQL or a data frame."""

import itertools
import json
from importlib import util
from pathlib import Path

from gravurekit import storage
from gravurekit.errors import MissingExtra

ROWS = 1 << 16  # of a group: lines in memory


def there() -> bool:
    """Whether there is a pyarrow."""
    return util.find_spec("pyarrow") is not None


def require() -> None:
    """Raises MissingExtra if there is no pyarrow."""
    if not there():
        raise MissingExtra("--parquet", "export")


def write(index: Path, out: Path) -> None:
    """Write the lines of an index.jsonl as the rows of `out`."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    words, word, number = pa.list_(pa.string()), pa.string(), pa.int64()
    kinds = {"row": number, "crc32": number, "variant": number, "labels": words, "keywords": words}
    with open(index, encoding="utf-8") as lines, storage.writing(out) as sink:
        names = list(json.loads(lines.readline()))
        lines.seek(0)
        schema = pa.schema([(name, kinds.get(name, word)) for name in names])
        with pq.ParquetWriter(sink, schema, compression="zstd", write_page_checksum=True) as writer:
            while rows := [json.loads(line) for line in itertools.islice(lines, ROWS)]:
                writer.write_table(pa.Table.from_pylist(rows, schema))
