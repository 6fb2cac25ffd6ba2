"""Frozen encoders that turn audio or words into frames: one small file each, chosen by a conf's `kind`.

How a set is shared out, and what becomes of the frames, is features'.

A frontend has
  batches   utterances -> lists of utterances to encode together, in a fixed order,
  encode    one such list -> for each utterance {output or table: frames (T, D) or text}.
`outputs` and `tables` of its conf name them.

The confs of audio encoders share trim_db (cut the silence at both ends) and rms_dbfs (level what is left): see
fas.data.audio. Without them the audio is as it was recorded. They share, too,
  precision      float32, bfloat16 or float16 (autocast), int8 (processors only); None: fas.frontend.precision chooses,
  batch_seconds  padded seconds of audio in one pass; None: on a GPU what its memory takes, else one utterance.
A setting that came after features had been made has repr=False: left at None, it is not in their digest.
"""

from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any, Literal, Protocol

import numpy as np

from fas import conf, stamp
from fas.data.datadir import DataDir
from fas.errors import ConfError

Dtype = Literal["float16", "float32"]
Precision = Literal["float32", "bfloat16", "float16", "int8"]
Layer = int | list[int] | Literal["mean"]
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
    layer: Layer = -1
    trim_db: conf.Number | None = None
    rms_dbfs: conf.Number | None = None
    dtype: Dtype = "float16"
    precision: Precision | None = field(default=None, repr=False)
    batch_seconds: conf.Number | None = field(default=None, repr=False)


@dataclass
class TransformersConf:
    """An audio encoder of transformers, by hub name (at a revision) or folder.

    output: hidden, the states of `layer` as in S3PRLConf, or latents, the frames of a codec and of CLAP, as
    fas.frontend.hf_latents says for each; sample_rate: Hz, the checkpoint's own if None.
    """

    model: str
    kind: str = "transformers"
    output: Literal["hidden", "latents"] = "hidden"
    layer: Layer | None = None
    sample_rate: int | None = None
    revision: str | None = None
    trim_db: conf.Number | None = None
    rms_dbfs: conf.Number | None = None
    dtype: Dtype = "float16"
    precision: Precision | None = None
    batch_seconds: conf.Number | None = None


@dataclass
class MingTokConf:
    """MingTok-Audio's encoder, by hub name (at a revision) or folder: the mean of its posterior."""

    model: str
    kind: str = "mingtok"
    revision: str | None = None
    trim_db: conf.Number | None = None
    rms_dbfs: conf.Number | None = None
    dtype: Dtype = "float16"
    precision: Precision | None = None
    batch_seconds: conf.Number | None = None


@dataclass
class FunASRConf:
    """An emotion2vec model of FunASR, by hub name (at a revision) or folder: its frames, an utterance at a time."""

    model: str
    kind: str = "funasr"
    revision: str | None = None
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
    precision: Precision | None = field(default=None, repr=False)
    batch_seconds: conf.Number | None = field(default=None, repr=False)


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
    precision: Precision | None = field(default=None, repr=False)


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


AcousticConf = S3PRLConf | WhisperBlockConf | TransformersConf | MingTokConf | FunASRConf
KINDS = {
    "ssl": {
        "s3prl": S3PRLConf,
        "whisper": WhisperBlockConf,
        "transformers": TransformersConf,
        "mingtok": MingTokConf,
        "funasr": FunASRConf,
    },
    "text": {"hf": HFTextConf, "spm": SPMTextConf},
}
KINDS["semantic"] = KINDS["ssl"]  # any encoder of the voice may give the semantic stream


def load_ssl_conf(path: Path) -> AcousticConf:
    """Read conf/ssl/*.yaml. Raises ConfError."""
    return settings("ssl", conf.load(path), path)


def load_text_conf(path: Path) -> HFTextConf | SPMTextConf:
    """Read conf/text/*.yaml. Raises ConfError."""
    return settings("text", conf.load(path), path)


def load_whisper_conf(path: Path) -> WhisperConf:
    """Read conf/whisper/*.yaml. Raises ConfError."""
    return settings("whisper", conf.load(path), path)


def settings(stage: str, values: dict[str, Any], path: Path) -> Any:
    """The settings of an ssl, semantic, whisper or text encoder; path: where the values are from. Raises ConfError."""
    made = WhisperConf
    if stage in KINDS:
        if values.get("kind") not in KINDS[stage]:
            raise ConfError(
                f"{path}: kind must be one of {', '.join(KINDS[stage])}, not {values.get('kind')!r}"
            )
        made = KINDS[stage][values["kind"]]
    built = conf.build(made, values, path)
    _check(built, path)
    return built


def _check(built: Any, path: Path) -> None:
    """What types don't say."""
    for key in ("sample_rate", "batch_seconds", "trim_db"):
        value = getattr(built, key, None)
        if value is not None and value <= 0:
            raise ConfError(f"{path}: {key} must be a number above 0, not {value!r}")
    if getattr(built, "margin", 0) < 0:
        raise ConfError(f"{path}: margin must be 0 or more, not {built.margin!r}: it would cut off the end")
    named = {"layer": getattr(built, "layer", None)} | getattr(built, "blocks", {})
    for key, layer in named.items():
        if layer == []:
            raise ConfError(f"{path}: {key} must name a layer at least, not []")
    if getattr(built, "batch_seconds", None) and built.precision == "int8":
        raise ConfError(f"{path}: int8 rounds by the loudest of a batch; leave out precision or batch_seconds")
    if isinstance(built, TransformersConf) and built.output == "latents" and built.layer is not None:
        raise ConfError(f"{path}: latents have no layer; leave out layer, or set output: hidden")


def outputs(settings: Any) -> list[str]:
    """Names of an encoder's feature folders below its output folder, "." for the folder itself."""
    return list(settings.blocks) if isinstance(settings, WhisperConf) else ["."]


def tables(settings: Any) -> list[str]:
    """Names of the text tables that an encoder writes beside its features."""
    if isinstance(settings, WhisperConf):
        return ["text"]
    return ["tokens"] if isinstance(settings, HFTextConf | SPMTextConf) else []


def digest(settings: Any) -> str:
    """Identity of an encoder: its settings, and size and time of the local checkpoint that they name.

    Of Whisper's words: the rule, too, by which there are none, so that transcripts of another rule are made again.
    """
    rule = ["no words where openai-whisper says no speech"] if isinstance(settings, WhisperConf) else []
    local = [Path(v).expanduser() for v in (getattr(settings, "ckpt", None), getattr(settings, "model", None)) if v]
    later = [(f.name, getattr(settings, f.name)) for f in fields(settings) if not f.repr]
    set_later = [f"{name}={value!r}" for name, value in later if value is not None]
    return stamp.digest(repr(settings), *rule, *set_later, *(stamp.stat_line(p) for p in local if p.exists()))


NO_MEMORY = ("can't allocate memory", "could not create a primitive")


def out_of_memory(error: BaseException) -> bool:
    """torch has an exception of its own on GPUs and none on the CPU, where oneDNN says less still."""
    return (
        isinstance(error, MemoryError)
        or type(error).__name__ == "OutOfMemoryError"
        or (isinstance(error, RuntimeError) and any(says in str(error) for says in NO_MEMORY))
    )
