"""An exported model: the recipe's digits from audio alone, every kind of input."""

import csv
import io
import json
import os
import shutil
import sys
from pathlib import Path

import pytest
import soundfile
import torch
import yaml

from fas import FAS
from fas.apply import export
from fas.data import tables
from fas.errors import ConfError
from fas.report import page
from fas.scoring import analysis, detection, evidence
from tests.conftest import ENV, JOBS, ROOT, recipe, run


def fas(*arguments: object, **kwargs: object) -> object:
    return run(sys.executable, "-m", "fas", *arguments, **kwargs)


def test_the_one_command(python_path: None) -> None:
    shown = fas("--help").stdout
    for name in ("predict", "demo", "export", "data", "extract", "train", "score", "report", "grid"):
        assert f"  {name} " in shown and (ROOT / f"fas/bin/{name}.py").is_file()
    assert fas("predict", "--help").stdout.startswith("usage: fas predict ")
    done = fas("sing")
    assert done.returncode == 1 and "no subcommand sing; there are predict" in done.stderr
    imported = "import sys, fas.__main__ as m; sys.argv[1:] = ['--help']; m.main(); print('torch' in sys.modules)"
    assert run(sys.executable, "-c", imported).stdout.endswith("False\n")


def test_posteriors_are_those_of_the_recipe(exported: tuple[Path, Path], python_path: None) -> None:
    whole, model = exported
    name = "case_mini-test_conflict"
    done = fas("predict", "--model", model, "--format", "csv", whole / "data/case_mini/test_conflict")
    assert done.returncode == 0 and done.stderr == ""
    rows = {row["name"]: row for row in csv.DictReader(io.StringIO(done.stdout))}
    heard = tables.read_table(whole / "dump/whisper/tiny.en/case_mini/text", empty_ok=True)
    for system, column in {"fas": "label", "words": "words", "voice": "voice"}.items():
        folder = next((whole / "exp").glob(f"{system}-*")) / "seed1/score" / name
        hyp = analysis.read_hyp(folder / "hyp")
        assert rows.keys() == set(hyp.utts)
        for utt, given, posteriors in zip(hyp.utts, hyp.given, hyp.posteriors, strict=True):
            assert rows[utt][column] == hyp.labels[given] and rows[utt]["heard"] == heard[utt]
            if system == "fas":
                assert [rows[utt][e] for e in hyp.labels] == [f"{p:.6f}" for p in posteriors]
    sides = (next((whole / "exp").glob(f"{s}-*")) / "seed1/score" / name / "hyp" for s in ("words", "voice"))
    words, voice = map(analysis.read_hyp, sides)
    parting = detection.disagreement(words.posteriors, voice.posteriors)
    for utt, p in zip(words.utts, parting, strict=True):
        assert float(rows[utt]["conflict_probability"]) == pytest.approx(p, abs=1e-5)
    for row in rows.values():
        assert row["conflict"] == str(row["words"] != row["voice"]).lower()


def same_as_the_recipe(model: Path, score: Path, names: dict[str, str], *arguments: object) -> int:
    """fas predict gives every utterance of a score folder its posteriors; names: utterance -> file. Their number."""
    result, hyp = json.loads((score / "result.json").read_text()), analysis.read_hyp(score / "hyp")
    options = ["--format", "csv", "--labels", " ".join(result["labels_given"]), *arguments]
    done = fas("predict", "--model", model, *options, *(names[u] for u in hyp.utts))
    assert done.returncode == 0, done.stderr
    rows = list(csv.DictReader(io.StringIO(done.stdout)))
    for utt, row, posteriors in zip(hyp.utts, rows, hyp.posteriors, strict=True):
        assert row["name"] == names[utt] and [row[e] for e in hyp.labels] == [f"{p:.6f}" for p in posteriors]
    return len(rows)


