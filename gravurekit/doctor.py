"""doctor: what is here, what works, what is unfinished or damaged. It only looks: no file is written, no lock taken.

Whatever lies on the disk, it ends with a Diagnosis: trouble is what it is for.
"""

import asyncio
import dataclasses
import json
import operator
import os
import platform
import re
import shlex
import textwrap
import time
from collections.abc import Iterable, Iterator, Mapping
from contextlib import aclosing
from dataclasses import dataclass
from importlib import metadata as distributions
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, cast

from gravurekit import __version__, audit, crafts, foreign, keywords, storage
from gravurekit import settings as base
from gravurekit.audit import Fault
from gravurekit.errors import DataError, FetchError, GravurekitError, MissingExtra, UsageError
from gravurekit.metadata import DROPPED, LOCK, MARKER, METADATA, PARTS, owner_of
from gravurekit.pipeline import ROOMS, TABLES, Paths, Wishes
from gravurekit.receipt import RECEIPT, NewerReceipt, Receipt, read_receipt
from gravurekit.settings import did_you_mean, layered
from gravurekit.stages import train
from gravurekit.stages.crawl import INCOMING, JOURNAL

if TYPE_CHECKING:  # the HTTP client loads only when an engine is asked
    from gravurekit.web import Web

NAME = "gravurekit"  # of the distribution
OPENCV = ("opencv-python", "opencv-contrib-python", "opencv-python-headless", "opencv-contrib-python-headless")
MAKERS = {"raw": "crawl", "clean": "filter", "styled": "stylize", "shards": "shard", "coloured": "colorize"}
EMBEDDED = {"sample"}  # sources of our own on this machine: asked without a network too
QUERY = "dress"  # what an engine is asked for; all of them have some
PATIENCE, CONNECT = 10.0, 5.0  # seconds for an engine in all, and until it is connected
LITTLE = 1 << 30  # bytes; with less free disk than this one is told
STATE, LOG = "state.safetensors", "log.jsonl"  # of a training; model/trainer.py has these names, but needs torch
HARMLESS = {"journal", "other-stage"}  # faults beside which a folder can still be read
TAIL = 1 << 16  # bytes of a log's end in which its last whole line lies

# What files of any content, and names of any form, can raise. struct, json, UTF-8, NUL in a name: all ValueError.
UNREADABLE = (OSError, ValueError, RecursionError, OverflowError)
BROKEN_IMPORT = (ImportError, OSError, RuntimeError, AttributeError, ValueError)


# ---- the diagnosis -------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Finding:
    """Something to do. `damage`: data of this workspace is damaged or can't be read."""

    section: Literal["versions", "machine", "engines", "settings", "workspace"]
    subject: str  # the row of the section
    kind: str  # a short word for counting
    what: str
    todo: str
    damage: bool = False


@dataclass(frozen=True)
class Package:
    """A distribution that gravurekit stands on. `installed` is its version; empty: it is missing."""

    name: str
    installed: str
    required: str
    good: bool


@dataclass(frozen=True)
class Versions:
    """What runs here."""

    gravurekit: str
    python: str
    system: str
    packages: tuple[Package, ...]


@dataclass(frozen=True)
class Machine:
    """What there is to work with; None is "not known". Sizes in bytes."""

    cores: int
    memory: int | None
    memory_available: int | None
    disk_free: int | None
    writable: bool
    device: str = ""  # where training would run; empty: nowhere
    device_name: str = ""
    device_memory: int | None = None
    device_memory_free: int | None = None
    threads: int | None = None  # of torch
    bf16: bool | None = None  # whether the device is fast at it


@dataclass(frozen=True)
class Extra:
    """An optional part of gravurekit: what it lacks, and what installs it; both empty: it is there."""

    name: str
    missing: tuple[str, ...]
    install: str


@dataclass(frozen=True)
class Engine:
    """A source, and whether it answers. `chosen`: [paths] names it. `pictures`: of a folder."""

    name: str
    chosen: bool
    state: Literal["answers", "found nothing", "no answer", "not asked", "missing"]
    milliseconds: int | None = None
    pictures: int | None = None
    detail: str = ""


@dataclass(frozen=True)
class Words:
    """A keyword file, or the keywords that stand in the settings themselves. None: it can't be read."""

    name: str
    keywords: int | None
    detail: str = ""


@dataclass(frozen=True)
class SettingsFile:
    """The settings file and what is wrong in it, a sentence each."""

    path: str
    state: Literal["absent", "valid", "invalid"]
    complaints: tuple[str, ...]
    words: tuple[Words, ...]


Condition = Literal["absent", "empty", "yours", "finished", "unfinished", "running", "newer", "damaged"]


@dataclass(frozen=True)
class Place:
    """A folder of the workspace. `name`: its key in [paths], or "run"; `stage` whose output it is or would be.

    "yours": no stage made it; "newer": a later gravurekit did, and this one can't read it.
    """

    name: str
    path: str
    stage: str
    state: Condition
    counts: dict[str, int] = dataclasses.field(default_factory=dict)
    detail: str = ""
    faults: tuple[Fault, ...] = ()


@dataclass(frozen=True)
class Diagnosis:
    """All that was looked at, and in `findings` what there is to do, damage first. `asdict` of it is plain JSON."""

    folder: str
    versions: Versions
    machine: Machine
    extras: tuple[Extra, ...]
    engines: tuple[Engine, ...]
    settings: SettingsFile
    workspace: tuple[Place, ...]
    findings: tuple[Finding, ...]

    @property
    def exit_code(self) -> int:
        """That of damaged data if any is, else 0: what is unfinished or doesn't answer is no failure."""
        return DataError.exit_code if any(item.damage for item in self.findings) else 0


