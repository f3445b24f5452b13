"""Tab: what shells are told, and that real ones take it."""

import json
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path

import pytest

from gravurekit import cli, crafts
from gravurekit.completion import __main__ as making
from gravurekit.completion import shells, verbs

HERE = {"_TYPER_COMPLETE_FISH_ACTION": "get-args"}


def offered(*words: str) -> list[str]:
    """What may stand in the place of the last word."""
    return [value for value, _ in verbs.complete(words[:-1], words[-1]).items]


def in_bash(*pieces: str) -> list[str]:
    """The same as bash asks and is told, which breaks words at : and =."""
    asked = shells.read("bash", {"COMP_WORDS": "\n".join(("gravurekit", *pieces)), "COMP_CWORD": str(len(pieces))})
    return shells.tell("bash", asked, verbs.complete(asked.words, asked.current), {})[0].splitlines()


def asked_as_by(shell: str, *words: str, cwd: Path) -> "subprocess.CompletedProcess[str]":
    """The program, asked as the script of a shell does."""
    told = {"COMP_WORDS": "\n".join(("gravurekit", *words)), "COMP_CWORD": str(len(words))}
    told |= {"_TYPER_COMPLETE_ARGS": " ".join(("gravurekit", *words)), cli.COMPLETE: f"complete_{shell}"}
    return subprocess.run([sys.executable, "-m", "gravurekit"], capture_output=True, text=True, check=False, cwd=cwd,
                          env=os.environ | HERE | told)  # fmt: skip


def test_what_shells_are_told_is_what_the_commands_say() -> None:
    made = making.as_text()
    assert verbs.TABLE.read_text("utf-8") == made, "run `python -m gravurekit.completion`"


