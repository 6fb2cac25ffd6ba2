"""EmotionTalk, EMIS and Emo-Emilia, spoken by eSpeak into trees as their releases have them, through every stage."""

import json
from pathlib import Path

import numpy as np
import pytest
import soundfile
import yaml

from fas.data import datadir, espeak
from fas.scoring import analysis
from tests.conftest import ENV, ROOT, once, run

EMOTIONTALK = {  # name: the voice's emotion, heard alone; the words', read alone; words
    "G00009_42_14_024": ("neutral", "happy", "[over/]太好了[interrupted]"),
    "G00009_42_14_025": ("angry", "angry", "你走开"),
    "G00009_42_09_003": ("sad", "neutral", "我知道了"),
    "G00009_42_09_004": ("surprised", "surprised", "真的吗"),
    "G00001_02_03_001": ("angry", "neutral", "你来了"),
    "G00012_01_05_007": ("sad", "surprised", "怎么会"),
    "G00003_11_06_100": ("disgusted", "neutral", "随便吧"),
    "G00003_11_06_101": ("happy", "happy", "好开心"),
    "G00003_11_09_002": ("angry", "happy", "你真厉害"),
    "G00015_07_09_003": ("fearful", "fearful", "有人吗"),
    "G00015_07_09_004": ("sad", "angry", "我受够了"),
}
EMIS = {  # the words' emotion: a sentence
    "angry": "Get out of my house right now.",
    "happy": "We have won the first prize.",
    "neutral": "The train leaves at nine.",
    "sad": "My old dog died last night.",
}
EMO_EMILIA = {"ZH": ("cmn", "我们明天再说吧"), "EN": ("en-us", "I will tell you tomorrow.")}
EMILIA_EMOTIONS = ("angry", "disgusted", "fearful")
STREAMS = {"voice": {"acoustic": "whisper/last"}, "words": {"semantic": "text"}}
STREAMS["fas"] = STREAMS["voice"] | STREAMS["words"]
SETS = ("emotiontalk-test", "emis", "emo_emilia")


def speak(path: Path, text: str, voice: str, pitch: int) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    samples = espeak.synthesise(text, espeak.Settings(voice, rate=200, pitch=pitch))
    soundfile.write(path, samples, espeak.SAMPLE_RATE)


def emotiontalk(folder: Path) -> None:
    voices, words = ["file_name,emotion"], ["name,emotion,chinese"]
    for number, (name, (voice, said, text)) in enumerate(EMOTIONTALK.items()):
        group, dialogue, speaker, _ = name.split("_")
        below = f"{group}/{group}_{dialogue}/{group}_{dialogue}_{speaker}/{name}"
        speak(folder / f"{below}.wav", text, "cmn", 5 * number)
        (folder / f"{below}.json").write_text(json.dumps({"speaker_id": speaker, "emotion_result": voice}))
        voices.append(f"{below}.wav,{voice}")
        words.append(f"{below},{said},{text}")
    for table, rows in (("audio.csv", voices), ("transcription.csv", words)):
        (folder / table).write_text("\n".join(rows) + "\n", encoding="utf-8")


