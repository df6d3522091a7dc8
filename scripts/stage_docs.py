"""Lays the documents out for mdBook. usage: stage_docs.py DIRECTORY

The site is the repository's own Markdown files, each at its own place, so that every link between them leads to the
same page on the site as in the repository, and nothing is copied that could drift. docs/SUMMARY.md says which and in
what order; whatever else they link to is laid beside them. They are symbolic links: who edits a page sees it served
anew.
"""

from __future__ import annotations

import re
import shutil
import sys
from pathlib import Path

from check_docs import LINK, ROOT

DOCS = ROOT / "docs"
SUMMARY = DOCS / "SUMMARY.md"


def targets(document: Path) -> list[Path]:
    """The local files that a document links to."""
    links = (target.partition("#")[0] for target in LINK.findall(document.read_text("utf-8")))
    return [(document.parent / link).resolve() for link in links if link and not re.match(r"[a-z]+:", link)]


def stage(site: Path) -> None:
    source = site / "src"
    shutil.rmtree(source, ignore_errors=True)
    source.mkdir(parents=True)
    chapters = targets(SUMMARY)
    linked = {target for chapter in chapters for target in targets(chapter) if target.suffix != ".md"}
    for file in {*chapters, *linked}:
        if not file.is_file():
            sys.exit(f"error: {file.relative_to(ROOT)} is linked to and is no file\n  fix: make docs-check says where")
        place = source / file.relative_to(ROOT)
        place.parent.mkdir(parents=True, exist_ok=True)
        place.symlink_to(file)
    # Its links are from docs/, and mdBook wants them from where it lies: at the top.
    links = re.compile(r"\]\(([^)]+)\)")

    def from_top(link: re.Match[str]) -> str:
        return f"]({(DOCS / link[1]).resolve().relative_to(ROOT)})"

    (source / "SUMMARY.md").write_text(links.sub(from_top, SUMMARY.read_text("utf-8")), "utf-8")
    for file in ["book.toml", "site.css"]:
        shutil.copy(DOCS / file, site / file)
    # Else the repository's own counts for mdbook serve, in which all of target/ is ignored.
    (site / ".gitignore").touch()


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    try:
        stage(Path(sys.argv[1]).resolve())
    except OSError as error:
        sys.exit(
            f"error: the site cannot be laid out: {error}\n  fix: make it where you can write, or remove what is there"
        )
