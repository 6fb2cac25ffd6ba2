"""The report: a table for each set, outside systems, conflict slices known or predicted, published figures apart."""

import json
import re
import sys
from pathlib import Path

import numpy as np
import pytest

from fas.data import tables
from tests.conftest import run
from tests.report.conftest import report


def test_tables(scored: Path) -> None:
    done = report(scored)
    assert done.returncode == 0, done.stderr
    found = json.loads((scored / "exp/results.json").read_text())
    assert set(found["sets"]) == {"toy-test", "other"}
    for rows in found["sets"].values():
        assert list(rows) == ["words", "voice", "fas", "oracle"] and all(r["n"] == 48 for r in rows.values())
        assert "p" not in rows["fas"] and 0 <= rows["words"]["p"] <= 1
        difference = rows["words"]["accuracy"]["mean"] - rows["fas"]["accuracy"]["mean"]
        assert rows["words"]["difference"] == pytest.approx(difference) and difference < -0.3
        assert "p" not in rows["oracle"] and rows["oracle"]["accuracy"]["mean"] >= rows["voice"]["accuracy"]["mean"]
    known, predicted = found["conflict"]["toy"], found["conflict"]["other"]
    assert not known["fas"]["predicted"] and predicted["fas"]["predicted"]
    assert known["words"]["semantic_capture"]["mean"] == 1 and known["words"]["acoustic_capture"]["mean"] == 0
    assert known["fas"]["n"] == [16, 32]
    both = [known["voice"][k]["mean"] for k in ("congruent", "acoustic_capture")]
    assert known["voice"]["mean"]["mean"] == pytest.approx(np.mean(both))
    difference = known["voice"]["mean"]["mean"] - known["fas"]["mean"]["mean"]
    assert known["voice"]["difference"] == pytest.approx(difference) and 0 < known["voice"]["p"] <= 1
    assert "p" not in known["fas"] and "p" not in known["oracle"] and known["words"]["smallest_difference"] > 0
    assert "mean" not in predicted["words"] and "p" not in predicted["words"] and predicted["voice"]["p"] > 0
    text = (scored / "exp/RESULTS.md").read_text()
    assert "as *predicted* by the text-only system, which is right where they agree" in text
    assert "## other (zero-shot, 48 utterances)" in text
    assert "| *chance* | 33.33 |" in text and "Smallest difference to fas that this set shows at 80 % power" in text
    made = {"results.png", "capture-toy.png", "capture-other.png", "roc-toy.png", "conflict-toy.tsv"}
    assert made <= {p.name for p in (scored / "exp").iterdir()}
    page = (scored / "exp/report.html").read_text()
    sections = [part.split('"')[0] for part in page.split('<section id="')[1:]]
    assert sections == ["results", "conflict", "detection", "confusion"]  # no audio, no training log
    for row in found["sets"]["other"].values():
        assert f"{100 * row['accuracy']['mean']:.1f}" in page
    assert not re.search(r"(src|href)=.https?:|url\(|@import", page)


def test_whole_results_are_left_as_they_are(scored: Path) -> None:
    assert report(scored).returncode == 0
    made = {p: p.stat().st_mtime_ns for p in (scored / "exp").glob("*.*")}
    done = report(scored)
    assert done.returncode == 0 and "nothing to do" in done.stderr
    assert {p: p.stat().st_mtime_ns for p in (scored / "exp").glob("*.*")} == made
    result = scored / "exp/words/fold1/seed1/score/toy-fold1-test/result.json"
    result.write_text(result.read_text().replace("in-domain", "elsewhere"))
    done = report(scored)
    assert "because of a changed scores" in done.stderr and "(elsewhere, " in (scored / "exp/RESULTS.md").read_text()
    (scored / "exp/report.html").write_text("")
    assert "not as it was written" in report(scored).stderr and (scored / "exp/report.html").stat().st_size > 1000


def test_outside_systems_and_published_figures(scored: Path) -> None:
    utts = [line.split()[0] for line in (scored / "data/other/utt2emo").read_text().splitlines()]
    (scored / "llm").write_text("".join(f"{u} happy\n" for u in utts))
    (scored / "published.yaml").write_text(
        "rows:\n  - {system: Theirs, set: other, accuracy: '61.2', source: arXiv 0000.00000}\n"
    )
    llm = f"<i>llm={scored / 'llm'}"
    done = report(scored, "--external", llm, "--published", scored / "published.yaml")
    assert done.returncode == 0, done.stderr
    found = json.loads((scored / "exp/results.json").read_text())
    assert "<i>llm" not in found["sets"]["toy-test"]
    assert found["sets"]["other"]["<i>llm"]["accuracy"]["mean"] == pytest.approx(1 / 3)
    text = (scored / "exp/RESULTS.md").read_text()
    assert "| Theirs | other | 61.2 |" in text.split("## Published, by others")[1]
    page = (scored / "exp/report.html").read_text()
    assert "<i>llm" not in page and "&lt;i&gt;llm" in page and "61.2" in page.split('id="published"')[1]

    (scored / "llm").write_text("".join(f"{u} joyful\n" for u in utts))
    done = report(scored, "--external", f"llm={scored / 'llm'}")
    assert done.returncode == 1 and "the label 'joyful' is none of angry happy sad" in done.stderr
    (scored / "llm").write_text(f"{utts[0]} happy\n")
    done = report(scored, "--external", f"llm={scored / 'llm'}")
    assert done.returncode == 1 and "has no whole set" in done.stderr