@pytest.fixture
def workspace(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with two trained networks, one of which knows colours."""
    for name, when in (("old", 1_000_000), ("new", 2_000_000)):
        run = tmp_path / "runs" / name
        run.mkdir(parents=True)
        (run / "model.safetensors").write_bytes(b"")
        os.utime(run / "model.safetensors", (when, when))
    (tmp_path / "runs" / "unfinished").mkdir()
    told = {"labels": {"dress": {"samples": 3}}, "keywords": {"red dress": {"samples": 2}, "şalvar": {"samples": 1}}}
    (tmp_path / "runs" / "new" / "palettes.json").write_text(json.dumps(told))
    (tmp_path / "photos").mkdir()
    (tmp_path / "phrases.txt").write_text("")
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.mark.parametrize(
    ("words", "some", "not_these"),
    [
        (("",), list(cli.VERBS), ["--help"]),
        (("f",), ["filter", "forget"], ["crawl"]),
        (("--f",), ["--folder"], []),
        (("filter", "--"), ["--for", "--set", "--json", "--explain", "--no-thorough", "--help"], ["--style"]),
        (("filter", "--json", "--"), ["--quiet", "--skip"], ["--json"]),
        (("crawl", "--source", ""), ["bing", "sample", "folder:", "urls:"], ["folder"]),
        (("crawl", "--source", "bing", "--source", "s"), ["sample"], []),
        (("crawl", "--endpoint", "b"), ["bing=", "baidu="], []),
        (("crawl", "--retry", "failed:t"), ["failed:timeout", "failed:tls"], []),
        (("crawl", "--license", ""), ["any", "open", "public-domain"], []),
        (("filter", "--for", ""), ["photos", "prints"], []),
        (("filter", "--skip", ""), crafts.names("filters"), []),
        (("stylize", "--style", ""), crafts.names("styles"), []),
        (("stylize", "--style=e",), ["--style=engrave"], []),
        (("stylize", "--preset", ""), ["steel", "wood", "etching"], []),
        (("stylize", "--style", "cartoon", "--preset", ""), [], ["steel"]),
        (("stylize", "--set", "cartoon.m"), ["cartoon.median="], []),
        (("stylize", "--set", "cartoon.fast="), ["cartoon.fast=true", "cartoon.fast=false"], []),
        (("stylize", "--set", "cartoon.median="), ["cartoon.median=7"], []),
        (("crawl", "--set", "b"), ["bing.type="], ["cartoon.median="]),
        (("settings", "--set", "e"), ["engrave.pitch="], []),
        (("settings", "stylize."), ["stylize.cartoon", "stylize.engrave"], ["stylize"]),
        (("filter", "--executor", ""), ["serial", "local", "ray"], []),
        (("export", ""), crafts.names("exports"), []),
        (("evaluate", ""), ["style", "colors"], []),
        (("run", "--from", ""), ["crawl", "colorize"], []),
        (("train", "--device", ""), ["auto", "cpu", "cuda", "mps"], []),
        (("colorize", "--as", "r"), ["red dress"], ["şalvar"]),
        (("colorize", "--model", "runs/old", "--as", ""), [], ["red dress"]),
        (("train", "--init", "runs/o"), ["runs/old"], []),
        (("filter", "--", "--"), [], ["--for"]),
        (("nonsense", ""), [], ["filter"]),
    ],
)  # fmt: skip
def test_verbs_flags_and_values(
    words: Sequence[str], some: Sequence[str], not_these: Sequence[str], workspace: Path
) -> None:
    found = offered(*words)
    assert set(some) <= set(found) and not set(not_these) & set(found)
    assert all(value.startswith(words[-1]) for value in found)


def test_of_trained_networks_the_newest_comes_first(workspace: Path) -> None:
    assert offered("colorize", "--model", "") == ["runs/new", "runs/old"]
    (workspace / "below").mkdir()
    os.chdir("below")
    assert offered("-C", "..", "colorize", "--model", "") == ["runs/new", "runs/old"]


def test_a_run_that_is_damaged_offers_nothing(workspace: Path) -> None:
    (workspace / "runs" / "new" / "palettes.json").write_text("[1, 2")
    assert offered("colorize", "--as", "") == []


@pytest.mark.parametrize(
    ("pieces", "found"),
    [
        (("stylize", "--style", "=", "ca"), ["cartoon"]),
        (("stylize", "--style", "="), crafts.names("styles")),
        (("stylize", "--set", "cartoon.med"), ["cartoon.median=7"]),
        (("stylize", "--set", "cartoon.fast", "=", "t"), ["true"]),
        (("crawl", "--source", "folder", ":", "ph"), []),  # bash itself looks for files
        (("stylize", "--features", "vgg19", ":"), ["torchvision"]),
        (("colorize", "--as", "re"), ["red\\ dress"]),
        (("colorize", "--as", "red\\ d"), ["red\\ dress"]),
        (("colorize", "--as", '"re'), ["red dress"]),
        (("filter", ""), []),
        (("-C", ".", "report", "ph"), ["photos/", "phrases.txt"]),  # not those where the shell is
    ],
)
def test_bash_gets_what_it_takes_for_a_word(pieces: tuple[str, ...], found: list[str], workspace: Path) -> None:
    assert sorted(in_bash(*pieces)) == sorted(found)


def test_zsh_and_fish_get_what_each_is_and_where_no_space_comes(workspace: Path) -> None:
    zsh, _ = shells.tell("zsh", shells.Asked((), ""), verbs.complete(["crawl", "--source"], ""), {})
    assert "_describe -V value found -S ''" in zsh and r"'folder\:'" in zsh
    zsh, _ = shells.tell("zsh", shells.Asked((), ""), verbs.complete(["crawl", "--source"], "folder:ph"), {})
    assert zsh == "compset -P folder:; _files"
    asked = shells.Asked(("crawl", "--source"), "folder:ph")
    fish, code = shells.tell("fish", asked, verbs.complete(asked.words, asked.current), HERE)
    assert (fish.split(), code) == (["folder:photos/", "folder:phrases.txt"], 0)
    assert (
        shells.tell("fish", asked, verbs.complete(["filter"], ""), {"_TYPER_COMPLETE_FISH_ACTION": "is-args"})[1] == 1
    )


@pytest.mark.parametrize(
    "line", ["gravurekit colorize --as 'red d", 'gravurekit colorize --as "red d', "gravurekit x\\"]
)
def test_a_quote_that_is_still_open_does_no_harm(line: str) -> None:
    asked = shells.read("zsh", {"_TYPER_COMPLETE_ARGS": line})
    assert asked.current in ("red d", "x", 'x"')


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish", "powershell", "nonsense"])
def test_the_program_answers_a_shell_and_writes_nothing_else(shell: str, tmp_path: Path) -> None:
    done = asked_as_by(shell, "fil", cwd=tmp_path)
    assert (done.stderr, done.returncode) == ("", 0) and "filter" in done.stdout


def test_what_goes_wrong_is_not_written_between_the_words(tmp_path: Path) -> None:
    broken = "import gravurekit.completion.verbs as v; v.TABLE = v.TABLE / 'x'; from gravurekit.cli import main; main()"
    told = {cli.COMPLETE: "complete_bash", "COMP_WORDS": "gravurekit\nf", "COMP_CWORD": "1"}
    done = subprocess.run([sys.executable, "-c", broken], capture_output=True, check=False, env=os.environ | told)
    assert (done.stdout, done.stderr) == (b"", b"") and done.returncode


def test_an_answer_imports_nothing_that_takes_time(tmp_path: Path) -> None:
    heavy = {"torch", "cv2", "numba", "numpy", "pydantic", "rich", "gravurekit.commands"}
    code = (
        "import os, sys; from gravurekit.completion import answer\n"
        "for words in (['stylize', '--set', 'engrave.p'], ['crawl', '--source', ''], ['colorize', '--as', '']):\n"
        "    os.environ.update(COMP_WORDS=chr(10).join(['gravurekit', *words]), COMP_CWORD=str(len(words)))\n"
        "    answer('bash', os.environ)\n"
        f"sys.exit(len({heavy} & set(sys.modules)))"
    )
    assert subprocess.run([sys.executable, "-c", code], stdout=subprocess.DEVNULL, check=False).returncode == 0


def test_an_answer_takes_no_longer_than_help(tmp_path: Path) -> None:
    def took(*words: str) -> float:
        began = time.perf_counter()
        if words:
            assert asked_as_by("bash", *words, cwd=tmp_path).stdout
        else:
            subprocess.run([sys.executable, "-m", "gravurekit", "--help"], check=True, stdout=subprocess.DEVNULL)
        return time.perf_counter() - began

    times = [(took("stylize", "--set", "engrave.p"), took()) for _ in range(5)]
    assert min(ours for ours, _ in times) < 2 * min(theirs for _, theirs in times)


SCRIPTS = {
    "bash": """
        source <(gravurekit --show-completion bash 2>/dev/null || gravurekit --show-completion)
        COMP_WORDS=(gravurekit {words}); COMP_CWORD=$((${{#COMP_WORDS[@]}} - 1))
        _gravurekit_completion gravurekit; printf '%s\\n' "${{COMPREPLY[@]}}"
    """,
    "fish": "gravurekit --show-completion | source; complete -C 'gravurekit {line}'",
}


@pytest.fixture
def path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """`gravurekit` is this one, and home is empty."""
    program = tmp_path / "bin" / "gravurekit"
    program.parent.mkdir()
    program.write_text(f"#!{sys.executable}\nfrom gravurekit.cli import main\nmain()\n")
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{program.parent}{os.pathsep}{os.environ['PATH']}")
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    (tmp_path / "home").mkdir()


def needed(shell: str) -> str:
    """The shell's program, or the test is skipped."""
    if not shutil.which(shell):
        pytest.skip(f"{shell} isn't installed (apt-get install {shell}, brew install {shell})")
    return shell


@pytest.mark.slow
@pytest.mark.usefixtures("path", "workspace")
@pytest.mark.parametrize("shell", SCRIPTS)
@pytest.mark.parametrize(
    ("line", "found"), [("stylize --style ca", "cartoon"), ("f", "filter"), ("filter --thor", "--thorough")]
)
def test_a_real_shell_completes(shell: str, line: str, found: str) -> None:
    script = SCRIPTS[shell].format(words=line, line=line)
    done = subprocess.run([needed(shell), "-c", script], capture_output=True, text=True, check=False)
    assert found in done.stdout.split() and done.stderr == ""


@pytest.mark.slow
@pytest.mark.usefixtures("path", "workspace")
def test_a_real_zsh_completes(tmp_path: Path) -> None:
    """What zsh runs when somebody presses Tab, with its own _describe in the place of a menu."""
    needed("zsh")
    script = (
        "_describe() { print -l -- $found }; _files() { print files }; compdef() { }\n"
        'eval "$(gravurekit --show-completion)"\n'
        "words=(gravurekit stylize --style ca); CURRENT=4; _gravurekit_completion\n"
        "words=(gravurekit f); CURRENT=2; _gravurekit_completion\n"
        "words=(gravurekit filter c); CURRENT=3; _gravurekit_completion"
    )
    done = subprocess.run(["zsh", "-f", "-c", script], capture_output=True, text=True, check=False)
    lines = done.stdout.splitlines()
    assert lines[0] == "cartoon" and lines[1].startswith("filter:Drop") and lines[-1] == "files" and done.stderr == ""


@pytest.mark.slow
@pytest.mark.usefixtures("path")
@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_completion_is_installed_for_the_shell_in_use(shell: str, tmp_path: Path) -> None:
    command = [needed(shell), "-c", "gravurekit --install-completion; true"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0 and f"{shell} completion installed" in done.stdout and done.stderr == ""
    installed = [path for path in (tmp_path / "home").rglob("*gravurekit*") if path.is_file()]
    assert any(cli.COMPLETE in path.read_text() for path in installed)