def examine(wishes: Wishes, deep: bool = False, online: bool = True, config: Path | None = None) -> Diagnosis:
    """Look at everything. `deep`: take the sha256 of every file; without `online` nobody outside this machine is asked.

    `config` is the settings file, ./gravurekit.toml if None. It is read here if `wishes` holds no file, so that a wrong
    one is a finding rather than an error.
    """
    findings: list[Finding] = []
    settings, wishes = _settings(wishes, config, findings)
    paths: Paths = wishes.settings("paths")
    found = Diagnosis(
        folder=_here(),
        versions=_versions(findings),
        machine=_machine(wishes, findings),
        extras=tuple(_extras()),
        engines=_engines(wishes, paths, online, findings),
        settings=settings,
        workspace=tuple(_workspace(paths, deep, findings)),
        findings=tuple(sorted(findings, key=lambda item: not item.damage)),  # last: all of the above add to it
    )
    return cast(Diagnosis, _printable(found))


def _here() -> str:
    try:
        return os.getcwd()
    except OSError:
        return "."  # a folder that was removed


def _printable(value: Any) -> Any:
    """`value` with what a terminal or UTF-8 can't take replaced in every text: names on disk may hold anything."""
    if isinstance(value, str):
        return "".join(letter if letter.isprintable() else "\N{REPLACEMENT CHARACTER}" for letter in value)
    if isinstance(value, tuple):
        return tuple(_printable(item) for item in value)
    if isinstance(value, dict):
        return {_printable(key): _printable(item) for key, item in value.items()}
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        changes = {field.name: _printable(getattr(value, field.name)) for field in dataclasses.fields(value)}
        return dataclasses.replace(value, **changes)
    return value


def _reason(error: BaseException) -> str:
    """The first line of an error, short."""
    text = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
    line = (text or type(error).__name__).splitlines()[0]
    return line if len(line) <= 160 else line[:159] + "…"


# ---- versions and extras -------------------------------------------------------------------------------


@dataclass(frozen=True)
class _Requirement:
    """A requirement of the distribution. `extra`: whose; `conditional`: only on some systems, by a marker."""

    name: str
    parts: tuple[str, ...]  # in brackets
    wanted: str
    extra: str
    conditional: bool


def _requirements() -> list[_Requirement]:
    try:
        return [_requirement(line) for line in distributions.requires(NAME) or []]
    except distributions.PackageNotFoundError:
        return []


def _requirement(line: str) -> _Requirement:
    """`name[parts]>=1; marker`. The package `packaging` reads more of it, but isn't among ours."""
    head, _, marker = line.partition(";")
    match = re.match(r"\s*([\w.-]+)\s*(?:\[(.*?)\])?\s*(.*?)\s*$", head)
    name, parts, wanted = match.groups("") if match else (head, "", "")
    extra = re.search(r"extra\s*==\s*[\"'](.*?)[\"']", marker)
    rest = marker.replace(extra[0], "") if extra else marker
    words = tuple(part.strip() for part in parts.split(",") if part.strip())
    return _Requirement(name, words, wanted, extra[1] if extra else "", bool(re.sub(r"\band\b|[()\s]", "", rest)))


def _installed(name: str) -> str:
    """The version of a distribution; empty if there is none."""
    try:
        return distributions.version(name) or "unknown"
    except (distributions.PackageNotFoundError, KeyError):  # KeyError: its metadata is damaged
        return ""


_COMPARE = {">=": operator.ge, "~=": operator.ge, "<=": operator.le, "==": operator.eq, "!=": operator.ne,
            ">": operator.gt, "<": operator.lt}  # fmt: skip


def _fits(version: str, wanted: str) -> bool:
    """Whether a version is a wanted one; what isn't plain numbers is believed."""
    for clause in wanted.strip("() ").split(","):
        rule = re.fullmatch(r"\s*(>=|<=|==|!=|~=|<|>)\s*([0-9.]+)\s*", clause)
        if rule and not _COMPARE[rule[1]](_release(version), _release(rule[2])):
            return False
    return True


def _release(version: str) -> tuple[int, ...]:
    """2.13.0+cpu → (2, 13)."""
    numbers = [int(number) for number in re.findall(r"\d+", (re.match(r"[0-9.]*", version) or [""])[0])]
    while numbers and not numbers[-1]:
        numbers.pop()
    return tuple(numbers)


def _versions(findings: list[Finding]) -> Versions:
    packages = []
    for item in _requirements():
        installed = _installed(item.name)
        if item.extra or (item.conditional and not installed):
            continue
        good = bool(installed) and _fits(installed, item.wanted)
        packages.append(Package(item.name, installed, item.wanted, good))
        if not good:
            kind, what = "missing", f"{item.name} is missing"
            if installed:
                kind, what = "version", f"{item.name} {installed} doesn't do: {item.wanted} is needed"
            todo = f"pip install '{item.name}{item.wanted}'"
            findings.append(Finding("versions", item.name, kind, what, todo))
    findings += _installation()
    system = f"{_system()}, {platform.machine()}"
    return Versions(
        __version__, f"{platform.python_implementation()} {platform.python_version()}", system, tuple(packages)
    )


