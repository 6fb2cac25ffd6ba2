"""Stage 2, transcripts and encoder frames together, against openai-whisper and faster-whisper, transcripts alone.

benchmarks/whisper_stage.py --work FOLDER --utts N --rounds R --rows FILE [--model base] [--margins "1 3 5" | --words]
Utterances of data/ravdess and data/emodb. A stage gets a corpus at a time, to batch utterances of one length; so
ours takes those of all rounds in every round, theirs the N of the round; ratios are those of the times an utterance.
Word error rates are over all of them, against the corpora's own sentences, after Whisper's basic text normaliser.
With --margins: no contest, but word errors and time of stage 2 for each margin. With --words: no times, but word errors
beside openai-whisper's on N utterances, half of each corpus, and what they make for the corpora as they are.
"""

import argparse
import multiprocessing
import os
import random
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

import jiwer
import numpy as np
import torch
import whisper
from side_by_side import Stage, Turns, add_row, options, take_turns
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GroupKFold, cross_val_predict
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from tqdm import tqdm
from whisper.normalizers import BasicTextNormalizer

from fas.data import audio, datadir
from fas.data.datadir import DataDir
from fas.frontend import WhisperBlockConf, WhisperConf, fetch
from fas.frontend.whisper_encoder import load

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


def with_tokenizer(folder: Path, work: Path) -> Path:
    """A copy, by links, of a CTranslate2 folder, with the tokenizer.json that faster-whisper fetches from a hub else.

    It is made of openai-whisper's own table of the multilingual models.
    """
    from tokenizers import AddedToken, Tokenizer, decoders, models, pre_tokenizers
    from transformers.convert_slow_tokenizer import TikTokenConverter
    from whisper.tokenizer import get_encoding

    work.mkdir(parents=True, exist_ok=True)
    for file in folder.iterdir():
        if not (work / file.name).exists():
            (work / file.name).symlink_to(file.resolve())
    table = Path(whisper.__file__).parent / "assets/multilingual.tiktoken"
    vocabulary, merges = TikTokenConverter(str(table)).extract_vocab_merges_from_model(str(table))
    tokenizer = Tokenizer(models.BPE(vocabulary, merges, fuse_unk=False))
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    special = get_encoding("multilingual", 99)._special_tokens
    tokenizer.add_special_tokens([AddedToken(t, special=True) for t in sorted(special, key=special.get)])
    wrong = [t for t, number in special.items() if tokenizer.token_to_id(t) != number]
    if wrong:
        raise ValueError(f"tokens {wrong} have other numbers in the tokenizer made from {table}")
    tokenizer.save(str(work / "tokenizer.json"))
    return work


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
    every = data.take(sorted(u for b in blocks for u in b.utts))
    settings = WhisperConf(args.model, {"last": -1}, **CUT)
    stage, plain = Stage(settings), load(args.model, "cpu")
    folder = str(with_tokenizer(fetch.whisper_model(args.model), args.work / "faster-whisper"))
    threads = torch.get_num_threads()
    rivals = {t: WhisperModel(folder, "cpu", compute_type=t, cpu_threads=threads) for t in ("int8", "float32")}
    contenders = {
        "stage 2": lambda d: {u: e["text"] for u, e in stage(every if len(d) > 2 else d).items()},
        "openai-whisper": lambda d: openai(plain, d),
        **{f"faster-whisper {t}": lambda d, m=m: faster(m, d) for t, m in rivals.items()},
    }
    turns = take_all(contenders, blocks)
    stage.close()
    heard = turns.made
    work = f"Whisper stage ({args.model}), transcripts and frames, margin {settings.margin:g} s"
    ours = rates([every], heard["stage 2"][:1])
    for name in list(contenders)[1:]:
        found, spent = turns.ratios(name, "stage 2", args.rounds)
        note = f"{spent}; ours {ours}; theirs {rates(blocks, heard[name])}"
        add_row(args.rows, work, f"{name}, transcripts alone", "4 x", found, note)

    english = data.take([u for u in data.utts if data.utt2lang[u] == "en"])
    blocks = sample(english, args.utts, args.rounds)
    every = english.take(sorted(u for b in blocks for u in b.utts))
    stage = Stage(WhisperBlockConf(args.model, -1, **CUT))
    contenders = {
        "stage 1": lambda d: {u: e["."] for u, e in stage(every if len(d) > 2 else d).items()},
        "padded": lambda d: padded_frames(plain, d),
    }
    turns = take_all(contenders, blocks)
    stage.close()
    made = turns.made
    ours, theirs = accuracy([every], made["stage 1"][:1]), accuracy(blocks, made["padded"])
    note = f"logistic regression on RAVDESS, speakers held out: {ours:.1f} % with ours, {theirs:.1f} % with theirs"
    found, spent = turns.ratios("padded", "stage 1", args.rounds)
    add_row(args.rows, "encoder frames alone", "openai-whisper's encoder on 30 s", "8 x", found, f"{spent}; {note}")


