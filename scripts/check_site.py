"""Checks the built site: that every link and picture leads somewhere on it, headings included, and that no page needs
the network to be read. usage: check_site.py DIRECTORY
"""

from __future__ import annotations

import re
import sys
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urlsplit

# What a page loads by itself; a link to elsewhere is only followed by a reader.
LOADED = {("script", "src"), ("img", "src"), ("link", "href"), ("iframe", "src"), ("source", "src")}
LOADED_BY_STYLE = re.compile(r"""(?:@import\s+|url\(\s*)["']?((?:https?:)?//[^"')\s]+)""")


class Page(HTMLParser):
    """The names that a page gives to its places, and what it links to."""

    def __init__(self, file: Path) -> None:
        super().__init__()
        self.places: set[str] = set()
        self.links: list[tuple[bool, str]] = []
        self.feed(file.read_text("utf-8"))

    def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        for name, value in attributes:
            if value and (name == "id" or (tag, name) == ("a", "name")):
                self.places.add(value)
            elif value and ((tag, name) == ("a", "href") or (tag, name) in LOADED):
                self.links.append(((tag, name) in LOADED, value))


def problems(site: Path) -> list[str]:
    # The page for what is not found is shown at any address, so its links are from the top of wherever it is served.
    pages = {file: Page(file) for file in sorted(site.rglob("*.html")) if file.name != "404.html"}
    found = []
    for file, page in pages.items():
        for loaded, link in page.links:
            parts = urlsplit(link)
            if parts.scheme or parts.netloc:
                if loaded and parts.scheme != "data":
                    found.append(f"{file.relative_to(site)}: loads {link}")
                continue
            target = (file.parent / unquote(parts.path)).resolve() if parts.path else file
            if not target.exists():
                found.append(f"{file.relative_to(site)}: link to {link}, which does not exist")
            elif parts.fragment and target in pages and unquote(parts.fragment) not in pages[target].places:
                found.append(f"{file.relative_to(site)}: link to {link}, which has no such place")
    for style in sorted(site.rglob("*.css")):
        for link in LOADED_BY_STYLE.findall(style.read_text("utf-8")):
            found.append(f"{style.relative_to(site)}: loads {link}")
    if not pages:
        found.append(f"{site}: no pages at all")
    return found


def main() -> int:
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    found = problems(Path(sys.argv[1]).resolve())
    for problem in found:
        print(problem, file=sys.stderr)
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
