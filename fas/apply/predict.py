"""An exported model, from audio to emotion: the encoders that it was trained with, and the heads on top of them.

    from fas import FAS
    FAS.load("model").predict("a.wav")

The frames pass through the same frontends, the same float16 and the same head as in the recipe, utterance by utterance,
so that the posteriors are those of stage 5.
"""

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors import SafetensorError
from safetensors.torch import load_file

from fas import conf, frontend, heap, stamp
from fas.apply.prediction import Prediction
from fas.apply.recording import Timeline
from fas.data import audio
from fas.data.datadir import DataDir
from fas.errors import AudioError, ConfError
from fas.frontend.build import build
from fas.model import FASHead
from fas.scoring import score
from fas.scoring.detection import disagreement
from fas.scoring.evidence import Emotion, marks_of, span
from fas.training import checkpoint
from fas.training.confs import StreamConf, TrainConf, settings_of
from fas.training.dataset import Batch, pack, to_patches

AT_ONCE = 32  # utterances that are encoded together
COMPANIONS = ("words", "voice")


class FAS:
    """A model folder that `fas export` made, with its encoders loaded.

    head is the torch module (fas.model.FASHead) and can be used alone: head(frames, lengths) -> logits.
    """

    def __init__(self, folder: Path, device: str):
        heap.share()
        described = conf.load(folder / "conf.yaml")
        if "exported" not in described:
            raise ConfError(f"{folder}: is a training; make a model of it: fas export --model {folder} --out OUT")
        self.folder, self.device, self.transductive = folder, device, False
        self.labels = (folder / "labels").read_text(encoding="utf-8").split()
        self.head, self.settings = _head(folder, described, len(self.labels), device)
        self.companions = {
            name: _head(folder / name, conf.load(folder / name / "conf.yaml"), len(self.labels), device)
            for name in COMPANIONS
            if (folder / name / "conf.yaml").exists()
        }
        reads = folder / "words/conf.yaml" if "words" in self.companions else folder / "conf.yaml"
        self.reads = set(conf.load(reads).get("train_languages", []))  # of the words' side; empty where nobody told
        self.unread: set[str] = set()
        heads = [self.settings, *(settings for _, settings in self.companions.values())]
        kinds = {str(s["feats"]).partition("/")[0] for settings in heads for s in settings.streams.values()}
        kinds |= {"whisper"} if "text" in kinds else set()  # whose words it reads
        if missing := sorted(kinds - described["encoders"].keys()):
            raise ConfError(f"{folder}/conf.yaml: no encoder for {', '.join(missing)}; export the model again")
        self.encoders = {}  # Whisper first: its words go into the text encoder
        for kind in ("whisper", "ssl", "semantic", "text"):
            if kind in kinds or (kind == "whisper" and kind in described["encoders"]):
                self.encoders[kind] = _encoder(folder, kind, described["encoders"][kind], device)
        heap.trim()

    @classmethod
    def load(cls, folder: str | Path, device: str | None = None) -> "FAS":
        """device: cpu or cuda; cuda where there is one if None. Raises ConfError."""
        folder = Path(folder)
        if not (folder / "conf.yaml").is_file():
            raise ConfError(f"{folder}: no conf.yaml in it; name a folder that fas export made")
        if device == "cuda" and not torch.cuda.is_available():
            raise ConfError("--device cuda: torch sees no CUDA device; use cpu")
        return cls(folder, device or ("cuda" if torch.cuda.is_available() else "cpu"))

    def predict(
        self,
        path: str | Path,
        language: str | None = None,
        labels: Iterable[str] = (),
        channel: int | None = None,
    ) -> Prediction:
        """One audio file. language: ISO 639-1, None to hear it; labels: the only ones to give, all if none.

        channel: the one to take, from 1, None to mix them (`fas.data.mix`). Raises AudioError.
        """
        return next(self.predict_set(files([path], language, channel), labels))

    def predict_recording(self, path: str | Path, segments: str = "vad", **options: Any) -> Timeline:
        """A recording of any length: iterate over what is returned to have each piece as soon as it is judged.

        segments: vad cuts it where somebody speaks; fixed:4:2 into windows of 4 s every 2 s; none not at all; or the
        name of a file of Kaldi's segments, RTTM, or a TextGrid. options: language, labels and channel, as in `predict`.
        A notebook shows what is returned as a timeline. Raises AudioError, ConfError, DataError.
        """
        return Timeline(self.predict_set, self.labels, path, segments, **options)

    def predict_set(self, data: DataDir, labels: Iterable[str] = ()) -> Iterator[Prediction]:
        """Every utterance of a set, in its order. Raises AudioError, ConfError."""
        allowed = self._allowed(labels)
        utts = list(data.wav)
        for first in range(0, len(utts), AT_ONCE):
            chosen = utts[first : first + AT_ONCE]
            part = data.subset(set(chosen).__contains__)
            encoded = self._encode(part)
            for utt in chosen:
                yield self._judge(utt, part, encoded[utt], allowed)

    @property
    def heads(self) -> dict[str, tuple[FASHead, TrainConf]]:
        """Folder below the model's -> the head in it and its settings; "." is the whole system."""
        return {".": (self.head, self.settings)} | self.companions

    def encode_set(self, data: DataDir) -> Iterator[dict[str, Any]]:
        """The encoders' outputs of every utterance of a set, in its order: ssl, whisper/last and so on."""
        utts = list(data.wav)
        for first in range(0, len(utts), AT_ONCE):
            chosen = utts[first : first + AT_ONCE]
            encoded = self._encode(data.subset(set(chosen).__contains__))
            yield from (encoded[utt] for utt in chosen)

    @staticmethod
    def patches(settings: TrainConf, encoded: dict[str, Any]) -> dict[str, torch.Tensor]:
        """The patches (N, D) of each stream of a head, from what the encoders made of an utterance."""
        made = {}
        for name, values in settings.streams.items():
            stream = StreamConf(**values)
            made[name] = pack([to_patches(encoded[stream.feats], stream.patch)], stream.cmn)
        return made

    def _allowed(self, labels: Iterable[str]) -> np.ndarray:
        wanted = set(labels) or set(self.labels)
        if unknown := sorted(wanted - set(self.labels)):
            raise ConfError(f"--labels {' '.join(unknown)}: the model has {' '.join(self.labels)}")
        return np.array([e in wanted for e in self.labels])

    def _encode(self, data: DataDir) -> dict[str, dict[str, Any]]:
        """Utterance -> output of each encoder, such as ssl, whisper/last and text, tokens and words."""
        made: dict[str, dict[str, Any]] = {u: {} for u in data.utts}
        for kind, encoder in self.encoders.items():
            if kind == "text":
                data.text = {u: made[u]["whisper/text"] for u in data.utts}
            for batch in encoder.batches(data):
                for utt, outputs in zip(batch, encoder.encode(batch), strict=True):
                    made[utt] |= {kind if name == "." else f"{kind}/{name}": v for name, v in outputs.items()}
            if kind == "whisper":
                made = {utt: outputs | {"language": encoder.spoken.get(utt, "")} for utt, outputs in made.items()}
        heap.trim()
        return made

    def _read(self, encoded: dict[str, Any]) -> bool:
        """Whether words were heard that the words' side can judge; it is said of each other language once."""
        language = encoded.get("language", "")
        if not encoded.get("whisper/text"):
            return False
        if not self.reads or language in self.reads:
            return True
        if language not in self.unread and "words" in self.companions:
            self.unread.add(language)
            known = ", ".join(sorted(self.reads))
            stamp.log(f"words in {language}: this model's words' side reads {known} alone; no emotion of them is given")
        return False

    def _judge(self, utt: str, data: DataDir, encoded: dict[str, Any], allowed: np.ndarray) -> Prediction:
        posteriors, kept, conflict = self._run(utt, self.head, self.settings, encoded, allowed)
        heard = encoded.get("whisper/text", "")
        read = self._read(encoded)
        if "whisper/text" in encoded and not read:
            conflict = None  # no words that the tone could part from
        others = {}
        for name, (head, settings) in self.companions.items():
            if name == "words" and not read:
                continue
            values, *_ = self._run(utt, head, settings, encoded, allowed)
            others[name] = Emotion(max(values, key=values.get), values)
        if conflict is None and len(others) == 2:
            conflict = float(disagreement(*(np.array(list(side.posteriors.values())) for side in others.values())))
        marks = {}
        for stream, places in kept.items():
            values = self.settings.streams[stream]
            pieces = encoded["text/tokens"].split() if values["feats"] == "text" else None
            kind = str(values["feats"]).partition("/")[0]
            times = None
            if pieces is None:
                trim_db = self.encoders[kind].settings.trim_db
                times = span(data.place(utt), trim_db, len(encoded[values["feats"]]), data.channel.get(utt))
            marks[stream] = marks_of(places, StreamConf(**values).patch, times, pieces)
        label = max(posteriors, key=posteriors.get)
        where: dict[str, Any] = {"seconds": data.utt2dur[utt], "channel": data.channel.get(utt)}
        if utt in data.segments:
            where |= {"start": data.segments[utt].start, "part": True, "speaker": data.utt2spk.get(utt, "")}
        more = where | {"attention": marks, "transductive": self.transductive, "language": encoded.get("language", "")}
        more["conflict_probability"] = conflict
        return Prediction(utt, data.wav[utt], label, posteriors, heard, **others, **more)

    def _run(
        self, utt: str, head: FASHead, settings: TrainConf, encoded: dict[str, Any], allowed: np.ndarray
    ) -> tuple[dict[str, float], score.Kept, float | None]:
        patches = self.patches(settings, encoded)
        lengths = {name: torch.tensor([len(p)]) for name, p in patches.items()}
        utterance = Batch(patches, lengths, torch.zeros(1, dtype=torch.long)).to(self.device)
        if "whisper/text" in encoded and not self._read(encoded):
            utterance = score.hush(utterance, settings)
        posteriors, kept, conflict = score.predict_one(head, utterance)
        for values in (posteriors[None], None if conflict is None else np.array([conflict])):
            score.check_finite(values, [utt], self.folder)
        masked = posteriors * allowed
        return dict(zip(self.labels, (masked / masked.sum()).tolist(), strict=True)), kept, conflict


