"""SentencePiece tokens of transcripts with vectors from their co-occurrence in training: no download at all.

The vectors are those of latent semantic analysis over words in a window: positive pointwise mutual information,
reduced by a truncated singular value decomposition (Levy & Goldberg 2014).
"""

import io
import os
import shutil
from pathlib import Path

import numpy as np
import sentencepiece

from fas import stamp
from fas.data.datadir import DataDir
from fas.frontend import Encoded, SPMTextConf

BATCH = 64
CHUNK = 10_000  # sentences whose neighbours are counted at once


def train(settings: SPMTextConf, sentences: list[str], folder: Path) -> None:
    """Write `folder`/{spm.model, vectors.npy} from the training transcripts.

    Raises ValueError when there is no text to learn from.
    """
    from scipy.sparse import coo_matrix, csr_matrix
    from sklearn.decomposition import TruncatedSVD

    sentences = [s for s in sentences if s]
    if not sentences:
        raise ValueError("no training transcript holds a word; check the Whisper stage of the training set")
    model = io.BytesIO()
    sentencepiece.SentencePieceTrainer.train(
        sentence_iterator=iter(sentences),
        model_writer=model,
        vocab_size=settings.vocab_size,
        model_type="unigram",
        hard_vocab_limit=False,
        num_threads=1,
        minloglevel=2,
    )
    tokenizer = sentencepiece.SentencePieceProcessor(model_proto=model.getvalue())
    size = tokenizer.get_piece_size()
    counted = csr_matrix((size, size))
    for start in range(0, len(sentences), CHUNK):
        rows, columns = [], []
        for tokens in tokenizer.encode(sentences[start : start + CHUNK]):
            for distance in range(1, settings.window + 1):
                rows += tokens[:-distance] + tokens[distance:]
                columns += tokens[distance:] + tokens[:-distance]
        counted += csr_matrix((np.ones(len(rows)), (rows, columns)), shape=(size, size))
    counts = counted.tocoo()
    total, marginal = counts.data.sum(), np.asarray(counts.sum(1)).ravel()
    information = np.log(counts.data * total / (marginal[counts.row] * marginal[counts.col]))
    positive = coo_matrix((np.maximum(information, 0), (counts.row, counts.col)), shape=(size, size)).tocsr()
    svd = TruncatedSVD(min(settings.dim, size - 1), random_state=0)
    vectors = svd.fit_transform(positive) / np.sqrt(np.maximum(svd.singular_values_, 1e-9))
    aside = folder.with_name(f".{folder.name}.aside")
    shutil.rmtree(aside, ignore_errors=True)
    aside.mkdir(parents=True)
    (aside / "spm.model").write_bytes(model.getvalue())
    np.save(aside / "vectors.npy", vectors.astype(np.float32), allow_pickle=False)
    stamp.unmark(folder)
    shutil.rmtree(folder, ignore_errors=True)
    os.rename(aside, folder)


class SPMTextFrontend:
    """Token vectors by table look-up; the begin-of-sentence token stands first, so an empty transcript has one."""

    def __init__(self, settings: SPMTextConf, folder: Path):
        self.settings = settings
        self.tokenizer = sentencepiece.SentencePieceProcessor(model_file=str(folder / "spm.model"))
        self.vectors = np.load(folder / "vectors.npy", allow_pickle=False)

    def batches(self, data: DataDir) -> list[list[str]]:
        self.text = data.text
        utts = data.utts
        return [utts[i : i + BATCH] for i in range(0, len(utts), BATCH)]

    def encode(self, batch: list[str]) -> list[Encoded]:
        made: list[Encoded] = []
        for utt in batch:
            tokens = self.tokenizer.encode(self.text[utt], add_bos=True)
            pieces = " ".join(self.tokenizer.id_to_piece(t) for t in tokens)
            made.append({".": self.vectors[tokens].astype(self.settings.dtype), "tokens": pieces})
        return made
