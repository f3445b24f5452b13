"""Licences: everything that is known has one name, and nothing else allows anything."""

from itertools import permutations
from typing import get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gravurekit.licenses import CONDITIONS, License, Wish, meets, read

WISHES = get_args(Wish)
CC = "https://creativecommons.org/"
KINDS = ["BY", "BY-SA", "BY-ND", "BY-NC", "BY-NC-SA", "BY-NC-ND"]
VERSIONS = ["1.0", "2.0", "2.1", "2.5", "3.0", "4.0"]


def allowed(name: str) -> set[str]:
    return {wish for wish in WISHES if meets(name, wish)}


# ---- what is known --------------------------------------------------------------------------------------

WORDS = {
    # as Wikimedia Commons shows them
    "CC BY-SA 4.0": "CC-BY-SA-4.0",
    "CC BY-SA 3.0 de": "CC-BY-SA-3.0-DE",
    "CC BY 2.5": "CC-BY-2.5",
    "CC BY 3.0 igo": "CC-BY-3.0-IGO",
    "CC0": "CC0-1.0",
    "Public domain": "public-domain",
    "No restrictions": "no-known-restrictions",
    "Copyrighted free use": "copyrighted-free-use",
    "Attribution": "attribution",
    "GFDL": "GFDL",
    "GFDL 1.2": "GFDL",
    "FAL": "FAL",
    "OGL 3": "OGL-UK-3.0",
    "Creative Commons Attribution-Share Alike 4.0": "CC-BY-SA-4.0",
    "Creative Commons Attribution-Share Alike 3.0 de": "CC-BY-SA-3.0-DE",
    "Creative Commons Zero, Public Domain Dedication": "CC0-1.0",
    "No known copyright restrictions": "no-known-restrictions",
    # its templates
    "cc-by-sa-4.0": "CC-BY-SA-4.0",
    "Cc-by-sa-3.0-de": "CC-BY-SA-3.0-DE",
    "cc-by-sa-3.0,2.5,2.0,1.0": "CC-BY-SA-3.0",
    "cc-by-sa-4.0,3.0,2.5,2.0,1.0": "CC-BY-SA-4.0",
    "cc-zero": "CC0-1.0",
    "pd": "public-domain",
    "PD-old-100": "public-domain",
    "PD-old-70-expired": "public-domain",
    "PD-old-auto-expired": "public-domain",
    "PD-US": "public-domain",
    "PD-US-expired": "public-domain",
    "PD-Art": "public-domain",
    "PD-Art (PD-old-100)": "public-domain",
    "PD-anon-70-EU": "public-domain",
    "PD-USGov": "US-government-work",
    "CC-PD-Mark": "PDM-1.0",
    "PDMark-owner": "PDM-1.0",
    "Flickr-no known copyright restrictions": "no-known-restrictions",
    # Openverse's codes and versions
    **{kind.lower(): f"CC-{kind}" for kind in KINDS},
    "by-nc-nd 2.0": "CC-BY-NC-ND-2.0",
    "cc0 1.0": "CC0-1.0",
    "pdm": "PDM-1.0",
    "pdm 1.0": "PDM-1.0",
    "sampling+ 1.0": "CC-sampling+-1.0",
    "nc-sampling+ 1.0": "CC-nc-sampling+-1.0",
    # Flickr's names
    "Attribution License": "CC-BY",
    "Attribution-NoDerivs License": "CC-BY-ND",
    "Attribution-NonCommercial License": "CC-BY-NC",
    "Attribution-NonCommercial-ShareAlike License": "CC-BY-NC-SA",
    "United States Government Work": "US-government-work",
    "Public Domain Dedication (CC0)": "CC0-1.0",
    "Public Domain Mark": "PDM-1.0",
    # titles of deeds
    "Creative Commons Attribution-ShareAlike 4.0 International": "CC-BY-SA-4.0",
    "Creative Commons Attribution 4.0 International License": "CC-BY-4.0",
    "Attribution-NonCommercial-NoDerivatives 4.0 International (CC BY-NC-ND 4.0)": "CC-BY-NC-ND-4.0",
    "Attribution-NonCommercial-NoDerivs 3.0 Unported": "CC-BY-NC-ND-3.0",
    "Attribution-NoDerivative Works 2.0 Generic": "CC-BY-ND-2.0",
    "Attribution Non-Commercial Share Alike 2.0": "CC-BY-NC-SA-2.0",
    "CC0 1.0 Universal": "CC0-1.0",
    "CC0 Public Domain Dedication": "CC0-1.0",
    # libraries and people
    "No known restrictions on publication.": "no-known-restrictions",
    "no known copyright restrictions": "no-known-restrictions",
    "In the public domain": "public-domain",
    "U.S. Government Work": "US-government-work",
    "  cc   by \n 4.0 ": "CC-BY-4.0",
    "CC&nbsp;BY&#8209;SA 4.0": "CC-BY-SA-4.0",
    "CC BY–NC 4.0": "CC-BY-NC-4.0",
    "cc/by/nc/4.0": "CC-BY-NC-4.0",
    "CC_BY_SA_4.0": "CC-BY-SA-4.0",
    "CC BY v4.0": "CC-BY-4.0",
    "GNU Free Documentation License 1.2 or later": "GFDL",
    "Licence Art Libre": "FAL",
    "Open Government Licence v3.0": "OGL-UK-3.0",
    f"{CC}licenses/by-sa/3.0/de/": "CC-BY-SA-3.0-DE",
}


