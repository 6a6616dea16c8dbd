"""README, CHANGELOG, CONTRIBUTING and SECURITY as pages of the site. MkDocs calls this as a hook.

These files stay at the root of the repository, where GitHub shows them. Their links, and links to
them, are right there. In the site these pages have other places, so links are rewritten.
"""

from __future__ import annotations

import posixpath
import re
from pathlib import Path
from typing import TYPE_CHECKING

from mkdocs.structure.files import File

if TYPE_CHECKING:
    from mkdocs.config.defaults import MkDocsConfig
    from mkdocs.structure.files import Files
    from mkdocs.structure.pages import Page

PAGES = {
    "README.md": "index.md",
    "CHANGELOG.md": "changelog.md",
    "CONTRIBUTING.md": "contributing.md",
    "SECURITY.md": "report-a-weakness.md",
}
"""File at the root of the repository to its page in the site."""

_FILES = {page: file for file, page in PAGES.items()}
_LINK = re.compile(r"(?<=\]\()(?P<target>[^)#\s:]+)")


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Add the pages; their content is read from the root."""
    root = Path(config.config_file_path).parent
    for file, page in PAGES.items():
        files.append(File.generated(config, page, abs_src_path=str(root / file)))
    return files


def on_page_markdown(markdown: str, *, page: Page, **_: object) -> str:
    """Rewrite each relative link from its place in the repository to its place in the site."""
    here = page.file.src_uri
    folder = posixpath.dirname(_FILES.get(here, f"docs/{here}"))

    def rewritten(match: re.Match[str]) -> str:
        path = posixpath.normpath(posixpath.join(folder, match["target"]))
        place = PAGES.get(path, path.removeprefix("docs/"))
        return posixpath.relpath(place, posixpath.dirname(here) or ".")

    return _LINK.sub(rewritten, markdown)
