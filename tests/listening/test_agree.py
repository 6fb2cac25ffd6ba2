"""fas agree: labels and agreement from answers of listeners whose errors are known; then training, and the tables."""

import json
import sys
from collections import Counter
from pathlib import Path

import krippendorff
import numpy as np
import pytest
from statsmodels.stats.inter_rater import aggregate_raters, fleiss_kappa

from fas.data import datadir, tables
from fas.errors import ConfError, DataError
from fas.features import ark
from fas.listening import agree, store
from fas.listening.store import Answer
from fas.scoring import agreement
from tests.conftest import run
from tests.listening.pages import EMOTIONS, ENV, conflict_data, heard_as

CONF = """streams:
  acoustic: {feats: ssl, patch: 5, tokens: 4}
width: 16
heads: 2
batch: 16
lr: 1.0e-2
epochs: 4
soft_labels: true
"""
ERRORS = {"Anna": 0.0, "Bert": 0.1, "Carla": 0.2, "Dora D": 0.3, "Emil": 0.9}


def judged(folder: Path, count: int = 80, task: str = "voice") -> tuple[datadir.DataDir, Path]:
    """A set, and the answers of five listeners to all of it; Emil hears nearly everything wrong."""
    data = conflict_data(folder, count)
    out = folder / "answers"
    kept = store.Store(out)
    kept.settle("data", str(folder / "toy"))
    kept.settle("low_pass", "0")
    answers = []
    for name, errors in ERRORS.items():
        for i, utt in enumerate(data.utts):
            label = None if (name, i) == ("Anna", 0) else heard_as(name, utt, data.utt2emo[utt], errors)
            answers.append(Answer(f"{name}{i}", name, task, utt, label, label and 1 + i % 5, 2.0, 1))
    kept.add(answers)
    kept.close()
    return data, out


def matrix(data: datadir.DataDir, out: Path) -> np.ndarray:
    """(listeners, utterances) numbers of labels, by hand."""
    kept = store.Store(out)
    made = np.full((len(ERRORS), len(data)), np.nan)
    for a in kept.every():
        if a.label:
            made[list(ERRORS).index(a.listener), data.utts.index(a.utt)] = EMOTIONS.index(a.label)
    kept.close()
    return made


def test_figures_are_those_of_the_libraries(tmp_path: Path) -> None:
    data, out = judged(tmp_path)
    found = agree.agree(out, agree.Rule(2, 0.5, 1, False))["tasks"]["voice"]
    values = matrix(data, out)
    assert found["alpha"]["value"] == krippendorff.alpha(values, level_of_measurement="nominal")
    low, high = found["alpha"]["interval"]
    assert low < found["alpha"]["value"] < high and found["cant_tell"] == 1
    whole = values[:, ~np.isnan(values).any(0)]
    assert found["kappa"]["value"] == fleiss_kappa(aggregate_raters(whole.T.astype(int), n_cat=4)[0])
    assert (found["kappa"]["labels"], found["kappa"]["utterances"]) == (5, 79)
    angry = np.where(np.isnan(values), np.nan, values == 0)
    one = found["by_emotion"]["angry"]
    assert one["alpha"]["value"] == pytest.approx(krippendorff.alpha(angry, level_of_measurement="nominal"))
    meant = [data.utt2emo[u] == "angry" for u in data.utts]
    assert one["meant"] == 20 and one["as_meant"]["value"] == pytest.approx(np.nansum(angry[:, meant]) / 100)
    assert sum(p["utterances"] for p in found["pairs"]) == 80
    anna, emil = (found["each"][name] for name in ("Anna", "Emil"))
    assert anna["with_others"]["value"] > 0.85 > 0.4 > emil["with_others"]["value"]
    assert emil["alpha_without"] > found["alpha"]["value"] > anna["alpha_without"]
    text = (out / "AGREEMENT.md").read_text()
    assert f"| Krippendorff's alpha, nominal | {found['alpha']['value']:.3f} |" in text
    assert "| Dora_D | 80 | 0 |" in text