def _installation() -> Iterator[Finding]:
    """What is wrong with how gravurekit and its packages were installed."""
    said = _installed(NAME)
    if not said:
        what = f"{NAME} runs from a folder, it isn't installed, so which packages it needs isn't known"
        yield Finding("versions", NAME, "missing", what, "pip install -e FOLDER")
    elif said != __version__:
        what = f"installed as {said}, but the code is {__version__}"
        yield Finding("versions", NAME, "version", what, "install it again (pip install -e ., or make install)")
    several = [name for name in OPENCV if _installed(name)]
    if len(several) > 1:
        what = f"{' and '.join(several)} are installed over one another: which of them is used is chance"
        todo = f"pip uninstall {' '.join(several)}, then pip install opencv-python-headless"
        yield Finding("versions", "opencv", "clash", what, todo)


def _system() -> str:
    """The operating system, in a few words."""
    if platform.system() == "Darwin":
        return f"macOS {platform.mac_ver()[0]}"
    try:
        named = platform.freedesktop_os_release().get("PRETTY_NAME", "")
    except OSError:
        named = ""
    return ", ".join(part for part in (named, f"{platform.system()} {platform.release()}") if part)


def _extras() -> Iterator[Extra]:
    """Every extra that the distribution offers."""
    try:
        names = distributions.metadata(NAME).get_all("Provides-Extra") or []
    except distributions.PackageNotFoundError:
        names = []
    wanted = _requirements()
    for name in sorted(set(names)):
        missing = tuple(sorted({item.name for item in _needs(name, wanted, frozenset()) if _lacks(item)}))
        yield Extra(name, missing, f"pip install '{NAME}[{name}]'" if missing else "")


def _needs(extra: str, wanted: list[_Requirement], seen: frozenset[str]) -> Iterator[_Requirement]:
    """The requirements of an extra, and of those that it is made of (`all = gravurekit[this,that]`)."""
    for item in wanted:
        if item.extra == extra and item.name.lower() != NAME:
            yield item
        elif item.extra == extra:
            for part in set(item.parts) - seen:
                yield from _needs(part, wanted, seen | {extra})


def _lacks(item: _Requirement) -> bool:
    installed = _installed(item.name)
    return not _fits(installed, item.wanted) if installed else not item.conditional


# ---- the machine ---------------------------------------------------------------------------------------


def _machine(wishes: Wishes, findings: list[Finding]) -> Machine:
    memory, available = _memory()
    free, writable = _disk(), os.access(".", os.W_OK)
    if free is not None and free < LITTLE:
        findings.append(Finding("machine", "disk", "disk", f"only {_size(free)} of disk are free", "make room"))
    if not writable:
        todo = "work in a folder of your own, or change its permissions"
        findings.append(Finding("machine", "disk", "read-only", f"{_here()} can't be written", todo))
    found = Machine(_cores(), memory, available, free, writable)
    return dataclasses.replace(found, **_training(wishes.settings("train"), findings))


def _cores() -> int:
    """Those that this process may use."""
    count = getattr(os, "process_cpu_count", None)  # from Python 3.13 on
    if count:
        return count() or 1
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _memory(root: Path = Path("/")) -> tuple[int | None, int | None]:
    """Bytes of memory in all, and available: of the machine, or of the control group if that has less."""
    lines = dict(re.findall(r"^(\w+):\s+(\d+) kB$", _text(root / "proc/meminfo"), re.MULTILINE))
    total, available = (int(lines[key]) * 1024 if key in lines else None for key in ("MemTotal", "MemAvailable"))
    if total is None:
        try:
            total = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
        except (OSError, ValueError):
            return None, None
    for limit, used in _control_groups(root):
        total = min(total, limit)
        available = min(total if available is None else available, max(0, limit - used))
    return total, available


def _control_groups(root: Path) -> Iterator[tuple[int, int]]:
    """The limits of this process's control group (v2) and those around it, and what they use, less what is only cached
    from files: that gives way."""
    ours = re.search(r"^0::/(.*)$", _text(root / "proc/self/cgroup"), re.MULTILINE)
    top = root / "sys/fs/cgroup"
    place = top / ours[1] if ours else top
    for group in (place, *place.parents):
        limit, used = _text(group / "memory.max").strip(), _text(group / "memory.current").strip()
        cached = re.search(r"^inactive_file (\d+)$", _text(group / "memory.stat"), re.MULTILINE)
        if limit.isdigit() and used.isdigit():
            yield int(limit), int(used) - (int(cached[1]) if cached else 0)
        if group == top:
            return


def _text(path: Path) -> str:
    """A small file of the system's; empty if there is none."""
    try:
        return path.read_text("utf-8", "replace")
    except OSError:
        return ""


def _disk() -> int | None:
    """Bytes free for us where the workspace lies."""
    try:
        disk = os.statvfs(".")
    except OSError:
        return None
    return disk.f_bavail * disk.f_frsize


