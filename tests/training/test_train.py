"""Training and scoring: seeds, resumption, what is refused, what the figures are."""

import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
import torch

from fas import cli
from fas.bin import train as train_program
from fas.data import datadir, tables
from fas.data.datadir import DataDir
from fas.errors import DataError
from fas.features import ark
from fas.training.dataset import Dataset, Source
from tests.conftest import run

CONF = """streams:
  acoustic: {feats: ssl, patch: 5, tokens: 4}
width: 16
heads: 2
batch: 8
lr: 1.0e-2
epochs: 6
"""


@pytest.fixture
def toy(tmp_path: Path, python_path: None) -> Path:
    """tmp_path/data/{toy,other}: learnable features, the class shifts the mean; other is another corpus."""
    random = np.random.default_rng(0)
    for corpus in ("toy", "other"):
        data = DataDir(corpus, {}, {}, {}, {}, ["angry", "happy", "sad"])
        out = tmp_path / "dump" / corpus
        out.mkdir(parents=True)
        lines, counts = {}, {}
        with (out / "feats.1.ark").open("wb") as f:
            for i in range(60):
                utt = f"{corpus}{i % 6}_{i:02d}"
                label = i // 6 % 3
                frames = random.normal(0, 1, (random.integers(1, 40), 5)) + 2 * np.eye(5)[label]
                lines[utt] = f"{out / 'feats.1.ark'}:{ark.append(f, utt, frames.astype(np.float16))}"
                counts[utt] = str(len(frames))
                data.wav[utt], data.utt2spk[utt], data.utt2dur[utt] = "/none", f"{corpus}{i % 6}", 1.0
                data.utt2emo[utt] = data.emotions[label]
        tables.write_table(out / "feats.scp", lines)
        tables.write_table(out / "utt2num_frames", counts)
        data.write(tmp_path / "data" / corpus)
        for name, speakers in {"train": "0123", "dev": "4", "test": "5"}.items():
            data.subset(lambda u, s=speakers, d=data: d.utt2spk[u][-1] in s).write(tmp_path / "data" / corpus / name)
    (tmp_path / "conf.yaml").write_text(CONF)
    return tmp_path


def options(toy: Path, out: str = "exp") -> list[str]:
    data = toy / "data/toy"
    return [
        "--conf", f"{toy}/conf.yaml", "--feats", f"ssl={toy}/dump", "--train", f"{data}/train", "--dev", f"{data}/dev",
        "--seeds", "7", "--job", "1", "--out", f"{toy / out}",
    ]  # fmt: skip


def train(toy: Path, out: str = "exp", **env: str) -> object:
    return run(sys.executable, "-m", "fas.bin.train", *options(toy, out), env=os.environ | env)


@pytest.fixture
def refusal(toy: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[], str]]:
    """What the program ends with, called in this process, which has torch already; anything but its error fails."""

    def call() -> str:
        monkeypatch.setattr(sys, "argv", ["train", *options(toy)])
        with pytest.raises(SystemExit, match=r"^error: ") as error:
            cli.main(train_program.run)
        return str(error.value)

    threads = torch.get_num_threads()
    yield call
    torch.set_num_threads(threads)


def score(toy: Path, *arguments: object) -> object:
    common = ["--feats", f"ssl={toy / 'dump'}", "--seeds", "7", "--model", toy / "exp"]
    return run(sys.executable, "-m", "fas.bin.score", *common, *arguments)


def test_train_and_score(toy: Path) -> None:
    done = train(toy)
    assert done.returncode == 0, done.stderr
    assert "epoch 6/6" in done.stderr and "s left" in done.stderr
    seed = toy / "exp/seed7"
    assert {"best.pt", "last.pt", "labels", "conf.yaml", "log.jsonl", "curves.png", "tb"} <= set(os.listdir(seed))
    assert score(toy, toy / "data/toy/test").returncode == 0
    result = json.loads((seed / "score/toy-test/result.json").read_text())
    assert result["accuracy"] > 0.6 and not result["transductive"]
    rows = [line.split() for line in (seed / "score/toy-test/hyp").read_text().splitlines()[1:]]
    assert len(rows) == 10 and all(abs(sum(map(float, r[3:])) - 1) < 1e-4 for r in rows)
    assert np.mean([r[1] == r[2] for r in rows]) == pytest.approx(result["accuracy"])

    refused = score(toy, "--zero-shot", toy / "data/toy/test")
    assert refused.returncode != 0 and "was trained on" in refused.stderr
    assert score(toy, "--zero-shot", toy / "data/other").returncode == 0
    assert "nothing to do" in score(toy, "--zero-shot", toy / "data/other").stderr