@pytest.mark.parametrize("words", WORDS)
def test_words_have_one_name(words: str) -> None:
    for said in (words, words.upper(), words.lower(), f" {words} "):
        if "&" not in words or said.strip() == words:  # the names of entities are in small letters
            assert read(said).name == WORDS[words]


ADDRESSES = {
    "licenses/by/4.0/": "CC-BY-4.0",
    "licenses/by-sa/3.0/de/": "CC-BY-SA-3.0-DE",
    "licenses/by-sa/3.0/de/deed.en": "CC-BY-SA-3.0-DE",
    "licenses/by-nc/2.0": "CC-BY-NC-2.0",
    "licenses/by-nd-nc/1.0/": "CC-BY-NC-ND-1.0",
    "licenses/by-nc-sa/4.0/legalcode": "CC-BY-NC-SA-4.0",
    "licenses/by-nc-nd/4.0/deed.pt_BR": "CC-BY-NC-ND-4.0",
    "licenses/by/2.5/scotland/": "CC-BY-2.5-SCOTLAND",
    "licenses/by/4.0/?ref=openverse": "CC-BY-4.0",
    "licenses/by/4.0/#deed": "CC-BY-4.0",
    "licenses/sampling+/1.0/": "CC-sampling+-1.0",
    "licenses/nc-sampling%2B/1.0/": "CC-nc-sampling+-1.0",
    "licenses/publicdomain/": "public-domain",
    "publicdomain/zero/1.0/": "CC0-1.0",
    "publicdomain/zero/1.0/deed.en": "CC0-1.0",
    "publicdomain/mark/1.0/": "PDM-1.0",
}


@pytest.mark.parametrize("path", ADDRESSES)
def test_addresses_of_creative_commons_are_read_by_their_path(path: str) -> None:
    for start in ("https://", "http://", "//", "https://www."):
        url = f"{start}creativecommons.org/{path}"
        assert read("", url) == License(ADDRESSES[path], url)
        assert read(url).name == ADDRESSES[path]


@pytest.mark.parametrize(
    ("statement", "name"),
    [
        ("NKC", "no-known-restrictions"),
        *((word, word) for word in ("InC", "InC-EDU", "NoC-NC", "NoC-US", "CNE", "UND")),
    ],
)
def test_rights_statements(statement: str, name: str) -> None:
    for place in ("vocab", "page"):
        url = f"http://rightsstatements.org/{place}/{statement}/1.0/"
        assert read("", url) == License(name, url)
    assert allowed(name) == (set(WISHES) if statement == "NKC" else {"any"})