def test_learned_token_vectors_travel_with_the_model(whole: Path, tmp_path: Path, python_path: None) -> None:
    """kind: spm, whose encoder is learned from the training transcripts: through run.sh --export-dir, then moved."""
    spm = tmp_path / "spm.yaml"
    spm.write_text("kind: spm\nvocab_size: 100\ndim: 16\n")
    dump = tmp_path / "dump"
    dump.mkdir()
    for made in ("ssl", "whisper"):
        (dump / made).symlink_to(whole / "dump" / made)
    folders = {"dumpdir": dump, "expdir": tmp_path / "exp", "export-dir": tmp_path / "exp/model"}
    options = ["--text-conf", spm, "--seeds", 2, *(x for k, v in folders.items() for x in (f"--{k}", v))]
    done = run(*recipe(whole, "--stage", 3, *options), env=ENV)
    assert done.returncode == 0, done.stderr[-3000:]
    model = shutil.move(tmp_path / "exp/model", tmp_path / "model")
    made = next((dump / "text").glob("spm-*"))
    assert (model / "encoders/text/model/vectors.npy").read_bytes() == (made / "model/vectors.npy").read_bytes()
    shutil.rmtree(made)  # as on another machine
    folder = next((tmp_path / "exp").glob("fas-*-spm")) / "seed2/score/case_mini-test_congruent"
    assert same_as_the_recipe(model, folder, tables.read_table(whole / "data/case_mini/wav.scp")) > 5
    assert {p.name for p in model.iterdir() if p.is_dir()} == {"encoders", "words", "voice"}


@pytest.mark.skipif("FAS_CORPORA" not in os.environ, reason="FAS_CORPORA names no folder with ravdess and emodb")
def test_real_files_have_the_scores_of_the_recipe(tmp_path: Path, python_path: None) -> None:
    """RAVDESS, in-domain, and EmoDB, zero-shot, cut small: the posteriors of files are those of stages 5 and 6."""
    corpora = Path(os.environ["FAS_CORPORA"]).resolve()
    found = {
        "ravdess": corpora.glob("ravdess/Actor_*/03-01-0[345]-01-01-01-*"),
        "emodb": corpora.glob("emodb/wav/0[39]*"),
    }
    for paths in found.values():
        for path in paths:
            link = tmp_path / "corpora" / path.relative_to(corpora)
            link.parent.mkdir(parents=True, exist_ok=True)
            link.symlink_to(path)
    shutil.copytree(ROOT / "egs/ravdess/conf", tmp_path / "conf")
    fused = tmp_path / "conf/fas.yaml"
    fused.write_text(fused.read_text().replace("epochs: 20", "epochs: 2"))
    folders = {"corpora": "corpora", "datadir": "data", "dumpdir": "dump", "expdir": "exp", "export-dir": "exp/model"}
    options = [x for k, v in folders.items() for x in (f"--{k}", tmp_path / v)]
    systems = f"{tmp_path}/conf/voice.yaml {fused}"
    done = run(
        "bash", ROOT / "egs/ravdess/run.sh", *options, "--seeds", 1, "--nj", JOBS, "--fas-conf", systems, env=ENV
    )
    assert done.returncode == 0, done.stderr[-3000:]
    scores = next((tmp_path / "exp").glob("fas-*")) / "fold1/seed1/score"
    for name, corpus, language in (("ravdess-fold1-test", "ravdess", "en"), ("emodb", "emodb", "de")):
        wavs = tables.read_table(tmp_path / "data" / corpus / "wav.scp")
        assert same_as_the_recipe(tmp_path / "exp/model", scores / name, wavs, "--language", language) >= 12
    card = (tmp_path / "exp/model/README.md").read_text()
    assert yaml.safe_load(card.split("---\n")[1])["license"] == "cc-by-nc-sa-4.0"
    assert "**Commercial use of the weights is forbidden.**" in card


def test_files_folders_and_names(exported: tuple[Path, Path], tmp_path: Path, python_path: None) -> None:
    model = exported[1]
    wavs = [Path(x) for x in (exported[0] / "data/case_mini/dev/wav.scp").read_text().split()[1:6:2]]
    folder = tmp_path / "speech"
    folder.mkdir()
    samples, rate = soundfile.read(wavs[0])
    soundfile.write(folder / "b <i>.flac", samples, rate)
    soundfile.write(folder / "a.mp3", samples, rate)
    (folder / "broken.wav").write_bytes(b"no sound")
    done = fas("predict", "--model", model, "--format", "json", folder, wavs[1])
    assert done.returncode == 1 and "broken.wav: not readable as audio" in done.stderr
    told = [json.loads(line) for line in done.stdout.splitlines()]
    assert [Path(t["name"]).name for t in told] == ["a.mp3", "b <i>.flac", wavs[1].name]
    for t in told:
        assert sum(t["posteriors"].values()) == pytest.approx(1, abs=1e-5)
        marks = [m for stream in t["attention"].values() for m in stream]
        assert sum(m["weight"] for m in marks) == pytest.approx(1, abs=1e-3)
        assert all(0 <= m["start"] < m["end"] <= t["seconds"] + 0.11 for m in marks if "start" in m)
        assert any("piece" in m for m in marks)
    names = "\n".join(map(str, wavs)) + "\n"
    done = fas("predict", "--model", model, "-", input=names)
    assert done.returncode == 0 and [x.split(": ")[0] for x in done.stdout.splitlines()] == list(map(str, wavs))
    done = fas("predict", "--model", model, "--labels", "bored", wavs[0])
    assert done.returncode == 1 and "--labels bored: the model has angry" in done.stderr