def _training(knobs: train.Settings, findings: list[Finding]) -> dict[str, Any]:
    """The fields of Machine that torch knows."""
    try:
        import torch

        from gravurekit.model.checkpoint import pick_device
    except BROKEN_IMPORT as error:
        what = f"torch can't be imported ({_reason(error)}), so nothing can be trained or coloured"
        findings.append(Finding("machine", "training", "torch", what, "pip install --force-reinstall torch"))
        return {}
    try:
        device = pick_device(knobs.device)
    except UsageError as error:
        findings.append(Finding("machine", "training", "device", *_halves(str(error), "use another --device")))
        device = pick_device("auto")
    found: dict[str, Any] = {"device": str(device), "threads": torch.get_num_threads()}
    try:
        if device.type == "cuda":
            free, total = torch.cuda.mem_get_info(device)
            found |= {"device_name": torch.cuda.get_device_name(device)}
            found |= {"device_memory": total, "device_memory_free": free}
            found |= {"bf16": bool(torch.cuda.is_bf16_supported(including_emulation=False))}
        elif device.type == "cpu" and hasattr(torch.cpu, "get_capabilities"):
            found |= {"bf16": bool(torch.cpu.get_capabilities().get("avx512_bf16", False))}
    except RuntimeError as error:  # a graphics card that is there and doesn't answer
        what = f"{device} is there, but doesn't answer ({_reason(error)})"
        findings.append(Finding("machine", "training", "device", what, "free it or restart it, or use --device cpu"))
    return found


def _halves(message: str, otherwise: str) -> tuple[str, str]:
    """What is wrong, and what to do: an error's message says both, parted by ";" or ":"."""
    for mark in ("; ", ": "):
        what, found, todo = message.partition(mark)
        if found:
            return what, todo
    return message, otherwise


# ---- settings ------------------------------------------------------------------------------------------


def _settings(wishes: Wishes, named: Path | None, findings: list[Finding]) -> tuple[SettingsFile, Wishes]:
    """What is said of the settings, and the wishes without what is wrong in them."""
    complaints: list[str] = []
    path = named or Path("gravurekit.toml")
    there = os.path.lexists(path)
    file = wishes.file or (_read(path, complaints) if there or named else {})
    tables = {table: _sound_table(table, value, complaints) for table, value in _known(file, complaints)}
    flags = {table: _sound(table, value, complaints) for table, value in _known(wishes.flags, complaints)}
    sound = Wishes(
        tables, {table: value for table, value in flags.items() if _valid(table, tables, flags)}, wishes.crafts
    )
    complaints += _names(sound)
    todo = f"correct it in {path}" if there else "correct it"
    findings += [Finding("settings", str(path), "settings", complaint, todo) for complaint in complaints]
    words = tuple(_words(sound.settings("paths").keywords, "keywords" in tables.get("paths", {}), findings))
    findings += _lost(sound.settings("paths"))
    state: Literal["absent", "valid", "invalid"] = "invalid" if complaints else "valid" if there else "absent"
    return SettingsFile(str(path), state, tuple(complaints), words), sound


def _read(path: Path, complaints: list[str]) -> dict[str, Any]:
    if os.path.lexists(path) and not os.path.isfile(path):
        complaints.append(f"{path} is no file")
        return {}
    try:
        return base.read_toml(path)
    except (UsageError, *UNREADABLE) as error:
        complaints.append(_reason(error))
        return {}


def _known(file: Mapping[str, Any], complaints: list[str]) -> Iterator[tuple[str, Mapping[str, Any]]]:
    """The tables that some stage has."""
    for table, value in file.items():
        if table in TABLES and isinstance(value, Mapping):
            yield table, value
        else:
            complaints.append(f"unknown table [{table}]{did_you_mean(table, TABLES)}")


def _sound_table(table: str, said: Mapping[str, Any], complaints: list[str]) -> dict[str, Any]:
    """The knobs of a table, and the tables of its crafts, that are right."""
    if table not in ROOMS:
        return _sound(table, said, complaints)
    inner = {name: knobs for name, knobs in said.items() if isinstance(knobs, Mapping)}
    sound = _sound(table, {key: value for key, value in said.items() if key not in inner}, complaints)
    for name, knobs in inner.items():
        try:
            crafts.check_tables(ROOMS[table], table, {name: knobs})
            crafts.settings_of(ROOMS[table], table, name, {name: knobs})
            sound[name] = dict(knobs)
        except UsageError as error:
            complaints += str(error).splitlines()
        except BROKEN_IMPORT as error:
            complaints.append(f"[{table}.{name}]: {name} can't be loaded ({_reason(error)})")
    return sound


def _sound(table: str, said: Mapping[str, Any], complaints: list[str]) -> dict[str, Any]:
    """The knobs that are right, and all of them if nothing is wrong."""
    try:
        layered(TABLES[table], table, said)
        return dict(said)
    except (UsageError, *UNREADABLE) as error:
        complaints += (str(error) or _reason(error)).splitlines()
    alone = {key: value for key, value in said.items() if _valid(table, {table: {key: value}})}
    return alone if _valid(table, {table: alone}) else {}


def _valid(table: str, *layers: Mapping[str, Mapping[str, Any]]) -> bool:
    knobs = [{k: v for k, v in layer.get(table, {}).items() if table not in ROOMS or not isinstance(v, Mapping)}
             for layer in layers]  # fmt: skip
    try:
        layered(TABLES[table], table, *knobs)
    except (UsageError, *UNREADABLE):
        return False
    return True


def _names(wishes: Wishes) -> Iterator[str]:
    """Complaints about crafts that the settings name and that aren't there."""
    paths = wishes.settings("paths")
    named = [("sources", source.partition(":")[0], "[paths] sources") for source in paths.sources]
    named += [("sources", name, "[paths] endpoints") for name in paths.endpoints]
    named += [("styles", wishes.settings("stylize").style, "[stylize] style")]
    named += [("filters", name, "[filter] skip") for name in wishes.settings("filter").skip]
    for room, name, where in named:
        if name not in crafts.names(room):
            yield f"{where}: no {room.removesuffix('s')} is called {name!r}{did_you_mean(name, crafts.names(room))}"


