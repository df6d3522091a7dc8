"""The site: what is laid out for it is whole, and what checks it finds what is wrong."""

from __future__ import annotations

import os
import shutil
import socket
import tomllib
from pathlib import Path

import check_docs
import check_site
import pytest
import stage_docs
from harness import ROOT, run

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
    for name in tomllib.loads((tmp_path / "book.toml").read_text("utf-8"))["output"]["html"]["additional-css"]:
        assert (tmp_path / name).is_file(), name
    # Laid out again over what is there: what is gone from the summary goes.
    (source / "gone.md").touch()
    stage_docs.stage(tmp_path)
    assert not (source / "gone.md").exists()


def test_a_place_that_is_taken_is_told(tmp_path: Path) -> None:
    (tmp_path / "docs").write_text("mine")
    laid = run("python3", "-B", ROOT / "scripts" / "stage_docs.py", tmp_path / "docs")
    assert laid.status == 1
    assert laid.stderr.startswith("error: the site cannot be laid out: "), laid.stderr


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["--port", "many"], "'many' is no port"),
        (["--port", "65536"], "'65536' is no port"),
        (["--prot", "3001"], "docs-serve takes no --prot 3001"),
    ],
)
def test_what_cannot_be_served_is_told_before_anything_is_built(arguments: list[str], told: str) -> None:
    served = run(ROOT / "scripts" / "docs-serve", *arguments)
    assert served.status == 2
    assert told in served.stderr


def test_a_port_that_is_taken_is_told_before_anything_is_built() -> None:
    with socket.create_server(("localhost", 0)) as server:
        port = server.getsockname()[1]
        served = run(ROOT / "scripts" / "docs-serve", "--port", str(port))
    assert served.status == 1
    assert served.stderr.splitlines()[0] == f"error: nothing can listen on port {port}: Address already in use"


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


@pytest.mark.parametrize("text", ["@import 'https://cdn.example/x.css';", "a { background: url(//cdn.example/x.png) }"])
def test_a_style_that_needs_the_network_is_told(tmp_path: Path, text: str) -> None:
    page(tmp_path, "")
    (tmp_path / "style.css").write_text(text, "utf-8")
    [problem] = check_site.problems(tmp_path)
    assert problem.startswith("style.css: loads ")


SCRIPT = Path(os.environ.get("CARGO_TARGET_DIR", ROOT / "target")) / "docs" / "mermaid.min.js"


@pytest.mark.skipif(not SCRIPT.is_file() or not shutil.which("node"), reason="make docs-build was not run, or no node")
@pytest.mark.parametrize(
    ("diagram", "told"),
    [
        ('flowchart LR\n    a --> b["1<br/>2"]\n', ""),
        ("flowchart LR\n    a[( --> b\n", "page.md:2: Parse error"),
        (None, "no diagrams at all"),
    ],
)
def test_a_diagram_that_cannot_be_drawn_is_told(tmp_path: Path, diagram: str | None, told: str) -> None:
    (tmp_path / "src").mkdir()
    (tmp_path / "src" / "page.md").write_text(f"# Page\n```mermaid\n{diagram}```\n" if diagram else "# Page\n")
    (tmp_path / "mermaid.min.js").symlink_to(SCRIPT)
    checked = run("node", ROOT / "scripts" / "check_diagrams.mjs", tmp_path)
    assert (checked.status, told in checked.stderr) == (1 if told else 0, True), checked


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
