"""Whisper's words: greedy decoding of many utterances together, each of which leaves the batch when it has ended."""

from itertools import accumulate, groupby, pairwise
from operator import itemgetter
from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn.functional import scaled_dot_product_attention
from whisper.decoding import DecodingOptions, DecodingTask
from whisper.model import MultiHeadAttention, TextDecoder, Whisper
from whisper.tokenizer import Tokenizer, get_tokenizer
from whisper.utils import compression_ratio

TOKENS_PER_SECOND = 12  # fast speech has some 6 words/s; text that needs more tokens than this is a loop
TOKENS_AT_LEAST = 16
Cache = dict[int, tuple[Tensor, Tensor]]  # number of a block, from 0 -> keys and values (B, tokens so far, D)
LOOPING = 2.4  # compression ratio beyond which openai-whisper, too, calls a transcript repetitive


class Heard(NamedTuple):
    """A transcript; whether it ended well: not at the limit of its tokens, and without a repetitive text; and, as
    openai-whisper defines them, the probability of no speech, which the decoder has at its first step, and the mean log
    probability of the tokens and the end; and its language.
    """

    text: str
    ended: bool
    no_speech: float
    logprob: float
    language: str


class Attended:
    """What the decoder attends to: each block's keys and values of the encoder states of utterances.

    Those of one length are attended to together, and none sees the silence of a longer one.
    """

    def __init__(self, decoder: TextDecoder, states: list[Tensor]):
        """states: of each utterance (T, D); those of one length must stand side by side."""
        together = [torch.stack(list(some)) for _, some in groupby(states, len)]
        self.utterances = [len(some) for some in together]
        attentions = [block.cross_attn for block in decoder.blocks]
        self.blocks = [  # each head's side by side in memory: a step reads them all
            [(_by_head(a, a.key(s)).contiguous(), _by_head(a, a.value(s)).contiguous()) for s in together]
            for a in attentions
        ]

    def __call__(self, number: int, attention: MultiHeadAttention, x: Tensor) -> Tensor:
        """The cross-attention of block `number`, from 0, for x (B, N, D) -> (B, N, D)."""
        queries = _by_head(attention, attention.query(x)).split(self.utterances)
        found = [scaled_dot_product_attention(q, *kv) for q, kv in zip(queries, self.blocks[number], strict=True)]
        return attention.out(torch.cat(found).permute(0, 2, 1, 3).flatten(2))

    def keep(self, places: list[int]) -> None:
        """Go on with the utterances at these places, in order."""
        firsts = [0, *accumulate(self.utterances)]
        kept = [[p - a for p in places if a <= p < b] for a, b in pairwise(firsts)]
        for number, groups in enumerate(self.blocks):
            self.blocks[number] = [
                (k, v) if len(k) == len(some) else (k[some], v[some])
                for (k, v), some in zip(groups, kept, strict=True)
                if some
            ]
        self.utterances = [len(some) for some in kept if some]


def _by_head(attention: MultiHeadAttention, x: Tensor) -> Tensor:
    """(B, N, D) -> (B, heads, N, D / heads)."""
    return x.unflatten(-1, (attention.n_head, -1)).transpose(1, 2)


@torch.inference_mode()
def decode(model: Whisper, states: list[Tensor], seconds: list[float], languages: list[str]) -> list[Heard]:
    """Greedy decoding without timestamps of utterances that last `seconds`, from the encoder states (T, D) of each.

    languages: of each, empty where it is to be heard.
    Behind short silence Whisper often does not end but says the same again, word for word, for ever. Once that is more
    than anyone can say in the time, what was said first is the transcript, and has ended well.
    Utterances of all lengths and languages are decoded together, for one step reads all weights of the decoder; each
    leaves when it has ended, so that a loop costs only itself.
    """
    order = sorted(range(len(states)), key=lambda i: len(states[i]))
    heard = _decode(model, *([values[i] for i in order] for values in (states, seconds, languages)))
    return [one for _, one in sorted(zip(order, heard, strict=True), key=itemgetter(0))]