def test_one_seed_one_system_no_conflict(scored: Path) -> None:
    (scored / "data/toy/utt2sem").unlink()
    done = run(
        sys.executable, "-m", "fas.bin.report", "--out", scored / "out", "--datadir", scored / "data", "--model",
        scored / "exp/{system}/fold1", "--systems", "voice", "--seeds", "1",
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert "tone against words" not in (scored / "out/RESULTS.md").read_text()


def test_words_of_an_emotion_that_is_no_label_capture_nothing(scored: Path) -> None:
    """A model of three labels on words of which a third are afraid: in 22 of 37 conflicts it can give theirs."""
    path = scored / "data/toy/utt2sem"
    path.write_text(path.read_text().replace(" sad", " fear"))
    done = report(scored)
    assert done.returncode == 0, done.stderr
    found = json.loads((scored / "exp/results.json").read_text())["conflict"]["toy"]["words"]
    assert found["n"] == [11, 37] and found["chance_of_words"] == pytest.approx(22 / 37 / 3)
    assert found["semantic_capture"]["mean"] == pytest.approx(22 / 37)
    assert "| *chance* | 33.33 | 33.33 | 33.33 | | 19.82 | 46.85 |" in (scored / "exp/RESULTS.md").read_text()


def test_unheard_words_have_no_emotion(scored: Path) -> None:
    """Where words are predicted, an utterance without any is in neither slice, and is counted below the table."""
    silent = [f"other{i % 6}_{i:02d}" for i in range(5)]
    for corpus in ("toy", "other"):
        utts = [f"{corpus}{i % 6}_{i:02d}" for i in range(48)]
        folder = scored / "dump/whisper" / corpus
        folder.mkdir(parents=True)
        tables.write_table(folder / "text", {u: "" if u in silent else "some words" for u in utts})
    done = report(scored, "--feats", f"whisper={scored / 'dump/whisper'}")
    assert done.returncode == 0, done.stderr
    found = json.loads((scored / "exp/results.json").read_text())["conflict"]
    assert sum(found["other"]["fas"]["n"]) == 43 and sum(found["toy"]["fas"]["n"]) == 48
    assert "In 5 of the 48 utterances no words were heard" in (scored / "exp/RESULTS.md").read_text()
    assert "In 5 utterances no words were heard." in (scored / "exp/report.html").read_text()


def test_conflicts_are_found_by_the_companions_and_by_a_head_that_states_them(scored: Path) -> None:
    """Words and voice with all on one label part or don't; a head's own column comes beside it, nan without words."""
    for path in scored.glob("exp/fas/fold*/seed*/score/toy-*/hyp"):
        head, *rows = path.read_text().splitlines()
        said = [f"{row} {'nan' if row.startswith('toy0_00') else int(row[5:7]) / 100}" for row in rows]
        path.write_text("\n".join([f"{head} P(conflict)", *said]) + "\n")
    done = report(scored)
    assert done.returncode == 0, done.stderr
    found = json.loads((scored / "exp/results.json").read_text())
    assert list(found["detection"]) == ["toy"]  # of the other one nobody knows the words' emotion
    both, own = (found["detection"]["toy"][s] for s in ("words + voice", "fas"))
    assert (both["conflicts"], both["congruent"], both["without_words"]) == (32, 16, 0)
    assert (own["conflicts"] + own["congruent"], own["without_words"]) == (47, 1)
    assert 0.5 < both["auc"]["mean"] < 1 and both["found_at_20"]["mean"] > both["found_at_5"]["mean"]
    text = (scored / "exp/RESULTS.md").read_text()
    section = text.split("## toy: P(conflict)")[1]
    assert f"| words + voice | {100 * both['auc']['mean']:.2f} ±" in section and "| fas |" in section
    rows = [line.split("\t") for line in (scored / "exp/conflict-toy.tsv").read_text().splitlines()]
    assert rows[0] == ["utt", "words + voice", "fas"] and rows[1][0] == "toy0_00" and rows[1][2] == "nan"
    assert all(0 <= float(row[1]) <= 1 for row in rows[1:]) and len(rows) == 49
    page = (scored / "exp/report.html").read_text()
    assert f"{100 * own['auc']['mean']:.1f}" in page and 'src="data:image/png;base64,' in page


def test_one_class_alone_is_named(scored: Path) -> None:
    (scored / "exp/roc-toy.png").write_text("of earlier scores")
    table = scored / "data/toy/utt2sem"
    table.write_text((scored / "data/toy/utt2emo").read_text())
    assert report(scored).returncode == 0
    assert "| words + voice | no figure: there are no conflicts |" in (scored / "exp/RESULTS.md").read_text()
    assert not (scored / "exp/roc-toy.png").exists()


def test_scores_of_utterances_that_no_data_directory_has_are_named(scored: Path) -> None:
    (scored / "data/other").rename(scored / "elsewhere")
    done = report(scored)
    assert done.returncode == 1 and "Traceback" not in done.stderr and "toy" not in done.stderr.split("score/")[1]
    assert "score/other: 48 of its utterances, 'other0_00' the first, are in no data directory" in done.stderr