def test_a_model_trained_anew_has_no_scores_of_the_one_before(toy: Path) -> None:
    assert train(toy).returncode == 0
    score_of = toy / "exp/seed7/score/other/result.json"
    score_of.parent.mkdir(parents=True)
    score_of.write_text("{}")
    assert train(toy).returncode == 0 and score_of.exists()
    (toy / "conf.yaml").write_text(CONF.replace("epochs: 6", "epochs: 2"))
    assert train(toy).returncode == 0 and not score_of.exists()


def test_a_set_of_other_emotions_alone_is_named(toy: Path) -> None:
    data = datadir.read(toy / "data/other")
    data.emotions, data.utt2emo = ["anger", "joy", "sadness"], dict.fromkeys(data.utts, "joy")
    data.write(toy / "data/other")
    with pytest.raises(DataError, match=r"other: has joy and nothing .*, angry happy sad; .*--labels"):
        Dataset([toy / "data/other"], {"acoustic": Source(toy / "dump")}, ["angry", "happy", "sad"])


def test_weights_do_not_depend_on_the_number_of_threads(toy: Path) -> None:
    """At the paper's width, where a gradient's sum is worth sharing out."""
    wide = {"tokens: 4": "tokens: 40", "patch: 5": "patch: 1", "width: 16": "width: 512", "batch: 8": "batch: 40"}
    text = CONF.replace("epochs: 6", "epochs: 2")
    for old, new in wide.items():
        text = text.replace(old, new)
    for system, conf in {"fas": text, "logreg": "system: logreg\n" + text.split("width")[0]}.items():
        (toy / "conf.yaml").write_text(conf)
        for threads in "12":
            done = train(toy, system + threads, FAS_THREADS=threads, OMP_NUM_THREADS=threads)
            assert done.returncode == 0, done.stderr
        assert len({(toy / f"{system}{t}/seed7/best.pt").read_bytes() for t in "12"}) == 1, system


def test_killed_training_ends_as_an_undisturbed_one(toy: Path) -> None:
    """An earlier checkpoint of the same run is put back, as a kill leaves it; the weights come out the same."""
    assert train(toy, "calm").returncode == 0
    interrupted = toy / "killed/seed7"
    interrupted.mkdir(parents=True)
    code = (
        "import sys, os\nfrom fas import stamp; from fas.training import train\n"
        "train.SAVE_EVERY = 0\nold = stamp.log\n"
        "def log(m):\n    old(m)\n    if m.startswith('epoch 4/'): os.kill(os.getpid(), 9)\n"
        "stamp.log = log\nfrom fas.bin.train import run\nrun()\n"
    )
    data = toy / "data/toy"
    killed = run(
        sys.executable, "-c", code, "--conf", toy / "conf.yaml", "--feats", f"ssl={toy / 'dump'}",
        "--train", data / "train", "--dev", data / "dev", "--seeds", "7", "--job", "1", "--out", toy / "killed",
    )  # fmt: skip
    assert killed.returncode == -9 and not (interrupted / "best.pt").exists()
    again = train(toy, "killed")
    assert "going on after epoch 3" in again.stderr
    for name in ("best.pt", "log.jsonl", "conf.yaml", "labels"):
        assert (interrupted / name).read_bytes() == (toy / "calm/seed7" / name).read_bytes(), name


