"""local/case_mini.py: what it promises of its bytes, its splits and its output folder."""

import csv
import hashlib
import importlib.util
import sys
import wave
from collections import Counter
from pathlib import Path

import numpy as np
import pytest

from fas.data import espeak
from fas.errors import EspeakError
from tests.conftest import ROOT

_spec = importlib.util.spec_from_file_location("case_mini", ROOT / "local" / "case_mini.py")
case_mini = importlib.util.module_from_spec(_spec)
sys.modules["case_mini"] = case_mini  # the worker processes import it again by its name
_spec.loader.exec_module(case_mini)

UTTS = 28  # the least: one a split and emotion


def digests(out: Path) -> dict[str, str]:
    return {str(path.relative_to(out)): hashlib.sha256(path.read_bytes()).hexdigest()
            for path in sorted(out.rglob("*")) if path.is_file()}


def metadata(out: Path) -> list[dict[str, str]]:
    with open(out / "metadata.tsv", encoding="utf-8", newline="") as f:
        return list(csv.DictReader(f, delimiter="\t", quoting=csv.QUOTE_NONE))


def whole_plan(seed: int = 1) -> list:
    speakers, _ = case_mini.read_prosody(case_mini.PROSODY)
    return case_mini.plan(case_mini.read_lines(case_mini.LINES), speakers, seed)


@pytest.fixture(autouse=True)
def workers_find_the_module(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(ROOT / "local"))


@pytest.fixture(scope="module")
def corpus(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("corpus") / "out"
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(str(ROOT / "local"))
        case_mini.make_corpus(out, seed=1, nj=1, utts=UTTS)
    return out


def test_same_seed_gives_the_same_bytes_with_any_number_of_processes(corpus: Path, tmp_path: Path) -> None:
    case_mini.make_corpus(tmp_path / "out", seed=1, nj=2, utts=UTTS)
    assert digests(tmp_path / "out") == digests(corpus)


def test_another_seed_gives_other_bytes(corpus: Path, tmp_path: Path) -> None:
    case_mini.make_corpus(tmp_path / "out", seed=2, nj=1, utts=UTTS)
    assert not {d for p, d in digests(corpus).items() if p.startswith("wav/")} & set(digests(tmp_path / "out").values())


def test_an_utterance_sounds_the_same_whatever_was_spoken_before() -> None:
    def speak(text: str, voice: str) -> bytes:
        return espeak.synthesise(text, espeak.Settings(voice, rate=190, pitch=60), seed=3).tobytes()

    items = [("It was raining on the hill.", "en-us+f5"), ("Who, me? Now?", "en-us+m1"), ("Yes.", "en-gb-x-rp+f2")]
    forward = [speak(*item) for item in items]
    backward = [speak(*item) for item in reversed(items)]
    assert forward == backward[::-1]


def test_wavs_are_audible_unclipped_mono_and_listed(corpus: Path) -> None:
    rows = metadata(corpus)
    assert len(rows) == UTTS == len(list((corpus / "wav").iterdir()))
    assert [row["utt"] for row in rows] == sorted(row["utt"] for row in rows)
    for row in rows:
        with wave.open(str(corpus / "wav" / f"{row['utt']}.wav")) as f:
            assert (f.getnchannels(), f.getsampwidth(), f.getframerate()) == (1, 2, espeak.SAMPLE_RATE)
            samples = np.frombuffer(f.readframes(f.getnframes()), "<i2")
        assert 0.5 < len(samples) / espeak.SAMPLE_RATE < 12
        assert 1000 < np.abs(samples).max() < 32767


def test_splits_share_no_lines_and_the_tests_no_speakers_with_training() -> None:
    lines, speakers = {}, {}
    for utterance in whole_plan():
        split = utterance.split.partition("_")[0]
        lines.setdefault(split, set()).add(utterance.line_id)
        speakers.setdefault(split, set()).add(utterance.speaker)
    for group in (lines, speakers):
        assert not group["train"] & group["dev"]
        assert not group["test"] & (group["train"] | group["dev"])


def test_conflicts_conflict_and_are_balanced() -> None:
    conflicts = [u for u in whole_plan() if u.split == "test_conflict"]
    assert all(u.emo != u.sem != "neutral" for u in conflicts)
    assert all(u.emo == u.sem for u in whole_plan() if u.split == "test_congruent")
    assert len(set(Counter(u.emo for u in conflicts).values())) == 1
    pairs = Counter((u.emo, u.sem) for u in conflicts)
    assert len(pairs) == 36 and max(pairs.values()) - min(pairs.values()) <= 1


def test_ids_sort_by_speaker() -> None:
    ids = sorted((u.utt, u.speaker) for u in whole_plan())
    assert [speaker for _, speaker in ids] == sorted(speaker for _, speaker in ids)
    assert len({utt for utt, _ in ids}) == len(ids)


def test_lines_are_all_different() -> None:
    lines = case_mini.read_lines(case_mini.LINES)
    texts = ["".join(c for c in text.lower() if c.isalpha()) for group in lines.values() for _, text in group]
    ids = [line_id for group in lines.values() for line_id, _ in group]
    assert len(set(texts)) == len(texts) and len(set(ids)) == len(ids)


def test_a_whole_corpus_is_left_alone_and_another_seed_replaces_it(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def only_the_plan(out: Path, utterances: list, prosody: tuple, stamp: dict, nj: int) -> None:
        out.mkdir()
        (out / ".stamp.json").write_text(case_mini.json.dumps(stamp))
        (out / "seed").write_text(str(stamp["seed"]))

    monkeypatch.setattr(case_mini, "write_corpus", only_the_plan)
    out = tmp_path / "out"
    (tmp_path / "out.tmp-killed").mkdir()
    case_mini.make_corpus(out, seed=1, nj=1, utts=None)
    made = (out / "seed").stat().st_mtime_ns
    case_mini.make_corpus(out, seed=1, nj=2, utts=None)
    assert "nothing to do" in capsys.readouterr().err and (out / "seed").stat().st_mtime_ns == made
    case_mini.make_corpus(out, seed=2, nj=1, utts=None)
    assert (out / "seed").read_text() == "2"
    assert list(tmp_path.iterdir()) == [out]


def test_a_folder_of_something_else_is_never_replaced(tmp_path: Path) -> None:
    (tmp_path / "thesis.txt").write_text("years of work")
    with pytest.raises(case_mini.CorpusError, match="no case_mini"):
        case_mini.make_corpus(tmp_path, seed=1, nj=1, utts=UTTS)
    assert (tmp_path / "thesis.txt").exists()


def test_too_few_or_unknown_are_named(tmp_path: Path) -> None:
    with pytest.raises(case_mini.CorpusError, match="--utts 5"):
        case_mini.make_corpus(tmp_path / "out", seed=1, nj=1, utts=5)
    with pytest.raises(EspeakError, match="nobody"):
        espeak.synthesise("Hello.", espeak.Settings("en-us+nobody"))
    with pytest.raises(ValueError, match="rate"):
        espeak.Settings("en-us", rate=20)
