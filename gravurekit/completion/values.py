"""What the value of a flag or an argument may be. Nothing is imported for it that takes time."""

import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from gravurekit import crafts
from gravurekit.completion.shells import Found

ROOMS = {"crawl": "sources", "run": "sources", "filter": "filters", "stylize": "styles", "export": "exports"}
ARGUED = {"folder": "folder:", "urls": "urls:"}  # sources that want a path
LARGEST = 20_000_000  # bytes of a run's palettes that are read for a Tab


@dataclass(frozen=True)
class Asked:
    """What is known: the table, the verb, what was said by which name, where it works, and the beginning of the
    value."""

    table: Mapping[str, Any]
    verb: str
    said: Mapping[str, str]
    root: Path
    current: str


def of(parameter: Mapping[str, Any], asked: Asked) -> Found:
    """What the parameter may be; a file, if nothing else is known."""
    kind = KINDS.get((asked.verb, parameter["name"]))
    if kind:
        return kind(asked)
    if parameter["choices"]:
        return Found([(word, "") for word in parameter["choices"]])
    return Found(files=parameter["files"])


def _names(room: str) -> Callable[[Asked], Found]:
    return lambda asked: Found([(name, "") for name in crafts.names(room)])


def _sources(asked: Asked) -> Found:
    for prefix in ARGUED.values():
        if asked.current.startswith(prefix):
            return Found(files=True, prefix=prefix)
    return Found([(ARGUED.get(name, name), "") for name in crafts.names("sources")])


def _endpoints(asked: Asked) -> Found:
    return Found([(f"{name}=", "") for name in crafts.names("sources") if name not in ARGUED])


def _listed(name: str) -> Callable[[Asked], Found]:
    """Words that the table has under a name."""
    return lambda asked: Found([(word, "") for word in asked.table[name]])


def _presets(asked: Asked) -> Found:
    presets = asked.table["presets"]
    style = asked.said.get("style", "")
    return Found([(name, f"of {of}") for of in presets if style in ("", of) for name in presets[of]], files=True)


def _features(asked: Asked) -> Found:
    if asked.current.startswith("model:"):
        return Found([(f"model:{name}", "") for name in _runs_of(asked)], files=True, prefix="model:")
    if asked.current.startswith("vgg19:"):
        return Found([("vgg19:torchvision", "")], files=True, prefix="vgg19:")
    return Found([("random:0", ""), ("model:", "a run"), ("vgg19:", "a file, or torchvision")])


def _runs(asked: Asked) -> Found:
    return Found([(name, "") for name in _runs_of(asked)], files=True)


def _runs_of(asked: Asked) -> Iterator[str]:
    """Trained networks, the newest first."""
    below = asked.said.get("runs") or "runs"
    try:
        found = sorted((asked.root / below).glob("*/model.safetensors"), key=lambda path: -path.stat().st_mtime)
    except OSError:
        return
    yield from (f"{below.rstrip('/')}/{path.parent.name}" for path in found)


def _keywords(asked: Asked) -> Found:
    """Labels and keywords whose colours the run knows that colours: the one that was named, or the newest."""
    run = asked.said.get("model") or next(_runs_of(asked), "")
    path = asked.root / run / "palettes.json"
    try:
        told = json.loads(path.read_text("utf-8")) if run and path.stat().st_size < LARGEST else {}
        words = {word: f"{said['samples']} pictures" for kind in ("labels", "keywords")
                 for word, said in told.get(kind, {}).items()}  # fmt: skip
    except (OSError, ValueError, KeyError, TypeError, AttributeError):  # a damaged run is none of a shell's business
        words = {}
    return Found(sorted(words.items()))


def _knobs(asked: Asked) -> Found:
    """CRAFT.KNOB=, and behind the = what a knob may be, if that is a few words, else its default."""
    rooms = {ROOMS[asked.verb]} if asked.verb in ROOMS else asked.table["knobs"].keys()
    knobs = [(f"{craft}.{knob}=", about) for room in rooms for craft, some in asked.table["knobs"][room].items()
             for knob, about in some.items()]  # fmt: skip
    if "=" in asked.current:
        words = ((name, word) for name, about in knobs for word in about["choices"] or [about["default"]])
        return Found([(f"{name}{word}", "") for name, word in words if word])
    defaults = {name: about["default"] for name, about in knobs}
    return Found([(name, about["help"]) for name, about in knobs], defaults=defaults)


KINDS: Mapping[tuple[str, str], Callable[[Asked], Found]] = {
    ("crawl", "source"): _sources,
    ("run", "source"): _sources,
    ("crawl", "endpoint"): _endpoints,
    ("crawl", "retry"): _listed("retries"),
    ("filter", "skip"): _names("filters"),
    ("stylize", "style"): _names("styles"),
    ("stylize", "preset"): _presets,
    ("stylize", "features"): _features,
    ("train", "init"): _runs,
    ("colorize", "model"): _runs,
    ("evaluate", "model"): _runs,
    ("colorize", "word"): _keywords,
    ("export", "format"): _names("exports"),
    ("evaluate", "what"): _listed("subjects"),
    ("run", "first"): _listed("stages"),
    ("run", "last"): _listed("stages"),
    ("settings", "tables"): _listed("tables"),
    **{(verb, "assign"): _knobs for verb in ("crawl", "filter", "stylize", "export", "settings")},
}
