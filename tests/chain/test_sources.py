"""Every source, crawled over HTTP at another address."""

import json
from collections.abc import Callable
from typing import Any

import pytest
from crawling import kept, pictures, said
from hostile import Site
from typer.testing import Result

Run = Callable[..., Result]


def answers(picture: str) -> dict[str, dict[str, Any]]:
    """What the host of each source answers, by path, when it knows of one picture."""
    commons = {
        "pageid": 1, "title": "File:A dress.jpg", "index": 1,
        "imageinfo": [{"url": picture, "mime": "image/jpeg", "width": 96, "extmetadata": {
            "LicenseShortName": {"value": "CC BY 4.0"}, "Artist": {"value": "<b>Jane</b>"}}}],
    }  # fmt: skip
    museum = "/public/collection"
    met = {"primaryImage": picture, "primaryImageSmall": "", "title": "A dress", "isPublicDomain": True}
    loc = {"id": "x", "url": "https://loc.example/x", "title": "A dress", "image_url": [picture],
           "rights_advisory": "No known restrictions on publication."}  # fmt: skip
    flickr = {"id": "1", "owner": "o", "title": "A dress", "license": "4", "url_h": picture}
    google = [["https://encrypted-tbn0.gstatic.com/images?q=tbn:x", 1, 1], [picture, 64, 96]]
    script = f"<script>AF_initDataCallback({{key: 'ds:1', data:{json.dumps(google)}, sideChannel: {{}}}});</script>"
    openverse = {"url": picture, "title": "A dress", "license": "by", "license_version": "4.0"}
    return {
        "commons": {"/w/api.php": {"batchcomplete": True, "query": {"pages": [commons]}}},
        "met": {f"{museum}/v1.1/search": {"total": 1, "objectIDs": [1]}, f"{museum}/v1/objects/1": met},
        "loc": {"/photos/": {"results": [loc], "pagination": {"next": None}}},
        "flickr": {"/services/rest/": {"stat": "ok", "photos": {"pages": 1, "photo": [flickr]}}},
        "openverse": {"/v1/images/": {"page_count": 1, "results": [openverse]}},
        "baidu": {"/search/acjson": {"data": [{"objURL": picture, "fromPageTitle": "A dress"}, {}]}},
        "google": {"/search": f"<html><body>{script}</body></html>"},
    }  # fmt: skip


@pytest.mark.parametrize("source", ["baidu", "commons", "flickr", "google", "loc", "met", "openverse"])
def test_every_source_can_be_asked_at_another_address(
    source: str, site: Site, crawl: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FLICKR_API_KEY", "0123456789abcdef")
    for path, answer in answers(pictures(site, 1)[0])[source].items():
        site.answers[path] = (answer if isinstance(answer, str) else json.dumps(answer)).encode()
    result = crawl("red dress", source=source)
    assert result.exit_code == 0, said(result)
    (found,) = kept()
    assert found.source == source and found.keywords == ("red dress",) and found.url.endswith("/pictures/1.jpg")
    assert bool(found.license) is (source not in ("baidu", "google"))
    assert any("red" in path for path in site.order), "the keyword reached the host"
    site.forget()
    assert "fresh" in crawl("red dress", source=source).stdout and not site.order


@pytest.mark.parametrize("source", ["baidu", "commons", "flickr", "google", "loc", "met", "openverse"])
@pytest.mark.parametrize("status", [403, 429, 500])
def test_no_refusal_of_a_source_is_a_success(
    source: str, status: int, site: Site, crawl: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FLICKR_API_KEY", "0123456789abcdef")
    monkeypatch.setattr("gravurekit.sources.met.PATIENCE", {})
    site.refuses = status
    result = crawl("red dress", "--tries", "1", source=source)
    assert result.exit_code == 4 and source in str(result.exception) and str(status) in str(result.exception)
