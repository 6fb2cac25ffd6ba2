"""local/conflict_set.py with a synthesiser outside: what fails is named, tried again and listed; nothing twice."""

import csv
import os
import signal
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path

import pytest
import yaml

from fas.data import datadir
from fas.errors import ConfError, DataError
from fas.synthesis import command, lines, make, plan
from fas.synthesis.journal import spoken
from tests.conftest import ROOT, run

EMOTIONS = ("angry", "happy", "neutral", "sad")
ENV = os.environ | {"PYTHONPATH": str(ROOT)}
LINES = [
    ("angry", "You broke it on purpose, \"didn't\" you; $(touch gone) `id`"),
    ("angry", "Get out & never come back {voice}"),
    ("happy", "We won the cup!"),
    ("happy", "She said yes, Größe ist alles 好"),
    ("neutral", "The bus leaves at nine."),
    ("neutral", "There are three chairs."),
    ("sad", "He is gone for ever."),
    ("sad", "I lost her letters."),
]


def write(folder: Path, **changes: object) -> Path:
    """A set of two voices and eight lines in `folder`, spoken by speak.py; `changes` are keys of its conf."""
    folder.mkdir(exist_ok=True)
    rows = [f"{sem}\t{text}\tat home" for sem, text in LINES]
    (folder / "lines.tsv").write_text("\n".join(["sem\ttext\tscenario", *rows]) + "\n")
    arguments = ["--text={text}", "--emotion", "{style}", "--voice={voice}", "--seed", "{seed}", "--out", "{wav}"]
    words = [sys.executable, "-S", str(Path(__file__).with_name("speak.py")), *arguments, "--faults", str(folder)]
    values = {
        "name": "second", "title": "a second set", "who": "Two machines.", "terms": "CC0 1.0", "language": "en",
        "lines": "lines.tsv", "emotions": {e: {"style": f"very {e}"} for e in EMOTIONS},
        "speakers": {"all": {"anna": {"voice": "zh_7"}, "bert": {"voice": "-v 8"}}},
        "plan": {"test": {"voices": "all", "agree": 1, "conflict": 1}},
        "synthesiser": {"command": words, "sample_rate": 24000, "tries": 3, "timeout": 20},
    }  # fmt: skip
    (folder / "set.yaml").write_text(yaml.safe_dump(values | changes, allow_unicode=True))
    return folder / "set.yaml"


def program(conf: Path) -> list[str]:
    folders = (conf.parent / "corpora", conf.parent / "data")
    return [sys.executable, *map(str, (ROOT / "local/conflict_set.py", "--conf", conf, *folders))]


def conflict_set(conf: Path) -> subprocess.CompletedProcess[str]:
    return run(*program(conf), env=ENV)


def failures(folder: Path) -> list[dict[str, str]]:
    with open(folder / "corpora/second/failures.tsv", encoding="utf-8", newline="") as f:
        return list(csv.DictReader(f, delimiter="\t", quoting=csv.QUOTE_NONE))


