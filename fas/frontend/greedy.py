"""Whisper's words: greedy decoding of many utterances together, each of which leaves the batch when it has ended."""

from typing import NamedTuple

import torch
from torch import Tensor, nn
from whisper.decoding import DecodingOptions, DecodingTask
from whisper.model import TextDecoder, Whisper
from whisper.tokenizer import get_tokenizer
from whisper.utils import compression_ratio

TOKENS_PER_SECOND = 12  # fast speech has some 6 words/s; text that needs more tokens than this is a loop
TOKENS_AT_LEAST = 16
LOOPING = 2.4  # compression ratio beyond which openai-whisper, too, calls a transcript repetitive


class Heard(NamedTuple):
    """A transcript; whether it ended well: not at the limit of its tokens, and without a repetitive text; and, as
    openai-whisper defines them, the probability of no speech, which the decoder has at its first step, and the mean log
    probability of the tokens and the end.
    """

    text: str
    ended: bool
    no_speech: float
    logprob: float


@torch.inference_mode()
def decode(model: Whisper, states: Tensor, language: str, seconds: list[float]) -> list[Heard]:
    """Greedy decoding without timestamps of encoder states (B, T, D) of utterances that last `seconds` (B,).

    Behind short silence Whisper often does not end but says the same again, word for word, for ever. Once that is more
    than anyone can say in the time, what was said first is the transcript, and has ended well.
    An utterance leaves the batch when it has ended, so that a loop costs only itself.
    """
    options = DecodingOptions(language=language, without_timestamps=True, fp16=False)
    task = DecodingTask(model, options)  # openai-whisper's prompt and suppressed tokens
    cache, hooks = model.install_kv_cache_hooks()
    end = task.tokenizer.eot
    fast = [TOKENS_PER_SECOND * s for s in seconds]
    made: list[list[int]] = [[] for _ in seconds]
    ended = [False] * len(seconds)
    silence, total, steps = torch.zeros(len(seconds)), torch.zeros(len(seconds)), torch.zeros(len(seconds))
    rows = list(range(len(seconds)))
    tokens = torch.tensor([task.initial_tokens] * len(rows), device=states.device)
    try:
        while rows:
            first = not cache
            x = hidden(model.decoder, tokens if first else tokens[:, -1:], states, cache)
            logits = model.decoder.vocabulary(x[:, -1])
            if first:
                at_start = model.decoder.vocabulary(x[:, task.sot_index]).float().softmax(-1)
                silence = at_start[:, task.tokenizer.no_speech].cpu()
            for logit_filter in task.logit_filters:
                logit_filter.apply(logits, tokens)
            highest, best = logits.max(-1)
            total[rows] += (highest - logits.logsumexp(-1)).float().cpu()
            steps[rows] += 1
            tokens = torch.cat([tokens, best[:, None]], 1)
            going = []
            for place, (row, token) in enumerate(zip(rows, best.tolist(), strict=True)):
                if token == end:
                    ended[row] = True
                    continue
                made[row].append(token)
                if len(made[row]) > fast[row] and (period := period_of(made[row])):
                    made[row], ended[row] = made[row][:period], True
                elif len(made[row]) < min(fast[row] + TOKENS_AT_LEAST, task.sample_len):
                    going.append(place)
            if len(going) < len(rows):
                rows = [rows[i] for i in going]
                tokens, states = tokens[going], states[going]
                for module, cached in cache.items():
                    cache[module] = cached[going]
    finally:
        for hook in hooks:
            hook.remove()
    texts = [task.tokenizer.decode(t).strip() for t in made]
    well = [e and compression_ratio(t) <= LOOPING for e, t in zip(ended, texts, strict=True)]
    return [Heard(*one) for one in zip(texts, well, silence.tolist(), (total / steps).tolist(), strict=True)]


def next_logits(decoder: TextDecoder, tokens: Tensor, states: Tensor, cache: dict[nn.Module, Tensor]) -> Tensor:
    """Logits (B, V) of the token behind `tokens` (B, N), those that the key-value cache does not have yet.

    The decoder's own forward multiplies by the vocabulary at every place of the prompt.
    """
    return decoder.vocabulary(hidden(decoder, tokens, states, cache)[:, -1])


def hidden(decoder: TextDecoder, tokens: Tensor, states: Tensor, cache: dict[nn.Module, Tensor]) -> Tensor:
    """The decoder's output (B, N, D) for `tokens` (B, N), before the vocabulary."""
    done = next(iter(cache.values())).shape[1] if cache else 0
    x = decoder.token_embedding(tokens) + decoder.positional_embedding[done : done + tokens.shape[1]]
    for block in decoder.blocks:
        x = block(x, states, mask=decoder.mask, kv_cache=cache)
    return decoder.ln(x)


def period_of(tokens: list[int]) -> int:
    """Length of the sequence that these tokens repeat whole, twice or more from the first on; 0 when they do not.

    >>> period_of([7, 8, 9, 7, 8, 9, 7]), period_of([6, 7, 8, 9, 7, 8, 9])
    (3, 0)
    """
    return next((p for p in range(1, len(tokens) // 2 + 1) if tokens[p:] == tokens[:-p]), 0)


@torch.inference_mode()
def detect_languages(model: Whisper, states: Tensor) -> list[str]:
    """The most probable language of each utterance, from its encoder states (B, T, D)."""
    tokenizer = get_tokenizer(model.is_multilingual, num_languages=model.num_languages)
    start = torch.full((len(states), 1), tokenizer.sot, device=states.device)
    logits = model.logits(start, states)[:, 0, list(tokenizer.all_language_tokens)]
    return [tokenizer.all_language_codes[i] for i in logits.argmax(-1).tolist()]
