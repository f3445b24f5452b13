"""A workspace to start in, from the repository and from a wheel."""

import subprocess
import sys
import tomllib
import zipfile
from pathlib import Path

import pytest

import gravurekit
from gravurekit import keywords, pipeline, reference, storage
from gravurekit.errors import StorageError, UsageError
from gravurekit.workspace import init

PACKAGE = Path(gravurekit.__file__).parent
REPOSITORY = PACKAGE.parent
FILES = ["gravurekit.toml", "keywords/dresses.txt", "keywords/gravures.txt"]


def test_a_workspace_has_settings_and_the_keywords_that_they_name(tmp_path: Path) -> None:
    folder = tmp_path / "a" / "workspace"
    assert init(folder) == [folder / name for name in FILES]
    assert sorted(str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file()) == FILES
    assert (folder / "gravurekit.toml").read_text("utf-8") == reference.toml(reference.EXAMPLE)
    paths = pipeline.Wishes(pipeline.read_wishes(folder / "gravurekit.toml")).settings("paths")
    assert all(keywords.read(folder / name) for name in paths.keywords)


def test_the_workspace_may_be_this_folder_and_hold_other_things(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    storage.write_text(Path("keywords/mine.txt"), "robe\n")
    assert init(Path(".")) == [Path(name) for name in FILES]
    assert Path("keywords/mine.txt").read_text("utf-8") == "robe\n"


@pytest.mark.parametrize("name", FILES)
def test_nothing_is_written_where_one_of_the_files_is(name: str, tmp_path: Path) -> None:
    storage.write_text(tmp_path / name, "mine")
    with pytest.raises(UsageError, match=f"{name} is there already: init writes only into a folder"):
        init(tmp_path)
    assert [path for path in tmp_path.rglob("*") if path.is_file()] == [tmp_path / name]
    assert (tmp_path / name).read_text("utf-8") == "mine"


def test_a_link_that_leads_nowhere_is_there_too(tmp_path: Path) -> None:
    (tmp_path / "gravurekit.toml").symlink_to(tmp_path / "elsewhere.toml")
    with pytest.raises(UsageError, match="gravurekit.toml is there already"):
        init(tmp_path)
    assert (tmp_path / "gravurekit.toml").is_symlink()


def test_all_that_is_there_is_named(tmp_path: Path) -> None:
    init(tmp_path)
    with pytest.raises(UsageError) as caught:
        init(tmp_path)
    assert all(str(tmp_path / name) in str(caught.value) for name in FILES)
    assert "are there already" in str(caught.value)


@pytest.mark.parametrize("name", ["taken", "taken/below"])
def test_where_no_folder_can_be_the_disk_says_why(name: str, tmp_path: Path) -> None:
    storage.write_text(tmp_path / "taken", "")
    with pytest.raises(StorageError, match="a file stands where a folder is needed"):
        init(tmp_path / name)


def test_the_repository_is_a_workspace_of_the_same_keywords() -> None:
    for name in FILES[1:]:
        assert (REPOSITORY / name).samefile(PACKAGE / "starter" / name)


def test_what_isnt_python_goes_into_the_wheel_by_name() -> None:
    project = tomllib.loads((REPOSITORY / "pyproject.toml").read_text("utf-8"))
    named = project["tool"]["setuptools"]["package-data"]["gravurekit"]
    data = {path for path in package_files() if path.suffix != ".py"}
    assert data == {path for pattern in named for path in PACKAGE.glob(pattern)}
    assert {PACKAGE / "starter" / name for name in FILES[1:]} <= data


@pytest.mark.slow
def test_a_wheel_makes_the_same_workspace(tmp_path: Path) -> None:
    pytest.importorskip("setuptools", minversion="77")
    subprocess.run(
        [sys.executable, "-c", "import sys; from setuptools import build_meta; build_meta.build_wheel(sys.argv[1])",
         str(tmp_path)],
        cwd=copied(tmp_path / "source"), check=True, capture_output=True,
    )  # fmt: skip
    (wheel,) = tmp_path.glob("gravurekit-*.whl")
    zipfile.ZipFile(wheel).extractall(tmp_path / "installed")
    program = (
        "import sys, gravurekit; from pathlib import Path; from gravurekit.workspace import init; init(Path('new'));"
        "sys.stdout.write(gravurekit.__file__)"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], cwd=tmp_path, env={"PYTHONPATH": str(tmp_path / "installed")},
        check=True, capture_output=True, text=True,
    )  # fmt: skip
    assert done.stdout == str(tmp_path / "installed" / "gravurekit" / "__init__.py")
    init(tmp_path / "expected")
    for name in FILES:
        assert (tmp_path / "new" / name).read_bytes() == (tmp_path / "expected" / name).read_bytes()


def copied(target: Path) -> Path:
    """What a wheel is made of, copied, because setuptools leaves things beside it."""
    for path in (REPOSITORY / name for name in ("pyproject.toml", "README.md", "LICENSE")):
        storage.write_bytes(target / path.name, path.read_bytes())
    for path in package_files():
        storage.write_bytes(target / path.relative_to(REPOSITORY), path.read_bytes())
    return target


def package_files() -> list[Path]:
    """The files of the package, without what tools leave there."""
    found = [path for path in PACKAGE.rglob("*") if path.is_file()]
    return [
        path
        for path in found
        if not any(part.startswith((".", "__pycache__")) for part in path.relative_to(PACKAGE).parts)
    ]