@pytest.mark.parametrize("kind", KINDS)
def test_conditions_come_in_any_order_and_versions_stay(kind: str) -> None:
    for version in VERSIONS:
        for parts in permutations(kind.split("-")):
            assert read(f"CC {'-'.join(parts)} {version}").name == f"CC-{kind}-{version}"
            assert read("", f"{CC}licenses/{'-'.join(parts).lower()}/{version}/").name == f"CC-{kind}-{version}"


def test_a_name_gets_its_address_if_it_has_one() -> None:
    assert read("CC BY-SA 3.0 de").url == f"{CC}licenses/by-sa/3.0/de/"
    assert read("by-nd-nc 1.0").url == f"{CC}licenses/by-nc-nd/1.0/"
    assert read("CC0").url == f"{CC}publicdomain/zero/1.0/"
    assert read("pdm").url == f"{CC}publicdomain/mark/1.0/"
    assert [read(words).url for words in ("CC BY", "public domain", "GFDL", "no idea", "")] == [""] * 5


def test_of_no_word_there_is_no_licence() -> None:
    assert read("") == read(" \n", " ") == License()
    assert read("", "https://museum.example/terms") == License("", "https://museum.example/terms")


# ---- what isn't -----------------------------------------------------------------------------------------

UNKNOWN = [
    "by-passed", "bystander", "by the author", "by John", "by-4.0-x", "CC BY 9.9", "CC BY 4", "CC BY 4.0 and more",
    "not CC BY 4.0", "CC BY 4.0 or CC BY-NC 4.0", "CC BY 4.0; all rights reserved", "CC BY (NC)", "CC BY-SA 4.0 (CC0?)",
    "CC BY 4.0 (all rights reserved)", "CC BY <nc> 4.0", "CC BY&lt;ND&gt; 4.0", "CC BY-SA-ND 4.0", "CC NC 1.0", "CC SA",
    "CC BY-BY 4.0", "CC BY 3.0 nc", "CC BY 3.0 nd", "CC BY 3.0 xx", "CC BY 4.0 no", "CCBY", "CC", "Creative Commons",
    "some rights reserved", "All Rights Reserved", "© 2020 Jane Doe", "copyright", "in copyright",
    "not public domain", "not in the public domain", "may be in copyright", "public domain?", "probably public domain",
    "public domain in its country of origin but not in the US", "Public domain in the United States",
    "not in the public domain; CC0", "PD-old-50", "PD-not", "PD-because", "Not-PD-US-URAA", "pdf", "pdm 2.0", "CC0 2.0",
    "no restrictions on viewing", "no known restrictions on publication in the U.S.", "restrictions", "restricted",
    "There are restrictions", "free", "free use", "fair use", "non-free", "Attribution required", "attribution only",
    "royalty free", "Unsplash License", "OGL", "OGL 4", "Open Government Licence - Canada", "editorial use only",
    "sampling", "sampling+", "devnations 2.0", "１.０", "CC BY ４.0", "cc by 4.0\u200b", "CC BY\x004.0", "null", "0",
    "((((CC0))))", "CC0)", "(CC0", "CC0 (", "CC0 ()", "()", "(" * 190 + ")" * 9, "CC0 " * 100, "4",
]  # fmt: skip


@pytest.mark.parametrize("words", UNKNOWN)
def test_words_that_arent_known_allow_nothing_whatever_the_address(words: str) -> None:
    for url in ("", f"{CC}licenses/by/4.0/", f"{CC}publicdomain/zero/1.0/", "https://museum.example/"):
        assert allowed(read(words, url).name) == {"any"}


