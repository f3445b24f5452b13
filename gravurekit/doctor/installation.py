"""Versions and extras: what is installed of what gravurekit requires.

Requirements are read by a short rule: a version is compared by its leading numbers, and what the rule doesn't know is
believed. The package `packaging` knows all of it, but isn't among ours.
"""

import operator
import platform
import re
from collections.abc import Iterator
from importlib import metadata as distributions

from gravurekit import __version__
from gravurekit.doctor.diagnosis import Extra, Finding, Package, Versions

NAME = "gravurekit"  # of the distribution
OPENCV = ("opencv-python", "opencv-contrib-python", "opencv-python-headless", "opencv-contrib-python-headless")
COMPARE = {">=": operator.ge, "~=": operator.ge, "<=": operator.le, "==": operator.eq, "!=": operator.ne,
           ">": operator.gt, "<": operator.lt}  # fmt: skip


def look(findings: list[Finding]) -> Versions:
    """What runs here."""
    packages = tuple(_required().get("", []))
    for item in packages:
        if not item.good:
            kind, what = "missing", f"{item.name} is missing"
            if item.installed:
                kind, what = "version", f"{item.name} {item.installed} doesn't do: {item.required} is needed"
            findings.append(Finding("versions", item.name, kind, what, f"pip install '{item.name}{item.required}'"))
    findings += _badly_installed()
    python = f"{platform.python_implementation()} {platform.python_version()}"
    return Versions(__version__, python, platform.platform(), packages)


def extras() -> Iterator[Extra]:
    """Every extra that the distribution offers."""
    for name, packages in sorted(_required().items()):
        missing = tuple(sorted({item.name for item in packages if not item.good}))
        if name:
            yield Extra(name, missing, f"pip install '{NAME}[{name}]'" if missing else "")


def _badly_installed() -> Iterator[Finding]:
    said = _installed(NAME)
    if not said:
        what = f"{NAME} runs from a folder, it isn't installed, so which packages it needs isn't known"
        yield Finding("versions", "python", "missing", what, "pip install -e FOLDER")
    elif said != __version__:
        what = f"installed as {said}, but the code is {__version__}"
        yield Finding("versions", "python", "version", what, "install it again (pip install -e ., or make install)")
    several = [name for name in OPENCV if _installed(name)]
    if len(several) > 1:
        what = f"{' and '.join(several)} are installed over one another: which of them is used is chance"
        todo = f"pip uninstall {' '.join(several)}, then pip install opencv-python-headless"
        yield Finding("versions", "packages", "clash", what, todo)


def _required() -> dict[str, list[Package]]:
    """What each extra requires, and under "" what everybody needs; less what only other systems need."""
    found: dict[str, list[Package]] = {}
    made_of: dict[str, list[str]] = {}  # `all = gravurekit[this,that]`
    for line in distributions.requires(NAME) or [] if _installed(NAME) else []:
        head, _, marker = line.partition(";")
        name, parts, wanted = re.findall(r"^\s*([\w.-]+)\s*(?:\[(.*?)\])?\s*(.*?)\s*$", head)[0]
        of = re.search(r"""extra\s*==\s*["'](.*?)["']""", marker)
        extra, everywhere = (of[1], marker.strip() == of[0]) if of else ("", not marker)
        installed = _installed(name)
        if name == NAME:
            made_of[extra] = re.findall(r"[^,\s]+", parts)
        elif installed or everywhere:
            good = bool(installed) and _fits(installed, wanted)
            found.setdefault(extra, []).append(Package(name, installed, wanted, good))
    return found | {extra: [item for part in parts for item in found.get(part, [])] for extra, parts in made_of.items()}


def _installed(name: str) -> str:
    """The version of a distribution; empty if there is none, or if an ended installation left half of it."""
    try:
        return distributions.version(name) or ""
    except (distributions.PackageNotFoundError, KeyError):
        return ""


def _fits(version: str, wanted: str) -> bool:
    rules = re.findall(r"(>=|<=|==|!=|~=|<|>)\s*([\d.]+)(?![\d.*])", wanted)
    return all(COMPARE[sign](_numbers(version), _numbers(limit)) for sign, limit in rules)


def _numbers(version: str) -> tuple[int, ...]:
    """2.13+cpu → (2, 13, 0, 0, 0, 0)."""
    leading = re.split(r"[^\d.]", version)[0]
    return tuple([*map(int, re.findall(r"\d+", leading)), 0, 0, 0, 0, 0, 0][:6])
