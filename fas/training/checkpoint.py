"""The head that settings describe, and its weights on disk."""

import hashlib
import io
import itertools
from pathlib import Path
from typing import Any

import torch

from fas import stamp
from fas.ablations import Experts, LinearFusion, MixtureFusion, fusion_of
from fas.errors import ConfError
from fas.model import FASConfig, FASHead, Stream
from fas.training.confs import StreamConf, TrainConf, settings_of
from fas.training.inputs import SIDES

SHA256 = 64  # hexadecimal digits


def build_model(settings: TrainConf, dims: dict[str, int], classes: int) -> FASHead:
    """The head for streams of these widths; a logistic regression, on streams of patch all, is one too."""
    streams = {}
    for name, values in settings.streams.items():
        stream = StreamConf(**values)
        streams[name] = Stream(dims[name], stream.patch, stream.tokens, stream.cmn)
    if settings.system == "logreg":
        return FASHead(FASConfig(streams, classes, width=classes), LinearFusion())
    same = ("width", "queries", "heads", "dropout", "choice", "members")
    same += ("channel_dropout", "stream_dropout", "stream_swap")
    config = FASConfig(streams, classes, **{name: getattr(settings, name) for name in same})
    if settings.parts:
        sides = [[build_model(settings_of(p), dims, classes) for p in settings.parts.get(side, [])] for side in SIDES]
        head = FASHead(config, MixtureFusion(config, sides) if settings.fusion == "mixture" else Experts(sides[0]))
        for part in itertools.chain(*sides):
            head.project.update(part.project)
        return head
    plain = settings.fusion == "queries" and settings.members == 1  # FASHead makes it, behind its projections
    return FASHead(config, None if plain else fusion_of(settings.fusion, config))


def save(path: Path, value: object) -> None:
    """torch.save, moved into place whole.

    torch compares no checksum when it loads, so the file, a zip archive, has the SHA-256 of its bytes as its comment.
    """
    buffer = io.BytesIO()
    torch.save(value, buffer)
    body = buffer.getvalue()[:-2] + SHA256.to_bytes(2, "little")  # an archive ends with the length of its comment
    with stamp.write_aside(path, "wb") as f:
        f.write(body + hashlib.sha256(body).hexdigest().encode())


def load(path: Path) -> dict[str, Any]:
    """A checkpoint, tensors and plain values only.

    Raises ConfError when it is not readable or damaged, and takes the mark of its folder away, so that the next run
    trains it again.
    """
    try:
        content = path.read_bytes()
        body, comment = content[:-SHA256], content[-SHA256:]
        sealed = body[-22:-18] == b"PK\5\6" and int.from_bytes(body[-2:], "little") == SHA256
        if sealed and hashlib.sha256(body).hexdigest().encode() != comment:
            raise ValueError("its bytes are not those that were written")
        return torch.load(io.BytesIO(content), map_location="cpu", weights_only=True)
    except Exception as e:  # torch raises many kinds for damaged files
        stamp.unmark(path.parent)
        reason = (str(e) or type(e).__name__).splitlines()[0]
        raise ConfError(f"{path}: not a readable checkpoint ({reason}); train again") from None