def _words(names: Iterable[str], said: bool, findings: list[Finding]) -> Iterator[Words]:
    """The keyword files. That the usual one isn't there is no trouble, as long as nobody `said` that it is."""
    inline = 0
    for name in names:
        if not (name.endswith(".txt") or os.path.lexists(name)):
            inline += len(keywords.parse(name))
            continue
        if not said and not os.path.lexists(name):
            yield Words(name, None, "not there")
            continue
        try:
            if os.path.lexists(name) and not os.path.isfile(name):
                raise UsageError(f"{name} is no file: move it away, or name another in [paths] keywords")
            if os.path.isfile(name) and not os.access(name, os.R_OK):
                raise UsageError(f"{name} can't be read (permission denied): {_chmod(Path(name))}")
            yield Words(name, len(keywords.read(Path(name))))
        except (UsageError, *UNREADABLE) as error:
            what, todo = _halves(_reason(error), "write one")
            if not os.path.lexists(name):
                what, todo = f"{name}: no such keyword file", "write it, a keyword a line, or correct [paths] keywords"
            findings.append(Finding("settings", name, "keywords", what, todo))
            yield Words(name, None, "can't be read" if os.path.lexists(name) else "not there")
    if inline:
        yield Words("keywords", inline, "in the settings")


def _lost(paths: Paths) -> Iterator[Finding]:
    """What [paths] names besides the folders, and isn't there."""
    named = [("decisions", paths.decisions), ("model", paths.model), *(("prints", name) for name in paths.prints)]
    for key, name in named:
        if name and not os.path.exists(name):
            todo = f"correct [paths] {key}"
            yield Finding(
                "settings", "[paths]", "lost", f"[paths] {key} = {name!r}: there is no such file or folder", todo
            )


# ---- engines -------------------------------------------------------------------------------------------


def _engines(wishes: Wishes, paths: Paths, online: bool, findings: list[Finding]) -> tuple[Engine, ...]:
    """Every source that is searched, and those that [paths] names."""
    known = crafts.names("sources")
    chosen = [source for source in dict.fromkeys(paths.sources) if source.partition(":")[0] in known]
    taken = {source.partition(":")[0] for source in chosen}
    found: list[Engine] = []
    asked: list[str] = []
    for source in [*chosen, *(name for name in known if name not in taken)]:
        name, _, argument = source.partition(":")
        if name == "folder":
            found += [_pictures(source, argument)] if source in chosen else []
        elif online or name in EMBEDDED:
            asked.append(source)
        else:
            found.append(Engine(source, source in chosen, "not asked"))
    found += _ask(asked, set(chosen), wishes, paths) if asked else []
    findings += [_silence(item) for item in found if item.chosen and item.state in ("no answer", "missing")]
    order = [*chosen, *known]
    return tuple(sorted(found, key=lambda item: order.index(item.name)))


def _silence(item: Engine) -> Finding:
    if item.state == "missing":
        return Finding("engines", item.name, "missing", f"{item.name}: {item.detail}", "correct [paths] sources")
    todo = "check the network, or take another source; --source sample needs none"
    if "pip install" in item.detail:
        todo = item.detail.rpartition(": ")[2]
    return Finding("engines", item.name, "silent", f"{item.name} doesn't answer ({item.detail})", todo)


def _pictures(source: str, argument: str) -> Engine:
    """A folder source: how many pictures it has."""
    try:
        if not argument or not os.path.isdir(argument):
            return Engine(source, True, "missing", detail="no such folder")
        count = len(foreign.picture_files(Path(argument)))
    except (DataError, *UNREADABLE) as error:
        return Engine(source, True, "missing", detail=_reason(error))
    return Engine(source, True, "answers" if count else "found nothing", pictures=count)


def _ask(sources: list[str], chosen: set[str], wishes: Wishes, paths: Paths) -> list[Engine]:
    """Ask all of them at once for a picture each."""
    try:
        from gravurekit.web import Limits, Web
    except BROKEN_IMPORT as error:
        detail = f"the HTTP client can't be imported: {_reason(error)}"
        return [Engine(source, source in chosen, "no answer", detail=detail) for source in sources]
    limits = Limits(max_bytes=1 << 24, connect_seconds=CONNECT, total_seconds=PATIENCE, tries=1)
    private: bool = wishes.settings("crawl").allow_private_addresses

    async def all_of_them() -> list[int | BaseException]:
        async with Web(limits, paths.endpoints, private) as web:
            # a source that breaks in a way of its own is a finding like any other
            return await asyncio.gather(*(_first(source, wishes, web) for source in sources), return_exceptions=True)

    answers = asyncio.run(all_of_them())
    return [_engine(name, name in chosen, answer) for name, answer in zip(sources, answers, strict=True)]


async def _first(source: str, wishes: Wishes, web: "Web") -> int:
    """Milliseconds until the first result; -1 if there is none."""
    name, _, argument = source.partition(":")
    craft = crafts.load("sources", name)
    try:
        knobs = crafts.settings_of("sources", "crawl", name, wishes.tables("crawl"))
    except UsageError:  # of --set
        knobs = craft.Settings()
    began = time.perf_counter()
    async with asyncio.timeout(PATIENCE), craft.connect(argument, knobs, web) as connection:
        async with aclosing(connection.search(QUERY if craft.NEEDS_KEYWORDS else "")) as results:
            async for _ in results:
                return round((time.perf_counter() - began) * 1000)
    return -1