def test_labels_are_the_majority_and_the_rest_falls_out_with_its_reason(tmp_path: Path) -> None:
    data, out = judged(tmp_path)
    found = agree.agree(out, agree.Rule(2, 0.6, 1, False))
    kept = datadir.read(out / "data/toy")
    dropped = dict(line.split(" ", 1) for line in (out / "data/toy/dropped").read_text().splitlines())
    assert len(kept) == found["kept"] and kept.wav.keys() | dropped.keys() == data.wav.keys()
    assert not kept.wav.keys() & dropped.keys() and dropped
    values = matrix(data, out)
    for i, utt in enumerate(data.utts):
        told = Counter(EMOTIONS[int(v)] for v in values[:, i] if not np.isnan(v))
        (first, n), *others = told.most_common()
        clear = n >= 0.6 * 5 and not (others and others[0][1] == n)
        assert (utt in kept.wav) == (clear and first == data.utt2emo[utt]), (utt, told)
        if utt in kept.wav:
            soft = tables.soft_label(kept.utt2emo_soft[utt])
            assert soft == pytest.approx({e: c / sum(told.values()) for e, c in told.items()}, abs=1e-4)
    reasons = ("% for one label", "no label is first", "heard as another")
    assert all(any(r in v for r in reasons) for v in dropped.values())
    assert datadir.read(out / "data/toy/test").wav == kept.wav
    heard = agreement.parse(tables.read_table(out / "data/toy/utt2people"))
    assert heard[kept.utts[-1]].keys() == {"Anna", "Bert", "Carla", "Dora_D", "Emil"}
    assert "## Listeners" in (out / "data/toy/README.md").read_text()

    strict = agree.agree(out, agree.Rule(2, 0.6, 4.5, False))
    assert strict["kept"] < found["kept"] and strict["dropped"]["clarity below 4.5"] > 0
    with pytest.raises(DataError, match="no utterance is kept"):
        agree.agree(out, agree.Rule(6, 0, 1, False))
    with pytest.raises(ConfError, match="has no answers"):
        agree.agree(tmp_path, agree.Rule(1, 0, 1, False))


def test_words_give_utt2sem_and_relabel_takes_what_was_heard(tmp_path: Path) -> None:
    data, out = judged(tmp_path, 40, "words")
    agree.agree(out, agree.Rule(2, 0.5, 1, True))
    kept = datadir.read(out / "data/toy")
    assert kept.utt2emo == {u: data.utt2emo[u] for u in kept.utts} and not kept.utt2emo_soft
    assert any(kept.utt2sem[u] != data.utt2sem[u] for u in kept.utts)  # they heard the voice's emotion in the words


