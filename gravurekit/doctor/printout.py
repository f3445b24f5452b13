"""The diagnosis for people: a block a section, "!" before what calls for somebody, what to do at the end."""

import textwrap
from collections.abc import Iterator

from gravurekit.doctor.diagnosis import Diagnosis, Engine, Machine, Place, SettingsFile, Versions, in_units

Row = tuple[str, str]  # the subject of a finding, what is said of it


def text(diagnosis: Diagnosis) -> str:
    """All of it, as lines."""
    blocks: dict[str, list[Row]] = {
        "versions": list(_versions(diagnosis.versions)),
        "machine": list(_machine(diagnosis.machine)),
        "extras": [(item.name, item.install or "installed") for item in diagnosis.extras],
        "engines": [(item.name, _engine(item)) for item in diagnosis.engines],
        "settings": list(_settings(diagnosis.settings)),
        "workspace": [(item.path, _place(item)) for item in diagnosis.workspace],
    }
    wide = min(32, max(len(name) for rows in blocks.values() for name, _ in rows))
    marked = {(item.section, item.subject) for item in diagnosis.findings}
    lines = [f"gravurekit {diagnosis.versions.gravurekit} in {diagnosis.folder}"]
    for section, rows in blocks.items():
        lines += ["", section] if rows else []
        lines += [f"{' !'[(section, name) in marked]} {name:{wide}}  {words}".rstrip() for name, words in rows]
    return "\n".join([*lines, "", *_endings(diagnosis)])


def _endings(diagnosis: Diagnosis) -> Iterator[str]:
    yield f"{_many(len(diagnosis.findings), 'thing')} to do:" if diagnosis.findings else "Nothing to do."
    for n, item in enumerate(diagnosis.findings, 1):
        yield from (f"{n:3}. {item.what}", f"     → {item.todo}")
    if diagnosis.settings.state == "absent" and all(place.state == "absent" for place in diagnosis.workspace):
        yield "Nothing is here yet: `gravurekit init` makes a workspace to start in."


def _versions(versions: Versions) -> Iterator[Row]:
    yield "python", f"{versions.python} on {versions.system}"
    good = [f"{item.name}\xa0{item.installed}" for item in versions.packages if item.good]
    for n, line in enumerate(textwrap.wrap(", ".join(good), 76)):
        yield "" if n else "packages", line.replace("\xa0", " ")
    for item in versions.packages:
        if not item.good:
            yield item.name, f"{item.installed or 'missing'}; {item.required or 'any version'} is needed"


def _machine(machine: Machine) -> Iterator[Row]:
    yield "cores", str(machine.cores)
    available = "" if machine.memory_available is None else f", {in_units(machine.memory_available)} available"
    yield "memory", in_units(machine.memory) + available
    yield "disk", in_units(machine.disk_free) + (" free" if machine.writable else " free, but can't be written")
    words = [machine.device_name or machine.device or "torch is broken"]
    if machine.device_memory and machine.device_memory_free is not None:
        words.append(f"{in_units(machine.device_memory)}, {in_units(machine.device_memory_free)} free")
    if machine.device == "cpu":
        words.append(f"{machine.threads} threads")
    if machine.bf16 is not None:
        words.append("fast bf16" if machine.bf16 else "no fast bf16")
    yield "training on", ", ".join(words)


def _many(count: int, noun: str) -> str:
    return f"{count or 'no'} {noun}{'' if count == 1 else 's'}"


def _engine(item: Engine) -> str:
    if item.milliseconds is not None:
        return f"answers in {item.milliseconds} ms"
    if item.pictures is not None:
        return _many(item.pictures, "picture") + " in it"
    return f"{item.state}: {item.detail}" if item.detail else item.state


def _settings(settings: SettingsFile) -> Iterator[Row]:
    states = {"absent": "not there: defaults", "valid": "valid", "invalid": _many(len(settings.complaints), "mistake")}
    yield settings.path, states[settings.state]
    for item in settings.words:
        yield item.name, item.detail if item.keywords is None else f"{_many(item.keywords, 'keyword')} {item.detail}"


def _place(place: Place) -> str:
    counts, counted = place.counts, ""
    if place.state == "yours":
        counted = _many(counts["pictures"], "picture") + " in it"
    elif "kept" in counts:
        kept = counts["kept"]
        counted = _many(kept, "picture") if place.stage == "train" else f"{kept} of {counts['in']} kept"
    state = {"absent": "-", "yours": "not ours", "newer": "by a newer gravurekit"}.get(place.state, place.state)
    kinds = [fault.kind for fault in place.faults if fault.kind != place.state]
    words = dict.fromkeys(word for word in (counted, place.detail, *kinds) if word)
    return f"{state:10}  {', '.join(words)}"