def _engine(name: str, chosen: bool, answer: int | BaseException) -> Engine:
    if isinstance(answer, int):
        if answer < 0:
            return Engine(name, chosen, "found nothing", detail=f"it answered, but knows nothing of {QUERY!r}")
        return Engine(name, chosen, "answers", answer)
    match answer:
        case TimeoutError():
            detail = f"nothing came within {PATIENCE:g} s"
        case MissingExtra():
            detail = str(answer)
        case FetchError():
            detail = re.sub(
                r"^Cannot connect to host (\S+) ssl:\S+ \[(.*)\]$", r"\1: \2", answer.detail or answer.reason
            )
        case GravurekitError():
            detail = _reason(answer)
        case _:
            detail = f"{type(answer).__name__}: {_reason(answer)}"
    return Engine(name, chosen, "no answer", detail=detail)


# ---- the workspace -------------------------------------------------------------------------------------


def _workspace(paths: Paths, deep: bool, findings: list[Finding]) -> Iterator[Place]:
    """The folders of [paths], and every training."""
    for name, stage in MAKERS.items():
        if name == "coloured":  # after what it is made with
            for place in _runs(Path(paths.runs), deep):
                findings += _to_do(place)
                yield place
        place = _place(name, Path(getattr(paths, name)), stage, deep)
        findings += _to_do(place)
        yield place


def _runs(path: Path, deep: bool) -> Iterator[Place]:
    """A Place for each training; one for the folder if there are none."""
    whole = Place("runs", str(path), "train", "absent")
    if not _there(path):
        yield whole
    elif faults := tuple(_barriers(path)):
        yield dataclasses.replace(whole, state="damaged", faults=faults)
    else:
        runs = sorted(name for name in os.listdir(path) if os.path.isdir(path / name) and not name.startswith("."))
        yield from (_place("run", path / name, "train", deep) for name in runs)
        if not runs:
            yield dataclasses.replace(whole, state="empty")


def _to_do(place: Place) -> Iterator[Finding]:
    """The faults that call for somebody; a run that is at work doesn't."""
    damage = place.state in ("damaged", "newer")
    for fault in place.faults:
        if not fault.minor and place.state != "running":
            hurt = damage and fault.kind not in HARMLESS
            yield Finding("workspace", place.path, fault.kind, fault.what, fault.todo, hurt)


def _there(path: Path) -> bool:
    try:
        os.lstat(path)
    except (FileNotFoundError, NotADirectoryError):
        return False
    except (OSError, ValueError):
        return True  # not to be entered, or no name for a file: _barriers says so
    return True


def _barriers(path: Path) -> Iterator[Fault]:
    """What keeps us from looking into a folder: files where folders should be, the other way round, permissions."""
    if not os.path.isdir(path):
        yield Fault("no-folder", f"{path} is no folder", "move it away, or name another in [paths]")
        return
    if not os.access(path, os.R_OK | os.X_OK):
        yield Fault("no-access", f"{path} can't be read (permission denied)", _chmod(path))
        return
    for name in (RECEIPT, METADATA, DROPPED, MARKER, LOCK, JOURNAL):
        file = path / name
        if os.path.lexists(file) and not os.path.isfile(file):
            yield Fault("in-the-way", f"{file} is no file", "move it away, and run the stage again")
        elif os.path.lexists(file) and not os.access(file, os.R_OK):
            yield Fault("no-access", f"{file} can't be read (permission denied)", _chmod(file))
    for name in ("images", PARTS):
        inner = path / name
        if os.path.lexists(inner) and not os.path.isdir(inner):
            yield Fault("in-the-way", f"{inner} is no folder", "move it away, and run the stage again")
        elif os.path.lexists(inner) and not os.access(inner, os.R_OK | os.X_OK):
            yield Fault("no-access", f"{inner} can't be read (permission denied)", _chmod(inner))


def _chmod(path: Path) -> str:
    return f"chmod -R u+rwX {shlex.quote(str(path))}"


def _place(name: str, path: Path, stage: str, deep: bool) -> Place:
    """What a folder is, and in which state."""
    place = Place(name, str(path), stage, "absent")
    if not _there(path):
        return place
    if faults := tuple(_barriers(path)):
        return dataclasses.replace(place, state="damaged", faults=faults)
    try:
        owner = owner_of(path)
        if os.path.isfile(path / MARKER) and not re.fullmatch("[a-z]+", owner):
            what, todo = f"{path / MARKER} doesn't say whose folder it is", f"write the one word {stage} into it"
            return dataclasses.replace(place, state="damaged", faults=(Fault("marker", what, todo),))
        return _inspected(place, path, owner, deep)
    except (DataError, *UNREADABLE) as error:
        what = f"{path} can't be read ({_reason(error)})"
        fault = Fault("unreadable", what, f"remove what is wrong in it, and run `gravurekit {stage}` again")
        return dataclasses.replace(place, state="damaged", faults=(fault,))


