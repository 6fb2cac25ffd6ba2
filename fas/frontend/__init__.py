"""Frozen encoders that turn audio or words into frames: one small file each, chosen by a conf's `kind`.

How a set is shared out, and what becomes of the frames, is features'.

A frontend has
  batches   utterances -> lists of utterances to encode together, in a fixed order,
  encode    one such list -> for each utterance {output or table: frames (T, D) or text}.
`outputs` and `tables` of its conf name them.

The confs of audio encoders share trim_db (cut the silence at both ends) and rms_dbfs (level what is left): see
fas.data.audio. Without them the audio is as it was recorded.
"""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, Protocol

import numpy as np

from fas import conf, stamp
from fas.data import audio
from fas.data.datadir import DataDir
from fas.errors import AudioError, ConfError

Dtype = Literal["float16", "float32"]
Encoded = dict[str, np.ndarray | str]


class Frontend(Protocol):
    def batches(self, data: DataDir) -> list[list[str]]: ...
    def encode(self, batch: list[str]) -> list[Encoded]: ...


@dataclass
class S3PRLConf:
    """An upstream of s3prl's hub. layer: index, "mean" over all layers, or a list, set side by side in each frame."""

    upstream: str
    kind: str = "s3prl"
    ckpt: str | None = None
    layer: int | list[int] | Literal["mean"] = -1
    trim_db: conf.Number | None = None
    rms_dbfs: conf.Number | None = None
    dtype: Dtype = "float16"


@dataclass
class WhisperBlockConf:
    """Frames of an encoder block of Whisper, 1 the first, -1 the last, or of a list, side by side; 50 frames/s.

    margin: seconds of silence behind the utterance.
    """

    model: str
    layer: int | list[int]
    kind: str = "whisper"
    margin: conf.Number = 0.0
    trim_db: conf.Number | None = None
    rms_dbfs: conf.Number | None = None
    dtype: Dtype = "float16"


@dataclass
class WhisperConf:
    """Transcripts, and frames of the named encoder blocks (each an index or a list), from one pass.

    margin: seconds of silence behind each utterance while it is decoded; batch: utterances decoded together;
    language: of all utterances without one in utt2lang; detected where neither says.
    """

    model: str
    blocks: dict[str, int | list[int]] = field(default_factory=dict)
    language: str | None = None
    margin: conf.Number = 5.0
    batch: int = 16
    trim_db: conf.Number | None = None
    rms_dbfs: conf.Number | None = None
    dtype: Dtype = "float16"


@dataclass
class HFTextConf:
    """Token vectors of a HuggingFace text encoder, by hub name or folder. layer: index into its hidden states.

    prefix: text that the encoder expects before each transcript ("query: " for E5).
    """

    model: str
    kind: str = "hf"
    layer: int = -1
    prefix: str = ""
    dtype: Dtype = "float16"


@dataclass
class SPMTextConf:
    """SentencePiece tokens with vectors from their co-occurrence in the training transcripts; no download."""

    kind: str = "spm"
    vocab_size: int = 500
    dim: int = 64
    window: int = 5
    dtype: Dtype = "float16"


def load_ssl_conf(path: Path) -> S3PRLConf | WhisperBlockConf:
    """Read conf/ssl/*.yaml. Raises ConfError."""
    return settings("ssl", conf.load(path), path)


def load_text_conf(path: Path) -> HFTextConf | SPMTextConf:
    """Read conf/text/*.yaml. Raises ConfError."""
    return settings("text", conf.load(path), path)


def load_whisper_conf(path: Path) -> WhisperConf:
    """Read conf/whisper/*.yaml. Raises ConfError."""
    return settings("whisper", conf.load(path), path)


def settings(stage: str, values: dict[str, Any], path: Path) -> Any:
    """The settings of an ssl, whisper or text encoder; path: where the values are from. Raises ConfError."""
    kinds = {"ssl": {"s3prl": S3PRLConf, "whisper": WhisperBlockConf}, "text": {"hf": HFTextConf, "spm": SPMTextConf}}
    made = WhisperConf
    if stage in kinds:
        if values.get("kind") not in kinds[stage]:
            raise ConfError(
                f"{path}: kind must be one of {', '.join(kinds[stage])}, not {values.get('kind')!r}"
            )
        made = kinds[stage][values["kind"]]
    return conf.build(made, values, path)


def outputs(settings: Any) -> list[str]:
    """Names of an encoder's feature folders below its output folder, "." for the folder itself."""
    return list(settings.blocks) if isinstance(settings, WhisperConf) else ["."]


def tables(settings: Any) -> list[str]:
    """Names of the text tables that an encoder writes beside its features."""
    if isinstance(settings, WhisperConf):
        return ["text"]
    return ["tokens"] if isinstance(settings, HFTextConf | SPMTextConf) else []


def digest(settings: Any) -> str:
    """Identity of an encoder: its settings, and size and time of the local checkpoint that they name."""
    local = [Path(v) for v in (getattr(settings, "ckpt", None), getattr(settings, "model", None)) if v]
    return stamp.digest(repr(settings), *(stamp.stat_line(p) for p in local if p.exists()))


def load_audio(utt: str, place: str, settings: S3PRLConf | WhisperConf | WhisperBlockConf, pipes: bool) -> np.ndarray:
    """`audio.load` as the conf has it -> (samples,) float32 at 16 kHz. Raises AudioError that names the utterance."""
    try:
        return audio.load(place, settings.trim_db, settings.rms_dbfs, pipes)
    except AudioError as e:
        raise AudioError(f"utterance {utt!r}: {e}") from None