def take_all(contenders: dict, blocks: list[DataDir]) -> Turns:
    """take_turns, after all have had two utterances."""
    for run in contenders.values():
        run(blocks[0].take(blocks[0].utts[:2]))
    return take_turns(contenders, blocks)


def margins(args: argparse.Namespace, data: DataDir) -> None:
    blocks = sample(data, args.utts, args.rounds)
    every = data.take(sorted(u for b in blocks for u in b.utts))
    for margin in args.margins.split():
        stage = Stage(WhisperConf(args.model, {"last": -1}, margin=float(margin), **CUT))
        turns = take_turns({margin: lambda d, s=stage: {u: e["text"] for u, e in s(d).items()}}, [every])
        stage.close()
        heard = rates([every], turns.made[margin])
        print(f"margin {margin} s: {turns.cpu[margin][0]:.1f} s of processor time, {heard}", flush=True)


def words(args: argparse.Namespace, data: DataDir) -> None:
    """Prints word error rates of both by language and, weighted by their words, for the corpora as they are."""
    chosen = sample(data, args.utts, 1)[0]
    stage = Stage(WhisperConf(args.model, {"last": -1}, **CUT))
    ours = {u: e["text"] for u, e in stage(chosen).items()}
    stage.close()
    theirs = {}
    jobs = len(os.sched_getaffinity(0))
    with ProcessPoolExecutor(jobs, multiprocessing.get_context("spawn"), _load_plain, (args.model,)) as pool:
        running = [pool.submit(_openai, chosen.take([u])) for u in chosen.utts]
        for one in tqdm(running, desc="openai-whisper", mininterval=10):
            theirs |= one.result()
    errors, lengths, weights = {}, {}, {}
    for language in sorted(set(chosen.utt2lang.values())):
        utts = [u for u in chosen.utts if chosen.utt2lang[u] == language]
        said = {u: normalise(chosen.text[u]) for u in utts}
        errors[language] = np.array([[wrong(said[u], normalise(h[u])) for h in (ours, theirs)] for u in utts])
        lengths[language] = np.array([len(said[u].split()) for u in utts])
        every = [u for u in data.utts if data.utt2lang[u] == language]
        weights[language] = sum(len(normalise(data.text[u]).split()) for u in every)
        print(f"{language}: {len(utts)} of {len(every)} utterances, {lengths[language].sum()} words")
    rng = np.random.default_rng(0)
    drawn: list[dict[str, np.ndarray]] = [{la: np.arange(len(x)) for la, x in errors.items()}]
    drawn += [{la: rng.integers(len(x), size=len(x)) for la, x in errors.items()} for _ in range(2000)]
    found = [{la: 100 * errors[la][i].sum(0) / lengths[la][i].sum() for la, i in rows.items()} for rows in drawn]
    for each in found:
        each["corpora as they are"] = sum(weights[la] * each[la] for la in weights) / sum(weights.values())
    for name, (one, other) in found[0].items():
        low, high = np.percentile([r[name][0] - r[name][1] for r in found[1:]], [2.5, 97.5])
        more = f"{one - other:.2f} more (95 %: {low:.2f} to {high:.2f})"
        print(f"{name}: WER ours {one:.2f} %, openai-whisper {other:.2f} %, {more}")


def wrong(said: str, heard: str) -> int:
    """Words substituted, deleted or inserted."""
    found = jiwer.process_words(said, heard)
    return found.substitutions + found.deletions + found.insertions


in_job: list[whisper.Whisper] = []  # in a job, openai-whisper's model


def _load_plain(model: str) -> None:
    torch.set_num_threads(1)
    in_job.append(load(model, "cpu"))


def _openai(data: DataDir) -> dict[str, str]:
    return openai(in_job[0], data)


def run() -> None:
    parser = options(__doc__)
    parser.add_argument("--utts", type=int, required=True, help="utterances a round")
    parser.add_argument("--model", default="base")
    parser.add_argument("--margins", default="")
    parser.add_argument("--words", action="store_true")
    args = parser.parse_args()
    data = datadir.combine(datadir.read(args.work / "data" / name) for name in ("ravdess", "emodb"))
    (words if args.words else margins if args.margins else contest)(args, data)


if __name__ == "__main__":
    run()