def _inspected(place: Place, path: Path, owner: str, deep: bool) -> Place:
    found = audit.inspect(path, deep)
    receipt, newer = _receipt(path)
    faults = list(found.faults)
    stage = owner or (receipt.plan.stage if receipt else place.stage)
    detail = ""
    if stage == "crawl":
        faults, detail = _crawl(path, faults, receipt)
    elif stage == "train":
        faults, detail = _train(path, faults, receipt)
    if owner and owner != place.stage:
        what = f"{path} was made by {owner}, not by {place.stage}"
        faults.append(Fault("other-stage", what, f"name another folder in [paths] {place.name}"))
    state = _state(faults, newer, receipt is not None)
    counts = dict(receipt.counts) if receipt else {}
    if state == "yours":
        counts = {"pictures": len(found.records) if found.records is not None else len(foreign.picture_files(path))}
        state = state if any(path.iterdir()) else "empty"
    if state == "running" and (holder := storage.lock_holder(path / LOCK)):
        detail = "; ".join(part for part in (str(holder[0]), detail) if part)
    return dataclasses.replace(
        place, stage=stage, state=state, counts=counts, detail=detail, faults=tuple(_relevant(faults, state))
    )


def _receipt(path: Path) -> tuple[Receipt | None, bool]:
    """The receipt, and whether it is a newer gravurekit's."""
    try:
        return read_receipt(path), False
    except NewerReceipt:
        return None, True
    except DataError:
        return None, False


def _state(faults: list[Fault], newer: bool, finished: bool) -> Condition:
    kinds = {fault.kind for fault in faults if not fault.minor}
    if "running" in kinds:
        return "running"
    if newer:
        return "newer"
    if "unfinished" in kinds:
        kinds -= {"missing", "changed"}  # the next run makes them
    if kinds - {"unfinished"} - HARMLESS:
        return "damaged"
    if "unfinished" in kinds:
        return "unfinished"
    return "finished" if finished else "yours"


def _relevant(faults: list[Fault], state: Condition) -> Iterator[Fault]:
    """The faults less those that follow from the state: files of a run that is at work, or that goes on."""
    implied = {"unfinished": ("missing", "changed"), "damaged": ("unfinished",)}.get(state, ())
    for fault in faults:
        if state == "newer" and fault.kind == "receipt":
            yield dataclasses.replace(fault, kind="newer")
        elif fault.minor or fault.kind == "running" or (state != "running" and fault.kind not in implied):
            yield fault


# ---- a crawl and a training ----------------------------------------------------------------------------


def _crawl(path: Path, faults: list[Fault], receipt: Receipt | None) -> tuple[list[Fault], str]:
    """What the journal adds. A crawl that only added to a folder leaves its old receipt there when it is ended."""
    journal = path / JOURNAL
    if receipt and not journal.exists():
        todo = "put it back, or crawl into another folder: a crawl into this one drops what it doesn't find anew"
        return [*faults, Fault("journal", f"{journal}, the crawl's memory, is missing", todo)], ""
    grave = {fault.kind for fault in faults if not fault.minor}
    if receipt and (path / INCOMING).exists() and not grave:
        what = f"the last crawl into {path} was ended before its end"
        faults = [*faults, Fault("unfinished", what, "run `gravurekit crawl` again, which goes on")]
        grave = {"unfinished"}
    if not grave & {"unfinished", "running"}:
        return faults, ""
    waiting = _unfetched(journal)
    return faults, f"{waiting} links aren't fetched yet" if waiting else ""


def _unfetched(journal: Path) -> int:
    """How many links were found and not tried; 0 if nobody can tell."""
    found, tried = set(), set()
    try:
        entries = storage.read_json_lines(journal)
    except UNREADABLE:
        return 0
    for entry in entries:
        results = entry.get("results")
        urls = [item.get("url") for item in results if isinstance(item, dict)] if isinstance(results, list) else []
        found |= {url for url in urls if isinstance(url, str)}
        tried |= {url for url in [entry.get("url")] if isinstance(url, str)}
    return len(found - tried)


def _train(path: Path, faults: list[Fault], receipt: Receipt | None) -> tuple[list[Fault], str]:
    """How far a training is."""
    if receipt:
        steps = receipt.plan.settings.get("steps")
        return faults, f"{steps} steps" if isinstance(steps, int) else ""
    running = any(fault.kind == "running" for fault in faults)
    if not os.path.lexists(path / STATE):
        step = _last_step(path / LOG)
        return faults, (f"step {step}" if running else f"step {step}, but no state is saved yet") if step else ""
    try:
        step, steps = _saved(path / STATE)
    except (*UNREADABLE, KeyError, TypeError, AttributeError) as error:
        todo = f"remove {path / STATE} to train from the beginning"
        return [*faults, Fault("state", f"{path / STATE} is damaged ({_reason(error)})", todo)], ""
    step = max(step, _last_step(path / LOG)) if running else step
    return faults, f"step {step} of {steps}"


def _saved(path: Path) -> tuple[int, int]:
    """The step of a saved state, and the steps there will be, from the header of its safetensors file."""
    with open(path, "rb") as file:
        length = int.from_bytes(file.read(8), "little")
        if length > path.stat().st_size:
            raise ValueError("cut off")
        header = json.loads(file.read(length))
    ends = [about["data_offsets"][1] for name, about in header.items() if name != "__metadata__"]
    if 8 + length + max(ends, default=0) != path.stat().st_size:
        raise ValueError("cut off")
    about = json.loads(header["__metadata__"]["gravurekit"])["about"]
    return int(about["step"]), int(about["identity"]["recipe.steps"])


def _last_step(path: Path) -> int:
    """The last step in a log; 0 if there is none."""
    try:
        with open(path, "rb") as file:
            file.seek(max(0, path.stat().st_size - TAIL))
            lines = file.read(TAIL).split(b"\n")
    except OSError:
        return 0
    for line in reversed(lines):
        match = re.search(rb'"step": (\d{1,15})[,}]', line)
        if match and line.endswith(b"}"):
            return int(match[1])
    return 0


