"""raw/, clean/ and styled/ are image folders of Hugging Face's datasets as they lie (the extra `export`)."""

from pathlib import Path

import numpy as np
import pytest

from gravurekit import folder, images

datasets = pytest.importorskip("datasets", reason="pip install 'gravurekit[export]'")


@pytest.fixture(autouse=True)
def alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """No network, and a cache that goes with the test."""
    monkeypatch.setattr(datasets.config, "HF_HUB_OFFLINE", True)
    monkeypatch.setattr(datasets.config, "HF_DATASETS_CACHE", tmp_path / "cache")
    datasets.disable_progress_bars()


@pytest.mark.parametrize("name", ["raw", "clean", "styled"])
def test_an_imagefolder_is_opened_with_all_that_is_known(name: str, world: Path, tmp_path: Path) -> None:
    found = datasets.load_dataset("imagefolder", data_dir=str(world / name), cache_dir=str(tmp_path))
    assert list(found) == ["train"], "names of folders or files were taken for splits"
    rows = {row["key"]: row for row in found["train"]}
    kept = folder.read(world / name)
    assert rows.keys() == {item.key for item in kept}
    for item in kept[:8]:
        row = rows[item.key]
        assert (row["image"].width, row["image"].height) == (item.width, item.height)
        pixels = images.read(world / name / item.file_name).pixels
        assert np.abs(np.asarray(row["image"].convert("RGB"), int) - pixels).max() <= 3  # two decoders of JPEG
        assert (tuple(row["labels"]), row["source"], row["url"]) == (item.labels, item.source, item.url)
        if name == "styled":  # ink and wash come as pictures too
            assert row["plain"].size == row["wash"].size == row["image"].size
