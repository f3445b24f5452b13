"""The arithmetic of bench/costs_sums.py: what ten million pictures take, of what one takes."""

import importlib.util
import json
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

SCRIPT = Path(__file__).parents[2] / "bench" / "costs_sums.py"
MEASURED: dict[str, Any] = {
    "bytes": {"raw": {"pictures": 100_000, "metadata": 1000}, "clean": {"metadata": 2000}},
    "core_seconds": {"decode": 0.036, "draw": 0.36, "draw otherwise": 36.0},
    "chain": ["decode", "draw"],
    "steps": {
        "read": [{"records": 1000, "seconds": 0.01}, {"records": 100_000, "seconds": 2.0}],
        "write": [{"records": 1000, "seconds": 0.01}, {"records": 100_000, "seconds": 1.0}],
    },
    "steps_times": {"read": 3, "write": 1},
    "join": [{"records": 100_000, "seconds": 0.8, "GB": 0.2}, {"records": 1_000_000, "seconds": 72.0, "GB": 0.29}],
}
MILLION = 1_000_000


@pytest.fixture(scope="module")
def sums() -> ModuleType:
    spec = importlib.util.spec_from_file_location("costs_sums", SCRIPT)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_the_page_is_made_of_the_figures(sums: ModuleType) -> None:
    measured = json.loads((SCRIPT.parent / "costs.json").read_text("utf-8"))
    page = (SCRIPT.parents[1] / "docs" / "costs.md").read_text("utf-8")
    assert sums.tables(measured, 10 * MILLION, 1.0) in page and measured["date"] in page


def test_disk_is_bytes_times_pictures(sums: ModuleType) -> None:
    found = sums.disk(MEASURED, 10 * MILLION)
    assert [(item.folder, item.kind, item.terabytes) for item in found] == [
        ("raw", "pictures", 1.0), ("raw", "metadata", 0.01), ("clean", "metadata", 0.02),
    ]  # fmt: skip


def test_work_is_seconds_times_pictures_and_fits_into_a_day(sums: ModuleType) -> None:
    found = {item.what: item for item in sums.work(MEASURED, 10 * MILLION)}
    assert found["decode"].core_hours == pytest.approx(100) and found["decode"].cores == 5  # 4.2 of them
    assert found["draw"].core_hours == pytest.approx(1000) and found["draw"].cores == 42


def test_steps_go_by_the_largest_size_and_tell_how_they_grow(sums: ModuleType) -> None:
    read, write = sums.steps(MEASURED, MILLION)
    assert (read.measured_at, read.each, read.growth) == (100_000, pytest.approx(20), pytest.approx(2))
    assert read.hours == pytest.approx(20 / 3600) and write.growth == pytest.approx(1)


def test_the_join_takes_the_square_of_time_and_as_much_more_memory_as_codes(sums: ModuleType) -> None:
    assert sums.join_seconds(MEASURED, MILLION) == 72 and sums.join_seconds(MEASURED, 10 * MILLION) == 7200
    assert sums.join_gigabytes(MEASURED, 10 * MILLION) == pytest.approx(0.29 + 9 * 0.1)
    only = MEASURED | {"join": MEASURED["join"][:1]}
    assert sums.join_seconds(only, MILLION) == pytest.approx(80) and sums.join_gigabytes(only, MILLION) == 0.2


def test_cores_of_a_whole_chain_have_what_one_process_leaves_of_the_time(sums: ModuleType) -> None:
    led = (3 * 20 + 1 * 10) * 10 / 3600 + 2  # hours: steps as often as a chain does them, and the join
    assert sums.led_hours(MEASURED, 10 * MILLION) == pytest.approx(led)
    assert sums.cores_for(MEASURED, 10 * MILLION, 24) == 51  # 1,100 core-hours in 21.8 h; what isn't in the chain isn't
    assert sums.cores_for(MEASURED, 10 * MILLION, 2) is None


def test_the_wire_carries_eight_bits_a_byte(sums: ModuleType) -> None:
    assert sums.wire_hours(MEASURED, 10 * MILLION, 1) == pytest.approx(1e12 * 8 / 1e9 / 3600)


def test_tables_tell_what_is_measured_and_what_isnt(sums: ModuleType) -> None:
    text = sums.tables(json.loads(json.dumps(MEASURED)), 10 * MILLION, 2)
    assert "| `raw/` | pictures | 100,000 | 1.00 TB |" in text
    assert "| draw | 0.3600 | 1,000 | 42 |" in text
    assert "| 1,000,000 | 1 min | 0.29 GB | measured |" in text
    assert "| 10,000,000 | 2.0 h | 1.19 GB | extrapolated |" in text
    assert "| cores, to be through in 1.0 days | 51 |" in text
    assert "| the pictures' way here at 2 Gbit/s | 1.1 h |" in text
    assert "not to be had" in sums.tables(MEASURED, 1000 * MILLION, 2)
