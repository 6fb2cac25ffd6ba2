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
