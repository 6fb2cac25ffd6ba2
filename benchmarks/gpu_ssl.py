"""HuBERT base and large sizes with random weights on a GPU: one utterance at a time, batches, and half the bits.

benchmarks/gpu_ssl.py --work FOLDER --rows FILE [--utts 256] [--seconds "10 20 40 60 640"] [--sizes "base large"]
Needs torch, transformers and numpy alone. Utterances are noise of 1 to 8 s (mean 3.5 s), without their decoding. All
contenders take the same utterances, one after the other, in every round. Prints a table of seconds of audio encoded
in a second, and writes the rows as JSON lines, with how far frames are from those of float32 one at a time.
"""

import argparse
import json
import statistics
import time
from pathlib import Path

import numpy as np
import torch

from fas.frontend import TransformersConf
from fas.frontend.hf_audio import TransformersFrontend
from fas.frontend.neural import cut

SIZES = {
    "base": {},
    "large": {
        "hidden_size": 1024, "num_hidden_layers": 24, "num_attention_heads": 16, "intermediate_size": 4096,
        "feat_extract_norm": "layer", "do_stable_layer_norm": True, "conv_bias": True,
    },
}  # fmt: skip


def checkpoint(folder: Path, size: str) -> Path:
    from transformers import HubertConfig, HubertModel, Wav2Vec2FeatureExtractor

    target = folder / f"hubert_{size}"
    if not (target / "preprocessor_config.json").exists():
        torch.manual_seed(0)
        HubertModel(HubertConfig(**SIZES[size])).save_pretrained(target)
        Wav2Vec2FeatureExtractor(return_attention_mask=size == "large").save_pretrained(target)
    return target


def encode(made: TransformersFrontend, sounds: list[np.ndarray], limit: float) -> list[torch.Tensor]:
    """Frames of sounds sorted by length, in passes of up to `limit` padded seconds."""
    frames: list[torch.Tensor] = []
    for first, last in cut([len(s) / made.rate for s in sounds], limit):
        frames += [f.float().cpu() for f in made.frames(sounds[first:last])]
    return frames


Contender = tuple[str, float]  # precision, padded seconds a pass at the most (0: one utterance at a time)


def measure(
    models: dict[str, TransformersFrontend], contenders: list[Contender], sounds: list[np.ndarray], rounds: int,
    cuda: bool,
) -> tuple[dict[Contender, list[float]], dict[Contender, tuple[float, float]], dict[Contender, float]]:
    """Seconds of each round; how far frames are from the first contender's, at most and on the mean; MB."""
    times: dict[Contender, list[float]] = {c: [] for c in contenders}
    off, memory, expected = {}, {}, None
    for turn in range(rounds + 1):  # the first warms up and is compared
        for precision, limit in contenders:
            if cuda:
                torch.cuda.reset_peak_memory_stats()
                torch.cuda.synchronize()
            started = time.perf_counter()
            found = encode(models[precision], sounds, limit)
            if turn:
                times[precision, limit].append(time.perf_counter() - started)
                continue
            expected = expected or found
            pairs = list(zip(found, expected, strict=True))
            off[precision, limit] = (
                max(float((a - b).abs().max() / b.abs().max()) for a, b in pairs),
                float(np.mean([float((a - b).abs().mean() / b.abs().mean()) for a, b in pairs])),
            )
            memory[precision, limit] = torch.cuda.max_memory_allocated() / 1e6 if cuda else 0.0
    return times, off, memory


def run() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--work", type=Path, required=True)
    parser.add_argument("--rows", type=Path, required=True)
    parser.add_argument("--utts", type=int, default=256)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--seconds", default="10 20 40 60 640")
    parser.add_argument("--sizes", default="base large")
    parser.add_argument("--device", default="cuda")
    args = parser.parse_args()
    random = np.random.default_rng(0)
    lengths = np.sort(np.clip(random.gamma(4, 3.5 / 4, args.utts), 1, 8))
    sounds = [random.normal(0, 0.1, int(s * 16_000)).astype(np.float32) for s in lengths]
    total = sum(map(len, sounds)) / 16_000
    name = torch.cuda.get_device_name() if args.device == "cuda" else "processor"
    print(f"{name}, torch {torch.__version__}; {args.utts} utterances, {total:.0f} s\n")
    print("| size | precision | padded s a pass | audio s a second | x one by one | MB | off, largest | off, mean |")
    print("|---|---|---|---|---|---|---|---|")
    args.rows.parent.mkdir(parents=True, exist_ok=True)
    with args.rows.open("a") as out:
        for size in args.sizes.split():
            folder = str(checkpoint(args.work, size))
            models = {
                p: TransformersFrontend(TransformersConf(folder, precision=p), args.device)
                for p in ("float32", "bfloat16", "float16")
            }
            limits = [0.0, *map(float, args.seconds.split())]
            contenders = [(p, limit) for limit in limits for p in models]
            times, off, memory = measure(models, contenders, sounds, args.rounds, args.device == "cuda")
            one = statistics.median(times["float32", 0.0])
            for precision, limit in contenders:
                took = statistics.median(times[precision, limit])
                largest, mean = off[precision, limit]
                row = {
                    "device": name, "size": size, "precision": precision, "pass_seconds": limit,
                    "audio_seconds_a_second": total / took, "times_one_by_one": one / took,
                    "memory_mb": memory[precision, limit], "off_largest": largest, "off_mean": mean,
                    "torch": torch.__version__, "rounds": times[precision, limit],
                }  # fmt: skip
                out.write(json.dumps(row) + "\n")
                print(
                    f"| {size} | {precision} | {f'{limit:g}' if limit else 'one by one'} | {total / took:.0f} | "
                    f"{one / took:.2f} | {memory[precision, limit]:.0f} | {largest:.1e} | {mean:.1e} |",
                    flush=True,
                )


if __name__ == "__main__":
    run()
