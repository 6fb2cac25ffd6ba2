"""Decoding ahead of the encoder: one job of a tiny encoder over 1,000 FLAC files, with and without.

benchmarks/overlap.py --work FOLDER --rounds R --rows FILE [--files 1000]
Files are RAVDESS's utterances as 48 kHz FLAC, the encoder is a HuBERT of one layer of width 32. Both contenders
write the same arks; FAS_THREADS=1 shows a job of one thread, as where each core has one.
"""

import os
import tempfile
from pathlib import Path

import soundfile
import soxr
import torch
from side_by_side import add_row, options, take_turns

from fas import threads
from fas.data import audio, datadir
from fas.data.datadir import DataDir
from fas.features import extract
from fas.frontend import Frontend, TransformersConf
from fas.frontend.hf_audio import TransformersFrontend

SIZES = {  # encoding takes less time than decoding, as on a GPU
    "hidden_size": 32, "num_hidden_layers": 1, "num_attention_heads": 2, "intermediate_size": 64,
    "conv_dim": (8,), "conv_kernel": (400,), "conv_stride": (320,), "num_conv_pos_embedding_groups": 4,
}  # fmt: skip


def checkpoint(folder: Path) -> Path:
    from transformers import HubertConfig, HubertModel, Wav2Vec2FeatureExtractor

    if not (folder / "preprocessor_config.json").exists():
        torch.manual_seed(0)
        HubertModel(HubertConfig(**SIZES)).save_pretrained(folder)
        Wav2Vec2FeatureExtractor().save_pretrained(folder)
    return folder


def flacs(data: DataDir, folder: Path, count: int) -> DataDir:
    """So many utterances as 48 kHz FLAC."""
    folder.mkdir(parents=True, exist_ok=True)
    made = data.take([data.utts[i % len(data)] for i in range(min(count, len(data)))])
    for utt in made.utts:
        path = folder / f"{utt}.flac"
        if not path.exists():
            soundfile.write(path, soxr.resample(audio.read(made.wav[utt]), 16_000, 48_000), 48_000)
        made.wav[utt] = str(path)
    return made


class Behind:
    """The same frontend without a loader that `run_job` could start: each utterance is decoded when its turn comes."""

    def __init__(self, frontend: Frontend):
        self.batches, self.encode = frontend.batches, frontend.encode


def run() -> None:
    parser = options(__doc__)
    parser.add_argument("--files", type=int, default=1000)
    args = parser.parse_args()
    threads.share()
    settings = TransformersConf(str(checkpoint(args.work / "ckpt/hubert_tiny")))
    data = flacs(datadir.read(args.work / "data/ravdess"), args.work / "flac", args.files)
    frontend = TransformersFrontend(settings, "cpu")

    def job(made: Frontend, part: DataDir) -> dict[str, bytes]:
        with tempfile.TemporaryDirectory(dir=args.work) as out:
            extract.run_job(made, settings, part, Path(out), 1, {})
            return {"ark": (Path(out) / "feats.1.ark").read_bytes()}

    contenders = {
        "ahead": lambda part: job(frontend, part),
        "behind": lambda part: job(Behind(frontend), part),
    }
    turns = take_turns(contenders, [data] * args.rounds)
    found, spent = turns.ratios("behind", "ahead")
    same = all(a == b for a, b in zip(*turns.made.values(), strict=True))
    given = torch.get_num_threads()
    note = f"{spent}; load {os.getloadavg()[0]:.1f}; arks {'the same to the byte' if same else 'DIFFER'}"
    work = f"one job of {given} threads, a tiny encoder, {len(data)} FLAC files, decoded ahead"
    add_row(args.rows, work, "each decoded in its turn", "1.5 x" if given > 1 else "1 x", found, note)


if __name__ == "__main__":
    run()
