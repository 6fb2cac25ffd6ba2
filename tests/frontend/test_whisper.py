"""Whisper: real speech comes out as its words, frames are openai-whisper's own, whatever the batch."""

import re
from difflib import SequenceMatcher
from pathlib import Path

import numpy as np
import pytest
import torch
import whisper
from whisper.audio import N_SAMPLES

from fas.data import audio, espeak
from fas.data.datadir import DataDir
from fas.errors import ConfError
from fas.frontend import WhisperBlockConf, WhisperConf, ctranslate2
from fas.frontend.greedy import Attended, decode, hidden, period_of
from fas.frontend.whisper import WhisperFrontend
from fas.frontend.whisper_encoder import encode, load, log_mel, tie_vocabulary

LINES = (
    "The train to the city leaves at half past seven.",
    "Please put the blue cup on the kitchen table.",
    "Nobody told me that the meeting was cancelled.",
    "We walked along the river until the sun went down.",
)


def words(text: str) -> list[str]:
    return re.sub(r"[^a-z ]", "", text.lower()).split()


@pytest.fixture(scope="module")
def speech(tmp_path_factory: pytest.TempPathFactory) -> DataDir:
    """Four spoken lines of different lengths, at eSpeak's own rate."""
    import soundfile

    folder = tmp_path_factory.mktemp("speech")
    data = DataDir("spoken", {}, {}, {}, {}, ["neutral"])
    for i, line in enumerate(LINES):
        path = folder / f"s_{i}.wav"
        settings = espeak.Settings(voice="en-us+f2", rate=150 + 10 * i)
        soundfile.write(path, espeak.synthesise(line, settings), espeak.SAMPLE_RATE)
        utt = f"s_{i}"
        data.wav[utt], data.utt2spk[utt], data.utt2emo[utt] = str(path), "s", "neutral"
        data.utt2dur[utt], data.text[utt] = audio.check(path), line
    return data


@pytest.fixture(scope="module")
def frontend(tiny_en: Path) -> WhisperFrontend:
    settings = WhisperConf(str(tiny_en), blocks={"early": 2, "last": -1, "both": [2, -1]}, dtype="float32", margin=5.0)
    return WhisperFrontend(settings, "cpu")


def test_speech_comes_out_as_its_words(frontend: WhisperFrontend, speech: DataDir) -> None:
    heard = {}
    for batch in frontend.batches(speech):
        for utt, encoded in zip(batch, frontend.encode(batch), strict=True):
            heard[utt] = encoded["text"]
    assert sorted(heard) == speech.utts
    said, got = ([w for u in speech.utts for w in words(t[u])] for t in (speech.text, heard))
    assert SequenceMatcher(None, said, got).ratio() > 0.85, heard  # of 36 words, at most some three are misheard


def test_frames_and_logits_are_those_of_openai_whisper(tiny_en: Path, speech: DataDir) -> None:
    """On 30 s of audio: frames, to the bit, and logits with and without a cache, whose layers are packed."""
    plain = load(str(tiny_en), "cpu")
    model = WhisperFrontend(WhisperConf(str(tiny_en), dtype="float32"), "cpu").model
    samples = whisper.pad_or_trim(audio.read(speech.wav["s_0"]), N_SAMPLES)
    mel = log_mel(model, samples, 30, "cpu")[None]
    tokens = torch.tensor([[50257, 50362, 383]])
    with torch.inference_mode():
        states = plain.encoder(mel)
        assert torch.equal(encode(model, mel, {4})[4], states)
        expected = plain.decoder(tokens, states)[:, -1]
        decoder, attended = model.decoder, Attended(model.decoder, list(states))
        assert_near(decoder.vocabulary(hidden(decoder, tokens, attended, {})[:, -1]), expected)
        cache = {}
        for some in tokens.split([2, 1], 1):
            logits = decoder.vocabulary(hidden(decoder, some, attended, cache)[:, -1])
        assert_near(logits, expected)


def test_every_weight_is_read(tiny_en: Path, tmp_path: Path) -> None:
    """Models are made without drawing random weights: no part of one may stay as memory was."""
    plain = ctranslate2.load(tiny_en)
    checkpoint = {"dims": vars(plain.dims), "model_state_dict": plain.state_dict()}
    torch.save(checkpoint, tmp_path / "tiny.en.pt")
    expected = plain.state_dict() | dict(plain.named_buffers())
    for place in (tiny_en, tmp_path / "tiny.en.pt"):
        model = load(str(place), "cpu")
        found = model.state_dict() | dict(model.named_buffers())
        assert found.keys() == expected.keys()
        for name in found.keys() - {"alignment_heads"}:
            torch.testing.assert_close(found[name], expected[name], rtol=0, atol=0, msg=f"{place}: {name}")


def assert_near(found: torch.Tensor, expected: torch.Tensor) -> None:
    assert (found - expected).abs().max() <= 1e-4 * expected.abs().max()


