"""Each export is opened by the very libraries that it is written for (the extra `export`)."""

import glob
import json
from pathlib import Path
from typing import Any

import exporting
import numpy as np
import pytest
from exporting import FOLDERS, QUICK, lines
from workspace import digests, run_here

from gravurekit import audit, folder, images, storage
from gravurekit.metadata import EXPORTS, file_sha256
from gravurekit.shards import INDEX
from gravurekit.shards.reader import ShardSet

datasets = pytest.importorskip("datasets", reason="pip install 'gravurekit[export]'")
pq = pytest.importorskip("pyarrow.parquet", reason="pip install 'gravurekit[export]'")
wds = pytest.importorskip("webdataset", reason="pip install 'gravurekit[export]'")

SPLITS = {"train": "train", "val": "validation", "test": "test"}  # as shards and as `datasets` calls them
FIELDS = ("L", "wash", "L_photo", "label", "box")
Rows = list[dict[str, Any]]


@pytest.fixture(autouse=True)
def alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """No network, and a cache that goes with the test."""
    monkeypatch.setattr(datasets.config, "HF_HUB_OFFLINE", True)
    monkeypatch.setattr(datasets.config, "HF_DATASETS_CACHE", tmp_path / "cache")
    datasets.disable_progress_bars()


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """raw/, clean/, styled/, shards/, and every export of each, as FORMAT-FOLDER."""
    place = exporting.chain(tmp_path_factory.mktemp("place"))
    few = ("--set", "webdataset.samples_per_tar=4", "--set", "parquet.rows_per_file=6", "--set",
           "parquet.rows_per_group=4")  # fmt: skip
    for source in FOLDERS:
        for format_name in exporting.FORMATS:
            words = ("export", format_name, source, f"{format_name}-{source}", *few, *QUICK)
            result = run_here("-C", str(place), *words)
            assert result.exit_code == 0, f"{result.output}{result.exception}"
    return place


def known(path: Path) -> Rows:
    return (
        lines(path / INDEX) if path.name == "shards" else [item.model_dump(mode="json") for item in folder.read(path)]
    )


def check_facts(rows: Rows, wanted: Rows, gaps: bool = False) -> None:
    """The same samples, each with what is known of it. `gaps`: what is empty may be missing."""
    found = {(row["key"], row.get("variant")): row for row in rows}
    assert len(found) == len(rows) == len(wanted)
    for about in wanted:
        row = found[about["key"], about["variant"]]
        for name in ("labels", "keywords", "url", "page_url", "creator", "title", "license", "source", "cluster"):
            told = row.get(name) or type(about[name])() if gaps else row[name]
            assert told == about[name], name


def pixels_of(path: Path) -> np.ndarray:
    return images.read(path).pixels.astype(int)


def check_pictures(rows: Rows, source: Path) -> None:
    """Decoded by Pillow they are what they are in SOURCE, as far as two decoders of JPEG agree."""
    by_name = {(item.key, item.variant): item for item in folder.read(source)}
    for row in rows[:6]:
        item = by_name[row["key"], row["variant"]]
        layers = {"image": item.file_name, "plain": item.plain_file_name, "wash": item.wash_file_name}
        assert [name for name, file in layers.items() if file] == [name for name in layers if name in row]
        for name, file in layers.items():
            if file:
                wanted, found = pixels_of(source / file), np.asarray(row[name].convert("RGB"), int)
                assert not row[name].getexif()
                assert found.shape == wanted.shape
                assert np.abs(found - wanted).max() <= (12 if source.name == "raw" else 3)


# ---- parquet -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("source", ["raw", "clean", "styled"])
@pytest.mark.parametrize("how", ["files", "folder"])
def test_parquet_gives_pictures(how: str, source: str, place: Path, tmp_path: Path) -> None:
    out = place / f"parquet-{source}"
    if how == "files":
        found = datasets.load_dataset("parquet", data_files=str(out / "data/*.parquet"), cache_dir=str(tmp_path))
    else:
        found = datasets.load_dataset(str(out), cache_dir=str(tmp_path))
    assert list(found) == ["train"]
    check_facts(list(found["train"]), known(place / source))
    check_pictures(list(found["train"]), place / source)
    classes = json.loads((out / "classes.json").read_bytes())
    assert found["train"].features["label"].names == classes == ["kaftan", "salvar"]
    for row in found["train"]:
        assert row["label"] == (classes.index(row["labels"][0]) if row["labels"] else None)


def test_parquet_gives_the_tensors_as_they_are(place: Path, tmp_path: Path) -> None:
    found = datasets.load_dataset(str(place / "parquet-shards"), cache_dir=str(tmp_path))
    wanted = known(place / "shards")
    assert set(found) == set(SPLITS)
    for split in SPLITS:
        stock = ShardSet(place / "shards", split, FIELDS)
        batch = stock.batch(np.arange(len(stock)))
        assert len(found[split]) == len(stock)
        assert found[split].features["wash"] == datasets.Array3D((3, 40, 32), "uint8")
        rows = found[split].with_format("numpy")[:]
        for name in ("L", "wash", "L_photo", "box"):
            assert (np.stack(rows[name]) == batch[name]).all(), name
        label = [-1 if number is None else number for number in found[split]["label"]]
        assert label == batch["label"].tolist()
        check_facts(list(found[split]), [about for about in wanted if about["split"] == split])


