"""Releases as people have them: folders that are links, capital suffixes, missing classes, names in other encodings."""

import os
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import soundfile

from fas.data import corpora, datadir, mend, releases
from fas.data.tables import read_table, write_table
from fas.errors import ConfError, DataError
from tests.conftest import ENV, ROOT, run

TONE = (0.5 * np.sin(2 * np.pi * 440 * np.arange(4000) / 8000)).astype(np.float32)
Prepare = Callable[..., tuple[str, Path]]


def wav(path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    soundfile.write(os.fsencode(path), TONE, 8000, format="WAV")


@pytest.fixture
def prepare(tmp_path: Path) -> Prepare:
    """Run a corpus's script -> what it said, and the data directory."""

    def go(script: str, name: str, *options: object, fails: bool = False) -> tuple[str, Path]:
        done = run(sys.executable, ROOT / "local" / script, *options, tmp_path, tmp_path / "data",
                   env=ENV | {"PYTHONPATH": str(ROOT)})  # fmt: skip
        assert (done.returncode != 0) == fails and "Traceback" not in done.stderr, done.stderr
        return done.stderr, tmp_path / "data" / name

    return go


def test_links_capitals_and_what_the_release_has(tmp_path: Path, prepare: Prepare) -> None:
    """RAVDESS with an actor's folder linked to another disk, an actor in capitals, and one emotion not unpacked."""
    for actor in (f"{i:02d}" for i in range(1, 25)):
        for emotion in ("01", "03", "05"):
            suffix = "WAV" if actor == "02" else "wav"
            name = f"ravdess/Actor_{actor}/03-01-{emotion}-01-01-01-{actor}.{suffix}"
            wav(tmp_path / name)
    (tmp_path / "ravdess/Actor_03").rename(tmp_path / "disk")
    (tmp_path / "ravdess/Actor_03").symlink_to(tmp_path / "disk")
    said, data = prepare("ravdess.py", "ravdess")
    assert len(datadir.read(data)) == 72
    assert "ravdess: warning: not what the release has: neutral 24 of 96, calm 0 of 192, happy 24 of 192" in said


def test_whole_releases_are_not_warned_of() -> None:
    counted = {p.stem: c for p in (ROOT / "conf/corpora").glob("*.yaml") if (c := corpora.read_conf(p)).counts}
    assert {n: sum(c.counts.values()) for n, c in counted.items()}.items() >= {
        "ravdess": 1440, "emodb": 535, "crema_d": 7442, "tess": 2800, "savee": 480, "emovo": 588, "cafe": 936,
    }.items()  # fmt: skip
    from fas.data.prepare import difference

    corpus = counted["tess"]
    whole = [
        corpora.Utterance(str(i), Path(), "s", own)
        for own, n in {"ps": 200, "pleasant_surprise": 200, **dict.fromkeys(
            ("angry", "disgust", "fear", "happy", "neutral", "sad"), 400)}.items()
        for i in range(n)
    ]  # fmt: skip
    assert not difference(corpus, whole)
    assert "has: pleasant_surprise 399 of 400;" in difference(corpus, whole[1:])
    assert "has: pleasant_surprise 401 of 400;" in difference(corpus, [*whole, whole[0]])


CONF = """
title: x
paper: x
get: x
licence: x
layout: x
language: no
table: made/t.csv
columns:
  utt: id
  wav: path
  speaker: who
  emotion: felt
  channel: {value: 2}
  split: {column: part, map: {0: train, 1: dev, 2020-01-01: test}}
splits: own
labels: {01: angry, yes: happy, off: {native: calm, seven: neutral}, null: sad}
counts: {angry: 1, happy: 1, calm: 1}
"""


def test_yaml_is_taken_as_it_is_written(tmp_path: Path, prepare: Prepare) -> None:
    """Else `no` is false, 01 and 0 are numbers, yes and off are booleans, 2020-01-01 is a date, and no map applies."""
    (tmp_path / "made.yaml").write_text(CONF)
    rows = [("a", "01", "0"), ("b", "yes", "1"), ("c", "off", "2020-01-01")]
    lines = [f"{u},{u}.wav,s{u},{e},{p}" for u, e, p in rows]
    (tmp_path / "made").mkdir()
    (tmp_path / "made/t.csv").write_text("\n".join(["id,path,who,felt,part", *lines]) + "\n")
    for utt, _, _ in rows:
        soundfile.write(tmp_path / f"made/{utt}.wav", np.stack([TONE, -TONE]).T, 8000)
    said, data = prepare("table.py", "made", "--conf", tmp_path / "made.yaml")
    made = datadir.read(data)
    assert set(made.utt2lang.values()) == {"no"} and set(made.channel.values()) == {2}
    assert sorted(made.utt2emo.values()) == ["angry", "happy", "neutral"] and "warning" not in said
    assert [len(datadir.read(data / part)) for part in ("train", "dev", "test")] == [1, 1, 1]
    assert run(sys.executable, "-m", "fas.bin.data", "validate", "--audio", data, env=ENV).returncode == 0


def test_yaml_that_loses_something_is_refused(tmp_path: Path) -> None:
    from fas.frontend import load_whisper_conf

    path = tmp_path / "c.yaml"
    path.write_text("model: base\nlanguage: no\n")
    with pytest.raises(ConfError, match=r"c\.yaml: language must be .*string, not False; quote it"):
        load_whisper_conf(path)
    path.write_text("model: base\nmodel: tiny\n")
    with pytest.raises(ConfError, match="'model' stands twice"):
        load_whisper_conf(path)
    path.write_text("model: base\nmargin: 1e-1\n")
    with pytest.raises(ConfError, match=r"margin must be .*, not '1e-1' \(YAML takes 1\.0e-4 for a number"):
        load_whisper_conf(path)
    path.write_text(CONF.replace("angry: 1", "angri: 1"))
    with pytest.raises(ConfError, match="counts: angri: native labels are"):
        corpora.read_conf(path)


def test_names_that_are_not_utf8_are_named(tmp_path: Path, prepare: Prepare) -> None:
    folder = tmp_path / "tess"
    for name in (*(f"{who}_back{i}_angry" for who in ("OAF", "YAF") for i in range(6)), "OAF_caf\udce9_sad"):
        wav(folder / f"{name}.wav")
    said, _ = prepare("tess.py", "tess", fails=True)
    assert r"OAF_caf\xe9_sad.wav: its name is not UTF-8; rename it" in said
    said, data = prepare("tess.py", "tess", "--skip-bad", "true")
    assert len(datadir.read(data)) == 12 and r"caf\xe9" in (data / "dropped").read_text()
    os.rename(folder, tmp_path / "t\udce9ss")
    (tmp_path / "tess").symlink_to(tmp_path / "t\udce9ss")
    said, _ = prepare("tess.py", "tess", fails=True)
    assert "its name is not UTF-8" in said


def test_reasons_are_grouped(tmp_path: Path, prepare: Prepare) -> None:
    folder = tmp_path / "mustard_pp"
    (folder / "final_utterance_videos").mkdir(parents=True)
    head = "SCENE,KEY,SENTENCE,SPEAKER,SHOW,Sarcasm,Implicit_Emotion,Explicit_Emotion"
    rows = [f"1_{i},1_{i}#0,well,SPEAKER{i},BBT,1,Anger,Happiness" for i in range(14)]
    (folder / "mustard++_text.csv").write_text("\n".join([head, *rows]) + "\n")
    for i in range(10):
        wav(folder / f"final_utterance_videos/1_{i}_u.wav")
    (folder / "final_utterance_videos/1_1_u.wav").write_bytes(b"")
    said, data = prepare("mustard_pp.py", "mustard_pp", "--skip-bad", "true")
    assert "  4 dropped: audio can't be opened: no such file\n" in said
    assert "  1 dropped: audio can't be opened: empty file (0 bytes)\n" in said and said.count(" dropped: ") == 2
    assert (data / "dropped").read_text().count("/final_utterance_videos/1_") == 5


def test_a_data_directory_without_durations(small: datadir.DataDir, tmp_path: Path) -> None:
    d = tmp_path / "data"
    before = (d / "utt2dur").read_text()
    (d / "utt2dur").unlink()
    assert datadir.read(d).utt2dur == pytest.approx(small.utt2dur, rel=1e-4)
    assert (d / "utt2dur").read_text() == before
    (d / "utt2dur").unlink()
    Path(small.wav["spk0_1"]).write_bytes(b"no sound")
    with pytest.raises(DataError, match=r"'spk0_1': .*spk0_1\.wav: not readable as audio"):
        datadir.read(d)
    assert not (d / "utt2dur").exists()


def test_durations_of_pipes_are_made_where_pipes_are_allowed(small: datadir.DataDir, tmp_path: Path) -> None:
    d = tmp_path / "data"
    (d / "utt2dur").unlink()
    write_table(d / "wav.scp", {u: f"cat {p} |" for u, p in small.wav.items()})
    validate = (sys.executable, "-m", "fas.bin.data", "validate")
    assert "is a pipe, which is run only with --allow-pipes" in run(*validate, d, env=ENV).stderr
    done = run(*validate, "--allow-pipes", d, env=ENV)
    assert done.returncode == 0 and len(read_table(d / "utt2dur")) == 6, done.stderr


def test_speakers_that_contradict_each_other_are_named_and_mended(small: datadir.DataDir, tmp_path: Path) -> None:
    d = tmp_path / "data"
    write_table(d / "spk2utt", {"spk0": "spk0_0 spk0_1 spk0_2 spk1_3", "spk1": "spk1_4"})
    with pytest.raises(DataError) as error:
        datadir.read(d)
    assert len(error.value.problems) == 2
    assert "'spk1_3' is spk0's, but spk1's in utt2spk; utils/fix_data_dir.sh" in error.value.problems[0]
    mend.fix(d)
    assert read_table(d / "spk2utt") == {"spk0": "spk0_0 spk0_1 spk0_2", "spk1": "spk1_3 spk1_4 spk1_5"}
    assert len(datadir.read(d)) == 6


def test_fix_keeps_what_all_tables_have(small: datadir.DataDir, tmp_path: Path) -> None:
    d = tmp_path / "data"
    for name, lost in {"utt2emo": "spk0_1", "text": "spk1_4", "wav.scp": "spk1_3"}.items():
        lines = (d / name).read_text().splitlines(keepends=True)
        (d / name).write_text("".join(line for line in reversed(lines) if not line.startswith(lost)))
    (d / "utt2spk").write_text((d / "utt2spk").read_text() * 2)  # as a preparation that appends leaves it
    done = run("bash", ROOT / "utils/fix_data_dir.sh", d, env=ENV)
    assert done.returncode == 0 and "3 utterances are in all tables; 3 are not" in done.stderr, done.stderr
    assert datadir.read(d).utts == ["spk0_0", "spk0_2", "spk1_5"]
    assert read_table(d / "unfixed") == {
        "spk0_1": "is not in utt2emo", "spk1_3": "is not in wav.scp", "spk1_4": "is not in text",
    }  # fmt: skip
    (d / "utt2emo").write_text("nobody angry\n")
    with pytest.raises(DataError, match=r"no utterance is in all of .*nothing was changed"):
        mend.fix(d)
    assert len(read_table(d / "wav.scp")) == 3


def test_the_pattern_of_a_release_is_a_glob(tmp_path: Path) -> None:
    corpus = corpora.read_conf(ROOT / "conf/corpora/esd.yaml")
    for name in ("0001/Angry/0001_000001.wav", "0029/Sad/test/0029_000001.WAV", "other/Sad/x.wav", "0031/Sad/y.wav"):
        wav(tmp_path / name)
    found = releases.audio_files(tmp_path, "00[0-2][0-9]/**/*", corpus)
    assert [p.name for p in found] == ["0001_000001.wav", "0029_000001.WAV"]
    assert [p.name for p in releases.audio_files(tmp_path, "*/Sad/*", corpus)] == ["y.wav", "x.wav"]
