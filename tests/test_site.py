"""The documentation site: it builds without a warning, and its pages need no other host."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("site")
    done = subprocess.run(  # noqa: S603 - as `make site` runs it
        [sys.executable, "-m", "mkdocs", "build", "--strict", "--site-dir", folder],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return folder


def test_the_pages_of_the_root_are_in_the_site_and_their_links_lead_there(site: Path) -> None:
    front = (site / "index.html").read_text()
    for page in ("contributing", "changelog", "tutorial", "reference/settings"):
        assert (site / page / "index.html").exists()
        assert f'href="{page}/"' in front
    security = (site / "report-a-weakness" / "index.html").read_text()
    assert 'href="../explanation/guarantees/"' in security
    assert 'href="../contributing/"' in (site / "architecture" / "index.html").read_text()


def test_a_page_fetches_nothing_from_another_host(site: Path) -> None:
    script = r"<(?:script|img|iframe)[^>]*\ssrc=[\"']?https?:"
    style = r"<link[^>]*stylesheet[^>]*https?:"
    fetched = re.compile(f"{script}|{style}")
    pages = list(site.rglob("*.html"))
    assert len(pages) > 20
    for page in pages:
        assert not fetched.search(page.read_text()), page
    for sheet in site.rglob("*.css"):
        assert not re.search(r"url\(['\"]?https?:|@import", sheet.read_text()), sheet


def test_the_search_finds_every_setting(site: Path) -> None:
    index = json.loads((site / "search" / "search_index.json").read_text())
    found = " ".join(entry["text"] for entry in index["docs"])
    for word in ("RETURNS_SETTLE_MINUTES", "return_reasons_daily", "missing_hours"):
        assert word in found
