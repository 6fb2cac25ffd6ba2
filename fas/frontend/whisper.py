"""Whisper: frames of its encoder blocks, and transcripts, from one pass over each utterance (Radford et al. 2022).

The encoder runs on an utterance's real length plus a margin of silence instead of 30 s. Its result depends on that
length, so the length depends on the utterance alone, never on those it is batched with.
"""

import math
import warnings
from pathlib import Path

import numpy as np
import torch
import whisper
from torch import Tensor
from whisper.audio import CHUNK_LENGTH, N_SAMPLES, N_SAMPLES_PER_TOKEN, SAMPLE_RATE
from whisper.decoding import DecodingOptions, DecodingResult, DecodingTask
from whisper.model import Whisper
from whisper.tokenizer import LANGUAGES, get_tokenizer

from fas import audio, ctranslate2, fetch
from fas.conf import ConfError
from fas.datadir import DataDir
from fas.frontend import Encoded, WhisperBlockConf, WhisperConf

TOKENS_PER_SECOND = 12  # fast speech has some 6 words/s; text that needs more tokens than this is a loop
TOKENS_AT_LEAST = 16
LOOPING = 2.4  # compression ratio beyond which openai-whisper, too, calls a transcript repetitive


def load(name: str, device: str) -> Whisper:
    """A model by openai-whisper's name, or by path: its .pt file or a CTranslate2 folder. In float32, to evaluate.

    Raises ConfError or FetchError.
    """
    path = Path(name).expanduser()
    if not path.exists():
        if name.startswith(("/", ".", "~")):
            raise ConfError(f"model {path}: no such file or folder; nothing else was looked up")
        path = fetch.whisper_model(name)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        model = ctranslate2.load(path) if path.is_dir() else whisper.load_model(str(path), device="cpu")
    return model.to(device).float().eval()


def block_indices(model: Whisper, layer: int | list[int]) -> list[int]:
    """Numbers of one block or several, 1 the first; -1 is the last. Raises ConfError."""
    blocks = len(model.encoder.blocks)
    made = []
    for index in layer if isinstance(layer, list) else [layer]:
        if isinstance(index, bool) or not isinstance(index, int) or not (1 <= index <= blocks or -blocks <= index < 0):
            raise ConfError(f"layer {index!r}: this Whisper has encoder blocks 1 to {blocks} (-1 the last)")
        made.append(index + blocks + 1 if index < 0 else index)
    return made


@torch.inference_mode()
def encode(model: Whisper, mel: Tensor, blocks: set[int]) -> dict[int, Tensor]:
    """Log-mel (B, n_mels, F), F even and at most 3,000 -> the frames (B, F / 2, D) of each block asked for.

    The last block's frames are the encoder's output: they have passed the final layer norm. No block beyond the
    highest asked for is computed.
    """
    encoder = model.encoder
    x = torch.nn.functional.gelu(encoder.conv1(mel))
    x = torch.nn.functional.gelu(encoder.conv2(x)).permute(0, 2, 1)
    x = x + encoder.positional_embedding[: x.shape[1]]
    frames = {}
    for number, block in enumerate(encoder.blocks[: max(blocks)], 1):
        x = block(x)
        if number in blocks:
            frames[number] = encoder.ln_post(x) if number == len(encoder.blocks) else x
    return frames


def padded_seconds(samples: int, margin: float) -> int:
    """Whole seconds that the encoder sees of an utterance: its length and the margin, 30 at most."""
    return min(CHUNK_LENGTH, max(1, math.ceil(samples / SAMPLE_RATE + margin)))


def log_mel(model: Whisper, samples: np.ndarray, seconds: int, device: str) -> Tensor:
    """(samples,) at 16 kHz, padded with silence to `seconds` -> (n_mels, 100 * seconds), its own maximum as level."""
    padding = seconds * SAMPLE_RATE - len(samples)
    return whisper.log_mel_spectrogram(torch.from_numpy(samples), model.dims.n_mels, padding).to(device)


