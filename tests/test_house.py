"""The house: who may import whom, who may write, what --help costs, that everything has a word of help."""

import ast
import re
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

import gravurekit
from gravurekit import cli, crafts, pipeline, reference
from gravurekit.settings import Settings

PACKAGE = Path(gravurekit.__file__).parent
REPOSITORY = PACKAGE.parent

# From the cellar to the roof: a room imports only rooms that stand on an earlier line.
FLOORS = [
    ["errors", "progress", "figures"],
    ["settings", "record", "licenses", "robots", "words", "kernels", "workers", "objects", "coloured", "streams"],
    ["storage", "color", "executor", "keywords", "crafts", "receipt", "addresses", "pace", "hamming"],
    ["images", "metadata", "web", "parts", "sight", "joining", "rows", "tombstones"],
    ["cluster", "foreign", "layers", "quality", "toning", "relevance", "alignment", "edits", "edges"],
    ["audit", "paper"],
    ["folder"],
    ["probe", "tint", "sample"],
    ["sources", "filters", "styles", "shards", "model"],
    ["measures", "exports", "fed", "swatches", "recolour", "moods"],
    ["reports", "colorizer"],
    ["stages"],
    ["pipeline", "screen"],
    ["reference", "doctor", "watching", "usage"],
    ["studio"],
    ["terminal", "options", "workspace"],
    ["answers", "subjects"],
    ["instead"],
    ["cli"],
    ["making"],
    ["commands"],
    ["completion", "manual"],
    ["__main__"],
]
RANK = {room: floor for floor, rooms in enumerate(FLOORS) for room in rooms}
LATE = {("cli", "commands"), ("cli", "completion")}  # imported inside functions, so that --help is quick
MODULES = sorted(path for path in PACKAGE.rglob("*.py") if path != PACKAGE / "__init__.py")


def room_of(path: Path) -> str:
    return path.relative_to(PACKAGE).with_suffix("").parts[0]


def imported(path: Path) -> Iterator[tuple[str, ...]]:
    """Dotted names below the package that a file imports, at its top or in its functions."""
    for node in ast.walk(ast.parse(path.read_text("utf-8"))):
        if isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: relative import"
            parts = (node.module or "").split(".")
            if parts[0] == "gravurekit":
                yield from (tuple([*parts[1:], alias.name]) for alias in node.names)
        elif isinstance(node, ast.Import):
            yield from (tuple(a.name.split(".")[1:]) for a in node.names if a.name.startswith("gravurekit."))


@pytest.mark.parametrize("path", MODULES, ids=lambda path: str(path.relative_to(PACKAGE)))
def test_a_room_imports_only_lower_rooms(path: Path) -> None:
    room = room_of(path)
    for name in imported(path):
        target = name[0]
        if target in ("__version__", room) or (room, target) in LATE:
            continue
        assert target in RANK, f"{path.name} imports {target}, which stands on no floor"
        assert RANK[target] < RANK[room], f"{path.name} ({room}) imports {target}"


@pytest.mark.parametrize("room", ["sources", "filters", "styles", "exports"])
def test_crafts_dont_import_one_another(room: str) -> None:
    for path in (PACKAGE / room).glob("*.py"):
        others = set(crafts.names(room)) - {path.stem}
        assert not others & {name[1] for name in imported(path) if name[0] == room and len(name) > 1}


@pytest.mark.parametrize("path", sorted((PACKAGE / "stages").glob("[a-z]*.py")), ids=lambda path: path.stem)
def test_stages_dont_import_one_another(path: Path) -> None:
    stages = {other.stem for other in (PACKAGE / "stages").glob("[a-z]*.py")}
    assert not {name[1] for name in imported(path) if name[0] == "stages" and len(name) > 1} & stages


def writes(tree: ast.AST) -> Iterator[int]:
    """Lines that write, move or remove files."""
    methods = {"write_text", "touch", "unlink", "rename", "mkdir", "rmdir", "symlink_to", "hardlink_to", "imwrite"}
    modules = {"shutil", "tempfile"}
    functions = {("os", n) for n in ("open", "rename", "replace", "remove", "unlink", "mkdir", "makedirs", "link")}
    functions |= {("np", n) for n in ("save", "savez", "savetxt")} | {("torch", "save")}
    for node in ast.walk(tree):
        if not isinstance(node, ast.Call) or (node.args and ast.unparse(node.args[0]) == "os.devnull"):
            continue
        function = node.func
        owner = (
            function.value.id if isinstance(function, ast.Attribute) and isinstance(function.value, ast.Name) else ""
        )
        name = function.attr if isinstance(function, ast.Attribute) else getattr(function, "id", "")
        mode = [a.value for a in [*node.args[1:2], *(k.value for k in node.keywords if k.arg == "mode")]
                if isinstance(a, ast.Constant)]  # fmt: skip
        if (name in methods or name == "write_bytes") and owner != "storage":
            yield node.lineno
        elif owner in modules or (owner, name) in functions or name == "save_file":
            yield node.lineno
        elif name == "open" and any(isinstance(m, str) and set(m) & set("wax+") for m in mode):
            yield node.lineno


@pytest.mark.parametrize("path", MODULES, ids=lambda path: str(path.relative_to(PACKAGE)))
def test_only_storage_writes(path: Path) -> None:
    if room_of(path) != "storage":
        assert list(writes(ast.parse(path.read_text("utf-8")))) == []