def test_a_crash_a_silent_file_and_a_wrong_rate(tmp_path: Path) -> None:
    conf = write(tmp_path)
    (tmp_path / "crash").write_text("We won the cup! 1\n")  # only the first try fails
    (tmp_path / "silent").write_text("He is gone for ever. 9\n")
    (tmp_path / "rate").write_text("The bus leaves at nine. 9\n")
    (tmp_path / "killed").write_text("There are three chairs. 2\n")
    done = conflict_set(conf)
    assert done.returncode == 1 and "Traceback" not in done.stderr, done.stderr
    for said in ("is silent", "has 16000 Hz, not 24000 (sample_rate)", "spoken at try 2", "spoken at try 3"):
        assert said in done.stderr
    made = make.planned(conf, tmp_path / "corpora", 1, None)
    texts = {u.utt: u.text for u in made.utterances}
    reasons = {(texts[row["utt"]], row["spoken_later"]): row["reason"] for row in failures(tmp_path)}
    assert reasons["We won the cup!", "yes"] == "ended with exit status 1 (out of memory on the device)"
    assert reasons["There are three chairs.", "yes"].startswith("was ended by SIGKILL")
    assert {t for t, later in reasons if later == "no"} == {"He is gone for ever.", "The bus leaves at nine."}
    lost = [u for u in made.utterances if u.text in ("He is gone for ever.", "The bus leaves at nine.")]
    assert len([r for r in failures(tmp_path) if r["spoken_later"] == "no"]) == 3 * len(lost)
    assert not (tmp_path / "data").exists() and not (tmp_path / "corpora/second/metadata.tsv").exists()

    before = (tmp_path / "tries").read_text().splitlines()
    (tmp_path / "silent").unlink()
    (tmp_path / "rate").unlink()
    done = conflict_set(conf)  # the cause is mended: only what is missing is spoken
    assert done.returncode == 0, done.stderr
    after = (tmp_path / "tries").read_text().splitlines()[len(before) :]
    assert len(after) == len(lost) and not (tmp_path / "corpora/second/failures.tsv").exists()
    assert not Path("gone").exists() and any(line.startswith("zh_7 very ") for line in before)
    assert any(line.endswith("$(touch gone) `id`") for line in before)

    data = datadir.read(tmp_path / "data/second/test")
    assert len(data) == 16 and data.utt2sem != data.utt2emo and set(data.emotions) == set(EMOTIONS)
    assert Counter(data.utt2emo.values()) == dict.fromkeys(EMOTIONS, 4)
    assert "CC0 1.0" in (tmp_path / "data/second/README.md").read_text()
    assert (tmp_path / "corpora/second/metadata.tsv").read_text().count("\tat home\n") == 16
    assert "nothing to do" in conflict_set(conf).stderr


def test_a_killed_run_goes_on_and_speaks_nothing_twice(tmp_path: Path) -> None:
    conf = write(tmp_path)
    process = subprocess.Popen(program(conf), env=ENV, stderr=subprocess.DEVNULL)
    journal = tmp_path / "corpora/second/.spoken.jsonl"
    while not journal.exists() or len(spoken(journal.parent)) < 4:
        assert process.poll() is None
        time.sleep(0.02)
    process.send_signal(signal.SIGKILL)
    process.wait()
    there = len(spoken(journal.parent))
    journal.write_text(journal.read_text() + '\n{"utt": "torn')
    before = len((tmp_path / "tries").read_text().splitlines())
    done = conflict_set(conf)
    assert done.returncode == 0 and f"{there} there" in done.stderr, done.stderr
    assert len((tmp_path / "tries").read_text().splitlines()) - before == 16 - there
    assert not list((tmp_path / "corpora").rglob(".parts"))


def test_a_changed_line_is_spoken_anew_and_no_other(tmp_path: Path) -> None:
    conf = write(tmp_path)
    assert conflict_set(conf).returncode == 0
    table = (tmp_path / "lines.tsv").read_text()
    (tmp_path / "lines.tsv").write_text(table.replace("We won the cup!", "We won it all!"))
    before = (tmp_path / "tries").read_text().splitlines()
    assert conflict_set(conf).returncode == 0
    after = (tmp_path / "tries").read_text().splitlines()[len(before) :]
    assert after and all("We won it all!" in line for line in after)


def test_a_folder_of_something_else_is_never_touched(tmp_path: Path) -> None:
    (tmp_path / "corpora/second").mkdir(parents=True)
    (tmp_path / "corpora/second/thesis.txt").write_text("years of work")
    made = make.planned(write(tmp_path), tmp_path / "corpora", 1, None)
    with pytest.raises(DataError, match="no conflict set"):
        make.make(made, 1)
    assert [p.name for p in (tmp_path / "corpora/second").iterdir()] == ["thesis.txt"]


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"synthesiser": {"command": ["no-such-tts", "{text}", "{wav}"]}}, "no program 'no-such-tts'"),
        ({"synthesiser": {"command": ["true", "{text}"]}}, "lacks {wav}"),
        ({"synthesiser": {"command": ["true", "{text}", "{wav}", "{mood}"]}}, "{mood} is none of"),
        ({"synthesiser": "festival"}, "espeak, people or has a command"),
        ({"synthesiser": "espeak"}, "angry lacks breath"),
        ({"plan": {"test": {"voices": "nobody", "agree": 1}}}, "no group of speakers"),
        ({"plan": {"test": {"voices": "all", "conflict": 4}}}, "conflict at most 2"),
        ({"plan": {"test": {"voices": "all"}}}, "all are 0"),
        ({"speakers": {"a": {"anna": {}}, "b": {"anna": {}}}}, "in two groups"),
        ({"speakers": {"all": ["anna", "bert"]}}, "speakers: all must map names to entries"),
        ({"plan": {"test": [1]}}, "plan: test must map names to entries"),
        ({"length": [4]}, "length: give the least and the most, not [4]"),
        ({"synthesiser": {"command": ["true", "{text}", "{wav}"], "seconds": [9, 3]}}, "seconds: give the least"),
        ({"synthesiser": {"command": ["true", "{text}", "{wav}"], "tries": 0}}, "tries is 1 or more"),
        ({"name": "../x"}, "letters, digits and underscores"),
    ],
)
def test_what_is_wrong_with_a_conf_is_named(tmp_path: Path, changes: dict, says: str) -> None:
    with pytest.raises(ConfError) as error:
        make.planned(write(tmp_path, **changes), tmp_path, 1, None)
    assert says in str(error.value)


