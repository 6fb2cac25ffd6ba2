"""Features of many utterances as patches on disk, read through memory maps, in packed batches.

Patchify (Eq. 1) has no parameters, so it is done once: beside a feats.scp lies patch<s>/ with the means over s frames
of every utterance in one array, and mean and deviation over all frames of each utterance (patchall/ has no other
tokens). No process holds a corpus.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from fas import stamp
from fas.data import datadir, tables
from fas.errors import ArkError, ConfError, DataError
from fas.features import ark
from fas.model import Patch, patchify

CHUNK = 64  # utterances at once where statistics are summed
ARRAYS = ["patches.npy", "moments.npy", "utts.npy", "starts.npy"]  # of a store


class Store:
    """Patches of one stream of one set.

    patches: (sum of N, D); moments: (utterances, 2 D), the mean and the standard deviation over all frames of each;
    utts: (utterances,) their names as UTF-8, sorted; starts: (utterances + 1,) where the patches of each begin, and the
    end. All are mapped from disk.
    """

    def __init__(self, folder: Path, patch: Patch):
        if not (folder / "feats.scp").exists():
            raise DataError([f"{folder}/feats.scp: no features; run the stage that writes {folder} first"])
        self.folder = folder / f"patch{patch}"
        self.inputs = {"features": ark.digest(folder), "arrays": " ".join(ARRAYS)}
        self.patch = patch
        with stamp.locked(folder / f".patch{patch}.lock"):
            if not stamp.is_whole(self.folder, self.inputs):
                self._make(folder)
        # as plain arrays, still on disk: cutting a piece out of numpy's memmap class takes longer
        self.patches, self.moments, self.utts, self.starts = (
            np.asarray(np.load(self.folder / name, mmap_mode="r", allow_pickle=False)) for name in ARRAYS
        )
        self.dim = self.patches.shape[1]

    def _make(self, folder: Path) -> None:
        """Written from front to back, so that a full disk is an error and not a signal of the memory map."""
        ark.verify(folder)
        self.folder.mkdir(exist_ok=True)
        stamp.unmark(self.folder)
        lengths = {u: int(n) for u, n in tables.read_table(folder / "utt2num_frames").items()}
        starts = np.cumsum([0, *(1 if self.patch == "all" else -(-n // self.patch) for n in lengths.values())])
        with (
            ark.Reader(folder / "feats.scp") as reader,
            stamp.write_aside(self.folder / "patches.npy", "wb") as patches,
            stamp.write_aside(self.folder / "moments.npy", "wb") as moments,
        ):
            first = reader[next(iter(lengths))]
            dim = first.shape[1]
            for file, dtype, rows in (
                (patches, first.dtype, (int(starts[-1]), dim * (2 if self.patch == "all" else 1))),
                (moments, np.dtype(np.float32), (len(lengths), 2 * dim)),
            ):
                head = {"descr": np.lib.format.dtype_to_descr(dtype), "fortran_order": False, "shape": rows}
                np.lib.format.write_array_header_1_0(file, head)
            for utt, length in lengths.items():
                stored = reader[utt]
                frames = stored.astype(np.float32)
                if frames.shape != (length, dim) or not np.isfinite(frames).all():
                    raise ArkError(
                        f"{folder}/feats.scp: utterance {utt!r} has frames {frames.shape}, expected "
                        f"{(length, dim)} and finite; extract the set again"
                    )
                made = to_patches(stored, self.patch)
                patches.write(made.tobytes())
                moments.write(np.concatenate([frames.mean(0), frames.std(0)]).tobytes())
        for name, array in (("utts.npy", utf8(list(lengths))), ("starts.npy", starts)):
            with stamp.write_aside(self.folder / name, "wb") as f:
                np.save(f, array, allow_pickle=False)
        stamp.mark_whole(self.folder, self.inputs, ARRAYS)

    def find(self, utts: list[str]) -> np.ndarray:
        """(utterances,) rows of these in `utts` and `moments`. Raises DataError."""
        wanted = utf8(utts)
        rows = np.minimum(np.searchsorted(self.utts, wanted), len(self.utts) - 1)
        if missing := [utts[i] for i in np.flatnonzero(self.utts[rows] != wanted)]:
            again = "extract the features of its set again"
            raise DataError([f"{self.folder}: no utterance {u!r}; {again}" for u in missing])
        return rows


def utf8(utts: list[str]) -> np.ndarray:
    """(utterances,) names as UTF-8, whose order is that of the strings."""
    return np.array([u.encode() for u in utts], np.bytes_)


def to_patches(frames: np.ndarray, patch: Patch) -> np.ndarray:
    """Frames (T, D) of one utterance -> its patches (N, D) as a Store holds them, in the frames' own dtype."""
    made, _ = patchify(torch.from_numpy(frames.astype(np.float32))[None], torch.tensor([len(frames)]), patch)
    return made[0].numpy().astype(frames.dtype)