def test_the_writing_guard_sees_writing() -> None:
    assert all(list(writes(ast.parse(path.read_text("utf-8")))) for path in (PACKAGE / "storage").glob("_[a-z]*.py"))


def test_the_network_needs_only_numpy_torch_and_safetensors() -> None:
    allowed = {"numpy", "torch", "safetensors", "gravurekit"} | set(sys.stdlib_module_names)
    for path in (PACKAGE / "model").glob("*.py"):
        tree = ast.parse(path.read_text("utf-8"))
        roots = {(node.module or "").split(".")[0] for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)}
        roots |= {a.name.split(".")[0] for node in ast.walk(tree) if isinstance(node, ast.Import) for a in node.names}
        assert roots <= allowed
        assert {name[0] for name in imported(path)} <= {"model", "storage", "errors"}


def test_importing_a_room_prints_nothing_and_loads_no_heavy_library() -> None:
    heavy = "{'torch', 'cv2', 'numba', 'aiohttp', 'numpy'}"
    code = f"import sys, gravurekit.commands; sys.exit(', '.join({heavy} & set(sys.modules)) or 0)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


def test_help_is_quick_and_light() -> None:
    """At most twice `import typer, rich`: the best of many runs of each, taken in turn."""
    code = (
        "import sys, gravurekit.cli as c; sys.argv = ['gravurekit', '--help']\ntry: c.main()\nexcept SystemExit: pass\n"
    )
    light = code + "sys.exit(len({'torch', 'cv2', 'numba'} & set(sys.modules)))"
    best = {"import typer, rich": 60.0, light: 60.0}
    for _ in range(7):
        for program in best:
            began = time.perf_counter()
            subprocess.run([sys.executable, "-c", program], check=True, capture_output=True)
            best[program] = min(best[program], time.perf_counter() - began)
    assert best[light] <= 2 * best["import typer, rich"]


def commands() -> dict[str, object]:
    import typer

    from gravurekit.commands import app

    return dict(typer.main.get_group(app).commands)


def test_every_verb_and_every_flag_has_help() -> None:
    assert set(commands()) == set(cli.VERBS)
    for name, command in commands().items():
        assert command.help, name  # type: ignore[attr-defined]
        for parameter in command.params:  # type: ignore[attr-defined]
            assert getattr(parameter, "help", None), f"{name}: {parameter.name} has no help"


@pytest.mark.parametrize("table", sorted(reference.classes()))
def test_every_knob_has_a_description_and_a_default(table: str) -> None:
    kind = reference.classes()[table]
    assert kind.__doc__ and kind.__doc__ != Settings.__doc__
    for name, field in kind.model_fields.items():
        assert field.description and field.description.rstrip().endswith("."), f"{table}.{name}"
        assert not field.is_required(), f"{table}.{name}"
    kind()


@pytest.mark.parametrize("source", crafts.names("sources"))
def test_a_source_says_what_it_is(source: str) -> None:
    craft = crafts.load("sources", source)
    assert {type(getattr(craft, name)) for name in ("NEEDS_KEYWORDS", "TELLS_LICENSES", "ASKS_A_HOST")} == {bool}


@pytest.mark.parametrize(
    "room, verbs",
    [
        ("sources", ["connect"]),
        ("filters", ["drops"]),
        ("styles", ["draw", "redraw"]),
        ("exports", ["together", "write"]),
    ],
)
def test_a_craft_is_whole(room: str, verbs: list[str]) -> None:
    for name in crafts.names(room):
        craft = crafts.load(room, name)
        assert craft.__doc__, name
        assert issubclass(craft.Settings, Settings), name
        refines = room == "styles" and hasattr(craft, "STARTS_FROM")
        of_runs = room == "exports" and hasattr(craft, "convert")  # in place of samples, a trained network
        for verb in ["refine", "forecast"] if refines else ["check"] if of_runs else verbs:
            assert callable(getattr(craft, verb)), name


def test_the_commands_of_the_readme_exist() -> None:
    readme = (REPOSITORY / "README.md").read_text("utf-8")
    verbs = set(re.findall(r"^\s*(?:\$ )?gravurekit ([a-z]+)", readme, re.MULTILINE))
    assert verbs and verbs <= set(cli.VERBS)
    makefile = (REPOSITORY / "Makefile").read_text("utf-8")
    targets = set(re.findall(r"^([a-z-]+):", makefile, re.MULTILINE))
    asked = set(re.findall(r"^\s*(?:\$ )?make ([a-z-]+)", readme, re.MULTILINE))
    assert {"demo", "test"} <= asked <= targets
    lines = re.findall(r"^\s*gravurekit [a-z]+ .*", readme, re.MULTILINE)
    flags = {flag for line in lines for flag in re.findall(r"--[a-z-]+", line.partition("#")[0])}
    known = {option for command in commands().values() for p in command.params for option in p.opts}  # type: ignore[attr-defined]
    assert flags <= known


def test_the_example_settings_are_valid() -> None:
    wishes = pipeline.Wishes(pipeline.read_wishes(REPOSITORY / "gravurekit.toml"))
    for table in pipeline.TABLES:
        wishes.settings(table)
    for stage, room in pipeline.ROOMS.items():
        for name, table in wishes.tables(stage).items():
            crafts.settings_of(room, stage, name, {name: table})


def test_the_version_is_the_changelogs() -> None:
    newest = re.search(r"^## \[?([0-9][^\] ]*)", (REPOSITORY / "CHANGELOG.md").read_text("utf-8"), re.MULTILINE)
    assert newest and newest[1] == gravurekit.__version__