def files(paths: Iterable[str | Path], language: str | None, channel: int | None = None) -> DataDir:
    """Audio files as a set, named by their paths. Raises AudioError for one that is silent or no sound."""
    data = DataDir("", {}, {}, {}, {})
    for path in map(str, paths):
        samples = audio.read(path, channel=channel)
        if silent := audio.silence(samples):
            raise AudioError(f"{path}: {silent}, so that no emotion is in it; is the microphone muted?")
        data.utt2dur[path] = len(samples) / audio.SAMPLE_RATE
        data.wav[path] = path
        if channel:
            data.channel[path] = channel
        if language:
            data.utt2lang[path] = language
    return data


def _head(folder: Path, described: dict[str, Any], classes: int, device: str) -> tuple[FASHead, TrainConf]:
    settings = settings_of(described)
    head = checkpoint.build_model(settings, described["dims"], classes)
    try:
        head.load_state_dict(load_file(folder / "model.safetensors"))
    except (OSError, RuntimeError, SafetensorError) as e:
        raise ConfError(f"{folder}/model.safetensors: {str(e).splitlines()[0]}; export the model again") from None
    return head.to(device).eval(), settings


def _encoder(folder: Path, kind: str, values: dict[str, Any], device: str) -> frontend.Frontend:
    """An encoder by its conf; a path that begins with ./ lies in the model folder."""
    values = {k: str(folder / v) if isinstance(v, str) and v.startswith("./") else v for k, v in values.items()}
    spm = values.pop("folder", None)
    return build(frontend.settings(kind, values, folder / "conf.yaml"), Path(spm) if spm else None, device)
