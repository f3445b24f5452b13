"""Which page a folder gets, and how much of it is shown."""

from pathlib import Path

from pydantic import Field

from gravurekit import settings as base
from gravurekit.executor import Executor
from gravurekit.progress import Watch
from gravurekit.reports import Report, _page, _thumbs
from gravurekit.reports._panels import PANELS, ROWS

__all__ = ["PANELS", "ROWS", "Settings", "default_out", "files_of", "folders_in", "write"]


class Settings(base.Settings):
    """How much of a folder its page shows."""

    thumb: int = Field(160, ge=32, le=1024, description="Long side of the small pictures, px.")
    limit: int = Field(
        20_000,
        ge=1,
        description="Pictures shown at most, and one of each group at least: small groups whole, large ones evenly.",
    )
    view: int = Field(640, ge=64, le=4096, description="Long side of the larger pictures, px.")
    views: int = Field(
        24, ge=0, description="Drawings, or copies with their twins, evenly, that are there in that size as well."
    )
    panels: int = Field(24, ge=1, le=1000, description="Panels of a training shown at most, evenly over its steps.")


def default_out(source: Path) -> Path:
    """Where the page of a folder, or of what `evaluate` found, goes if nobody says."""
    name = source.resolve().name or "folder"
    return Path("reports", name if source.is_dir() else Path(name).stem, "report.html")


def files_of(page: Path) -> Path:
    """The folder beside a page, or the report of an evaluation, for what it can't hold."""
    return _page.files_of(page)


def folders_in(files: Path) -> list[Path]:
    """What may be in that folder."""
    return [files / name for name in (_thumbs.FOLDER, _page.PLOTS)]


def write(source: Path, out: Path, settings: Settings, png: bool, executor: Executor, watch: Watch) -> Report:
    """Write the page of `source`: a folder of pictures, of shards, a run, or the file of what `evaluate` found. With
    `png` its plots besides. Raises UsageError for what has no page, DataError for what is damaged beyond showing."""
    from gravurekit.reports import evaluation, sheet, tensors, training  # here, because they need numpy

    if evaluation.fits(source):
        return evaluation.write(source, out, png, executor, watch)
    if training.fits(source):
        return training.write(source, out, settings.panels, png, watch)
    if tensors.fits(source):
        return tensors.write(source, out, settings.thumb, settings.limit, png, executor, watch)
    size = sheet.Size(settings.thumb, settings.limit, settings.view, settings.views)
    return sheet.write(source, out, size, png, executor, watch)
