"""The site: what is laid out for it is whole, and what checks it finds what is wrong."""

from __future__ import annotations

from pathlib import Path

import check_docs
import check_site
import pytest
import stage_docs
from harness import ROOT

# Templates are copied to where their reader is, and speak to that one.
NO_CHAPTERS = ("docs/SUMMARY.md", "templates/")


def test_every_document_is_a_chapter_and_once() -> None:
    chapters = stage_docs.targets(stage_docs.SUMMARY)
    assert len(chapters) == len(set(chapters))
    documents = {
        document for document in check_docs.documents() if not str(document.relative_to(ROOT)).startswith(NO_CHAPTERS)
    }
    assert documents == set(chapters)


def test_what_is_laid_out_has_what_its_pages_link_to(tmp_path: Path) -> None:
    stage_docs.stage(tmp_path)
    source = tmp_path / "src"
    chapters = stage_docs.targets(source / "SUMMARY.md")
    assert len(chapters) > 10
    summary = (source / "SUMMARY.md").read_text("utf-8")
    assert "../" not in summary
    for link in check_docs.LINK.findall(summary):
        assert (source / link).is_file(), link
    for target in stage_docs.targets(ROOT / "README.md"):
        assert (source / target.relative_to(ROOT)).exists(), target
    # Laid out again over what is there: what is gone from the summary goes.
    (source / "gone.md").touch()
    stage_docs.stage(tmp_path)
    assert not (source / "gone.md").exists()


def page(site: Path, body: str, name: str = "page.html") -> None:
    (site / name).write_text(f"<html><body><h1 id='top'>x</h1>{body}</body></html>", "utf-8")


def test_a_whole_site_has_no_problems(tmp_path: Path) -> None:
    page(tmp_path, "", "other.html")
    page(tmp_path, "<a href='other.html#top'>a</a><a href='#top'>b</a><a href='https://example.org'>c</a>")
    page(tmp_path, "<a href='/nowhere'>a</a>", "404.html")
    assert check_site.problems(tmp_path) == []


@pytest.mark.parametrize(
    ("body", "told"),
    [
        ("<a href='gone.html'>a</a>", "gone.html, which does not exist"),
        ("<a href='#gone'>a</a>", "#gone, which has no such place"),
        ("<img src='gone.png'>", "gone.png, which does not exist"),
        ("<script src='https://cdn.example/x.js'></script>", "loads https://cdn.example/x.js"),
        ("<link rel='stylesheet' href='//cdn.example/x.css'>", "loads //cdn.example/x.css"),
    ],
)
def test_what_leads_nowhere_or_needs_the_network_is_told(tmp_path: Path, body: str, told: str) -> None:
    page(tmp_path, body)
    [problem] = check_site.problems(tmp_path)
    assert told in problem


def test_an_empty_site_is_a_problem(tmp_path: Path) -> None:
    assert check_site.problems(tmp_path)


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("[a](gone.md)", "gone.md, which does not exist"),
        ("[a](page.md#gone)", "page.md#gone, which has no such heading"),
        ("`make no-such-target`", "`make no-such-target`, which is no target"),
        ("`cargo run -p no-such-package`", "-p no-such-package`, which is no package"),
        ("`ipc/tests/cli.rs::no_such_test`", "ipc/tests/cli.rs::no_such_test, which does not exist"),
    ],
)
def test_what_a_document_gets_wrong_is_told(tmp_path: Path, text: str, told: str) -> None:
    document = tmp_path / "page.md"
    document.write_text(f"# Page\n{text}\n", "utf-8")
    text = document.read_text("utf-8")
    found = check_docs.broken_links(document, text) + check_docs.unknown_commands(text)
    [problem] = found + check_docs.missing_tests(text)
    assert told in problem
