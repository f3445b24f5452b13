"""A split is for life: whatever comes later, nobody moves, and no copy of what is held back is trained on."""

import json
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gravurekit.errors import DataError
from gravurekit.record import Record
from gravurekit.stages import _splits
from gravurekit.stages._splits import Shares, assign, read_table, split_of, table_lines

SHARES = Shares(0.3, 0.3, 0)


def item(key: str, cluster: str = "") -> Record:
    return Record(key=key, photo_key=key, cluster=cluster or key)


def cluster_in(split: str, but: tuple[str, ...] = ()) -> str:
    return next(f"c{n}" for n in range(1000) if f"c{n}" not in but and split_of(f"c{n}", SHARES) == split)


A, B = cluster_in("train"), cluster_in("val")


@given(st.lists(st.tuples(st.integers(0, 40), st.integers(0, 6)), max_size=60), st.data())
@settings(max_examples=150, derandomize=True, deadline=None)
def test_adding_pictures_moves_none(pairs: list[tuple[int, int]], data: st.DataObject) -> None:
    """Generations of growing folders, whose clusters may merge and get other names as better copies come."""
    clusters = {f"p{number}": f"p{cluster}" for number, cluster in pairs}
    more = st.dictionaries(st.sampled_from([f"p{n}" for n in range(60)]), st.sampled_from(["p1", "p2"]), max_size=8)
    table: dict[str, str] = {}
    for _ in range(3):
        clusters |= data.draw(more)
        found = [item(key, cluster) for key, cluster in sorted(clusters.items())]
        before = table
        splits, table = assign(found, before, {}, SHARES)
        now = {record.key: split for record, split in zip(found, splits, strict=True)}
        assert all(now[key] == split for key, split in before.items() if key in now)
        assert before.items() <= table.items()
        for cluster in set(clusters.values()):
            own = [key for key in now if clusters[key] == cluster]
            new = {now[key] for key in own if key not in before}
            old = {before[key] for key in own if key in before}
            assert len(new) <= 1 and (len(old) != 1 or new <= old | {""}) and (len(old) < 2 or new <= {""})
        assert assign(found, table, {}, SHARES) == (splits, table)  # again: nothing changes


def test_a_new_cluster_takes_a_split_by_its_name_and_the_seed() -> None:
    splits, table = assign([item("x", A), item("y", B), item("z", B)], {}, {}, SHARES)
    assert splits == ["train", "val", "val"] and table == {"x": "train", A: "train", "y": "val", "z": "val", B: "val"}
    names = [f"c{n}" for n in range(4000)]
    shares = [sum(split_of(name, SHARES) == split for name in names) / 4000 for split in ("train", "val", "test")]
    assert shares == pytest.approx([0.4, 0.3, 0.3], abs=0.03)
    assert [split_of(name, SHARES) for name in names] != [split_of(name, Shares(0.3, 0.3, 1)) for name in names]


def test_a_picture_that_joins_an_old_cluster_takes_its_split() -> None:
    """Also when it gives the cluster its name, since it is the better copy now."""
    _, table = assign([item("x", B)], {}, {}, SHARES)
    assert assign([item("x", B), item("new", B)], table, {}, SHARES)[0] == ["val", "val"]
    assert split_of(A, SHARES) == "train"
    assert assign([item("x", A), item(A, A)], table, {}, SHARES)[0] == ["val", "val"]


def test_a_picture_takes_the_split_of_the_copy_that_was_dropped_in_its_favour() -> None:
    _, table = assign([item("x", B)], {}, {}, SHARES)
    splits, table = assign([item(A)], table, {A: ["x"]}, SHARES)
    assert splits == ["val"] and table[A] == "val"


def test_one_that_bridges_two_splits_is_left_out_and_the_others_stay() -> None:
    _, table = assign([item("x", A), item("y", B)], {}, {}, SHARES)
    splits, after = assign([item("x", "m"), item("y", "m"), item("new", "m")], table, {}, SHARES)
    assert splits == ["train", "val", ""] and "new" not in after and "m" not in after
    assert assign([item("new")], table, {"new": ["x", "y"]}, SHARES)[0] == [""]
    # and it stays out, though it comes again
    assert assign([item("x", "m"), item("y", "m"), item("new", "m")], after, {}, SHARES)[0] == ["train", "val", ""]


def test_variants_of_a_photograph_go_together() -> None:
    found = [Record(key="x", photo_key="x", variant=n) for n in range(5)]
    assert len(set(assign(found, {}, {}, SHARES)[0])) == 1


def test_a_table_comes_back(tmp_path: Path) -> None:
    path = tmp_path / "splits.jsonl"
    assert read_table(path) == ({}, None)
    table = {"b": "val", "a": "train", "ü\n": "test"}
    path.write_text("".join(line + "\n" for line in table_lines(table, SHARES)), "utf-8")
    assert read_table(path) == (table, SHARES)


@pytest.mark.parametrize(
    "text",
    ["", "x", "{}", "[]\n", '{"val": 0.1, "test": 0.1, "seed": 0}\n{"key": "a"}\n',
     '{"val": 0.1, "test": 0.1, "seed": 0}\n{"key": "a", "split": "trian"}\n', '{"key": "a", "split": "train"}\n'],
)  # fmt: skip
def test_a_damaged_table_is_an_error_and_never_a_new_deal(text: str, tmp_path: Path) -> None:
    (tmp_path / "splits.jsonl").write_text(text)
    with pytest.raises(DataError, match=r"splits\.jsonl is damaged .*put it back, or remove it"):
        read_table(tmp_path / "splits.jsonl")


def test_the_reason_has_its_name() -> None:
    assert _splits.REASON == "bridges-splits" and json.loads(next(table_lines({}, SHARES)))["seed"] == 0