def pack(pieces: Sequence[np.ndarray], cmn: bool) -> Tensor:
    """Patches (N, D) of each utterance -> float32 (M, D), each without its own mean where `cmn` asks for it."""
    packed = torch.from_numpy(np.concatenate(pieces)).float()
    if cmn:
        for own in packed.split([len(p) for p in pieces]):
            own -= own.mean(0)
    return packed


open_store = cache(Store)  # one object for each folder in a process


@dataclass
class Batch:
    """Packed patches (M, D) and lengths (B,) of each stream; labels: numbers (B,), or shares (B, C) of soft ones."""

    patches: dict[str, Tensor]
    lengths: dict[str, Tensor]
    labels: Tensor

    def to(self, device: str) -> "Batch":
        both = (self.patches, self.lengths)
        patches, lengths = ({n: x.to(device, non_blocking=True) for n, x in values.items()} for values in both)
        return Batch(patches, lengths, self.labels.to(device))


@dataclass(frozen=True)
class Source:
    """Where a stream's patches come from: base/<set>/below, such as dump/ssl/x, ".", and what is done to them."""

    base: Path
    below: str = "."
    patch: Patch = 5
    cmn: bool = False


@dataclass
class Rows:
    """Where the patches of each utterance lie in its store: first patch, patches, row of the moments."""

    source: Source
    stores: list[Store]
    start: np.ndarray
    length: np.ndarray
    row: np.ndarray