def _decode(model: Whisper, states: list[Tensor], seconds: list[float], languages: list[str]) -> list[Heard]:
    decoder, device = model.decoder, states[0].device
    attended = Attended(decoder, states)
    languages = _languages(model, attended, languages)
    cache: Cache = {}
    tasks = {}  # openai-whisper's prompts
    for language in set(languages):
        options = DecodingOptions(language=language, without_timestamps=True, fp16=False)
        tasks[language] = DecodingTask(model, options)
    task = tasks[languages[0]]  # its suppressed tokens are everybody's
    end = task.tokenizer.eot
    fast = [TOKENS_PER_SECOND * s for s in seconds]
    made: list[list[int]] = [[] for _ in seconds]
    ended = [False] * len(seconds)
    silence, total, steps = torch.zeros(len(seconds)), torch.zeros(len(seconds)), torch.zeros(len(seconds))
    rows = list(range(len(seconds)))
    tokens = torch.tensor([tasks[language].initial_tokens for language in languages], device=device)
    while rows:
        first = not cache
        x = hidden(decoder, tokens if first else tokens[:, -1:], attended, cache)
        logits = decoder.vocabulary(x[:, -1])
        if first:
            at_start = decoder.vocabulary(x[:, task.sot_index]).float().softmax(-1)
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
            tokens = tokens[going]
            attended.keep(going)
            cache = {number: (k[going], v[going]) for number, (k, v) in cache.items()}
    texts = [task.tokenizer.decode(t).strip() for t in made]
    well = [e and compression_ratio(t) <= LOOPING for e, t in zip(ended, texts, strict=True)]
    values = (texts, well, silence.tolist(), (total / steps).tolist(), languages)
    return [Heard(*one) for one in zip(*values, strict=True)]


def hidden(decoder: TextDecoder, tokens: Tensor, attended: Attended, cache: Cache) -> Tensor:
    """The decoder's output (B, N, D) for `tokens` (B, N), those that the cache does not have yet; it gets theirs.

    The decoder's own forward multiplies by the vocabulary at every place of the prompt, and keeps its cache by hooks on
    the model, which threads would share.
    """
    done = cache[0][0].shape[1] if cache else 0
    x = decoder.token_embedding(tokens) + decoder.positional_embedding[done : done + tokens.shape[1]]
    for number, block in enumerate(decoder.blocks):
        x = x + _attend(block.attn, block.attn_ln(x), decoder.mask, cache, number)
        x = x + attended(number, block.cross_attn, block.cross_attn_ln(x))
        x = x + block.mlp(block.mlp_ln(x))
    return decoder.ln(x)


def _attend(attention: MultiHeadAttention, x: Tensor, mask: Tensor, cache: Cache, number: int) -> Tensor:
    """The self-attention of block `number` for x (B, N, D), to x and to what came before."""
    keys, values = attention.key(x), attention.value(x)
    if number in cache:
        keys, values = (torch.cat([old, new], 1) for old, new in zip(cache[number], (keys, values), strict=True))
    cache[number] = keys, values
    return attention.out(attention.qkv_attention(attention.query(x), keys, values, mask)[0])


@torch.inference_mode()
def no_speech(model: Whisper, states: Tensor) -> list[float]:
    """The probability of no speech, as openai-whisper defines it, from encoder states (B, T, D)."""
    logits, tokenizer = _at_start(model, Attended(model.decoder, list(states)), len(states))
    return logits.float().softmax(-1)[:, tokenizer.no_speech].tolist()


def _at_start(model: Whisper, attended: Attended, utterances: int) -> tuple[Tensor, Tokenizer]:
    """What the decoder expects of each utterance first, (B, tokens), and what these tokens are."""
    tokenizer = get_tokenizer(model.is_multilingual, num_languages=model.num_languages)
    start = torch.full((utterances, 1), tokenizer.sot, device=model.device)
    return model.decoder.vocabulary(hidden(model.decoder, start, attended, {})[:, 0]), tokenizer


def _languages(model: Whisper, attended: Attended, told: list[str]) -> list[str]:
    """The most probable language of each utterance that none was told of."""
    if all(told):
        return told
    logits, tokenizer = _at_start(model, attended, len(told))
    best = logits[:, list(tokenizer.all_language_tokens)].argmax(-1).tolist()
    return [language or tokenizer.all_language_codes[i] for language, i in zip(told, best, strict=True)]


def period_of(tokens: list[int]) -> int:
    """Length of the sequence that these tokens repeat whole, twice or more from the first on; 0 when they do not.

    >>> period_of([7, 8, 9, 7, 8, 9, 7]), period_of([6, 7, 8, 9, 7, 8, 9])
    (3, 0)
    """
    return next((p for p in range(1, len(tokens) // 2 + 1) if tokens[p:] == tokens[:-p]), 0)