def test_what_is_wrong_with_lines_is_named(tmp_path: Path) -> None:
    rows = ["sem\ttext", "happy\tWe won the cup!", "happy\twe won, the cup", "glad\tHurray for all", "sad\tNo"]
    (tmp_path / "lines.tsv").write_text("\n".join(rows) + "\n")
    with pytest.raises(DataError) as error:
        lines.read(tmp_path / "lines.tsv", EMOTIONS, [4, 200])
    for said in ("lines.tsv:3: says what", "lines.tsv:4: sem is 'glad'", "lines.tsv:5: 'No' has 2 characters"):
        assert said in str(error.value)
    table = {("", "happy"): [lines.Line("1", "happy", "", "a")] * 5, ("", "sad"): [lines.Line("2", "sad", "", "b")] * 2}
    assert "uneven" in lines.balance(table, ["happy", "neutral", "sad"])[0]


def test_too_few_lines_are_named(tmp_path: Path) -> None:
    conf = write(tmp_path, plan={"test": {"voices": "all", "agree": 3}})
    with pytest.raises(DataError, match="too few lines have the emotion angry"):
        make.planned(conf, tmp_path, 1, None)
    with pytest.raises(DataError, match="--utts 2"):
        make.planned(write(tmp_path), tmp_path, 1, 2)


def test_a_voice_says_no_line_twice_where_the_lines_are_shuffled_anew() -> None:
    made = plan.SetConf("x", "", "", "", "en", "", {"happy": {}, "sad": {}}, {"all": {f"v{i}": {} for i in range(9)}},
                        {"test": plan.Part("all", agree=3)})  # fmt: skip
    table = {("", e): [lines.Line(f"{e}{i}", e, "", f"{e} {i}") for i in range(4)] for e in ("happy", "sad")}
    said = Counter((u.speaker, u.line_id) for u in plan.plan(made, table, 1))
    assert set(said.values()) == {1}
    spoken = Counter(line for _, line in said.elements())
    assert max(spoken.values()) - min(spoken.values()) <= 1


@pytest.mark.parametrize("count", [1, 2, 3, 4, 5])
def test_conflicting_pairs_are_balanced_whatever_their_number(count: int) -> None:
    labels = ["angry", "disgust", "fear", "happy", "neutral", "sad", "surprise"]
    voices = {f"v{i}": {} for i in range(30)}
    made = plan.SetConf("x", "", "", "", "en", "", {e: {} for e in labels}, {"all": voices},
                        {"test": plan.Part("all", conflict=count)})  # fmt: skip
    table = {("", e): [lines.Line(f"{e}{i}", e, "", f"{e} {i}") for i in range(200)] for e in labels}
    utterances = plan.plan(made, table, 1)
    pairs = Counter((u.emo, u.sem) for u in utterances)
    for emo in labels:
        each = [n for (voice, _), n in pairs.items() if voice == emo]
        assert max(each) - min(each) <= 1 and len(each) == (6 if emo == "neutral" else 5)
    words = Counter(u.sem for u in utterances)
    assert max(words.values()) < 1.25 * min(words.values())


def test_a_value_is_one_argument_whatever_it_holds() -> None:
    values = {"text": '"; rm -rf / {wav} $HOME', "wav": "/tmp/a b.wav"}
    made = command.arguments(["say", "--text={text}", "{wav}"], values)
    assert made == ["say", f"--text={values['text']}", "/tmp/a b.wav"]
