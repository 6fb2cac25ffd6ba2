"""Kinds of sound files, heads without a length, and many channels: the same sound whatever the kind, or refused."""

from pathlib import Path

import numpy as np
import pytest
import soundfile

from fas.data import audio
from fas.errors import AudioError
from tests.data.sound_files import RATE, encode, tone

TONE = tone()
SURROUND = np.stack([*(0.1 * np.random.default_rng(0).normal(size=(2, RATE))), TONE, 0 * TONE, 0 * TONE, 0 * TONE])


def loudest(samples: np.ndarray) -> float:
    """Hz of the strongest partial in the middle half second."""
    middle = samples[len(samples) // 4 : len(samples) // 4 + 8000]
    return float(np.abs(np.fft.rfft(middle * np.hanning(len(middle)))).argmax() * 16000 / len(middle))


def is_the_tone(path: Path) -> bool:
    samples, seconds = audio.read(path), audio.check(path)
    middle = samples[4000:12000]
    return (
        abs(loudest(samples) - 440) <= 2
        and abs(middle.std() - 0.5 / np.sqrt(2)) < 0.06  # AMR is narrow
        and abs(len(samples) / 16000 - 1) < 0.1
        and abs(seconds - 1) < 0.1
    )


@pytest.mark.parametrize("rate", [16000, 24000, 44100])
@pytest.mark.parametrize("how", [{"write_xing": "0"}, {"pipe": True, "format": "mp3"}, {}])
def test_mp3_with_and_without_a_length(tmp_path: Path, rate: int, how: dict) -> None:
    encode(tmp_path / "a.mp3", tone(2, rate=rate)[None], "libmp3lame", rate, **how)
    samples = audio.read(tmp_path / "a.mp3")
    assert abs(loudest(samples) - 440) <= 2 and 2 <= len(samples) / 16000 < 2.15
    assert abs(audio.check(tmp_path / "a.mp3") - len(samples) / 16000) < 0.03


def test_mp3_whose_first_frames_say_nothing_of_the_others_is_read_to_its_end(tmp_path: Path) -> None:
    """libsndfile reckons the length by the bit rate of the beginning: of a quiet start, a part of the file."""
    samples = np.concatenate([np.zeros(5 * RATE), 2 * TONE * TONE])
    soundfile.write(tmp_path / "v.mp3", samples, RATE, bitrate_mode="VARIABLE")
    whole = (tmp_path / "v.mp3").read_bytes()
    head = next(i for i in range(4, 4000) if whole[i : i + 2] == whole[:2])  # the frame behind the one that tells
    (tmp_path / "headless.mp3").write_bytes(whole[head:])
    assert abs(audio.check(tmp_path / "headless.mp3") - 6) < 0.1
    assert len(audio.read(tmp_path / "headless.mp3")) > 5.9 * 16000


@pytest.mark.parametrize(
    ("name", "codec", "how"),
    [
        ("a.webm", "libopus", {"pipe": True, "format": "webm"}),  # as browsers' MediaRecorder writes it
        ("a.mkv", "aac", {"pipe": True, "format": "matroska"}),
        ("a.flac", "flac", {"pipe": True, "format": "flac"}),
        ("a.mp4", "aac", {"pipe": True, "format": "mp4", "movflags": "frag_keyframe+empty_moov"}),
        ("a.ogg", "libopus", {"pipe": True, "format": "ogg"}),
        ("a.wav", "pcm_s16le", {"pipe": True, "format": "wav"}),
        ("a.flv", "aac", {"pipe": True, "format": "flv", "flvflags": "no_duration_filesize"}),
    ],
)
def test_pipes_know_no_length(tmp_path: Path, name: str, codec: str, how: dict) -> None:
    rate = 44100 if name == "a.flv" else RATE
    encode(tmp_path / name, tone(rate=rate)[None], codec, rate, **how)
    assert is_the_tone(tmp_path / name)


@pytest.mark.parametrize(
    ("name", "codec", "how"),
    [
        *(("a.aac", "aac", {}), ("a.m4b", "aac", {"format": "ipod"}), ("a.mka", "aac", {}), ("a.ts", "aac", {})),
        *(("a.wv", "wavpack", {}), ("a.ac3", "ac3", {}), ("a.eac3", "eac3", {}), ("a.3gp", "aac", {})),
        *(("a.mp2", "mp2", {}), ("a.oga", "flac", {"format": "oga"}), ("a.tta", "tta", {}), ("a.avi", "ac3", {})),
        *(("a.mov", "pcm_s16le", {}), ("a.mpg", "mp2", {"format": "mpeg"}), ("a.M2TS", "ac3", {"format": "mpegts"})),
        ("a.amr", "libopencore_amrnb", {"rate": 8000}),
    ],
)
def test_kinds_that_only_ffmpeg_knows(tmp_path: Path, name: str, codec: str, how: dict) -> None:
    rate = int(how.pop("rate", RATE))
    encode(tmp_path / name, tone(rate=rate)[None], codec, rate, **how)
    assert is_the_tone(tmp_path / name) and Path(name).suffix.lower() in audio.SUFFIXES


@pytest.mark.parametrize("suffix", ["wav", "mp4", "amr", "ts", "ogg"])
def test_bytes_that_are_no_sound_are_refused_whatever_their_name(tmp_path: Path, suffix: str) -> None:
    chance = np.random.default_rng(3)
    for i in range(20):
        path = tmp_path / f"{i}.{suffix}"
        path.write_bytes(chance.integers(0, 256, 20000, dtype=np.uint8).tobytes())
        with pytest.raises(AudioError, match=path.name):
            audio.read(path)


def test_a_playlist_is_not_followed(tmp_path: Path) -> None:
    """FFmpeg would read what it names: another file, or an address."""
    encode(tmp_path / "secret.wav", TONE[None], "pcm_s16le")
    lists = {"hls": f"#EXTM3U\n#EXTINF:1,\n{tmp_path}/secret.wav\n#EXT-X-ENDLIST\n"}
    lists["concat"] = f"ffconcat version 1.0\nfile {tmp_path}/secret.wav\n"
    for name, content in lists.items():
        for suffix in ("wav", "mp4", "m3u8"):
            path = tmp_path / f"{name}.{suffix}"
            path.write_text(content)
            with pytest.raises(AudioError, match="not readable as audio"):
                audio.read(path)


def test_speech_in_the_centre_of_surround_sound_is_the_same_in_every_kind_of_file(tmp_path: Path) -> None:
    made = [
        encode(tmp_path / "a.mp4", SURROUND, "aac", layout="5.1"),
        encode(tmp_path / "a.ac3", SURROUND, "ac3", layout="5.1"),
        encode(tmp_path / "a.flac", SURROUND, "flac", layout="5.1"),
        encode(tmp_path / "a.wav", SURROUND, "pcm_s16le", layout="5.1"),
        encode(tmp_path / "a.opus", SURROUND, "libopus", layout="5.1"),  # in the file another order of channels
    ]
    for name in ("b.wav", "b.flac", "b.aiff"):  # no layout in these but for the second
        soundfile.write(tmp_path / name, SURROUND.T, RATE)
        made.append(tmp_path / name)
    first = audio.read(made[0])[2000:14000]
    for path in made:
        samples = audio.read(path)
        assert loudest(samples) == 440 and abs(samples.std() - 0.5 / np.sqrt(2)) < 0.02, path
        found = [abs(np.corrcoef(first, samples[2000 + k : 14000 + k])[0, 1]) for k in range(-40, 40)]
        assert max(found) > 0.99, path


def test_channels_that_cancel_are_refused_and_one_can_be_chosen(tmp_path: Path) -> None:
    hum = tone(hertz=200)
    for name, channels in {"opposite": [TONE, -TONE], "nearly": [TONE, -0.95 * TONE]}.items():
        path = tmp_path / f"{name}.wav"
        soundfile.write(path, np.stack(channels).T, RATE)
        with pytest.raises(AudioError, match=rf"{name}\.wav: hardly anything is left of its 2 channels .*--channel 1"):
            audio.read(path)
        assert loudest(audio.read(path, channel=2)) == 440
    soundfile.write(tmp_path / "two.flac", np.stack([TONE, hum]).T, RATE)
    assert [loudest(audio.read(tmp_path / "two.flac", channel=c)) for c in (1, 2)] == [440, 200]
    with pytest.raises(AudioError, match=r"two\.flac: has no channel 3; it has 2"):
        audio.read(tmp_path / "two.flac", channel=3)
    soundfile.write(tmp_path / "empty.wav", np.concatenate([SURROUND[:2], 0 * SURROUND[2:]]).T, RATE)
    with pytest.raises(AudioError, match="hardly anything is left of its 6 channels"):
        audio.read(tmp_path / "empty.wav")
    for path in (tmp_path / "left.wav", tmp_path / "silent.wav"):  # one channel empty, or both: as they are
        soundfile.write(path, np.stack([TONE if path.stem == "left" else 0 * TONE, 0 * TONE]).T, RATE)
        assert len(audio.read(path)) == 16000


def test_folders_that_are_links_are_followed_and_loops_are_not(tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    (tmp_path / "else").mkdir()
    for path in ("a/x.WAV", "else/y.wav", "a/.z.wav"):
        soundfile.write(tmp_path / path, TONE, RATE, format="WAV")
    (tmp_path / "a/link").symlink_to(tmp_path / "else")
    (tmp_path / "else/up").symlink_to(tmp_path / "a")
    assert [str(p.relative_to(tmp_path / "a")) for p in audio.files_below(tmp_path / "a")] == ["link/y.wav", "x.WAV"]
