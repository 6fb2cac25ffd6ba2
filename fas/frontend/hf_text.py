"""Token vectors of transcripts from a HuggingFace text encoder."""

from functools import lru_cache
from pathlib import Path

import torch

from fas import threads
from fas.data.datadir import DataDir
from fas.errors import ConfError
from fas.frontend import Encoded, HFTextConf, fetch

REMEMBERED = 512  # transcripts whose vectors are kept


class HFTextFrontend:
    """One transcript at a time in one thread: vectors depend neither on the batch nor on the number of cores."""

    def __init__(self, settings: HFTextConf, device: str):
        from transformers import AutoModel, AutoTokenizer
        from transformers.utils import logging

        logging.disable_progress_bar()  # of weights that are on disk already; downloads keep theirs
        self.settings, self.device = settings, device
        folder = Path(settings.model).expanduser()
        if not folder.exists():
            if settings.model.startswith(("/", ".", "~")):
                raise ConfError(f"model {folder}: no such folder; nothing else was looked up")
            folder = fetch.text_model(settings.model)
        self.tokenizer = AutoTokenizer.from_pretrained(folder, local_files_only=True)
        self.model = AutoModel.from_pretrained(folder, local_files_only=True).float().to(device).eval()
        if hasattr(self.model, "get_encoder") and self.model.config.is_encoder_decoder:
            self.model = self.model.get_encoder()
        self.read = lru_cache(REMEMBERED)(self._read)  # acted corpora say the same again and again

    def batches(self, data: DataDir) -> list[list[str]]:
        self.text = data.text
        return [[utt] for utt in data.utts]

    def encode(self, batch: list[str]) -> list[Encoded]:
        return [self.read(self.text[u]) for u in batch]

    @torch.inference_mode()
    def _read(self, text: str) -> Encoded:
        longest = min(self.tokenizer.model_max_length, 512)
        numbers = self.tokenizer(self.settings.prefix + text, truncation=True, max_length=longest)["input_ids"]
        tokens = torch.tensor([numbers], device=self.device)
        with threads.one():
            hidden = self.model(tokens, torch.ones_like(tokens), output_hidden_states=True).hidden_states
        if not -len(hidden) <= self.settings.layer < len(hidden):
            raise ConfError(f"layer {self.settings.layer}: {self.settings.model} has 0 to {len(hidden) - 1}")
        chosen = hidden[self.settings.layer][0].cpu().numpy().astype(self.settings.dtype)
        return {".": chosen, "tokens": " ".join(self.tokenizer.convert_ids_to_tokens(numbers))}