def test_a_set_that_was_changed_since_is_told(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    data, out = judged(tmp_path, 8)
    rule = agree.Rule(1, 0.0, 1, True)
    kept = store.Store(out)
    kept.settle("utterances", store.content(data))
    kept.close()
    agree.agree(out, rule)
    assert "warning" not in capsys.readouterr().err
    data.text[data.utts[0]] = "Another line."
    data.write(tmp_path / "toy")
    agree.agree(out, rule)
    assert "toy: utterances, texts or emotions are not those that were judged" in capsys.readouterr().err
    other = {"sad": "gloomy"}
    data.emotions = [other.get(e, e) for e in data.emotions]
    data.utt2emo, data.utt2sem = ({u: other.get(e, e) for u, e in t.items()} for t in (data.utt2emo, data.utt2sem))
    data.write(tmp_path / "toy")
    with pytest.raises(DataError, match="lacks 'sad', which listeners gave"):
        agree.agree(out, rule)
    (tmp_path / "toy").rename(tmp_path / "moved")
    with pytest.raises(DataError, match="toy: was judged and is not there; where it was moved: fas annotate"):
        agree.agree(out, rule)


def test_agreement_without_anything_to_compare() -> None:
    assert agreement.alpha(np.zeros((3, 4), int)) is None
    assert agreement.alpha(np.array([[3, 0], [2, 0]])) is None
    assert agreement.kappa(np.array([[3, 0], [3, 0]])) is None
    assert agreement.kappa(np.array([[1, 0], [0, 1]])) is None
    assert agreement.interval(agreement.alpha, np.zeros((0, 2))) is None
    assert agreement.majority([]) == (None, 0.0) and agreement.majority([None, None]) == (None, 0.0)
    assert agreement.majority(["a", "b"]) == (None, 0.5) and agreement.majority(["a", None, "a"]) == ("a", 2 / 3)
    assert agreement.against_others({"u": {"x": "a", "y": "b"}, "v": {"y": "a"}}, "x") == {"u": ("b", "a")}


def test_training_on_soft_labels_and_people_in_the_tables(tmp_path: Path) -> None:
    """The whole way, with features that tell the emotion: answers, labels, training, scores, the row of people."""
    data, out = judged(tmp_path)
    assert run(sys.executable, "-m", "fas", "agree", out, env=ENV).returncode == 0
    chance = np.random.default_rng(0)
    folder = tmp_path / "dump/toy"
    folder.mkdir(parents=True)
    lines, frames = {}, {}
    with (folder / "feats.1.ark").open("wb") as f:
        for utt in data.utts:
            made = chance.normal(0, 1, (20, 5)) + 2 * np.eye(5)[EMOTIONS.index(data.utt2emo[utt])]
            lines[utt], frames[utt] = f"{folder / 'feats.1.ark'}:{ark.append(f, utt, made.astype(np.float16))}", "20"
    tables.write_table(folder / "feats.scp", lines)
    tables.write_table(folder / "utt2num_frames", frames)
    kept = datadir.read(out / "data/toy")
    for name, speakers in {"train": "01", "dev": "2", "test": "23"}.items():
        kept.subset(lambda u, s=speakers: u[3] in s).write(out / "data/toy" / name)
    (tmp_path / "fas.yaml").write_text(CONF)
    (tmp_path / "words.yaml").write_text(CONF.replace("soft_labels: true\n", ""))
    sets = out / "data/toy"
    feats = ["--feats", f"ssl={tmp_path / 'dump'}", "--seeds", "1"]
    fas = (sys.executable, "-m", "fas")
    confs = ("--conf", tmp_path / "fas.yaml", tmp_path / "words.yaml")
    model = tmp_path / "exp/{system}"
    training = (*fas, "train", *confs, *feats, "--train", sets / "train", "--dev", sets / "dev", "--out", model)
    done = run(*training, env=ENV)
    assert done.returncode == 0, done.stderr
    logs = {s: (tmp_path / f"exp/{s}/seed1/log.jsonl").read_text().splitlines()[-1] for s in ("fas", "words")}
    losses = {s: json.loads(line)["train_loss"] for s, line in logs.items()}
    assert losses["fas"] > losses["words"] + 0.1  # what listeners doubt can't be learnt to certainty
    both = (*feats, "--systems", "fas words", "--model", model)
    assert run(*fas, "score", *both, sets / "test", env=ENV).returncode == 0
    done = run(*fas, "report", "--out", tmp_path / "exp", "--datadir", out / "data", *both, env=ENV)
    assert done.returncode == 0, done.stderr
    found = json.loads((tmp_path / "exp/results.json").read_text())
    row = found["sets"]["toy-test"]["people"]
    heard = agreement.parse(tables.read_table(sets / "utt2people"))
    test = datadir.read(sets / "test")
    right = []
    for name in sorted(ERRORS):
        pairs = agreement.against_others({u: heard[u] for u in test.utts}, name.replace(" ", "_"))
        right.append(np.mean([others == own for others, own in pairs.values()]))
    assert row["accuracy"]["mean"] == pytest.approx(np.mean(right))
    assert row["by_seed"]["accuracy"] == pytest.approx(right)
    assert min(right) < 0.4 < 0.8 < max(right)  # Emil, and Anna
    low, high = row["interval"]
    assert low <= row["accuracy"]["mean"] <= high
    cut = found["conflict"]["toy"]["people"]
    assert 0 < cut["acoustic_capture"]["mean"] < 1 and cut["congruent"]["mean"] > 0
    text = (tmp_path / "exp/RESULTS.md").read_text()
    assert f"| people | {100 * row['accuracy']['mean']:.2f} ± " in text
    assert ">people<" in (tmp_path / "exp/report.html").read_text()

    (sets / "train/utt2emo_soft").write_text("".join(f"{u} angry=0.7\n" for u in datadir.read(sets / "train").utts))
    assert "shares that don't sum to 1" in run(*training, env=ENV).stderr
    (sets / "train/utt2emo_soft").unlink()
    assert "has no utt2emo_soft; fas agree makes it" in run(*training, env=ENV).stderr