# ---- as text -------------------------------------------------------------------------------------------

Row = tuple[str, str, str]  # subject of a finding, name, what is said of it


def text(diagnosis: Diagnosis) -> str:
    """The diagnosis for people: a block a section, "!" before what calls for somebody, what to do at the end."""
    blocks = {
        "versions": list(_version_rows(diagnosis.versions)),
        "machine": list(_machine_rows(diagnosis.machine)),
        "extras": [(item.name, item.name, item.install or "installed") for item in diagnosis.extras],
        "engines": [(item.name, item.name, _engine_words(item)) for item in diagnosis.engines],
        "settings": list(_settings_rows(diagnosis.settings)),
        "workspace": [(item.path, item.path, _place_words(item)) for item in diagnosis.workspace],
    }
    wide = max(len(name) for rows in blocks.values() for _, name, _ in rows)
    marked = {(item.section, item.subject) for item in diagnosis.findings}
    lines = [f"gravurekit {diagnosis.versions.gravurekit} in {diagnosis.folder}"]
    for section, rows in blocks.items():
        lines += ["", section] if rows else []
        for subject, name, words in rows:
            mark = "!" if (section, subject) in marked else " "
            lines.append(f"{mark} {name:{min(wide, 32)}}  {words}".rstrip())
    return "\n".join([*lines, "", *_endings(diagnosis)])


def _endings(diagnosis: Diagnosis) -> Iterator[str]:
    count = len(diagnosis.findings)
    if count:
        yield "1 thing to do:" if count == 1 else f"{count} things to do:"
        for n, item in enumerate(diagnosis.findings, 1):
            yield from (f"{n:3}. {item.what}", f"     → {item.todo}")
    else:
        yield "Nothing to do."
    if diagnosis.settings.state == "absent" and all(place.state == "absent" for place in diagnosis.workspace):
        yield "Nothing is here yet: `gravurekit init` makes a workspace to start in."


def _version_rows(versions: Versions) -> Iterator[Row]:
    yield NAME, "python", f"{versions.python} on {versions.system}"
    bad = [item for item in versions.packages if not item.good]
    good = [f"{item.name}\xa0{item.installed}" for item in versions.packages if item.good]
    for n, line in enumerate(textwrap.wrap(", ".join(good), 76)):
        yield "opencv" if not n else "", "packages" if not n else "", line.replace("\xa0", " ")
    for item in bad:
        yield item.name, item.name, f"{item.installed or 'missing'}; {item.required or 'any version'} is needed"


def _machine_rows(machine: Machine) -> Iterator[Row]:
    yield "cores", "cores", str(machine.cores)
    available = "" if machine.memory_available is None else f", {_size(machine.memory_available)} available"
    yield "memory", "memory", _size(machine.memory) + available
    locked = "" if machine.writable else ", but nothing can be written here"
    yield "disk", "disk", f"{_size(machine.disk_free)} free{locked}"
    words = [machine.device_name or machine.device or "torch is broken"]
    if machine.device_memory:
        words.append(f"{_size(machine.device_memory)}, {_size(machine.device_memory_free)} free")
    if machine.device == "cpu":
        words.append(f"{machine.threads} threads")
    if machine.bf16 is not None:
        words.append("fast bf16" if machine.bf16 else "no fast bf16")
    yield "training", "training on", ", ".join(words)


def _size(size: int | None) -> str:
    """Bytes for people."""
    if size is None:
        return "unknown"
    return f"{size / (1 << 30):.1f} GiB" if size >= 1 << 30 else f"{size / (1 << 20):.0f} MiB"


def _engine_words(item: Engine) -> str:
    if item.pictures is not None:
        return f"{item.pictures} pictures" if item.pictures else "no picture in it"
    if item.state == "answers":
        return f"answers in {item.milliseconds} ms"
    if item.state == "missing":
        return item.detail
    if item.state == "no answer" and item.chosen:
        return "doesn't answer"  # the list at the end says why
    return {"no answer": "doesn't answer"}.get(item.state, item.state) + (f": {item.detail}" if item.detail else "")


def _settings_rows(settings: SettingsFile) -> Iterator[Row]:
    words = {"absent": "not there: defaults", "valid": "valid"}
    wrong = len(settings.complaints)
    yield settings.path, settings.path, words.get(settings.state, f"{wrong} mistake{'s' if wrong > 1 else ''}")
    for item in settings.words:
        count = "1 keyword" if item.keywords == 1 else f"{item.keywords} keywords"
        yield item.name, item.name, item.detail if item.keywords is None else f"{count} {item.detail}"


def _place_words(place: Place) -> str:
    words = [_counted(place), place.detail, *(fault.kind for fault in place.faults if fault.kind != place.state)]
    state = {"absent": "-", "yours": "not ours", "newer": "by a newer gravurekit"}.get(place.state, place.state)
    return f"{state:10}  {', '.join(dict.fromkeys(word for word in words if word))}"


def _counted(place: Place) -> str:
    if place.state == "yours":
        return f"{place.counts.get('pictures') or 'no'} pictures in it"
    if place.state in ("finished", "unfinished", "running", "damaged") and {"in", "kept"} <= place.counts.keys():
        kept, came = place.counts["kept"], place.counts["in"]
        return f"{kept} pictures" if place.stage == "train" else f"{kept} of {came} kept"
    return ""