def trees(root: Path) -> None:
    emotiontalk(root / "emotiontalk")
    for said, text in EMIS.items():
        for number, voice in enumerate(EMIS):
            path = root / f"emis/cosyvoice/explicit_12_{said}_{voice}_0011_cosyvoice.wav"
            speak(path, text, "en-us+f2", 30 * number)
    rows = []
    for language, (voice, text) in EMO_EMILIA.items():
        for number, emotion in enumerate(EMILIA_EMOTIONS):
            index = f"{language}_B0009{number % 2}_S00350_W{number:06}"
            speak(root / f"emo_emilia/Emo-Emilia/wav/{index}.wav", text, voice, 14 * number)
            rows.append({"index": index, "emotion": emotion, "wav": f"./Emo-Emilia/wav/{index}.wav", "text": text})
    lines = [json.dumps(row, ensure_ascii=False) + "\n" for row in rows]
    (root / "emo_emilia/Emo-Emilia-ALL.jsonl").write_text("".join(lines), encoding="utf-8")


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """All stages over the three: EmotionTalk trained on and tested, the others zero-shot."""

    def make(folder: Path) -> None:
        trees(folder / "corpora")
        for system, streams in STREAMS.items():
            conf = {"streams": {name: {"feats": feats, "patch": 1} for name, feats in streams.items()}}
            (folder / f"{system}.yaml").write_text(yaml.safe_dump(conf | {"width": 32, "heads": 4, "epochs": 2}))
        options = {
            "prepare": f"{ROOT}/steps/prepare_data.sh --names emotiontalk,emis,emo_emilia",
            "sets": "emotiontalk emis emo_emilia",
            "train-sets": "emotiontalk/train",
            "dev-sets": "emotiontalk/dev",
            "test-sets": "emotiontalk/test",
            "zero-shot-sets": "emis emo_emilia",
            "ssl-conf": ROOT / "conf/ssl/whisper_base_block3.yaml",
            "whisper-conf": ROOT / "conf/whisper/base.yaml",
            "fas-conf": " ".join(str(folder / f"{s}.yaml") for s in STREAMS),
            "seeds": "1",
            "nj": "1",
        }
        options |= {"corpora": "corpora", "datadir": "data", "dumpdir": "dump", "expdir": "exp"}
        command = [x for key, value in options.items() for x in (f"--{key}", value)]
        for stages in (("--stop-stage", 0), ("--stage", 2)):  # no stream takes stage 1's frames
            done = run("bash", ROOT / "run.sh", *command, *stages, env=ENV, cwd=folder)
            assert done.returncode == 0, done.stderr[-3000:]

    return once(tmp_path_factory, "conflict_sets", make)


def test_conflict_figures_stand_on_what_the_release_says_of_the_words(made: Path) -> None:
    text = (made / "exp/RESULTS.md").read_text(encoding="utf-8")
    for name, agree, differ in (("emotiontalk", 2, 3), ("emis", 4, 12)):
        section = text.split(f"## {name}: tone against words")[1].split("\n## ")[0]
        assert "as the corpus knows it (utt2sem)" in section
        assert f"(n {agree})" in section and f"(n {differ})" in section
        rows = [line.split("|")[1].strip() for line in section.splitlines() if line.startswith("| ")]
        assert rows[:4] == ["system", *STREAMS]
    assert json.loads((made / "exp/results.json").read_text())["detection"].keys() == {"emotiontalk", "emis"}
    assert "as the corpus knows it" not in text.split("## emo_emilia: tone against words")[-1].split("\n## ")[0]


@pytest.mark.parametrize("name", ["emotiontalk", "emis"])
@pytest.mark.parametrize("system", STREAMS)
def test_conflict_figures_are_those_of_the_hypotheses(made: Path, name: str, system: str) -> None:
    shown = "emotiontalk-test" if name == "emotiontalk" else name
    found = next((made / "exp").glob(f"{system}-*/seed1/score/{shown}/hyp"))
    hyp, data = analysis.read_hyp(found), datadir.read(made / "data" / name)
    given = {u: hyp.labels[i] for u, i in zip(hyp.utts, hyp.given, strict=True)}
    differ = [u for u in given if data.utt2emo[u] != data.utt2sem[u]]
    row = json.loads((made / "exp/results.json").read_text())["conflict"][name][system]
    for key, wanted in (("acoustic_capture", data.utt2emo), ("semantic_capture", data.utt2sem)):
        assert row[key]["mean"] == pytest.approx(np.mean([given[u] == wanted[u] for u in differ]))


def test_what_was_trained_on_is_in_domain_and_the_rest_zero_shot(made: Path) -> None:
    results = {}
    for shown in SETS:
        path = next((made / "exp").glob(f"fas-*/seed1/score/{shown}/result.json"))
        results[shown] = json.loads(path.read_text())
    assert [r["protocol"] for r in results.values()] == ["in-domain", "zero-shot", "zero-shot"]
    assert [r["n"] for r in results.values()] == [5, 16, 6]
    assert results["emis"]["labels_given"] == ["angry", "happy", "neutral", "sad"]
    assert set(datadir.read(made / "data/emo_emilia").utt2lang.values()) == {"en", "zh"}
    assert "太好了" in (made / "data/emotiontalk/text").read_text(encoding="utf-8")
