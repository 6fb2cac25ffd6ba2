"""Token vectors of transcripts: HuggingFace encoders by folder, SentencePiece ones included, and co-occurrence."""

import os
import sys
from pathlib import Path

import numpy as np
import pytest
import torch

from fas.data import tables
from fas.data.datadir import DataDir
from fas.frontend import HFTextConf, SPMTextConf
from fas.frontend import spm_text as spm
from tests.conftest import ROOT, run

SENTENCES = [f"the {a} {b} sat on the {c}" for a in ("old", "red") for b in ("cat", "dog") for c in ("mat", "log")]


def with_texts(small: DataDir, *texts: str) -> DataDir:
    small.text = dict(zip(small.utts, (texts * 6)[:6], strict=True))
    return small


def encode_all(frontend: object, data: DataDir) -> dict[str, np.ndarray]:
    batches = frontend.batches(data)
    return {u: e["."] for b in batches for u, e in zip(b, frontend.encode(b), strict=True)}


def test_spm_learns_and_embeds(small: DataDir, tmp_path: Path) -> None:
    settings = SPMTextConf(vocab_size=60, dim=8)
    spm.train(settings, SENTENCES, tmp_path / "model")
    spm.train(settings, SENTENCES, tmp_path / "again")
    for name in ("spm.model", "vectors.npy"):
        assert (tmp_path / "model" / name).read_bytes() == (tmp_path / "again" / name).read_bytes()
    frontend = spm.SPMTextFrontend(settings, tmp_path / "model")
    made = encode_all(frontend, with_texts(small, "the cat", "", "the old log"))
    assert len(made["spk0_1"]) == 1, "an empty transcript has one token, its beginning"
    assert all(v.shape[1] == 8 and np.isfinite(v).all() and v.dtype == np.float16 for v in made.values())
    with pytest.raises(ValueError, match="no training transcript"):
        spm.train(settings, ["", ""], tmp_path / "none")


def test_spm_learns_from_training_sets_alone(small: DataDir, tmp_path: Path, python_path: None) -> None:
    """Another transcript of an utterance outside of the training set changes nothing, of one within the model."""
    small.subset(lambda u: u.startswith("spk0")).write(tmp_path / "data/train")
    (tmp_path / "conf.yaml").write_text("kind: spm\nvocab_size: 40\ndim: 4\n")
    texts = {u: SENTENCES[i] for i, u in enumerate(small.utts)}

    def learn(**changed: str) -> bytes:
        tables.write_table(tmp_path / "whisper/data/text", texts | changed)
        done = run(
            ROOT / "steps/learn_text.sh", "--conf", tmp_path / "conf.yaml", "--transcripts", tmp_path / "whisper",
            tmp_path / "model", tmp_path / "data/train", env=os.environ | {"FAS_PYTHON": sys.executable},
        )  # fmt: skip
        assert done.returncode == 0, done.stderr
        return (tmp_path / "model/spm.model").read_bytes()

    first = learn()
    assert learn(spk1_4="quite other words") == first
    assert learn(spk0_1="quite other words") != first


@pytest.fixture(scope="module")
def xlm_r(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A small random XLM-R with a SentencePiece (unigram) tokenizer, as a HuggingFace folder."""
    from tokenizers import Tokenizer, models, pre_tokenizers, processors, trainers
    from transformers import PreTrainedTokenizerFast, XLMRobertaConfig, XLMRobertaModel

    folder = tmp_path_factory.mktemp("xlmr")
    raw = Tokenizer(models.Unigram())
    raw.pre_tokenizer = pre_tokenizers.Metaspace()
    special = ["<s>", "<pad>", "</s>", "<unk>", "<mask>"]
    trainer = trainers.UnigramTrainer(vocab_size=80, special_tokens=special, unk_token="<unk>")
    raw.train_from_iterator(SENTENCES, trainer)
    raw.post_processor = processors.TemplateProcessing(
        single="<s> $A </s>", special_tokens=[(t, raw.token_to_id(t)) for t in ("<s>", "</s>")]
    )
    names = {"bos_token": "<s>", "eos_token": "</s>", "pad_token": "<pad>", "unk_token": "<unk>"}
    PreTrainedTokenizerFast(tokenizer_object=raw, **names).save_pretrained(folder)
    torch.manual_seed(0)
    sizes = {"hidden_size": 16, "num_hidden_layers": 2, "num_attention_heads": 2, "intermediate_size": 32}
    XLMRobertaModel(XLMRobertaConfig(vocab_size=80, pad_token_id=1, **sizes)).save_pretrained(folder)
    return folder


def test_hf_folder_gives_token_vectors_whatever_the_batch(xlm_r: Path, small: DataDir) -> None:
    from transformers import AutoModel, AutoTokenizer

    from fas.frontend.hf_text import HFTextFrontend

    frontend = HFTextFrontend(HFTextConf(str(xlm_r), dtype="float32"), "cpu")
    made = encode_all(frontend, with_texts(small, "the old cat", "", "the big dog sat on the log"))
    tokenizer, model = AutoTokenizer.from_pretrained(xlm_r), AutoModel.from_pretrained(xlm_r).eval()
    for utt in small.utts:
        with torch.no_grad():
            direct = model(**tokenizer(small.text[utt], return_tensors="pt")).last_hidden_state[0].numpy()
        np.testing.assert_allclose(made[utt], direct, atol=1e-5)
    assert len(made["spk0_1"]) == 2
    read = len(set(small.text.values()))
    assert read < len(small) and frontend.read.cache_info()[:2] == (len(small) - read, read)  # what is said again, once


def test_minilm_knows_what_is_alike(small: DataDir) -> None:
    from fas.frontend.hf_text import HFTextFrontend

    frontend = HFTextFrontend(HFTextConf("sentence-transformers/all-MiniLM-L6-v2"), "cpu")
    texts = ("I am so happy today.", "What a joyful day!", "My wallet was stolen.")
    made = encode_all(frontend, with_texts(small, *texts))
    mean = [made[f"spk0_{i}"].astype(np.float32).mean(0) for i in range(3)]
    unit = [m / np.linalg.norm(m) for m in mean]
    assert made["spk0_0"].shape[1] == 384
    assert unit[0] @ unit[1] > unit[0] @ unit[2] + 0.2