def test_parquet_files_are_bounded_checked_and_the_same_each_time(place: Path, tmp_path: Path) -> None:
    files = sorted((place / "parquet-clean" / "data").glob("*.parquet"))
    assert [file.name for file in files] == [f"train-{n:05d}-of-{len(files):05d}.parquet" for n in range(len(files))]
    for file in files:
        about = pq.ParquetFile(file).metadata
        groups = [about.row_group(n).num_rows for n in range(about.num_row_groups)]
        assert sum(groups) <= 6 and max(groups) <= 4
        assert pq.read_table(file, page_checksum_verification=True).num_rows == sum(groups)
    words = ("--set", "parquet.rows_per_file=6", "--set", "parquet.rows_per_group=4", "--executor", "local", "--jobs")
    out = str(tmp_path / "again")
    again = run_here("export", "parquet", str(place / "clean"), out, *words, "2", "--quiet")
    assert again.exit_code == 0
    one, two = digests(place / "parquet-clean"), digests(tmp_path / "again")
    assert one.keys() == two.keys() and {name for name in one if one[name] != two[name]} <= {"receipt.json"}
    data = bytearray(files[0].read_bytes())
    data[len(data) // 3] ^= 1
    storage.write_bytes(tmp_path / "torn.parquet", bytes(data))
    with pytest.raises(OSError, match="(?i)crc|checksum"):
        pq.read_table(tmp_path / "torn.parquet", page_checksum_verification=True)


# ---- webdataset ----------------------------------------------------------------------------------------


def tars(out: Path, split: str = "") -> list[str]:
    return sorted(glob.glob(f"{out}/{split}*.tar"))


@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning", "ignore::ResourceWarning")
@pytest.mark.parametrize("source", ["raw", "clean", "styled"])
def test_webdataset_decodes_pictures(source: str, place: Path) -> None:
    out = place / f"webdataset-{source}"
    rows = []
    for sample in wds.WebDataset(tars(out), shardshuffle=False).decode("pil"):
        (image,) = [sample[name] for name in ("jpg", "png") if name in sample]
        layers = {name.partition(".")[0]: sample[name] for name in sample if name.startswith(("plain.", "wash."))}
        rows.append(sample["json"] | {"image": image} | layers)
        labels = sample["json"]["labels"]
        assert ("cls" in sample) == bool(labels)
        assert not labels or ["kaftan", "salvar"][sample["cls"]] == labels[0]
    check_facts(rows, known(place / source))
    for row in rows:
        row["image"] = row["image"].copy()
    check_pictures(rows, place / source)


@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning", "ignore::ResourceWarning")
@pytest.mark.parametrize("split", SPLITS)
def test_webdataset_decodes_tensors(split: str, place: Path) -> None:
    found = list(wds.WebDataset(tars(place / "webdataset-shards", split), shardshuffle=False).decode())
    stock = ShardSet(place / "shards", split, FIELDS)
    batch = stock.batch(np.arange(len(stock)))
    assert len(found) == len(stock)
    for n, sample in enumerate(found):
        assert (sample["l.npy"] == batch["L"][n]).all() and (sample["wash.npy"] == batch["wash"][n]).all()
        assert (sample["l_photo.npy"] == batch["L_photo"][n]).all()
        assert sample["json"]["box"] == batch["box"][n].tolist() and sample.get("cls", -1) == batch["label"][n]


# ---- imagefolder ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("source", ["raw", "clean", "styled"])
def test_imagefolder_gives_pictures(source: str, place: Path, tmp_path: Path) -> None:
    out = place / f"imagefolder-{source}"
    found = datasets.load_dataset("imagefolder", data_dir=str(out), cache_dir=str(tmp_path))
    assert list(found) == ["train"]
    check_facts(list(found["train"]), known(place / source))
    check_pictures(list(found["train"]), place / source)


def test_imagefolder_gives_the_splits_of_shards(place: Path, tmp_path: Path) -> None:
    out = place / "imagefolder-shards"
    found = datasets.load_dataset("imagefolder", data_dir=str(out), cache_dir=str(tmp_path))
    wanted = known(place / "shards")
    assert set(found) == set(SPLITS.values())
    for split, name in SPLITS.items():
        mine = [about for about in wanted if about["split"] == split]
        check_facts(list(found[name]), mine)
        assert {row[layer].size for row in found[name] for layer in ("image", "wash", "photo")} == {(32, 40)}


@pytest.mark.parametrize("source", ["raw", "clean", "styled"])
def test_folders_of_the_chain_open_as_they_lie_also_once_they_were_exported(
    source: str, place: Path, tmp_path: Path
) -> None:
    assert len(lines(place / source / EXPORTS)) >= len(exporting.FORMATS)
    found = datasets.load_dataset("imagefolder", data_dir=str(place / source), cache_dir=str(tmp_path))
    assert list(found) == ["train"]
    check_facts(list(found["train"]), known(place / source), gaps=True)


def test_every_export_is_whole(place: Path) -> None:
    for source in FOLDERS:
        for format_name in exporting.FORMATS:
            out = place / f"{format_name}-{source}"
            assert audit.inspect(out, deep=True).faults == []
            for name, sha256 in json.loads((out / "receipt.json").read_bytes())["files"].items():
                assert file_sha256(out / name) == sha256