class WhisperFrontend:
    """Batches of utterances of one padded length and language."""

    def __init__(self, settings: WhisperConf | WhisperBlockConf, device: str):
        self.settings, self.device = settings, device
        self.model = load(settings.model, device)
        self.transcribes = isinstance(settings, WhisperConf)
        named = settings.blocks if self.transcribes else {".": settings.layer}
        self.blocks = {name: block_indices(self.model, layer) for name, layer in named.items()}
        self.wanted = {index for indices in self.blocks.values() for index in indices}
        if self.transcribes and settings.language:
            self._check_language(settings.language)

    def _check_language(self, language: str) -> str:
        if language not in LANGUAGES:
            raise ConfError(f"language {language!r} is none of Whisper's; use an ISO 639-1 code such as en, de, zh")
        if not self.model.is_multilingual and language != "en":
            raise ConfError(f"model {self.settings.model} knows English only, but the language is {language!r}")
        return language

    def batches(self, data: DataDir) -> list[list[str]]:
        self.wav = data.wav
        self.language = {}
        groups: dict[tuple[int, str], list[str]] = {}
        for utt in data.utts:
            language = ""
            if self.transcribes:
                language = data.utt2lang.get(utt) or self.settings.language or ""
                if language:
                    self._check_language(language)
                elif not self.model.is_multilingual:
                    language = "en"
            self.language[utt] = language
            seconds = padded_seconds(round(data.utt2dur[utt] * SAMPLE_RATE), self.settings.margin)
            groups.setdefault((seconds, language), []).append(utt)
        size = self.settings.batch if self.transcribes else 1
        return [g[i : i + size] for _, g in sorted(groups.items()) for i in range(0, len(g), size)]

    def encode(self, batch: list[str]) -> list[Encoded]:
        audios = [audio.load(self.wav[u], self.settings.trim_db, self.settings.rms_dbfs) for u in batch]
        made: list[Encoded] = [{} for _ in batch]
        by_length: dict[int, list[int]] = {}
        for i, samples in enumerate(audios):
            if len(samples) > N_SAMPLES:
                made[i] = self._encode_long(samples, self.language[batch[i]])
            else:
                by_length.setdefault(padded_seconds(len(samples), self.settings.margin), []).append(i)
        for seconds, members in by_length.items():
            encoded = self._encode_short([audios[i] for i in members], seconds, self.language[batch[members[0]]])
            for i, one in zip(members, encoded, strict=True):
                made[i] = one
        return made

    def _encode_short(self, audios: list[np.ndarray], seconds: int, language: str) -> list[Encoded]:
        mel = torch.stack([log_mel(self.model, a, seconds, self.device) for a in audios])
        last = len(self.model.encoder.blocks)
        frames = encode(self.model, mel, self.wanted | ({last} if self.transcribes else set()))
        made = [self._cut(frames, i, len(a)) for i, a in enumerate(audios)]
        if self.transcribes:
            for one, text in zip(made, self._transcribe(audios, frames[last], language), strict=True):
                one["text"] = text
        return made

    def _encode_long(self, samples: np.ndarray, language: str) -> Encoded:
        """An utterance beyond 30 s: frames of consecutive 30 s windows; words from openai-whisper's own long form."""
        windows = [samples[i : i + N_SAMPLES] for i in range(0, len(samples), N_SAMPLES)]
        pieces = []
        for window in windows:
            mel = log_mel(self.model, window, padded_seconds(len(window), self.settings.margin), self.device)
            if self.blocks:
                pieces.append(self._cut(encode(self.model, mel[None], self.wanted), 0, len(window)))
        made: Encoded = {name: np.concatenate([p[name] for p in pieces]) for name in self.blocks}
        if self.transcribes:
            options = {"temperature": 0.0, "condition_on_previous_text": False, "fp16": False}
            text = whisper.transcribe(self.model, samples, language=language or None, verbose=None, **options)["text"]
            made["text"] = " ".join(text.split())
        return made

    def _cut(self, frames: dict[int, Tensor], i: int, samples: int) -> Encoded:
        """The frames that lie within the utterance, 50 a second."""
        real = math.ceil(samples / N_SAMPLES_PER_TOKEN)
        return {
            name: torch.cat([frames[k][i, :real] for k in indices], -1).cpu().numpy().astype(self.settings.dtype)
            for name, indices in self.blocks.items()
        }

    def _transcribe(self, audios: list[np.ndarray], states: Tensor, language: str) -> list[str]:
        """Greedy transcripts from the encoder's output. What loops or never ends is decoded again padded to 30 s."""
        languages = [language] * len(audios) if language else detect_languages(self.model, states)
        limits = [TOKENS_AT_LEAST + math.ceil(TOKENS_PER_SECOND * len(a) / SAMPLE_RATE) for a in audios]
        results: list[DecodingResult] = [None] * len(audios)  # type: ignore[list-item]
        for one in sorted(set(languages)):
            members = [i for i, spoken in enumerate(languages) if spoken == one]
            made = decode(self.model, states[members], one, max(limits[i] for i in members))
            for i, result in zip(members, made, strict=True):
                results[i] = result
        for i, result in enumerate(results):
            if len(result.tokens) >= limits[i] or result.compression_ratio > LOOPING:
                mel = log_mel(self.model, audios[i], CHUNK_LENGTH, self.device)[None]
                last = len(self.model.encoder.blocks)
                full = encode(self.model, mel, {last})[last]
                results[i] = decode(self.model, full, languages[i], self.model.dims.n_text_ctx // 2)[0]
        return [" ".join(r.text.split()) for r in results]


class _DecodingTask(DecodingTask):
    """openai-whisper's decoding, on encoder states of any length."""

    def _get_audio_features(self, states: Tensor) -> Tensor:
        return states


def decode(model: Whisper, states: Tensor, language: str, tokens: int) -> list[DecodingResult]:
    """Greedy decoding without timestamps of encoder states (B, T, D), at most `tokens` tokens each."""
    options = DecodingOptions(language=language, without_timestamps=True, fp16=False, sample_len=tokens)
    return _DecodingTask(model, options).run(states)


@torch.inference_mode()
def detect_languages(model: Whisper, states: Tensor) -> list[str]:
    """The most probable language of each utterance, from its encoder states (B, T, D)."""
    tokenizer = get_tokenizer(model.is_multilingual, num_languages=model.num_languages)
    start = torch.full((len(states), 1), tokenizer.sot, device=states.device)
    logits = model.logits(start, states)[:, 0, list(tokenizer.all_language_tokens)]
    return [tokenizer.all_language_codes[i] for i in logits.argmax(-1).tolist()]


