"""Features of many utterances as patches on disk, read through memory maps, in padded batches.

Patchify (Eq. 1) has no parameters, so it is done once: beside a feats.scp lies patch<s>/ with the means over s frames
of every utterance in one array, and mean and deviation over all frames of each utterance. No process holds a corpus.
"""

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from fas import ark, datadir, stamp
from fas.conf import ConfError
from fas.model import patchify


class Store:
    """Patches of one stream of one set."""

    def __init__(self, folder: Path, patch: int):
        if not (folder / "feats.scp").exists():
            raise datadir.DataError([f"{folder}/feats.scp: no features; run the stage that writes {folder} first"])
        self.folder = folder / f"patch{patch}"
        self.inputs = {"features": features_digest(folder)}
        self.patch = patch
        with stamp.locked(folder / f".patch{patch}.lock"):
            if not stamp.is_whole(self.folder, self.inputs):
                self._make(folder)
        self.index: dict[str, list[int]] = json.loads((self.folder / "index.json").read_text())
        self.patches = np.load(self.folder / "patches.npy", mmap_mode="r", allow_pickle=False)
        self.moments = np.load(self.folder / "moments.npy", mmap_mode="r", allow_pickle=False)
        self.dim = self.patches.shape[1]

    def _make(self, folder: Path) -> None:
        self.folder.mkdir(exist_ok=True)
        stamp.unmark(self.folder)
        index, start = {}, 0
        lengths = {u: int(n) for u, n in datadir.read_table(folder / "utt2num_frames").items()}
        with ark.Reader(folder / "feats.scp") as reader:
            first = reader[next(iter(lengths))]
            shape = (sum(-(-n // self.patch) for n in lengths.values()), first.shape[1])
            patches = np.lib.format.open_memmap(self.folder / "patches.npy", "w+", first.dtype, shape)
            moments = np.lib.format.open_memmap(
                self.folder / "moments.npy", "w+", np.float32, (len(lengths), 2 * shape[1])
            )
            for row, (utt, length) in enumerate(lengths.items()):
                frames = reader[utt].astype(np.float32)
                if frames.shape != (length, shape[1]) or not np.isfinite(frames).all():
                    raise ark.ArkError(
                        f"{folder}/feats.scp: utterance {utt!r} has frames {frames.shape}, expected "
                        f"{(length, shape[1])} and finite; extract the set again"
                    )
                made, _ = patchify(torch.from_numpy(frames)[None], torch.tensor([length]), self.patch)
                patches[start : start + made.shape[1]] = made[0].numpy()
                moments[row] = np.concatenate([frames.mean(0), frames.std(0)])
                index[utt] = [start, start + made.shape[1], row]
                start += made.shape[1]
            patches.flush()
            moments.flush()
        with stamp.write_aside(self.folder / "index.json") as f:
            json.dump(index, f)
        stamp.mark_whole(self.folder, self.inputs, ["patches.npy", "moments.npy", "index.json"])

    def __getitem__(self, utt: str) -> np.ndarray:
        """(N, D) patches of one utterance."""
        start, end, _ = self._find(utt)
        return self.patches[start:end]

    def moment(self, utt: str) -> np.ndarray:
        """(2 D,) mean and standard deviation over the frames of one utterance."""
        return self.moments[self._find(utt)[2]]

    def _find(self, utt: str) -> list[int]:
        if utt not in self.index:
            raise datadir.DataError([f"{self.folder}: no utterance {utt!r}; extract the features of its set again"])
        return self.index[utt]


def features_digest(folder: Path) -> str:
    """Identity of a feature folder: its tables' content and its arks' sizes and times."""
    scp = folder / "feats.scp"
    arks = sorted({a for a, _ in ark.read_scp(scp).values()})
    return stamp.digest(stamp.digest_file(scp), *(stamp.stat_line(a) for a in arks))


@dataclass
class Batch:
    """Patches (B, N, D) and lengths (B,) of each stream, labels (B,), utterances."""

    patches: dict[str, Tensor]
    lengths: dict[str, Tensor]
    labels: Tensor
    utts: list[str]

    def to(self, device: str) -> "Batch":
        return Batch(
            {n: p.to(device, non_blocking=True) for n, p in self.patches.items()},
            {n: le.to(device, non_blocking=True) for n, le in self.lengths.items()},
            self.labels.to(device),
            self.utts,
        )


class Dataset:
    """The streams of one or more data dirs.

    folders: stream name -> (feature base such as dump/ssl/x, folder below the set or ".", patch).
    speaker_norm: z-score each stream per speaker over that speaker's own utterances in these data dirs
    (transductive when they are a test set).
    """

    def __init__(
        self,
        dirs: Sequence[Path],
        folders: dict[str, tuple[Path, str, int]],
        labels: list[str],
        speaker_norm: bool = False,
    ):
        self.sets = [datadir.read(d) for d in dirs]
        self.data = datadir.combine(self.sets)
        self.labels = {label: i for i, label in enumerate(labels)}
        self.utts = [u for u in self.data.utts if self.data.utt2emo[u] in self.labels]
        self.dropped = len(self.data) - len(self.utts)
        self.stores: dict[str, dict[str, Store]] = {}
        for name, (base, below, patch) in folders.items():
            stores = {d: Store(base / datadir.home(d).name / below, patch) for d in dirs}
            self.stores[name] = {u: stores[d] for d, s in zip(dirs, self.sets, strict=True) for u in s.wav}
            dims = {str(s.folder): s.dim for s in stores.values()}
            if len(set(dims.values())) > 1:
                raise ConfError(f"stream {name}: the sets' features differ in width: {dims}")
        self.speaker = self._speaker_statistics() if speaker_norm else {}

    def dim(self, name: str) -> int:
        """Width D of a stream."""
        return next(iter(self.stores[name].values())).dim

    def digest(self) -> str:
        """Identity of features and labels."""
        stores = {str(s.folder): s for by_utt in self.stores.values() for s in by_utt.values()}
        features = [f"{k} {stores[k].inputs['features']}" for k in sorted(stores)]
        return stamp.digest(*features, *(s.labels_digest() for s in self.sets), *self.labels)

    def statistics(self, name: str, utts: Sequence[str] | None = None) -> tuple[Tensor, Tensor]:
        """Mean and standard deviation (D,) over all patches of a stream, in float64, one utterance at a time."""
        total = square = 0.0
        count = 0
        for utt in self.utts if utts is None else utts:
            x = self.stores[name][utt][utt].astype(np.float64)
            total, square, count = total + x.sum(0), square + (x * x).sum(0), count + len(x)
        mean = total / count
        std = np.sqrt(np.maximum(square / count - mean**2, 0))
        return torch.from_numpy(mean).float(), torch.from_numpy(std).float()

    def _speaker_statistics(self) -> dict[tuple[str, str], tuple[np.ndarray, np.ndarray]]:
        by_speaker: dict[str, list[str]] = {}
        for utt in self.data.utts:
            by_speaker.setdefault(self.data.utt2spk[utt], []).append(utt)
        made = {}
        for name in self.stores:
            for speaker, utts in by_speaker.items():
                mean, std = self.statistics(name, utts)
                made[name, speaker] = mean.numpy(), std.clamp(min=1e-5).numpy()
        return made

    def patches(self, name: str, utt: str) -> np.ndarray:
        """(N, D) float32 patches of a stream, normalised per speaker where asked for."""
        x = self.stores[name][utt][utt].astype(np.float32)
        if self.speaker:
            mean, std = self.speaker[name, self.data.utt2spk[utt]]
            x = (x - mean) / std
        return x

    def batch(self, utts: list[str]) -> Batch:
        """Padded batch of these utterances."""
        patches, lengths = {}, {}
        for name in self.stores:
            arrays = [self.patches(name, u) for u in utts]
            lengths[name] = torch.tensor([len(a) for a in arrays])
            padded = np.zeros((len(utts), max(map(len, arrays)), arrays[0].shape[1]), np.float32)
            for i, a in enumerate(arrays):
                padded[i, : len(a)] = a
            patches[name] = torch.from_numpy(padded)
        labels = torch.tensor([self.labels[self.data.utt2emo[u]] for u in utts])
        return Batch(patches, lengths, labels, utts)

    def batches(self, size: int, order: np.ndarray | None = None) -> Iterator[Batch]:
        """All utterances in batches, in the given order of indices (C locale's order without)."""
        utts = self.utts if order is None else [self.utts[i] for i in order]
        for i in range(0, len(utts), size):
            yield self.batch(utts[i : i + size])
