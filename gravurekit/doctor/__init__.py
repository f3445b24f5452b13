"""doctor: what is here, what works, what is unfinished or damaged. It only looks: no file is written, no lock taken.

diagnosis.py       what is found, as plain data
installation.py    versions and extras
machine.py         cores, memory, disk, and what torch would train on
configuration.py   the settings file and the keyword files
engines.py         the sources, asked for a picture each
places.py          the folders of the workspace
details.py         how far a crawl or a training is
trouble.py         what damaged files raise, said in a line
printout.py        all of it for people

Whatever lies on the disk, it ends with a Diagnosis: trouble is what it is for.
"""

from pathlib import Path

from gravurekit.doctor import configuration, engines, installation, machine, places
from gravurekit.doctor.diagnosis import Diagnosis, Engine, Finding, Place, printable
from gravurekit.doctor.printout import text
from gravurekit.pipeline import Wishes

__all__ = ["Diagnosis", "Engine", "Finding", "Place", "examine", "text"]


def examine(wishes: Wishes, deep: bool = False, online: bool = True, config: Path | None = None) -> Diagnosis:
    """Look at everything. `deep`: take the sha256 of every file; without `online` nobody outside this machine is asked.

    `config` is the settings file, ./gravurekit.toml if None. It is read here if `wishes` holds no file, so that a wrong
    one is a finding rather than an error.
    """
    findings: list[Finding] = []  # all of those below add to it
    settings, wishes = configuration.look(wishes, config, findings)
    found = Diagnosis(
        folder=str(Path.cwd()),
        versions=installation.look(findings),
        machine=machine.look(wishes.settings("train"), findings),
        extras=tuple(installation.extras()),
        engines=engines.look(wishes, online, findings),
        settings=settings,
        workspace=tuple(places.look(wishes.settings("paths"), deep, findings)),
        findings=tuple(sorted(findings, key=lambda item: not item.damage)),
    )
    return printable(found)