class Dataset:
    """The streams of one or more data dirs.

    soft: labels of batches are utt2emo_soft, not utt2emo;
    target: whose emotion the references are, the voice's (utt2emo) or the words' (utt2sem, of those that have it);
    norm: speaker or corpus z-scores each stream by the statistics of each one's own utterances in these data dirs
    (transductive when they are a test set); global leaves it as it is.
    allowed: (utterances, labels), the labels that the corpus of each has; that another is not given says nothing.
    """

    def __init__(
        self,
        dirs: Sequence[Path],
        sources: dict[str, Source],
        labels: list[str],
        norm: str = "global",
        soft: bool = False,
        target: str = "voice",
    ):
        sets = [datadir.read(d) for d in dirs]
        data = datadir.combine(sets)
        self.corpus, self.emotions, self.labels = data.corpus, data.emotions, labels
        given = {label: i for i, label in enumerate(labels)}
        emotion = data.utt2sem if target == "words" else data.utt2emo
        self.utts = [u for u in data.utts if emotion.get(u) in given]
        self.dropped = len(data) - len(self.utts)
        if not self.utts:
            has, named = " ".join(sorted(set(emotion.values()))) or "no utt2sem", " ".join(map(str, dirs))
            cure = "target: words needs it" if target == "words" else "prepare all sets with the same --labels"
            raise DataError([f"{named}: has {has} and nothing of what the model can tell, {' '.join(labels)}; {cure}"])
        self.references = np.array([given[emotion[u]] for u in self.utts])
        self.words = np.array([given.get(data.utt2sem.get(u, ""), -1) for u in self.utts])
        self.store = np.array([next(i for i, s in enumerate(sets) if u in s.wav) for u in self.utts])
        self.shares = self._soft(data, given) if soft else None
        self.corpora, self.corpus_of = np.unique([sets[i].corpus for i in self.store], return_inverse=True)
        known = {c: {e for s in sets if s.corpus == c for e in s.emotions} for c in self.corpora}
        self.allowed = np.array([[e in known[c] for e in labels] for c in self.corpora])[self.corpus_of]
        speakers = [data.utt2spk[u] for u in self.utts]
        self.group = self.corpus_of if norm == "corpus" else np.unique(speakers, return_inverse=True)[1]
        del sets, data
        self.streams = {n: self._rows(n, dirs, s) for n, s in sources.items()}
        self.normal = {n: self._group_statistics(n) for n in sources} if norm != "global" else {}

    def __len__(self) -> int:
        return len(self.utts)

    def _soft(self, data: datadir.DataDir, given: dict[str, int]) -> np.ndarray:
        """(utterances, C) shares of the listeners. Raises DataError for utterances without."""
        if missing := [u for u in self.utts if u not in data.utt2emo_soft]:
            cure = "fas agree makes it, or train without soft_labels"
            raise DataError([f"{data.path}: utterance {u!r} has no utt2emo_soft; {cure}" for u in missing])
        made = np.zeros((len(self.utts), len(self.labels)), np.float32)
        for row, utt in zip(made, self.utts, strict=True):
            for label, share in tables.soft_label(data.utt2emo_soft[utt]).items():
                row[given[label]] = share
        return made / made.sum(1, keepdims=True)

    def _rows(self, name: str, dirs: Sequence[Path], source: Source) -> Rows:
        stores = [open_store(source.base / datadir.home(d).name / source.below, source.patch) for d in dirs]
        dims = {str(s.folder): s.dim for s in stores}
        if len(set(dims.values())) > 1:
            raise ConfError(f"stream {name}: the sets' features differ in width: {dims}")
        start, length, row = (np.empty(len(self), np.int64) for _ in range(3))
        for i, store in enumerate(stores):
            mine = np.flatnonzero(self.store == i)
            row[mine] = found = store.find([self.utts[u] for u in mine])
            start[mine] = store.starts[found]
            length[mine] = store.starts[found + 1] - start[mine]
        return Rows(source, stores, start, length, row)

    def weights(self, balance: str) -> np.ndarray:
        """(utterances,) weights of mean 1, by which every corpus, or every label that was given, has the same sum."""
        if balance == "none":
            return np.ones(len(self))
        group = self.corpus_of if balance == "corpus" else self.references
        counts = np.bincount(group)
        return len(self) / (np.count_nonzero(counts) * counts[group])

    @property
    def word_weights(self) -> np.ndarray:
        """(C,) float32 weights that give every emotion of the words the same sum; 0 for those that no words have."""
        counts = np.bincount(self.words[self.words >= 0], minlength=len(self.labels))
        there = max(1, np.count_nonzero(counts))
        return np.where(counts, counts.sum() / there / np.maximum(counts, 1), 0).astype(np.float32)

    def dim(self, name: str) -> int:
        """Width D of a stream."""
        return self.streams[name].stores[0].dim

    def statistics(self, name: str, keep: np.ndarray | None = None) -> tuple[np.ndarray, np.ndarray]:
        """Mean and standard deviation (D,) over the patches of a stream (of the utterances `keep`), in float64."""
        total = square = 0.0
        count = 0
        wanted = np.arange(len(self)) if keep is None else keep
        for i in range(0, len(wanted), CHUNK):
            x = self._gather(name, wanted[i : i + CHUNK]).numpy().astype(np.float64)
            total, square, count = total + x.sum(0), square + (x * x).sum(0), count + len(x)
        mean = total / count
        return mean, np.sqrt(np.maximum(square / count - mean**2, 0))

    def _group_statistics(self, name: str) -> tuple[np.ndarray, np.ndarray]:
        """Mean and deviation (groups, D) of a stream, of each speaker or corpus."""
        each = [self.statistics(name, np.flatnonzero(self.group == g)) for g in range(self.group.max() + 1)]
        mean, std = (np.stack(x).astype(np.float32) for x in zip(*each, strict=True))
        return mean, np.maximum(std, 1e-5)

    def _gather(self, name: str, chosen: np.ndarray) -> Tensor:
        """(M, D) float32 patches of the utterances numbered `chosen`, one utterance behind the other, after cmn."""
        rows = self.streams[name]
        pieces = [
            rows.stores[k].patches[first : first + length]
            for k, first, length in zip(self.store[chosen], rows.start[chosen], rows.length[chosen], strict=True)
        ]
        return pack(pieces, rows.source.cmn)

    def batch(self, chosen: np.ndarray) -> Batch:
        """The utterances numbered `chosen`, normalised per speaker or corpus where asked for."""
        patches, lengths = {}, {}
        for name, rows in self.streams.items():
            made = self._gather(name, chosen)
            if self.normal:
                group = torch.from_numpy(np.repeat(self.group[chosen], rows.length[chosen]))
                mean, std = (torch.from_numpy(x)[group] for x in self.normal[name])
                made = (made - mean) / std
            patches[name] = made
            lengths[name] = torch.from_numpy(rows.length[chosen])
        targets = self.references if self.shares is None else self.shares
        return Batch(patches, lengths, torch.from_numpy(targets[chosen]))

    def batches(self, size: int, order: np.ndarray | None = None) -> Iterator[Batch]:
        """All utterances in batches, in the given order of numbers (C locale's order without)."""
        order = np.arange(len(self)) if order is None else order
        for i in range(0, len(order), size):
            yield self.batch(order[i : i + size])

    def moments(self) -> np.ndarray:
        """(utterances, sum of 2 D) mean and deviation over the frames of each stream; z-scored as `norm` asks."""
        widths = [rows.stores[0].moments.shape[1] for rows in self.streams.values()]
        made = np.empty((len(self), sum(widths)))
        for rows, of_stream in zip(self.streams.values(), np.split(made, np.cumsum(widths)[:-1], axis=1), strict=True):
            for number, store in enumerate(rows.stores):
                own = np.flatnonzero(self.store == number)
                of_stream[own] = store.moments[rows.row[own]]
        for group in np.unique(self.group) if self.normal else []:
            own = self.group == group
            made[own] = (made[own] - made[own].mean(0)) / np.maximum(made[own].std(0), 1e-5)
        return made
