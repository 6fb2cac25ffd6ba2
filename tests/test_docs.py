"""The pages of docs/ as a site: every link and every docstring reference holds."""

import re
import sys
from pathlib import Path

from tests.conftest import ROOT, run


def test_the_site_builds_strictly(tmp_path: Path) -> None:
    done = run(sys.executable, "-m", "mkdocs", "build", "-q", "-f", ROOT / ".mkdocs.yml", "-d", tmp_path / "site")
    assert done.returncode == 0, done.stderr
    assert "fas.apply.predict.FAS.predict" in (tmp_path / "site/api/index.html").read_text()


def test_messages_of_the_faq_are_in_the_code() -> None:
    """What stands in bold and code in the FAQ is a message that the code has, apart from what is filled in."""
    code = " ".join(p.read_text() for p in sorted((ROOT / "fas").rglob("*.*")) if p.suffix in (".py", ".html"))
    code = re.sub(r"\"\s*\n\s*f?\"", "", code)
    told = re.findall(r"\*\*`(.+?)`", (ROOT / "docs/faq.md").read_text())
    assert len(told) > 8
    for message in told:
        for piece in re.split(r"\.\.\.|'.*?'|--?\w+|\d+|\bof\b|:", message.removeprefix("error: ")):
            words = piece.strip(" ,;")
            assert len(words) < 12 or words in code, (message, words)


def _anchors(page: Path) -> set[str]:
    """The anchors that GitHub gives the headings of a page."""
    headings = re.findall(r"^#+ (.+)$", page.read_text(), re.M)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


def test_links_between_pages_of_the_repository_hold() -> None:
    """READMEs and results link to files that exist, and to headings that they have."""
    pages = [ROOT / "README.md", *sorted(ROOT.glob("benchmarks/*.md")), *sorted(ROOT.glob("egs/*/*.md"))]
    links = [(page, link) for page in pages for link in re.findall(r"\]\((?!https?:)([^)\s]+)\)", page.read_text())]
    assert len(links) > 30
    for page, link in links:
        name, _, anchor = link.partition("#")
        target = page.parent / name if name else page
        assert target.exists(), f"{page}: {link} is not there"
        assert not anchor or anchor in _anchors(target), f"{page}: {link} has no such heading"


def test_the_readme_is_one_that_is_read_to_its_end() -> None:
    lines = (ROOT / "README.md").read_text().splitlines()
    assert len(lines) < 150
    first_screen = "\n".join(lines[:20])
    for part in ("egs/case/run.sh", "tests/run.sh", "egs/case/results.png", "arxiv.org/abs/2601.04564"):
        assert part in first_screen, part
