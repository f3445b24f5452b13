"""README and docs/: links lead somewhere, and whatever they say to type is there to be typed."""

import re
import tomllib
from functools import cache
from pathlib import Path
from urllib.parse import unquote

import pytest
import typer
from manuscript import DOCS, PAGES, REPOSITORY, blocks, commands, read

from gravurekit import cli, pipeline, reference
from gravurekit import commands as verbs

PAGE = pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
EVERYWHERE = {"--help", "--version", "-C", "--folder"}
# What pages say of torchrun, ray, pip and the programs that gravurekit is compared with.
OTHERS = {"--max-restarts", "--nnodes", "--nproc-per-node", "--num-cpus", "--port", "--rdzv-endpoint"}
HISTORY = {"lablog.md"}  # flags that are no more


def prose(page: Path) -> str:
    """A page without its code."""
    text = re.sub(r"^```.*?^```$", "", read(page), flags=re.M | re.S)
    return re.sub(r"`[^`\n]*`", "", re.sub(r"^    .*$", "", text, flags=re.M))


def links(page: Path) -> list[str]:
    return re.findall(r"\]\(([^)\s]+)\)", prose(page))


@cache
def anchors(page: Path) -> set[str]:
    """The names of a page's headings, as GitHub and the site make them."""
    text = re.sub(r"^```.*?^```$", "", read(page), flags=re.M | re.S)
    found: set[str] = set()
    for heading in re.findall(r"^#+ +(.*?) *$", text, re.M):
        words = re.sub(r"\[([^\]]*)\]\([^)]*\)", r"\1", heading).lower()
        name = re.sub(r"[^\w\- ]", "", words).replace(" ", "-")
        found.add(name if name not in found else f"{name}_1")
    return found


@cache
def flags(verb: str) -> set[str]:
    found = typer.main.get_group(verbs.app).commands[verb].params
    return {word for item in found for word in (*item.opts, *item.secondary_opts) if word.startswith("-")}


@PAGE
def test_links_lead_somewhere(page: Path) -> None:
    for link in links(page):
        if re.match(r"(https?|mailto):", link):
            continue
        path, _, anchor = unquote(link).partition("#")
        target = (page.parent / path).resolve() if path else page
        assert target.is_file(), f"{page.name}: {link} leads nowhere"
        if page.is_relative_to(DOCS):  # the site has nothing else: say other files' names without a link
            assert target.is_relative_to(DOCS), f"{page.name}: {link} leads out of docs/"
        assert not anchor or anchor in anchors(target), f"{page.name}: {link} names no heading of {target.name}"


@PAGE
def test_what_is_to_be_typed_can_be_typed(page: Path) -> None:
    for words in commands(page):
        words = [word.strip("[]") for word in words]
        if words[0] == "-C":
            words = words[2:]
        if not words or not re.fullmatch("[a-z]+", words[0]):
            continue  # `gravurekit VERB`, `gravurekit …`
        assert words[0] in cli.VERBS, f"{page.name}: gravurekit {words[0]}"
        said = {re.split("[=/]", word)[0] for word in words if re.match(r"--?[a-zA-Z]", word)}
        assert said <= flags(words[0]) | EVERYWHERE, f"{page.name}: {' '.join(words)}"


@PAGE
def test_a_flag_that_is_named_is_there(page: Path) -> None:
    if page.name not in HISTORY:
        known = set.union(*map(flags, cli.VERBS)) | EVERYWHERE | OTHERS
        named = set(re.findall(r"`(--[a-z][a-z-]*)", read(page)))
        assert named <= known, f"{page.name}: {', '.join(sorted(named - known))}"


@PAGE
def test_a_craft_has_the_knob_that_is_named(page: Path) -> None:
    """But for those that docs/extending.md adds."""
    tables = {name.partition(".")[2]: kind for name, kind in reference.classes().items() if "." in name}
    for craft, key in re.findall(r"--set '?([a-z_]+)\.([a-z_]+)=", read(page)):
        if f"/{craft}.py" not in read(page):
            assert key in tables[craft].model_fields, f"{page.name}: --set {craft}.{key}"


@PAGE
def test_the_makefile_has_what_is_to_be_made(page: Path) -> None:
    makefile = (REPOSITORY / "Makefile").read_text("utf-8")
    for target, said in re.findall(r"(?:^    |`)make ([a-z-]+)((?: [A-Z]+=\S+)*)", read(page), re.M):
        assert re.search(rf"^{target}:", makefile, re.M), f"{page.name}: make {target}"
        for name in re.findall(r"([A-Z]+)=", said):
            assert re.search(rf"^{name} \?= ", makefile, re.M), f"{page.name}: make {target} {name}="


@PAGE
def test_settings_that_are_shown_are_settings(page: Path) -> None:
    for block in blocks(page):
        if block.language == "toml":
            reference.in_force(pipeline.Wishes(tomllib.loads(block.text)))


def test_every_page_has_its_place_on_the_site() -> None:
    nav = (REPOSITORY / "mkdocs.yml").read_text("utf-8").partition("\nnav:\n")[2]
    pages = sorted(page.relative_to(DOCS).as_posix() for page in DOCS.rglob("*.md"))
    assert sorted(re.findall(r"(\S+\.md)$", nav, re.M)) == pages


def test_the_guards_see_what_they_look_for(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text(
        "# A: `b` c\n\n[x](a.md#b) `[y](z)`\n\n    $ gravurekit filter raw/ \\\n        --skip x  # --y\n\n"
        "text `gravurekit run --to train` text\n\n```console\n$ gravurekit crawl --out x\nsaid\n```\n",
        "utf-8",
    )
    assert links(page) == ["a.md#b"] and anchors(page) == {"a-b-c"}
    found = list(commands(page))
    assert ["run", "--to", "train"] in found and ["crawl", "--out", "x"] in found
    assert ["filter", "raw/", "--skip", "x"] in found
