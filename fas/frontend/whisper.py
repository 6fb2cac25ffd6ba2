"""Whisper: frames of its encoder blocks, and transcripts, from one pass over each utterance (Radford et al. 2022).

The encoder runs on an utterance's real length plus a margin of silence instead of 30 s. Its result depends on that
length, so the length depends on the utterance alone, never on those it is batched with.
"""

import math
import warnings
from itertools import groupby
from operator import itemgetter
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
import whisper
from torch import Tensor, nn
from whisper.audio import CHUNK_LENGTH, N_FRAMES, N_SAMPLES, N_SAMPLES_PER_TOKEN, SAMPLE_RATE
from whisper.decoding import DecodingOptions
from whisper.model import TextDecoder, Whisper
from whisper.tokenizer import LANGUAGES

from fas import threads
from fas.data.datadir import DataDir
from fas.errors import ConfError
from fas.frontend import Encoded, WhisperBlockConf, WhisperConf, ctranslate2, fetch, packed, precision
from fas.frontend.greedy import LOOPING, decode
from fas.frontend.loader import Loader
from fas.frontend.uninitialised import Uninitialised

FEW = 300  # log-mel frames (3 s); BLAS treats products of up to some 100 rows in a way of their own
BATCH = 16  # utterances whose frames are made together
CACHED = 4  # utterances that a processor encodes at a time: what passes between two layers then stays in its cache
SECOND_MARGIN = 4  # seconds of silence more, where a transcript did not end
NO_SPEECH, UNSURE = 0.6, -1.0  # no words beyond this probability of no speech and below this mean log probability,
DOUBTFUL = 0.5, -0.5  # which are looked at within these, for both differ behind the shorter silence


def load(name: str, device: str) -> Whisper:
    """A model by openai-whisper's name, or by path: its .pt file or a CTranslate2 folder. In float32, to evaluate.

    Raises ConfError or FetchError.
    """
    path = Path(name).expanduser()
    if not path.exists():
        if name.startswith(("/", ".", "~")):
            raise ConfError(f"model {path}: no such file or folder; nothing else was looked up")
        path = fetch.whisper_model(name)
    with warnings.catch_warnings(), Uninitialised():
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


def tie_vocabulary(decoder: TextDecoder) -> None:
    """Give the decoder its product with the token embeddings as a linear layer, `vocabulary`, of the same weights."""
    tokens, width = decoder.token_embedding.weight.shape
    decoder.vocabulary = nn.Linear(width, tokens, bias=False, device="meta")
    decoder.vocabulary.weight = decoder.token_embedding.weight


@torch.inference_mode()
def encode(model: Whisper, mel: Tensor, blocks: set[int]) -> dict[int, Tensor]:
    """Log-mel (B, n_mels, F), F even and at most 3,000 -> the frames (B, F / 2, D) of each block asked for.

    The last block's frames are the encoder's output: they have passed the final layer norm. No block beyond the
    highest asked for is computed. Frames are the same to the bit alone and in a batch: the few rows of one short
    utterance would be multiplied, and rounded, in another way than more, so it gets a second copy of itself.
    """
    if mel.device.type == "cpu" and len(mel) > CACHED:
        parts = [encode(model, some, blocks) for some in mel.split(CACHED)]
        return {number: torch.cat([part[number] for part in parts]) for number in blocks}
    if len(mel) == 1 and mel.shape[-1] < FEW:
        return {number: frames[:1] for number, frames in encode(model, mel.expand(2, -1, -1), blocks).items()}
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


def transcribed_mel(model: Whisper, samples: np.ndarray, device: str) -> Tensor:
    """(samples,) of at most 30 s -> (n_mels, 3000) as openai-whisper's transcribe has it: behind the end zeros."""
    mel = whisper.log_mel_spectrogram(torch.from_numpy(samples), model.dims.n_mels, N_SAMPLES)
    return whisper.pad_or_trim(mel[:, : mel.shape[1] - N_FRAMES], N_FRAMES).to(device)


class Transcript(NamedTuple):
    """Words, their language, and whether they may be none."""

    text: str
    language: str
    doubtful: bool