def test_frames_do_not_depend_on_the_batch(frontend: WhisperFrontend, speech: DataDir) -> None:
    frontend.batches(speech)
    together = frontend.encode(speech.utts)
    for utt, encoded in zip(speech.utts, together, strict=True):
        alone = frontend.encode([utt])[0]
        assert alone["text"] == encoded["text"]
        for block in ("early", "last"):
            assert len(encoded[block]) == -(-len(audio.read(speech.wav[utt])) // 320)
            np.testing.assert_allclose(encoded[block], alone[block], atol=2e-4)
        np.testing.assert_array_equal(encoded["both"], np.hstack([encoded["early"], encoded["last"]]))


@pytest.mark.parametrize("length", [100, 200, 300, 800])
def test_frames_are_the_same_to_the_bit_alone_and_in_a_batch(frontend: WhisperFrontend, length: int) -> None:
    mel = torch.randn(3, 80, length, generator=torch.Generator().manual_seed(0))
    together = encode(frontend.model, mel, {2, 4})
    for some in (mel[:1], mel[:2]):
        found = encode(frontend.model, some, {2, 4})
        assert all(torch.equal(found[block], together[block][: len(some)]) for block in (2, 4))


def test_stage_1_and_stage_2_give_the_same_kind_of_frames(tiny_en: Path, speech: DataDir) -> None:
    block = WhisperFrontend(WhisperBlockConf(str(tiny_en), 2, margin=5.0, dtype="float32"), "cpu")
    both = WhisperFrontend(WhisperConf(str(tiny_en), blocks={"early": 2}, margin=5.0, dtype="float32"), "cpu")
    block.batches(speech)
    both.batches(speech)
    np.testing.assert_allclose(block.encode(["s_1"])[0]["."], both.encode(["s_1"])[0]["early"], atol=2e-4)


def test_long_speech_and_silence(frontend: WhisperFrontend, speech: DataDir, tmp_path: Path) -> None:
    import soundfile

    long = np.concatenate([audio.read(speech.wav[u]) for u in speech.utts] * 4)
    assert len(long) > N_SAMPLES
    soundfile.write(tmp_path / "long.wav", long, 16000)
    soundfile.write(tmp_path / "silence.wav", np.zeros(800), 16000)
    data = DataDir(
        "x",
        {"long": str(tmp_path / "long.wav"), "silence": str(tmp_path / "silence.wav")},
        {"long": "s", "silence": "s"},
        {"long": "neutral", "silence": "neutral"},
        {"long": len(long) / 16000, "silence": 0.05},
    )
    frontend.batches(data)
    made = dict(zip(data.utts, frontend.encode(data.utts), strict=True))
    assert abs(len(made["long"]["last"]) - len(long) / 320) <= 1
    assert "river" in words(made["long"]["text"]) and "train" in words(made["long"]["text"])
    assert len(made["silence"]["last"]) == 3


def test_errors_name_the_cure(tiny_en: Path, tmp_path: Path, speech: DataDir) -> None:
    with pytest.raises(ConfError, match="encoder blocks 1 to 4"):
        WhisperFrontend(WhisperBlockConf(str(tiny_en), [2, 9]), "cpu")
    with pytest.raises(ConfError, match="knows English only"):
        WhisperFrontend(WhisperConf(str(tiny_en), language="de"), "cpu")
    with pytest.raises(ConfError, match="nothing else was looked up"):
        WhisperFrontend(WhisperBlockConf(str(tmp_path / "none"), 1), "cpu")


def test_a_sentence_said_for_ever_is_taken_once() -> None:
    assert period_of([7, 8, 9, 7, 8, 9, 7]) == 3 and period_of([5, 5, 5]) == 1
    assert period_of([6, 7, 8, 9, 7, 8, 9]) == 0 and period_of([7]) == 0


def test_short_silence_behind_speech_gives_the_same_words(tiny_en: Path, speech: DataDir) -> None:
    """Behind half a second Whisper repeats itself; what is cut or decoded again must not lose a word."""
    heard = {}
    for margin in (0.5, 5.0):
        frontend = WhisperFrontend(WhisperConf(str(tiny_en), margin=margin), "cpu")
        frontend.batches(speech)
        heard[margin] = [w for e in frontend.encode(speech.utts) for w in words(e["text"])]
    assert SequenceMatcher(None, heard[0.5], heard[5.0]).ratio() > 0.85, heard


def test_utterances_of_all_lengths_and_languages_are_decoded_together() -> None:
    """By a multilingual model of random weights: each as it is alone, those whose language is to be heard too."""
    torch.manual_seed(0)
    dims = whisper.model.ModelDimensions(80, 1500, 64, 2, 1, 51865, 448, 64, 2, 2)
    model = whisper.model.Whisper(dims).eval()
    torch.nn.init.normal_(model.decoder.positional_embedding)
    tie_vocabulary(model.decoder)
    states = [torch.randn(length, 64) for length in (200, 50, 350, 50, 200)]
    told = ["de", "", "en", "ru", ""]
    together = decode(model, states, [1.0] * 5, told)
    for one, *alone in zip(together, states, told, strict=True):
        [heard] = decode(model, [alone[0]], [1.0], [alone[1]])
        assert (heard.text, heard.language, heard.ended) == (one.text, one.language, one.ended)
        assert (heard.logprob, heard.no_speech) == pytest.approx((one.logprob, one.no_speech), rel=1e-4)
    assert [h.language for h, t in zip(together, told, strict=True) if t] == ["de", "en", "ru"]