STRANGE = [
    f"{CC}", f"{CC}licenses/", f"{CC}licenses/by/", f"{CC}licenses/by/9.9/", f"{CC}licenses/by/4.0/xx/",
    f"{CC}licenses/by/4.0/nc/", f"{CC}licenses/by/4.0/de/", f"{CC}licenses/nc/1.0/", f"{CC}licenses/by-sa-nd/4.0/",
    f"{CC}licenses/devnations/2.0/", f"{CC}licenses/GPL/2.0/", f"{CC}publicdomain/", f"{CC}publicdomain/zero/2.0/",
    f"{CC}publicdomain/nero/1.0/",
    "https://creativecommons.org.evil.example/licenses/by/4.0/",
    "https://evil.example/creativecommons.org/licenses/by/4.0/",
    "https://creativecommons.org@evil.example/licenses/by/4.0/",
    "https://evil.example/?u=https://creativecommons.org/licenses/by/4.0/",
    "https://rightsstatements.org/vocab/CC0-1.0/1.0/", "https://rightsstatements.org/vocab/NKC/2.0/",
    "https://museum.example/by-nc/", "https://museum.example/terms/noncommercial", "https://museum.example/no_derivatives",
    "https://museum.example/%6E%63/", "https://museum.example/all-rights-reserved", "https://museum.example/in-copyright/",
]  # fmt: skip


@pytest.mark.parametrize("url", STRANGE)
def test_an_address_that_speaks_of_another_licence_spoils_the_best_words(url: str) -> None:
    assert read("", url) == License("", url)
    for words in ("CC0", "CC BY 4.0", "Public domain"):
        assert allowed(read(words, url).name) == {"any"}


@pytest.mark.parametrize(
    "url",
    ["https://www.flickr.com/commons/usage/", "http://www.usa.gov/copyright.shtml", "https://museum.example/open-access",
     "http://[", "no address", "https://princeton.example/terms", "https://museum.example/main-copyright"],
)  # fmt: skip
def test_an_address_that_tells_nothing_changes_nothing(url: str) -> None:
    assert read("CC BY 4.0", url) == License("CC-BY-4.0", url)
    assert read("", url) == License("", url)


def test_a_very_long_statement_is_no_licence_and_takes_no_time() -> None:
    for words in ("(" * 10**6 + ")", "cc by " * 10**5, "public domain " * 10**5):
        assert allowed(read(words).name) == {"any"}
        assert allowed(read("CC0", f"{CC}{words}").name) == {"any"}


# ---- two statements -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("words", "path", "name"),
    [
        ("CC BY 4.0", "licenses/by-nc/4.0/", "CC-BY-NC-4.0"),
        ("CC BY-NC 4.0", "licenses/by/4.0/", "CC-BY-NC-4.0"),
        ("CC BY-NC-ND 4.0", "licenses/by-nd/4.0/", "CC-BY-NC-ND-4.0"),
        ("CC0", "licenses/by-sa/4.0/", "CC-BY-SA-4.0"),
        ("CC BY 2.0", "publicdomain/zero/1.0/", "CC-BY-2.0"),
        ("Public domain", "publicdomain/mark/1.0/", "PDM-1.0"),
        ("CC BY", "licenses/by/4.0/", "CC-BY-4.0"),
        ("CC BY-SA 3.0", "licenses/by-sa/3.0/de/", "CC-BY-SA-3.0-DE"),
        ("CC BY 2.0", "licenses/by/3.0/", "CC-BY-3.0"),
        ("Attribution", "licenses/by/2.0/", "CC-BY-2.0"),
        ("sampling+ 1.0", "licenses/sampling+/1.0/", "CC-sampling+-1.0"),
    ],
)
def test_of_two_statements_the_stricter_counts_and_has_its_own_address(words: str, path: str, name: str) -> None:
    found = read(words, f"{CC}{path}")
    assert found == License(name, read("", found.url).name and found.url)
    assert read("", found.url).name == name


@pytest.mark.parametrize(
    ("words", "path"),
    [("CC BY-NC 4.0", "licenses/by-nd/4.0/"), ("CC BY-SA 4.0", "licenses/by-nc/4.0/"),
     ("CC0", "licenses/sampling+/1.0/"), ("sampling+ 1.0", "licenses/by/4.0/"),
     ("sampling+ 1.0", "licenses/nc-sampling+/1.0/")],
)  # fmt: skip
def test_two_statements_of_which_neither_is_stricter_allow_nothing(words: str, path: str) -> None:
    found = read(words, f"{CC}{path}")
    assert found == License(f"{words}, but {CC}{path}", f"{CC}{path}")
    assert allowed(found.name) == {"any"}