def test_utterances_of_several_sets_are_found_in_their_own_arks(toy: Path) -> None:
    """Names go beyond ASCII and are each other's beginnings: they are looked up as sorted UTF-8."""
    names = ["ö", "a", "a1", "a10", "a2", "z\U0001f600", "zz", "\uffe6"]
    for number, corpus in enumerate(("one", "two")):
        utts = {u: f"{u}{'_' * number}" for u in names}
        out = toy / "dump" / corpus
        out.mkdir()
        with (out / "feats.1.ark").open("wb") as f:
            frames = {u: np.full((i + 1, 2), 10 * number + i, np.float16) for i, u in enumerate(names)}
            lines = {utts[u]: f"{f.name}:{ark.append(f, utts[u], frames[u])}" for u in names}
        tables.write_table(out / "feats.scp", lines)
        tables.write_table(out / "utt2num_frames", {utts[u]: str(i + 1) for i, u in enumerate(names)})
        made = {u: corpus for u in lines}
        DataDir(corpus, made, made, dict.fromkeys(made, "sad"), dict.fromkeys(made, 1.0)).write(toy / "data" / corpus)
    source = {"x": Source(toy / "dump", ".", 1)}
    both = Dataset([toy / "data/two", toy / "data/one"], source, ["happy", "sad"])
    batch = both.batch(np.arange(16))
    found = dict(zip(both.utts, batch.patches["x"][:, 0].split(batch.lengths["x"].tolist()), strict=True))
    for i, name in enumerate(names):
        for number in range(2):
            assert found[f"{name}{'_' * number}"].tolist() == [10 * number + i] * (i + 1)
    assert both.moments()[:, 0].tolist() == [float(found[u][0]) for u in both.utts]
    more = datadir.read(toy / "data/one")
    for table in (more.wav, more.utt2spk, more.utt2emo, more.utt2dur):
        table["a3"] = table["a2"]
    more.write(toy / "data/one")
    with pytest.raises(DataError, match=r"dump/one/patch1: no utterance 'a3'; extract"):
        Dataset([toy / "data/one"], source, ["sad"])


def test_wrong_width_and_missing_stage_are_named(toy: Path) -> None:
    assert train(toy).returncode == 0
    with (toy / "dump/other/feats.1.ark").open("wb") as f:
        lines = {
            u: f"{toy / 'dump/other/feats.1.ark'}:{ark.append(f, u, np.zeros((3, 9), np.float16))}"
            for u in datadir.read(toy / "data/other").utts
        }
    tables.write_table(toy / "dump/other/feats.scp", lines)
    tables.write_table(toy / "dump/other/utt2num_frames", dict.fromkeys(lines, "3"))
    done = score(toy, "--zero-shot", toy / "data/other")
    assert done.returncode != 0 and "width 5" in done.stderr and "have 9" in done.stderr
    (toy / "dump/toy/feats.scp").unlink()
    done = train(toy, "exp2")
    assert done.returncode != 0 and "run stage 1 first" in done.stderr


def test_jobs_share_a_grid_of_trainings(toy: Path) -> None:
    """Two jobs at once: every conf, fold and seed is trained once; both end when all is there."""
    (toy / "wide.yaml").write_text(CONF.replace("width: 16", "width: 32"))
    data = toy / "data/toy"
    command = [
        sys.executable, "-m", "fas.bin.train", "--conf", toy / "conf.yaml", toy / "wide.yaml", "--folds", "train dev",
        "--feats", f"ssl={toy / 'dump'}", "--train", data / "{fold}", "--dev", data / "test", "--seeds", "1 2",
        "--out", toy / "exp/{system}/fold{fold}",
    ]  # fmt: skip
    jobs = [
        subprocess.Popen([str(c) for c in [*command, "--job", j]], stderr=subprocess.PIPE, text=True) for j in (1, 2)
    ]
    said = [job.communicate()[1] for job in jobs]
    assert [job.returncode for job in jobs] == [0, 0], said
    made = sorted(str(p.parent.relative_to(toy / "exp")) for p in toy.glob("exp/**/best.pt"))
    assert made == sorted(f"{s}/fold{f}/seed{n}" for s in ("conf", "wide") for f in ("train", "dev") for n in (1, 2))
    assert sum(s.count("is trained;") for s in said) == 8
    assert run(*command, "--check").returncode == 0


