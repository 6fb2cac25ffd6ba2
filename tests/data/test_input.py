"""Odd and hostile input, each file made here for real: used rightly, or named and refused."""

import os
import re
import struct
import sys
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
import soundfile
import yaml

from fas import conf
from fas.data import audio, corpora, datadir, prepare, tables
from fas.data.datadir import DataDir
from fas.errors import AudioError, ConfError, DataError, FetchError
from fas.frontend import fetch
from tests.conftest import ENV, ROOT, run

RATE = 16000
TONE = (0.5 * np.sin(2 * np.pi * 440 * np.arange(RATE) / RATE)).astype(np.float32)


def is_the_tone(samples: np.ndarray, tolerance: float = 0.02) -> bool:
    """A second (or so) of 440 Hz at half of full scale."""
    middle = samples[len(samples) // 4 : len(samples) // 4 + 8000]
    peak = np.abs(np.fft.rfft(middle * np.hanning(len(middle)))).argmax() * RATE / len(middle)
    return (
        samples.dtype == np.float32
        and abs(len(samples) - RATE) < 0.1 * RATE
        and abs(peak - 440) <= 2
        and abs(np.sqrt(np.mean(middle**2)) - 0.5 / np.sqrt(2)) < tolerance
    )


def encode(path: Path, codec: str, rate: int, channels: int) -> None:
    """The tone through one of FFmpeg's encoders."""
    import av

    tone = (0.5 * np.sin(2 * np.pi * 440 * np.arange(rate) / rate)).astype(np.float32)
    with av.open(str(path), "w") as container:
        stream = container.add_stream(codec, rate=rate, layout="mono" if channels == 1 else "stereo")
        block = stream.codec_context.frame_size or 1024
        resampler = av.AudioResampler(format=stream.codec_context.format, layout=stream.layout, rate=rate)
        for start in range(0, rate, block):
            piece = np.tile(tone[start : start + block], (channels, 1))
            frame = av.AudioFrame.from_ndarray(piece, format="fltp", layout=stream.layout.name)
            frame.sample_rate, frame.pts, frame.time_base = rate, start, Fraction(1, rate)
            for part in resampler.resample(frame):
                container.mux(stream.encode(part))
        container.mux(stream.encode(None))


SUBTYPES = {
    "wav": ("PCM_U8", "PCM_16", "PCM_24", "PCM_32", "FLOAT", "DOUBLE", "ULAW", "ALAW", "IMA_ADPCM", "MS_ADPCM"),
    "aiff": ("PCM_S8", "PCM_16", "PCM_24", "PCM_32", "FLOAT"),
    "flac": ("PCM_S8", "PCM_16", "PCM_24"),
    "ogg": ("VORBIS", "OPUS"),
    "mp3": ("MPEG_LAYER_III",),
    "w64": ("PCM_16",),
    "au": ("PCM_16",),
    "caf": ("PCM_16",),
}


@pytest.mark.parametrize(("suffix", "subtype"), [(f, s) for f, every in SUBTYPES.items() for s in every])
@pytest.mark.parametrize("channels", [1, 2])
def test_formats_and_widths(tmp_path: Path, suffix: str, subtype: str, channels: int) -> None:
    path = tmp_path / f"a.{suffix}"
    soundfile.write(path, np.repeat(TONE[:, None], channels, 1), RATE, subtype=subtype)
    assert abs(audio.check(path) - 1) < 0.1
    assert is_the_tone(audio.read(path))


@pytest.mark.parametrize("rate", [8000, 24414, 48000])
@pytest.mark.parametrize("channels", [1, 2])
@pytest.mark.parametrize(("suffix", "codec"), [("m4a", "aac"), ("mp4", "aac"), ("mkv", "flac"), ("webm", "libopus")])
def test_containers(tmp_path: Path, suffix: str, codec: str, rate: int, channels: int) -> None:
    if (rate == 24414 and codec != "flac") or (rate, codec) == (8000, "aac"):
        rate = 44100 if codec == "aac" else 24000  # what these coders know
    path = tmp_path / f"a.{suffix}"
    encode(path, codec, rate, channels)
    assert is_the_tone(audio.read(path), 0.03)


def test_a_wrong_suffix_does_not_matter(tmp_path: Path) -> None:
    for i, kind in enumerate(("AIFF", "FLAC", "OGG", "WAV", "MP3")):
        path = tmp_path / f"{i}.{'flac' if kind == 'WAV' else 'wav'}"
        soundfile.write(path, TONE, RATE, format=kind)
        assert is_the_tone(audio.read(path)), kind
    encode(tmp_path / "a.m4a", "aac", RATE, 1)
    (tmp_path / "a.m4a").rename(tmp_path / "b.wav")
    with pytest.raises(AudioError, match=r"b\.wav: not readable as audio .*convert it"):
        audio.read(tmp_path / "b.wav")


@pytest.mark.parametrize(
    ("samples", "rate", "says"),
    [
        ([], RATE, "no samples in it; drop"),
        ([0.1], RATE, None),
        ([0.1], 192000, "no sample is left"),
        (TONE[:320], RATE, None),  # 20 ms
        (np.zeros(RATE), RATE, None),
        (np.clip(TONE * 10, -1, 1), RATE, None),
        ([0.1, np.nan, 0.1], RATE, "NaN or infinite"),
        ([0.1, np.inf], RATE, "NaN or infinite"),
        ([0.1, -np.inf], RATE, "NaN or infinite"),
    ],
)
def test_odd_samples(tmp_path: Path, samples: np.ndarray, rate: int, says: str | None) -> None:
    path = tmp_path / "odd.wav"
    soundfile.write(path, np.asarray(samples, np.float64), rate, subtype="FLOAT")
    if says is None:
        assert len(audio.read(path)) == len(samples)
    else:
        with pytest.raises(AudioError, match=rf"odd\.wav: .*{says}"):
            audio.read(path)


def test_doubles_beyond_float32_are_refused(tmp_path: Path) -> None:
    soundfile.write(tmp_path / "a.wav", np.array([0.1, 1e300]), RATE, subtype="DOUBLE")
    with pytest.raises(AudioError, match="infinite"):
        audio.read(tmp_path / "a.wav")


def test_three_hours_are_no_utterance(tmp_path: Path) -> None:
    path = tmp_path / "long.flac"
    with soundfile.SoundFile(path, "w", 8000, 1) as f:
        for _ in range(3 * 60):
            f.write(np.zeros(60 * 8000, np.int16))
    with pytest.raises(AudioError, match=r"long\.flac: lasts 10800 s; cut it"):
        audio.read(path)


@pytest.mark.parametrize("suffix", ["wav", "aiff", "flac", "mp3", "ogg", "w64", "au"])
def test_cut_files_are_refused(tmp_path: Path, suffix: str) -> None:
    soundfile.write(tmp_path / f"a.{suffix}", np.random.default_rng(0).normal(0, 0.1, RATE), RATE)
    whole = (tmp_path / f"a.{suffix}").read_bytes()
    for size in (len(whole) // 2, len(whole) // 10, 50, 1):
        path = tmp_path / f"cut{size}.{suffix}"
        path.write_bytes(whole[:size])
        with pytest.raises(AudioError, match=path.name):
            audio.read(path)


@pytest.mark.parametrize(
    ("size", "says"),
    [
        (0xFFFFFFFF, None),  # written to a pipe: all that is there is taken
        (0x7FFFFFFF, None),
        (RATE * 2 + 2, "its header says 32002 bytes of sound where 32000 are left"),
        (10**6, "its header says 1000000 bytes of sound where 32000 are left"),
        (0, "no samples in it"),
    ],
)
def test_headers_that_lie(tmp_path: Path, size: int, says: str | None) -> None:
    path = tmp_path / "lie.wav"
    soundfile.write(path, TONE, RATE)
    content = bytearray(path.read_bytes())
    place = content.index(b"data") + 4
    content[place : place + 4] = struct.pack("<I", size)
    path.write_bytes(content)
    if says is None:
        assert is_the_tone(audio.read(path))
    else:
        with pytest.raises(AudioError, match=says):
            audio.read(path)


def test_all_bad_files_are_named_or_skipped(small: DataDir, tmp_path: Path, python_path: None) -> None:
    """Sixty files, each third one bad in its own way; nothing stops at the first."""
    data = DataDir("many", {}, {}, {}, {}, ["sad"])
    bad = [
        ("not readable", lambda p: p.write_bytes(b"no audio")),
        ("empty file", lambda p: p.write_bytes(b"")),
        ("no such file", lambda p: p.unlink()),
        ("NaN", lambda p: soundfile.write(p, np.array([0, np.nan]), RATE, subtype="FLOAT")),
        ("bytes of sound", lambda p: p.write_bytes(p.read_bytes()[:1000])),
    ]
    for i in range(60):
        utt = f"s_{i:02d}"
        wav = tmp_path / f"{utt}.wav"
        soundfile.write(wav, TONE, RATE)
        data.wav[utt], data.utt2spk[utt], data.utt2emo[utt], data.utt2dur[utt] = str(wav), "s", "sad", 1.0
        if i % 3 == 0:
            bad[i // 3 % len(bad)][1](wav)
    data.write(tmp_path / "many")
    data.subset(lambda u: int(u[2:]) < 30).write(tmp_path / "many/train")
    command = (sys.executable, "-m", "fas.bin.data", "validate", "--audio")
    done = run(*command, tmp_path / "many")
    assert done.returncode == 1 and all(says in done.stderr for says, _ in bad)
    assert sum(f"'s_{i:02d}'" in done.stderr for i in range(0, 60, 3)) == 20
    done = run(*command, "--skip-bad", tmp_path / "many")
    assert done.returncode == 0 and "20 utterances skipped" in done.stderr, done.stderr
    skipped = tables.read_table(tmp_path / "many/skipped")
    assert list(skipped) == [f"s_{i:02d}" for i in range(0, 60, 3)]
    assert all(bad[i % len(bad)][0] in why for i, why in enumerate(skipped.values()))
    assert len(datadir.read(tmp_path / "many")) == 40 and len(datadir.read(tmp_path / "many/train")) == 20
    assert run(*command, tmp_path / "many").returncode == 0


def good_files(folder: Path) -> list[Path]:
    """A file of each kind that is to be used."""
    made = []

    def tone(name: str, rate: int = RATE, channels: int = 1, gain: float = 1, seconds: float = 1, **how: str) -> None:
        samples = np.clip(gain * np.sin(2 * np.pi * 440 * np.arange(int(rate * seconds)) / rate), -1, 1)
        soundfile.write(folder / name, np.repeat(samples[:, None], channels, 1), rate, **how)
        made.append(folder / name)

    for rate in (8000, 11025, 22050, 24414, 44100, 48000, 96000, 192000):
        tone(f"{rate}.wav", rate)
    for channels in (2, 3, 6, 8):
        tone(f"{channels}.flac", channels=channels)
    for suffix, every in SUBTYPES.items():
        for subtype in every:
            tone(f"{subtype}.{suffix}", subtype=subtype)
    for name, how in {"short": {"seconds": 0.02}, "silent": {"gain": 0}, "clipped": {"gain": 10}}.items():
        tone(f"{name}.wav", **how)
    tone("aiff.wav", format="AIFF")
    soundfile.write(folder / "one.wav", [0.1], RATE)
    for suffix, codec in {"m4a": "aac", "mp4": "aac", "mkv": "flac", "webm": "libopus"}.items():
        encode(folder / f"a.{suffix}", codec, 48000, 2)
    return [*made, folder / "one.wav", *folder.glob("a.*")]


def bad_files(folder: Path) -> dict[Path, str]:
    """A file of each kind that can't be used, beside the good ones, and the reason."""
    for name, source in {"cut.wav": "8000.wav", "cut.flac": "2.flac", "cut.m4a": "a.m4a"}.items():
        (folder / name).write_bytes((folder / source).read_bytes()[:1000])
    (folder / "empty.wav").touch()
    (folder / "words.wav").write_text("no audio")
    (folder / "m4a.wav").write_bytes((folder / "a.m4a").read_bytes())
    for name, samples in {"none": [], "nan": [0, np.nan], "infinite": [0, -np.inf]}.items():
        soundfile.write(folder / f"{name}.wav", np.array(samples), RATE, subtype="FLOAT")
    with soundfile.SoundFile(folder / "hours.flac", "w", 8000, 1) as f:
        for _ in range(3 * 60):
            f.write(np.zeros(60 * 8000, np.int16))
    (folder / "folder.wav").mkdir()
    reasons = {
        "cut.wav": "bytes of sound where", "cut.flac": "decoded", "cut.m4a": "not readable", "empty.wav": "empty",
        "words.wav": "not readable", "m4a.wav": "not readable", "none.wav": "no samples", "nan.wav": "NaN",
        "infinite.wav": "infinite", "hours.flac": "lasts 10800 s", "folder.wav": "no such file", "gone.wav": "no such",
    }  # fmt: skip
    return {folder / name: why for name, why in reasons.items()}


@pytest.mark.skipif("FAS_LONG" not in os.environ, reason="ten thousand files take minutes: set FAS_LONG")
def test_extraction_over_ten_thousand_files(tmp_path: Path) -> None:
    """Nothing stops at the first bad one: all are counted, or with --skip-bad listed, and all good ones extracted."""
    (tmp_path / "kinds").mkdir()
    good, bad = good_files(tmp_path / "kinds"), bad_files(tmp_path / "kinds")
    kinds = [*good, *bad]
    data = DataDir("many", {}, {}, {}, {}, ["sad"])
    (tmp_path / "wav").mkdir()
    for i in range(10_000):
        kind, utt = kinds[i % len(kinds)], f"s_{i:05d}"
        wav = tmp_path / "wav" / f"{utt}{kind.suffix}"
        wav.symlink_to(kind)
        data.wav[utt], data.utt2spk[utt], data.utt2emo[utt], data.utt2dur[utt] = str(wav), "s", "sad", 1.0
    wrong = {u: bad[kind] for u, p in data.wav.items() if (kind := Path(p).readlink()) in bad}
    data.write(tmp_path / "data/many")
    (tmp_path / "fbank.yaml").write_text("kind: s3prl\nupstream: fbank\n")
    options = ("--stop-stage", 1, "--sets", "many", "--ssl-conf", tmp_path / "fbank.yaml")
    done = run("bash", ROOT / "run.sh", *options, cwd=tmp_path, env=ENV)
    assert done.returncode == 1 and f"and {len(wrong) - datadir.MOST_PROBLEMS} problems more" in done.stderr
    assert not (tmp_path / "dump").exists()
    done = run("bash", ROOT / "run.sh", *options, "--skip-bad", "true", cwd=tmp_path, env=ENV)
    assert done.returncode == 0, done.stderr[-3000:]
    skipped = tables.read_table(tmp_path / "data/many/skipped")
    assert skipped.keys() == wrong.keys() and all(why in skipped[u] for u, why in wrong.items())
    frames = tables.read_table(tmp_path / "dump/ssl/fbank/many/utt2num_frames")
    assert frames.keys() == data.wav.keys() - wrong.keys() and all(int(n) > 0 for n in frames.values())
    print(f"10,000 files of {len(kinds)} kinds: {len(frames)} extracted, {len(skipped)} skipped")


# Text files

TABLES = {
    "CRLF": (lambda t: t.replace(b"\n", b"\r\n"), None),
    "no newline at the end": (lambda t: t[:-1], r"wav.scp:6: no newline at the end"),
    "tabs": (lambda t: t.replace(b" ", b"\t", 1), r"wav.scp:1: no key .*set a space for a tab"),
    "byte order mark": (lambda t: b"\xef\xbb\xbf" + t, r"wav.scp:1: starts with a byte order mark"),
    "Latin-1": (lambda t: t.replace(b"spk0_0", b"sp\xe90_0", 1), r"wav.scp:1: not UTF-8 \(byte 0xe9\); .*iconv"),
    "blank line": (lambda t: b"\n" + t, r"wav.scp:1: no key .*remove blank lines"),
    "space in a key": (lambda t: t.replace(b"spk0_0 ", b"spk0 _0 ", 1), r"utt2spk: utterance 'spk0' of wav.scp"),
    "unsorted": (lambda t: b"".join(reversed(t.splitlines(True))), r"wav.scp:2: .*out of order; sort"),
    "duplicate": (lambda t: t.splitlines(True)[0] + t, r"wav.scp:2: duplicate key 'spk0_0'"),
    "UTF-16": (lambda t: t.decode().encode("utf-16"), r"wav.scp:1: not UTF-8 \(byte 0xff\)"),
    "zero bytes": (lambda t: t.replace(b"spk0_0", b"spk\0_0", 1), r"wav.scp:1: the key .* don't print"),
    "nothing": (lambda t: b"", r"no utterance|wav.scp"),
    "a pipe to write to": (lambda t: t.replace(b" /", b" | /", 1), r"wav.scp: utterance 'spk0_0' is written to a pipe"),
}


@pytest.mark.parametrize("kind", TABLES)
def test_text_files(small: DataDir, tmp_path: Path, kind: str) -> None:
    change, says = TABLES[kind]
    path = tmp_path / "data/wav.scp"
    path.write_bytes(change(path.read_bytes()))
    if says is None:
        assert datadir.read(tmp_path / "data").digest() == small.digest()
    else:
        with pytest.raises(DataError, match=says):
            datadir.read(tmp_path / "data")


def test_words_with_carriage_returns_and_files_of_one_word(small: DataDir, tmp_path: Path) -> None:
    d = tmp_path / "data"
    for name in ("text", "corpus", "emotions", "utt2spk"):
        (d / name).write_bytes((d / name).read_bytes().replace(b"\n", b"\r\n"))
    (d / "emotions").write_bytes(b"\xef\xbb\xbf" + (d / "emotions").read_bytes())
    assert datadir.read(d).digest() == small.digest()
    (d / "corpus").write_bytes(b"caf\xe9\n")
    with pytest.raises(DataError, match="corpus: not UTF-8"):
        datadir.read(d)


# Pipes in wav.scp


def test_pipes_are_run_only_where_they_are_allowed(small: DataDir, tmp_path: Path) -> None:
    """Their features are those of the files; the option is part of neither the data nor the conf."""
    small.write(tmp_path / "data/plain")
    for utt, wav in small.wav.items():
        small.wav[utt] = f"echo {utt} >> {tmp_path}/ran; cat '{wav}' | cat |"
    small.write(tmp_path / "data/piped")
    (tmp_path / "fbank.yaml").write_text("kind: s3prl\nupstream: fbank\n")
    command = ["bash", ROOT / "run.sh", "--sets", "plain piped", "--ssl-conf", tmp_path / "fbank.yaml"]
    done = run(*command, "--stop-stage", 1, "--skip-bad", "true", cwd=tmp_path, env=ENV)
    assert done.returncode == 1 and len(datadir.read(tmp_path / "data/piped")) == 6
    for utt in small.utts:
        assert f"wav.scp: utterance {utt!r} is a pipe, which is run only with --allow-pipes true" in done.stderr
    assert not (tmp_path / "ran").exists() and not (tmp_path / "dump").exists()
    done = run(*command, "--stop-stage", 1, "--allow-pipes", "true", cwd=tmp_path, env=ENV)
    assert done.returncode == 0, done.stderr
    assert sorted((tmp_path / "ran").read_text().split()) == sorted(small.utts * 2)  # checked once, read once
    made = tmp_path / "dump/ssl/fbank"
    for ark in ("feats.1.ark", "feats.2.ark"):
        assert (made / "piped" / ark).read_bytes() == (made / "plain" / ark).read_bytes()
    (tmp_path / "ran").unlink()
    arguments = ("ssl", "job", "--conf", tmp_path / "fbank.yaml", "--data", tmp_path / "data/piped", "--job", 1)
    env = ENV | {"PYTHONPATH": str(ROOT)}
    done = run(sys.executable, "-m", "fas.bin.extract", *arguments, "--out", tmp_path / "out", env=env)
    assert done.returncode == 1 and "error: utterance 'spk0_0': echo" in done.stderr and "is a pipe" in done.stderr
    assert not (tmp_path / "ran").exists()


def test_a_changed_input_of_a_pipe_is_noticed(small: DataDir, tmp_path: Path) -> None:
    wav = small.wav["spk0_0"]
    small.wav["spk0_0"] = f"cat '{wav}' |"
    before = small.fingerprint()
    assert small.fingerprint() == before
    soundfile.write(wav, TONE, RATE)
    assert small.fingerprint() != before


@pytest.mark.parametrize(
    ("pipe", "says"),
    [
        ("echo gone >&2; exit 3 |", r"exit status 3 \(gone\); mend it"),
        ("kill -9 $$ |", "exit status -9"),
        ("true |", "wrote nothing"),
        ("no_such_program |", "exit status 127 .*not found"),
        ("echo words |", "not readable as audio"),
        ("cat {} | head -c 9000 |", "its header says 32000 bytes of sound where 8956 are left"),
    ],
)
def test_a_pipe_that_fails_is_named(small: DataDir, tmp_path: Path, python_path: None, pipe: str, says: str) -> None:
    soundfile.write(tmp_path / "tone.wav", TONE, RATE)
    small.wav["spk0_1"] = pipe.format(tmp_path / "tone.wav")
    small.write(tmp_path / "data")
    done = run(sys.executable, "-m", "fas.bin.data", "validate", "--audio", "--allow-pipes", tmp_path / "data")
    assert done.returncode == 1
    assert re.search(rf"data: utterance 'spk0_1': {re.escape(small.wav['spk0_1'])}: .*{says}", done.stderr), done.stderr


def test_a_corpus_can_not_bring_pipes(tmp_path: Path) -> None:
    """A file whose name would be a command in wav.scp is refused where the data directory is made."""
    path = tmp_path / "touch ran |"
    soundfile.write(path, TONE, RATE, format="WAV")
    utterance = corpora.Utterance(utt="s_a", speaker="s", wav=path, emotion="sad")
    with pytest.raises(DataError, match=r"touch ran \|': a path .* that ends in a space or \|, can't be used"):
        prepare.make("toy", [utterance], ["sad"])


# Hostile content

RUNS = ("$(touch ran)", "`touch${IFS}ran`", ";touch${IFS}ran;", "|touch${IFS}ran")
HOSTILE = (*RUNS, "../../up", "<script>alert(1)</script>")


def hostile_data(folder: Path) -> DataDir:
    """A data directory, its audio and its words, all of whose names try to run or to leave."""
    data = DataDir("toy", {}, {}, {}, {}, ["angry", "happy"])
    random = np.random.default_rng(0)
    for i in range(24):
        speaker = f"{HOSTILE[i // 4].replace(' ', '${IFS}')}"
        utt = f"{speaker}_{i:02d}"
        wav = folder / f"{HOSTILE[i % 6].replace('/', '')} {i}.wav"
        soundfile.write(wav, random.normal(0, 0.1 + 0.2 * (i % 2), 8000), RATE)
        data.wav[utt], data.utt2spk[utt], data.utt2dur[utt] = str(wav), speaker, 0.5
        data.utt2emo[utt] = data.emotions[i % 2]
        data.text[utt] = f"{HOSTILE[i % 6]} said {HOSTILE[i // 4]}"
    return data


def test_a_hostile_corpus_through_every_stage(tmp_path: Path) -> None:
    """Nothing that the names say is run, and no file appears outside of the output folders."""
    folder = tmp_path / "work"
    (folder / "wav").mkdir(parents=True)
    data = hostile_data(folder / "wav")
    data.write(folder / "data/toy")
    for part, rest in {"train": (0, 1), "dev": (2,), "test": (3,)}.items():
        data.subset(lambda u, rest=rest: int(u[-2:]) // 2 % 4 in rest).write(folder / f"data/toy/{part}")
    (tmp_path / "fbank.yaml").write_text("kind: s3prl\nupstream: fbank\n")
    text = {"streams": {"acoustic": {"feats": "ssl", "tokens": 4}, "text": {"feats": "text", "patch": 1, "tokens": 4}}}
    (tmp_path / "fas.yaml").write_text(yaml.safe_dump(text | {"width": 16, "heads": 2, "epochs": 2, "batch": 8}))
    (tmp_path / "spm.yaml").write_text("kind: spm\nvocab_size: 40\ndim: 8\n")
    names = {"ssl": "fbank", "fas": "fas"}
    options = [x for k, v in names.items() for x in (f"--{k}-conf", tmp_path / f"{v}.yaml")]
    options += ["--text-conf", ROOT / "conf/text/minilm.yaml", "--whisper-conf", ROOT / "conf/whisper/tiny.en.yaml"]
    before = {p for p in tmp_path.rglob("*") if folder not in p.parents}
    done = run(
        "bash", ROOT / "run.sh", *options, "--seeds", 1, "--sets", "toy", "--train-sets", "toy/train",
        "--dev-sets", "toy/dev", "--test-sets", "toy/test", cwd=folder, env=ENV,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr[-3000:]
    assert not [p for p in tmp_path.rglob("*") if p.name == "ran" or p.name.startswith("up")]
    assert not (folder.parent.parent / "up").exists()
    assert {p for p in tmp_path.rglob("*") if folder not in p.parents} == before
    assert {p.name for p in folder.iterdir()} == {"wav", "data", "dump", "exp"}
    hyp = next(folder.rglob("hyp")).read_text()
    assert "`touch" in hyp and "|touch" in hyp and "<script>" in hyp


@pytest.mark.parametrize(
    "text",
    ["!!python/object/apply:os.system ['touch ran']", "a: !!python/name:os.system", "a: &x [*x", "- 1", "\0"],
)
def test_yaml_that_would_run_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, text: str) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "c.yaml").write_text(text)
    with pytest.raises(ConfError, match=r"c\.yaml"):
        conf.load(tmp_path / "c.yaml")
    assert not (tmp_path / "ran").exists()


@pytest.mark.parametrize("value", HOSTILE)
def test_options_with_hostile_values_run_nothing(tmp_path: Path, value: str) -> None:
    options = ("--sets", value, "--stop-stage", 0, "--datadir", tmp_path / "d")
    done = run("bash", ROOT / "run.sh", *options, cwd=tmp_path, env=ENV)
    assert done.returncode != 0 and "no such data directory" in done.stderr
    assert [p.name for p in tmp_path.rglob("*")] == ["exp", ".run.lock"]


def test_downloads_are_https_small_enough_and_whole(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(FetchError, match="not https"):
        fetch.download("http://127.0.0.1/x", tmp_path / "x", "0" * 64)
    with pytest.raises(FetchError, match="not https"):
        fetch.download("file:///etc/passwd", tmp_path / "x", "0" * 64)

    class Answer:
        """An address that says one size and sends for ever."""

        headers = {"Content-Length": "10"}  # noqa: RUF012

        def __enter__(self) -> "Answer":
            return self

        def __exit__(self, *_: object) -> None:
            pass

        def geturl(self) -> str:
            return "https://x/y"

        def read(self, size: int) -> bytes:
            return b"x" * size

    monkeypatch.setattr(fetch.urllib.request, "urlopen", lambda *_, **__: Answer())
    monkeypatch.setattr(fetch, "LARGEST", 5 << 20)
    with pytest.raises(FetchError, match="larger than"):
        fetch.download("https://x/y", tmp_path / "x", "0" * 64)
    assert list(tmp_path.iterdir()) == []
    monkeypatch.setattr(Answer, "read", lambda self, size, sent=[]: b"" if sent else sent.append(1) or b"x")
    with pytest.raises(FetchError, match="SHA-256 is"):
        fetch.download("https://x/y", tmp_path / "x", "0" * 64)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.skipif("FAS_LONG" not in os.environ, reason="ten million lines take a minute and 3 GB: set FAS_LONG")
def test_ten_million_lines(tmp_path: Path) -> None:
    with (tmp_path / "text").open("w") as f:
        f.writelines(f"s_{i:08d} some words\n" for i in range(10_000_000))
    assert len(tables.read_table(tmp_path / "text")) == 10_000_000