class WhisperFrontend:
    """Utterances of one padded length are encoded together, and of near lengths decoded together, `size` at most."""

    def __init__(self, settings: WhisperConf | WhisperBlockConf, device: str, allow_pipes: bool = False):
        self.settings, self.device, self.allow_pipes = settings, device, allow_pipes
        self.model = load(settings.model, device)
        self.frame_shift = N_SAMPLES_PER_TOKEN / SAMPLE_RATE
        self.precision = precision.choose(settings.precision, "whisper", device)
        tie_vocabulary(self.model.decoder)
        if device == "cpu":
            packed.pack(self.model.decoder)
        self.transcribes = isinstance(settings, WhisperConf)
        self.size = settings.batch if self.transcribes else BATCH
        named = settings.blocks if self.transcribes else {".": settings.layer}
        self.blocks = {name: block_indices(self.model, layer) for name, layer in named.items()}
        self.wanted = {index for indices in self.blocks.values() for index in indices}
        if self.transcribes and settings.language:
            self._check_language(settings.language)
        if self.precision == "int8":
            mel = torch.zeros(1, self.model.dims.n_mels, FEW, device=device)
            last = {len(self.model.encoder.blocks)}
            precision.to_int8(self.model.encoder, lambda: encode(self.model, mel, last))

    def _frames(self, mel: Tensor, blocks: set[int]) -> dict[int, Tensor]:
        """`encode` in the conf's precision -> float32; int8 rounds by the loudest of a batch, so one by one."""
        parts = mel.split(1) if self.precision == "int8" else [mel]
        with precision.autocast(self.precision, self.device):
            made = [encode(self.model, part, blocks) for part in parts]
        return {number: torch.cat([part[number].float() for part in made]) for number in blocks}

    def _check_language(self, language: str) -> str:
        if language not in LANGUAGES:
            raise ConfError(f"language {language!r} is none of Whisper's; use an ISO 639-1 code such as en, de, zh")
        if not self.model.is_multilingual and language != "en":
            raise ConfError(f"model {self.settings.model} knows English only, but the language is {language!r}")
        return language

    def batches(self, data: DataDir) -> list[list[str]]:
        self.audio = Loader(data, self.settings, self.allow_pipes)
        self.language = {}  # utterance -> ISO 639-1 as told, empty for those to be heard
        self.spoken = {}  # utterance -> that of its transcript
        if self.transcribes:
            self.language = {u: self._told(data.utt2lang.get(u) or self.settings.language or "") for u in data.utts}
        size = 4 * self.size  # silence may yet be cut: of so many, most find others of their length
        utts = sorted(data.utts, key=data.utt2dur.__getitem__)
        return [utts[i : i + size] for i in range(0, len(utts), size)]

    def _told(self, language: str) -> str:
        if language:
            return self._check_language(language)
        return "" if self.model.is_multilingual else "en"

    def encode(self, batch: list[str]) -> list[Encoded]:
        audios = [self.audio(u) for u in batch]
        made: list[Encoded] = [{} for _ in batch]
        lengths: dict[int, int] = {}
        for i, samples in enumerate(audios):
            if len(samples) > N_SAMPLES:
                made[i] = self._encode_long(batch[i], samples)
            else:
                lengths[i] = padded_seconds(len(samples), self.settings.margin)
        groups = self._together(lengths)

        def short(some: list[int]) -> list[tuple[Encoded, bool]]:
            return self._encode_short([batch[i] for i in some], [audios[i] for i in some], [lengths[i] for i in some])

        doubtful: dict[str, list[int]] = {}  # language -> what may be no speech
        for some, encoded in zip(groups, threads.each(short, groups), strict=True):
            for i, (one, doubt) in zip(some, encoded, strict=True):
                made[i] = one
                if doubt:
                    doubtful.setdefault(self.spoken[batch[i]], []).append(i)
        for language, places in sorted(doubtful.items()):
            for start in range(0, len(places), self.size):
                some = places[start : start + self.size]
                for i, silent in zip(some, self._silent([audios[i] for i in some], language), strict=True):
                    made[i]["text"] = "" if silent else made[i]["text"]
        return made

    def _together(self, lengths: dict[int, int]) -> list[list[int]]:
        """Of utterances and their padded seconds, those of near lengths: `size`, or `batch_seconds` of one length.

        Those to be transcribed are dealt out to the threads, an equal share to each.
        """
        order, made = sorted(lengths, key=lengths.__getitem__), []
        if self.transcribes:
            shares = torch.get_num_threads() if self.device == "cpu" else 1
            for start in range(0, len(order), self.size * shares):
                some = order[start : start + self.size * shares]
                made += [some[first::shares] for first in range(min(shares, len(some)))]
            return made
        for seconds, group in groupby(order, lengths.__getitem__):
            limit, members = self.settings.batch_seconds, list(group)
            size = self.size if limit is None else max(1, int(limit // seconds))
            made += [members[i : i + size] for i in range(0, len(members), size)]
        return made

    def _encode_short(
        self, utts: list[str], audios: list[np.ndarray], seconds: list[int]
    ) -> list[tuple[Encoded, bool]]:
        """What is made of each utterance, padded to `seconds`, and whether it may be no speech."""
        last = {len(self.model.encoder.blocks)} if self.transcribes else set()
        frames = self._frames_of(audios, seconds, self.wanted | last)
        made = [(self._cut(one, len(samples)), False) for one, samples in zip(frames, audios, strict=True)]
        if not self.transcribes:
            return made
        states, told = [one[block] for one in frames for block in last], [self.language[u] for u in utts]
        heard = self._transcribe(audios, states, seconds, told)
        self.spoken |= {u: h.language for u, h in zip(utts, heard, strict=True)}
        return [(one | {"text": words(h.text)}, h.doubtful) for (one, _), h in zip(made, heard, strict=True)]

    def _frames_of(self, audios: list[np.ndarray], seconds: list[int], blocks: set[int]) -> list[dict[int, Tensor]]:
        """Of each utterance, padded to `seconds`, these blocks' frames (T, D); neighbours of one length go together."""
        made = []
        for length, group in groupby(zip(audios, seconds, strict=True), itemgetter(1)):
            mel = torch.stack([log_mel(self.model, samples, length, self.device) for samples, _ in group])
            frames = self._frames(mel, blocks)
            made += [{number: frames[number][i] for number in blocks} for i in range(len(mel))]
        return made

    def _encode_long(self, utt: str, samples: np.ndarray) -> Encoded:
        """An utterance beyond 30 s: frames of consecutive 30 s windows; words from openai-whisper's own long form."""
        pieces = []
        for window in [samples[i : i + N_SAMPLES] for i in range(0, len(samples), N_SAMPLES) if self.blocks]:
            seconds = padded_seconds(len(window), self.settings.margin)
            pieces.append(self._cut(self._frames_of([window], [seconds], self.wanted)[0], len(window)))
        made: Encoded = {name: np.concatenate([p[name] for p in pieces]) for name in self.blocks}
        if self.transcribes:
            options = {"temperature": 0.0, "condition_on_previous_text": False, "fp16": False}
            told = self.language[utt] or None
            found = whisper.transcribe(self.model, samples, language=told, verbose=None, **options)
            self.spoken[utt] = found["language"]
            made["text"] = words("".join(s["text"] for s in found["segments"] if not looping_silence(s)))
        return made

    def _cut(self, frames: dict[int, Tensor], samples: int) -> Encoded:
        """The frames that lie within the utterance, 50 a second."""
        real = math.ceil(samples / N_SAMPLES_PER_TOKEN)
        return {
            name: torch.cat([frames[k][:real] for k in indices], -1).cpu().numpy().astype(self.settings.dtype)
            for name, indices in self.blocks.items()
        }

    def _transcribe(
        self, audios: list[np.ndarray], states: list[Tensor], seconds: list[int], languages: list[str]
    ) -> list[Transcript]:
        """Greedy transcripts from the encoder's output (T, D) on `seconds` of each utterance.

        What does not end well is decoded again behind longer silence, at last padded to 30 s as openai-whisper does.
        """
        made = [Transcript("", language, False) for language in languages]
        last = len(self.model.encoder.blocks)
        tries = [sorted({s, min(s + SECOND_MARGIN, CHUNK_LENGTH), CHUNK_LENGTH}) for s in seconds]
        members = list(range(len(audios)))
        for attempt in range(max(map(len, tries))):
            chosen = [audios[i] for i in members]
            if attempt:
                frames = self._frames_of(chosen, [tries[i][attempt] for i in members], {last})
                states = [one[last] for one in frames]
            lasting = [len(samples) / SAMPLE_RATE for samples in chosen]
            heard = decode(self.model, states, lasting, [made[i].language for i in members])
            for i, h in zip(members, heard, strict=True):
                doubtful = h.no_speech > DOUBTFUL[0] and h.logprob < DOUBTFUL[1]
                made[i] = Transcript(h.text, h.language, doubtful or made[i].doubtful)
            members = [i for i, h in zip(members, heard, strict=True) if not h.ended and attempt + 1 < len(tries[i])]
            if not members:
                break
        return made

    def _silent(self, audios: list[np.ndarray], language: str) -> list[bool]:
        """Whether each is no speech and has no words, by openai-whisper's rule, on its 30 s and with its timestamps.

        That is where its transcribe stops too, but that it takes what is neither sure speech nor sure silence through
        higher temperatures, which draw at random.
        """
        last = len(self.model.encoder.blocks)
        mel = torch.stack([transcribed_mel(self.model, a, self.device) for a in audios])
        options = DecodingOptions(language=language, fp16=False)
        found = whisper.decode(self.model, self._frames(mel, {last})[last], options)
        return [f.no_speech_prob > NO_SPEECH and f.avg_logprob <= UNSURE for f in found]


def words(text: str) -> str:
    """With single spaces; nothing where no letter and no digit was heard."""
    return " ".join(text.split()) if any(c.isalnum() for c in text) else ""


def looping_silence(segment: dict[str, Any]) -> bool:
    """Whether a segment of the long form is no speech: openai-whisper would draw it again until it is unsure."""
    return segment["no_speech_prob"] > NO_SPEECH and segment["compression_ratio"] > LOOPING
