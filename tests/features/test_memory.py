"""What does not fit into the memory: a batch is halved until it does, and what is too long even alone is named."""

import sys

import numpy as np
import pytest
import torch

from fas.data.datadir import DataDir
from fas.errors import DataError
from fas.features import extract
from tests.conftest import run


class Hungry:
    """An encoder whose memory suffices for three utterances; torch really refuses the allocation."""

    def encode(self, batch: list[str]) -> list[dict[str, np.ndarray]]:
        if len(batch) > 3:
            torch.empty(1 << 60, dtype=torch.uint8)
        return [{".": np.full((1, 1), int(u), np.float16)} for u in batch]


def test_a_batch_is_halved_until_it_fits(small: DataDir, capsys: pytest.CaptureFixture[str]) -> None:
    made = extract.encode(Hungry(), [str(i) for i in range(16)], small)
    assert [m["."][0, 0] for m in made] == list(range(16))
    said = capsys.readouterr().err
    assert said.count("out of memory with a batch of 16 utterances; trying 8 and 8") == 1
    assert said.count("out of memory with a batch of 4 utterances; trying 2 and 2") == 4


LIMITED = """
import resource, sys
import numpy as np, torch
from fas.data import datadir
from fas.features import extract
from fas.frontend import HFTextConf
from fas.frontend.hf_text import HFTextFrontend
class Together(HFTextFrontend):  # in one pass, as Whisper takes its utterances
    def encode(self, batch):
        with torch.inference_mode():
            tokens = self.tokenizer([data.text[u] for u in batch], return_tensors="pt")
            return [{".": row.numpy()} for row in self.model(**tokens).last_hidden_state]
torch.set_num_threads(1)
frontend = Together(HFTextConf("sentence-transformers/all-MiniLM-L6-v2"), "cpu")
data = datadir.DataDir("toy", {f"u{i:02d}": "/x" for i in range(32)}, {}, {}, {f"u{i:02d}": 1.0 for i in range(32)})
data.text = {u: " ".join(f"word {u[1:]}" for _ in range(120)) for u in data.utts}
extract.encode(frontend, data.utts[:1], data)  # all is loaded that there is to load, and the heap is small
used = int(open("/proc/self/statm").read().split()[0]) * resource.getpagesize()
most, made = resource.getrlimit(resource.RLIMIT_AS)[1], []
for limit in (used + int(sys.argv[1]) * 2**20, most):
    resource.setrlimit(resource.RLIMIT_AS, (limit, most))
    made.append(extract.encode(frontend, data.utts, data))
print(max(float(np.abs(a["."] - b["."]).max()) for a, b in zip(*made, strict=True)))
"""


def test_a_real_limit_of_memory(python_path: None) -> None:
    """MiniLM on 32 transcripts in one batch, the address space limited to what is in use and a little."""
    done = run(sys.executable, "-c", LIMITED, 60)
    assert done.returncode == 0, done.stderr[-2000:]
    assert "out of memory with a batch of 32 utterances; trying 16 and 16" in done.stderr
    assert float(done.stdout) < 1e-4


def test_an_utterance_too_long_even_alone_is_named(small: DataDir) -> None:
    class Never:
        def encode(self, batch: list[str]) -> list[dict[str, np.ndarray]]:
            torch.empty(1 << 60, dtype=torch.uint8)

    with pytest.raises(DataError, match=r"utterance 'spk0_0' of 0\.5 s takes more memory"):
        extract.encode(Never(), ["spk0_0", "spk0_1"], small)
