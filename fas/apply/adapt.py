"""A model brought to the level of one's own recordings, without labels: microphone, room, language, speakers.

A head standardises each of its streams by mean and deviation over its training set. `measure` takes both over other
recordings instead, and nothing else of the model changes. What is predicted of the same recordings then is transductive
(each answer depends on all of them); of later ones it is not.
"""

import argparse
import os
import shutil
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

import yaml
from safetensors.torch import load_file, save
from torch import Tensor, float16

from fas import conf, stamp
from fas.apply import graph
from fas.apply.export import half
from fas.apply.inputs import sets
from fas.apply.predict import FAS
from fas.data.datadir import DataDir
from fas.errors import ConfError

LEAST = 1.0  # minutes of speech
ENOUGH = 5.0  # minutes; what more or less gain is measured by local/open_adapt.py


@dataclass
class Sums:
    """Over all patches of one stream of one head: how many, their sum and sum of squares (D,), in float64."""

    count: int = 0
    total: Tensor | float = 0.0
    square: Tensor | float = 0.0

    def add(self, patches: Tensor) -> None:
        """Patches (N, D) of an utterance."""
        wide = patches.double()
        self.count += len(wide)
        self.total = self.total + wide.sum(0)
        self.square = self.square + wide.square().sum(0)

    def statistics(self) -> tuple[Tensor, Tensor]:
        """Mean and standard deviation, each (D,)."""
        mean = self.total / self.count
        return mean.float(), (self.square / self.count - mean.square()).clamp(min=0).sqrt().float()


class Recordings:
    """The sets of the inputs, counted as they pass; inputs that can't be used are named."""

    def __init__(self, inputs: list[str]):
        self.inputs, self.count, self.failed = inputs, 0, 0

    def __iter__(self) -> Iterator[DataDir]:
        whole = argparse.Namespace(inputs=self.inputs, language=None, channel=None, segments="none", page=None)
        for part in sets(whole):
            if isinstance(part, Exception):
                self.failed += 1
                stamp.log(f"error: {part}")
            else:
                self.count += len(part)
                yield part


def measure(model: FAS, sets: Iterable[DataDir]) -> float:
    """Standardise the streams of `model` that hear audio by these recordings; returns the minutes that were heard.

    Raises ConfError for fewer than LEAST minutes, and leaves the model as it was.
    """
    sums: dict[tuple[str, str], Sums] = {}
    seconds = 0.0
    for data in sets:
        seconds += sum(data.utt2dur.values())
        for encoded in model.encode_set(data):
            for name, (_, settings) in model.heads.items():
                for stream, patches in model.patches(settings, encoded).items():
                    if settings.streams[stream]["feats"] != "text":
                        sums.setdefault((name, stream), Sums()).add(patches)
    if seconds < 60 * LEAST:
        raise ConfError(
            f"{seconds / 60:.1f} minutes of recordings are too few to measure: {LEAST:g} are needed, and {ENOUGH:g} "
            "are better; give more, or use the model as it is"
        )
    for (name, stream), sum_ in sums.items():
        model.heads[name][0].set_statistics(stream, *sum_.statistics())
    return seconds / 60


def write(model: FAS, out: Path, minutes: float, recordings: int) -> None:
    """The model's folder with its present statistics, moved into place whole."""
    aside = out.with_name(f".{out.name}.aside")
    shutil.rmtree(aside, ignore_errors=True)
    shutil.copytree(model.folder, aside)
    for name, (head, _) in model.heads.items():
        folder = aside / name
        stored = load_file(folder / "model.safetensors")
        small = next(iter(stored.values())).dtype == float16
        state = {k: (half(v) if small else v).cpu().contiguous() for k, v in head.state_dict().items()}
        (folder / "model.safetensors").write_bytes(save(state))
        if (folder / "model.onnx").exists():
            graph.write(head.cpu().eval(), folder / "model.onnx")
            head.to(model.device)
    described = conf.load(aside / "conf.yaml")
    described["adapted"] = {"recordings": recordings, "minutes": round(minutes, 1)}
    with stamp.write_aside(aside / "conf.yaml") as f:
        yaml.safe_dump(described, f, sort_keys=False, allow_unicode=True)
    with (aside / "README.md").open("a", encoding="utf-8") as f:
        f.write(
            f"\n## Adapted\n\nThe input statistics are those of {recordings} unlabelled recordings ({minutes:.1f} "
            "minutes). The results above are of the model before; those on these recordings are *transductive*.\n"
        )
    shutil.rmtree(out, ignore_errors=True)
    os.rename(aside, out)