def test_in_python_and_in_a_notebook(exported: tuple[Path, Path], tmp_path: Path) -> None:
    wav = (exported[0] / "data/case_mini/dev/wav.scp").read_text().split()[1]
    shutil.copy(wav, tmp_path / "<script>.wav")
    elsewhere = shutil.copytree(exported[1], tmp_path / "elsewhere")
    model = FAS.load(elsewhere, "cpu")
    said = model.predict(tmp_path / "<script>.wav", labels=["angry", "happy"])
    assert said.label in ("angry", "happy") and said.posteriors["sad"] == 0
    shown = said._repr_html_()
    assert "<script>" not in shown and "&lt;script&gt;.wav" in shown and "data:audio/flac;base64," in shown
    frames = {n: torch.randn(1, 60, s.dim) for n, s in model.head.config.streams.items()}
    assert model.head(frames, {n: torch.tensor([60]) for n in frames}).shape == (1, 7)


def test_a_training_is_no_model(exported: tuple[Path, Path], tmp_path: Path) -> None:
    training = next((exported[0] / "exp").glob("fas-*")) / "seed1"
    with pytest.raises(ConfError, match="is a training; make a model of it: fas export"):
        FAS.load(training)
    with pytest.raises(ConfError, match=r"no conf\.yaml in it"):
        FAS.load(tmp_path)
    damaged = shutil.copytree(exported[1], tmp_path / "damaged")
    (damaged / "model.safetensors").write_bytes(b"damaged")
    with pytest.raises(ConfError, match=r"damaged/model\.safetensors: .*; export the model again"):
        FAS.load(damaged)
    (tmp_path / "mine").write_text("precious")
    with pytest.raises(ConfError, match="is no exported model; name another --out"):
        export.export(training, tmp_path, {})
    assert (tmp_path / "mine").read_text() == "precious"


def test_the_card(exported: tuple[Path, Path]) -> None:
    card = (exported[1] / "README.md").read_text()
    result = json.loads(next((exported[0] / "exp").glob("fas-*/seed1/score/*conflict/result.json")).read_text())
    assert f"| {result['set']} | in-domain | {result['n']} | {100 * result['accuracy']:.2f} |" in card
    front = yaml.safe_load(card.split("---\n")[1])
    assert front["license"] == "mit" and front["library_name"] == "fas"
    assert "synthetic" in card and "\n  model: tiny.en\n" in card and "\n| `words/` | " in card
    assert export.licence("ravdess") == "CC BY-NC-SA 4.0"


def test_the_card_says_who_taught_the_words(exported: tuple[Path, Path], tmp_path: Path) -> None:
    models = [next((exported[0] / "exp").glob(f"{s}-*/seed1")) for s in ("fas", "words")]
    written = shutil.copytree(models[1], tmp_path / "words")
    described = yaml.safe_load((written / "conf.yaml").read_text()) | {"train_corpora": ["goemotions"]}
    (written / "conf.yaml").write_text(yaml.safe_dump(described | {"train_utterances": 77}))
    export.export(models[0], tmp_path / "model", {"words": written}, small=True)
    card = (tmp_path / "model/README.md").read_text()
    assert "seed 1; words apart, by 77 of goemotions:" in card and "\n- goemotions (Demszky" in card
    assert "\n| words | case_mini-test_conflict | in-domain | " in card and "synthetic" not in card


def test_a_local_checkpoint_travels_with_the_model(tmp_path: Path) -> None:
    (tmp_path / "mine.pt").write_bytes(b"weights")
    values = {"kind": "s3prl", "ckpt": str(tmp_path / "mine.pt"), "upstream": "x"}
    values = export._carry("ssl", values, tmp_path / "out")
    assert values["ckpt"] == "./encoders/ssl/mine.pt"
    assert (tmp_path / "out/encoders/ssl/mine.pt").read_bytes() == b"weights"


def test_words_of_pieces() -> None:
    def texts(*pieces: str) -> list[str]:
        return [w["text"] for w in page.joined([evidence.Mark(0.1, piece=p) for p in pieces])]

    assert texts("[CLS]", "play", "##ing", "now", "[SEP]") == ["start", "playing", "now", "end"]
    assert texts("<s>", "▁I", "▁lo", "ve") == ["start", "I", "love"]