def test_two_processes_train_as_one(toy: Path) -> None:
    """torchrun over gloo: without dropout, whose draws differ, the weights are one process's up to float order."""
    (toy / "conf.yaml").write_text(CONF + "dropout: 0.0\nweight_decay: 0.0\n")
    assert train(toy, "one").returncode == 0
    data = toy / "data/toy"
    done = run(
        "bash", "steps/train_fas.sh", "--nj", "1", "--num-gpus", "2", "--conf", toy / "conf.yaml",
        "--feats", f"ssl={toy / 'dump'}", "--seeds", "7", data / "train", data / "dev", toy / "two",
        env=os.environ | {"FAS_PYTHON": sys.executable},
    )  # fmt: skip
    assert done.returncode == 0, done.stderr[-2000:]
    assert (toy / "two/log/train.1.log").read_text().count("epoch 6/6") == 1, "one process writes"
    one, two = (torch.load(toy / n / "seed7/last.pt", weights_only=True)["model"] for n in ("one", "two"))
    assert all(torch.allclose(one[k], two[k], atol=1e-3) for k in one)
    assert (toy / "two/seed7/labels").read_text() == (toy / "one/seed7/labels").read_text()


def test_a_hostile_checkpoint_runs_nothing(toy: Path) -> None:
    import pickle

    class Evil:
        def __reduce__(self) -> tuple:
            return (os.system, (f"touch {toy}/ran",))

    assert train(toy).returncode == 0
    (toy / "exp/seed7/best.pt").write_bytes(pickle.dumps(Evil()))
    done = score(toy, toy / "data/toy/test")
    assert done.returncode != 0 and "not a readable checkpoint" in done.stderr
    assert not (toy / "ran").exists()


@pytest.mark.parametrize(
    ("line", "says"),
    [
        ("widht: 3", "unknown key widht"),
        ("width: big", "width must be a valid integer"),
        ("norm: both", "norm must be 'global', 'corpus' or 'speaker'"),
        ("fusion: gated", "takes two streams"),
        ("stream_dropout: {text: 0.5}", "names no stream"),
        ("stream_dropout: {acoustic: 0.5}", "must leave one stream"),
        ("stream_swap: {text: 0.5}", "names no stream"),
    ],
)
def test_wrong_confs_are_named(toy: Path, refusal: Callable[[], str], line: str, says: str) -> None:
    kept = [k for k in CONF.splitlines() if not k.startswith(line.split(":")[0] + ":")]
    (toy / "conf.yaml").write_text("\n".join([*kept, line]) + "\n")
    assert says in refusal()


@pytest.mark.parametrize("budget", ["0", "1.5", "many", "true"])
def test_wrong_budgets_are_named(toy: Path, refusal: Callable[[], str], budget: str) -> None:
    (toy / "conf.yaml").write_text(CONF.replace("tokens: 4", f"tokens: {budget}"))
    assert "stream acoustic: tokens must be" in refusal()


def test_logistic_regression_yardstick(toy: Path) -> None:
    (toy / "conf.yaml").write_text("system: logreg\nstreams:\n  acoustic: {feats: ssl}\nc: 1.0\n")
    done = train(toy)
    assert done.returncode == 0, done.stderr
    assert score(toy, toy / "data/toy/test").returncode == 0
    assert json.loads((toy / "exp/seed7/score/toy-test/result.json").read_text())["accuracy"] > 0.6


def test_speaker_norm_is_called_transductive(toy: Path) -> None:
    (toy / "conf.yaml").write_text(CONF + "norm: speaker\n")
    assert train(toy).returncode == 0
    assert score(toy, toy / "data/toy/test").returncode == 0
    assert json.loads((toy / "exp/seed7/score/toy-test/result.json").read_text())["transductive"] is True
    assert torch.load(toy / "exp/seed7/best.pt", weights_only=True)["dims"] == {"acoustic": 5}