STATEMENTS = st.sampled_from(
    ["", *WORDS, *CONDITIONS, *UNKNOWN[:30], *(f"CC-{kind}-{version}" for kind in KINDS for version in VERSIONS)]
)
LINKS = st.sampled_from(["", "https://museum.example/", *STRANGE, *(f"{CC}{path}" for path in ADDRESSES)])


@given(STATEMENTS, LINKS)
def test_together_they_allow_nothing_that_one_of_them_doesnt(words: str, url: str) -> None:
    together = allowed(read(words, url).name)
    if words:
        assert together <= allowed(read(words).name)
    if read("", url).name:
        assert together <= allowed(read("", url).name)


# ---- what they allow ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "also"),
    [
        ("CC-BY-4.0", {"open", "commercial", "derivatives"}),
        ("CC-BY-SA-3.0-DE", {"open", "commercial", "derivatives"}),
        ("CC-BY", {"open", "commercial", "derivatives"}),
        ("CC-BY-NC-SA-4.0", {"derivatives"}),
        ("CC-BY-ND-4.0", {"commercial"}),
        ("CC-BY-NC-ND-4.0", set()),
        ("CC-sampling+-1.0", set()),
        ("", set()),
        ("cc-by-4.0", set()),
        ("CC-BY-4.0\n", set()),
        ("CC-BYE-4.0", set()),
        ("CC-BY-ND-NC-4.0", set()),
        *((name, {"open", "commercial", "derivatives"}) for name, asked in CONDITIONS.items() if asked),
        *((name, set(WISHES)) for name, asked in CONDITIONS.items() if not asked),
    ],
)
def test_what_a_licence_allows(name: str, also: set[str]) -> None:
    assert allowed(name) == {"any"} | also


NAMES = st.one_of(
    st.sampled_from(sorted({*CONDITIONS, *WORDS.values(), *ADDRESSES.values()})),
    st.text(),
    st.from_regex(r"CC-(BY|NC|ND|SA|-|4\.0|3\.0|DE)*", fullmatch=True),
)


@given(NAMES)
def test_the_wishes_stand_in_order(name: str) -> None:
    met = {wish: meets(name, wish) for wish in WISHES}
    assert met["any"]
    assert met["open"] == (met["commercial"] and met["derivatives"])
    assert met["open"] or not met["public-domain"]
    if {"NC", "ND"} & set(name.split("-")):
        assert not met["open"]


@given(STATEMENTS | st.text(), LINKS | st.text())
def test_a_name_is_read_as_itself(words: str, url: str) -> None:
    found = read(words, url)
    assert allowed(read(found.name).name) == allowed(found.name)
    if allowed(found.name) != {"any"}:
        assert read(found.name).name == found.name


VOCABULARY = {
    "license", "licence", "works", "generic", "international", "unported", "universal", "public", "domain", "mark",
    "owner", "dedication", "scotland", "expired", "anon", "self", "author", "user", "auto",
}  # fmt: skip


@given(st.sampled_from(list(WORDS)), st.from_regex(r"[a-z]{4,12}", fullmatch=True))
def test_a_strange_word_more_makes_it_unknown(words: str, more: str) -> None:
    if more not in VOCABULARY:
        for text in (f"{words} {more}", f"{more} {words}", f"{words} ({more})", f"{words}, {more}."):
            assert allowed(read(text).name) == {"any"}


@given(st.text())
def test_text_alone_allows_nothing(text: str) -> None:
    name = read(text).name
    assert allowed(name) == {"any"} or name in CONDITIONS or name.startswith("CC-BY")


@given(STATEMENTS, st.sampled_from(["nc", "NonCommercial", "nd", "No Derivatives", "sampling"]), st.integers(0, 9))
def test_nc_and_nd_are_seen_wherever_they_stand(words: str, refusal: str, place: int) -> None:
    parts = words.split()
    text = " ".join([*parts[:place], refusal, *parts[place:]])
    assert "open" not in allowed(read(text).name)
