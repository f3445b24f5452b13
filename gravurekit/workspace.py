"""A workspace to start in: a gravurekit.toml with every knob explained, and keyword files."""

from importlib import resources
from pathlib import Path

from gravurekit import reference, storage
from gravurekit.errors import UsageError


def init(folder: Path) -> list[Path]:
    """Write a workspace into `folder`, made if missing; the files that were written.

    Raises UsageError if one of them is there already, before any is written.
    """
    files = {folder / name: data for name, data in _starter().items()}
    there = [str(path) for path in files if path.exists() or path.is_symlink()]
    if there:
        raise UsageError(
            f"{', '.join(there)} {'is' if len(there) == 1 else 'are'} there already: init writes only into a folder "
            "that has none; name another folder, or move what is there away"
        )
    for path, data in files.items():
        storage.write_bytes(path, data)
    return list(files)


def _starter() -> dict[str, bytes]:
    """The files of a new workspace, by their path in it. The keyword files come with the package."""
    keywords = resources.files("gravurekit") / "starter" / "keywords"
    found = {f"keywords/{file.name}": file.read_bytes() for file in keywords.iterdir() if file.name.endswith(".txt")}
    return {"gravurekit.toml": reference.toml(reference.EXAMPLE).encode(), **dict(sorted(found.items()))}
