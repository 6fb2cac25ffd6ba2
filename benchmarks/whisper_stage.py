"""Stage 2, transcripts and encoder frames together, against openai-whisper and faster-whisper, transcripts alone.

benchmarks/whisper_stage.py --data DATADIR --utts N --rounds R --rows FILE [--model base] [--margins "0.5 1 2 3 5"]
Utterances of data/ravdess and data/emodb, N a round; all take turns on the same ones. Word error rates are over all
rounds, against the corpora's own sentences, after Whisper's basic text normaliser.
With --margins: no contest, but word errors and time of stage 2 for each margin.
"""

import argparse
import random
from pathlib import Path

import jiwer
import numpy as np
import torch
import whisper
from side_by_side import add_row, ratios, take_turns
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GroupKFold, cross_val_predict
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from whisper.normalizers import BasicTextNormalizer

from fas import audio, datadir, fetch
from fas.datadir import DataDir
from fas.frontend import WhisperBlockConf, WhisperConf
from fas.frontend.whisper import WhisperFrontend

CUT = {"trim_db": 35, "rms_dbfs": -25}  # as in conf/whisper/base.yaml and conf/ssl/whisper_base_*.yaml
normalise = BasicTextNormalizer()


def sample(data: DataDir, number: int, rounds: int) -> list[DataDir]:
    """`rounds` disjoint sets of `number` utterances, half of them of each corpus."""
    corpora: dict[str, list[str]] = {}
    for utt in data.utts:
        corpora.setdefault(data.utt2lang[utt], []).append(utt)
    blocks: list[list[str]] = [[] for _ in range(rounds)]
    for utts in corpora.values():
        random.Random(1).shuffle(utts)
        share = min(number // len(corpora), len(utts) // rounds)
        for i, block in enumerate(blocks):
            block += utts[i * share : (i + 1) * share]
    return [data.take(sorted(b)) for b in blocks]


def run_stage(frontend: WhisperFrontend, data: DataDir) -> dict[str, dict]:
    """Utterance -> what the stage makes of it."""
    return {
        utt: encoded
        for batch in frontend.batches(data)
        for utt, encoded in zip(batch, frontend.encode(batch), strict=True)
    }


def openai(model: whisper.Whisper, data: DataDir) -> dict[str, str]:
    options = {"temperature": 0.0, "condition_on_previous_text": False, "fp16": False}
    return {
        u: whisper.transcribe(model, audio.read(data.wav[u]), language=data.utt2lang[u], **options)["text"]
        for u in data.utts
    }


def faster(model: object, data: DataDir) -> dict[str, str]:
    options = {"beam_size": 1, "temperature": 0.0, "condition_on_previous_text": False}
    heard = {}
    for utt in data.utts:
        segments, _ = model.transcribe(audio.read(data.wav[utt]), language=data.utt2lang[utt], **options)
        heard[utt] = "".join(s.text for s in segments)
    return heard


@torch.inference_mode()
def padded_frames(model: whisper.Whisper, data: DataDir) -> dict[str, np.ndarray]:
    """openai-whisper's encoder as it is: 30 s for each utterance, of which its own frames are kept."""
    made = {}
    for utt in data.utts:
        samples = audio.load(data.wav[utt], **CUT)
        mel = whisper.log_mel_spectrogram(whisper.pad_or_trim(samples), model.dims.n_mels)
        made[utt] = model.encoder(mel[None])[0, : -(-len(samples) // 320)].numpy().astype(np.float16)
    return made


def word_error_rate(blocks: list[DataDir], heard: list[dict[str, str]], language: str | None = None) -> float:
    """In percent, over all blocks."""
    said, got = [], []
    for data, texts in zip(blocks, heard, strict=True):
        for utt in data.utts:
            if language in (None, data.utt2lang[utt]):
                said.append(normalise(data.text[utt]))
                got.append(normalise(texts[utt]))
    return 100 * jiwer.wer(said, got)


def rates(blocks: list[DataDir], heard: list[dict[str, str]]) -> str:
    each = ", ".join(f"{la} {word_error_rate(blocks, heard, la):.2f}" for la in ("en", "de"))
    return f"WER {word_error_rate(blocks, heard):.2f} % ({each})"


def accuracy(blocks: list[DataDir], frames: list[dict[str, np.ndarray]]) -> float:
    """Of a logistic regression on mean and deviation over time, speakers held out, in percent."""
    x = [np.r_[f.mean(0), f.std(0)] for m in frames for f in (v.astype(np.float32) for v in m.values())]
    y = [d.utt2emo[u] for d, m in zip(blocks, frames, strict=True) for u in m]
    speakers = [d.utt2spk[u] for d, m in zip(blocks, frames, strict=True) for u in m]
    fitted = make_pipeline(StandardScaler(), LogisticRegression(C=0.02, max_iter=2000))
    return 100 * float((cross_val_predict(fitted, x, y, groups=speakers, cv=GroupKFold(6)) == np.array(y)).mean())


def contest(args: argparse.Namespace, data: DataDir) -> None:
    from faster_whisper import WhisperModel

    blocks = sample(data, args.utts, args.rounds)
    settings = WhisperConf(args.model, {"last": -1}, **CUT)
    stage = WhisperFrontend(settings, "cpu")
    folder = str(fetch.whisper_model(args.model))
    threads = torch.get_num_threads()
    rivals = {t: WhisperModel(folder, "cpu", compute_type=t, cpu_threads=threads) for t in ("int8", "float32")}
    contenders = {
        "stage 2": lambda d: {u: e["text"] for u, e in run_stage(stage, d).items()},
        "openai-whisper": lambda d: openai(stage.model, d),
        **{f"faster-whisper {t}": lambda d, m=m: faster(m, d) for t, m in rivals.items()},
    }
    warm = blocks[0].take(blocks[0].utts[:2])
    for run in contenders.values():
        run(warm)
    seconds, heard = take_turns(contenders, blocks)
    work = f"Whisper stage ({args.model}), transcripts and frames, margin {settings.margin:g} s"
    ours = rates(blocks, heard["stage 2"])
    for name in list(contenders)[1:]:
        note = f"ours {ours}; theirs {rates(blocks, heard[name])}"
        add_row(args.rows, work, f"{name}, transcripts alone", "4 x", ratios(seconds[name], seconds["stage 2"]), note)

    english = data.take([u for u in data.utts if data.utt2lang[u] == "en"])
    blocks = sample(english, args.utts, args.rounds)
    block = WhisperFrontend(WhisperBlockConf(args.model, -1, **CUT), "cpu")
    contenders = {
        "stage 1": lambda d: {u: e["."] for u, e in run_stage(block, d).items()},
        "padded": lambda d: padded_frames(block.model, d),
    }
    seconds, made = take_turns(contenders, blocks)
    note = (
        "logistic regression on them, RAVDESS, speakers held out: "
        f"{accuracy(blocks, made['stage 1']):.1f} % with ours, {accuracy(blocks, made['padded']):.1f} % with theirs"
    )
    found = ratios(seconds["padded"], seconds["stage 1"])
    add_row(args.rows, "encoder frames alone", "openai-whisper's encoder on 30 s", "8 x", found, note)


def margins(args: argparse.Namespace, data: DataDir) -> None:
    blocks = sample(data, args.utts, args.rounds)
    fronts = {m: WhisperFrontend(WhisperConf(args.model, {"last": -1}, margin=float(m), **CUT), "cpu")
              for m in args.margins.split()}
    contenders = {m: lambda d, f=f: {u: e["text"] for u, e in run_stage(f, d).items()} for m, f in fronts.items()}
    seconds, heard = take_turns(contenders, blocks)
    for margin in contenders:
        print(f"margin {margin} s: {sum(seconds[margin]):.1f} s, {rates(blocks, heard[margin])}")


def run() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--utts", type=int, required=True)
    parser.add_argument("--rounds", type=int, required=True)
    parser.add_argument("--rows", type=Path, required=True)
    parser.add_argument("--model", default="base")
    parser.add_argument("--margins", default="")
    args = parser.parse_args()
    data = datadir.combine(datadir.read(args.data / name) for name in ("ravdess", "emodb"))
    margins(args, data) if args.margins else contest(args, data)


if __name__ == "__main__":
    run()
