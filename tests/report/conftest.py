"""Scores of three systems as a recipe leaves them, and the program that makes a report of them."""

import json
import sys
from pathlib import Path

import numpy as np
import pytest
import yaml

from fas.data.datadir import DataDir
from tests.conftest import run

LABELS = ["angry", "happy", "sad"]


@pytest.fixture
def scored(tmp_path: Path, python_path: None) -> Path:
    """tmp_path/{data,exp}: three systems, two seeds, two folds of one set and a zero-shot set; words follow utt2sem."""
    random = np.random.default_rng(0)
    data = {}
    for corpus in ("toy", "other"):
        data[corpus] = DataDir(corpus, {}, {}, {}, {}, LABELS)
        for i in range(48):
            utt = f"{corpus}{i % 6}_{i:02d}"
            d = data[corpus]
            d.wav[utt], d.utt2spk[utt], d.utt2dur[utt] = "/none", f"{corpus}{i % 6}", 1.0
            d.utt2emo[utt] = LABELS[i % 3]
            if corpus == "toy":
                d.utt2sem[utt] = LABELS[(i // 3) % 3]
        data[corpus].write(tmp_path / "data" / corpus)
    words = {u: LABELS[i // 3 % 3] for c in data.values() for i, u in enumerate(c.utts)} | data["toy"].utt2sem
    for system, share in {"words": None, "voice": 0.7, "fas": 0.9}.items():
        for fold in (1, 2):
            for seed in (1, 2):
                model = tmp_path / f"exp/{system}/fold{fold}/seed{seed}"
                for corpus, protocol in (("toy", "in-domain"), ("other", "zero-shot")):
                    utts = [u for u in data[corpus].utts if corpus == "other" or int(u[3]) % 2 == fold - 1]
                    rows = [f"# utt ref label {' '.join(LABELS)}"]
                    for utt in utts:
                        right = data[corpus].utt2emo[utt]
                        label = words[utt] if share is None else right if random.random() < share else LABELS[0]
                        rows.append(" ".join([utt, right, label, *(str(float(e == label)) for e in LABELS)]))
                    name = f"toy-fold{fold}-test" if corpus == "toy" else corpus
                    score = model / "score" / name
                    score.mkdir(parents=True)
                    (score / "hyp").write_text("\n".join(rows) + "\n")
                    (score / "result.json").write_text(
                        json.dumps({"set": name, "protocol": protocol, "transductive": False, "labels_given": LABELS})
                    )
                described = {
                    "chosen": {"dev_uar": 0.5}, "feats": {"ssl": "x"}, "data": "0" * 64, "train_utterances": 24,
                    "train_corpora": ["toy"], "streams": {"acoustic": {"feats": "ssl"}},
                }  # fmt: skip
                (model / "conf.yaml").write_text(yaml.safe_dump(described))
    return tmp_path


def report(scored: Path, *options: object) -> object:
    return run(
        sys.executable, "-m", "fas.bin.report", "--out", scored / "exp", "--datadir", scored / "data", "--model",
        scored / "exp/{system}/fold{fold}", "--systems", "words voice fas", "--folds", "1 2", "--seeds", "1 2",
        *options,
    )  # fmt: skip
