"""Whisper: frames of its encoder blocks, and transcripts, from one pass over each utterance (Radford et al. 2022).

The encoder runs on an utterance's real length plus a margin of silence instead of 30 s. Its result depends on that
length, so the length depends on the utterance alone, never on those it is batched with.
"""

import math
from itertools import accumulate, groupby
from operator import itemgetter
from typing import Any, NamedTuple

import numpy as np
import torch
import whisper
from torch import Tensor
from whisper.audio import CHUNK_LENGTH, N_SAMPLES, N_SAMPLES_PER_TOKEN, SAMPLE_RATE
from whisper.decoding import DecodingOptions
from whisper.tokenizer import LANGUAGES

from fas import threads
from fas.data.datadir import DataDir
from fas.errors import ConfError
from fas.frontend import Encoded, WhisperBlockConf, WhisperConf, packed, precision
from fas.frontend.greedy import LOOPING, decode, no_speech
from fas.frontend.loader import Loader
from fas.frontend.whisper_encoder import (
    FEW,
    block_indices,
    encode,
    load,
    log_mel,
    padded_seconds,
    tie_vocabulary,
    transcribed_mel,
)

BATCH = 16  # utterances whose frames are made together
DECODED = 160  # padded seconds that are decoded at a time at most: keys and values of a second take 1.2 MB (base)
SECOND_MARGIN = 4  # seconds of silence more, where a transcript did not end
NO_SPEECH, UNSURE = 0.6, -1.0  # no words beyond this probability of no speech and below this mean log probability,
DOUBTFUL = 0.5, -0.5  # which are looked at within these, for both differ behind the shorter silence


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
        self.transcribes = isinstance(settings, WhisperConf)
        if not self.transcribes:
            del self.model.decoder  # more than half of the memory
        else:
            tie_vocabulary(self.model.decoder)
            if device == "cpu":
                packed.pack(self.model.decoder)
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
        for some, encoded in zip(groups, threads.each(short, groups, self._shares()), strict=True):
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

    def _shares(self) -> int:
        """How many parts of a batch are encoded at a time: a processor's threads, each by itself."""
        return torch.get_num_threads() if self.device == "cpu" else 1

    def _together(self, lengths: dict[int, int]) -> list[list[int]]:
        """What goes together of utterances and their padded seconds: neighbours in length where words are decoded, and
        dealt out to the threads, an equal share to each; else those of one length.
        """
        order, made = sorted(lengths, key=lengths.__getitem__), []
        if self.transcribes:
            shares = self._shares()
            while order:
                fit = sum(total <= DECODED for total in accumulate(lengths[i] for i in order[: self.size]))
                some, order = order[: max(1, fit)], order[max(1, fit) :]
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
        states = self._frames(mel, {last})[last]
        silent = [probability > NO_SPEECH for probability in no_speech(self.model, states)]
        if any(silent):  # the others' words say nothing more, and are what takes long: often a loop to the last token
            options = DecodingOptions(language=language, fp16=False)
            found = iter(whisper.decode(self.model, states[torch.tensor(silent)], options))
            silent = [quiet and next(found).avg_logprob <= UNSURE for quiet in silent]
        return silent


def words(text: str) -> str:
    """With single spaces; nothing where no letter and no digit was heard."""
    return " ".join(text.split()) if any(c.isalnum() for c in text) else ""


def looping_silence(segment: dict[str, Any]) -> bool:
    """Whether a segment of the long form is no speech: openai-whisper would draw it again until it is unsure."""
    return segment["no_speech_prob"] > NO_SPEECH and segment["compression_ratio"] > LOOPING
