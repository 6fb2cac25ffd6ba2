"""The embedded corpus, the smallest conflict set: what it promises of its bytes and its splits."""

import csv
import hashlib
import wave
from collections import Counter
from pathlib import Path

import numpy as np
import pytest

from fas.data import espeak
from fas.errors import EspeakError
from fas.synthesis import lines, make, plan

ROOT = Path(__file__).resolve().parents[2]
CONF = ROOT / "local/case_mini/set.yaml"
UTTS = 35  # the least: one a split and emotion
KNOWN = {  # of seed 1: the last utterance of each split, and how the SHA-256 of its file begins
    "train": "victor-fear-fear-0964 64bd186d2444f3fb",
    "dev": "michael-neutral-neutral-1203 36929f8112321ed3",
    "dev_conflict": "norbert-happy-surprise-1455 87b6cf3712a40425",
    "test_congruent": "tweaky-happy-happy-2127 e95b92ce8709fde6",
    "test_conflict": "tweaky-happy-angry-2963 746c6de5f9354b1e",
}


def digests(out: Path) -> dict[str, str]:
    return {str(path.relative_to(out)): hashlib.sha256(path.read_bytes()).hexdigest()
            for path in sorted(out.rglob("*")) if path.is_file()}


def metadata(out: Path) -> list[dict[str, str]]:
    with open(out / "metadata.tsv", encoding="utf-8", newline="") as f:
        return list(csv.DictReader(f, delimiter="\t", quoting=csv.QUOTE_NONE))


def spoken(folder: Path, seed: int = 1, nj: int = 1) -> Path:
    made = make.planned(CONF, folder, seed, UTTS)
    make.make(made, nj)
    return made.out


@pytest.fixture(scope="module")
def whole_plan() -> list[plan.Utterance]:
    return make.planned(CONF, Path(), 1, None).utterances


@pytest.fixture(scope="module")
def corpus(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return spoken(tmp_path_factory.mktemp("corpus"))


def test_same_seed_gives_the_same_bytes_with_any_number_of_processes(corpus: Path, tmp_path: Path) -> None:
    assert digests(spoken(tmp_path, nj=2)) == digests(corpus)


def test_the_bytes_are_those_of_before(corpus: Path) -> None:
    """What was published of case_mini holds for these bytes: one utterance of each split."""
    rows = {row["split"]: row["utt"] for row in metadata(corpus)}
    all_digests = digests(corpus)
    assert {split: f"{utt} {all_digests[f'wav/{utt}.wav'][:16]}" for split, utt in rows.items()} == KNOWN


def test_another_seed_gives_other_bytes(corpus: Path, tmp_path: Path) -> None:
    other = digests(spoken(tmp_path, seed=2))
    assert not {d for p, d in digests(corpus).items() if p.startswith("wav/")} & set(other.values())


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


def test_train_dev_and_test_share_no_line_and_no_voice(whole_plan: list[plan.Utterance]) -> None:
    line_ids, speakers = {}, {}
    for utterance in whole_plan:
        split = utterance.split.partition("_")[0]
        line_ids.setdefault(split, set()).add(utterance.line_id)
        speakers.setdefault(split, set()).add(utterance.speaker)
    for group in (line_ids, speakers):
        assert set(group) == {"train", "dev", "test"}
        assert not group["train"] & group["dev"]
        assert not group["test"] & (group["train"] | group["dev"])


@pytest.mark.parametrize(("split", "congruent"), [("test_conflict", "test_congruent"), ("dev_conflict", "dev")])
def test_conflicts_conflict_and_are_balanced(whole_plan: list[plan.Utterance], split: str, congruent: str) -> None:
    conflicts = [u for u in whole_plan if u.split == split]
    assert all(u.emo != u.sem != "neutral" for u in conflicts)
    assert all(u.sem in (u.emo, "neutral") for u in whole_plan if u.split == congruent)
    assert len(set(Counter(u.emo for u in conflicts).values())) == 1
    pairs = Counter((u.emo, u.sem) for u in conflicts)
    assert len(pairs) == 36
    for emo in {emo for emo, _ in pairs}:
        each = [n for (voice, _), n in pairs.items() if voice == emo]
        assert max(each) - min(each) <= 1


def test_the_set_can_tell(whole_plan: list[plan.Utterance]) -> None:
    assert Counter(u.split for u in whole_plan) == {
        "train": 1008, "dev": 252, "dev_conflict": 210, "test_congruent": 672, "test_conflict": 840
    }  # fmt: skip


def test_ids_sort_by_speaker(whole_plan: list[plan.Utterance]) -> None:
    ids = sorted((u.utt, u.speaker) for u in whole_plan)
    assert [speaker for _, speaker in ids] == sorted(speaker for _, speaker in ids)
    assert len({utt for utt, _ in ids}) == len(ids)


def test_the_card_says_what_is_in_it(corpus: Path) -> None:
    card = (corpus / "README.md").read_text()
    settings = plan.read_conf(CONF)
    assert f"{UTTS} utterances in en" in card and settings.terms.strip() in card and "eSpeak NG 1." in card
    table = lines.read(CONF.parent / settings.lines, settings.labels, settings.length)
    assert sum(map(len, table.values())) == 488


def test_too_few_or_unknown_are_named() -> None:
    with pytest.raises(EspeakError, match="nobody"):
        espeak.synthesise("Hello.", espeak.Settings("en-us+nobody"))
    with pytest.raises(ValueError, match="rate"):
        espeak.Settings("en-us", rate=20)
