"""The card of a conflict set: who, how, on what terms, and what is in it."""

from collections import Counter
from collections.abc import Iterable

from fas.data import espeak
from fas.synthesis.plan import SetConf, Utterance


def of(settings: SetConf, utterances: list[Utterance], seed: int) -> str:
    """README.md of a set, in Markdown."""
    count = Counter(u.split for u in utterances)
    parts = ", ".join(f"{split} {count[split]}" for split in settings.plan)
    differ = sum(u.emo != u.sem for u in utterances)
    lines = len({u.line_id for u in utterances})
    voices = sorted({u.speaker for u in utterances})
    return f"""# {settings.name}: {settings.title}

{len(utterances)} utterances in {settings.language} ({parts}), {lines} lines, {len(voices)} voices.
The voice carries one emotion (`emo`), the words another or the same (`sem`): they differ in {differ} utterances.

**Who.** {settings.who.strip()}

**How.** {how(settings, seed)} The plan: {'; '.join(plan_line(n, settings) for n in settings.plan)}. It was made by
local/conflict_set.py, seed {seed}.

**Terms.** {settings.terms.strip()}

| voice \\ words | {' | '.join(settings.labels)} |
|---{'|---' * len(settings.labels)}|
{table(settings.labels, Counter((u.emo, u.sem) for u in utterances))}

Voices: {', '.join(voices)}.
"""


def how(settings: SetConf, seed: int) -> str:
    """Who or what spoke."""
    if settings.synthesiser == "people":
        return "People read the lines, each shown with its emotion."
    if settings.synthesiser == "espeak":
        return f"eSpeak NG {espeak.version()} spoke, its prosody drawn from ranges for each emotion."
    return f"Spoken by a synthesiser called as `{' '.join(settings.synthesiser.command)}`."


def plan_line(name: str, settings: SetConf) -> str:
    """What a part of the plan asks of each voice and emotion."""
    part = settings.plan[name]
    counts = {"that agree": part.agree, "of neutral words": part.neutral, "that conflict": part.conflict}
    asked = ", ".join(f"{n} {what}" for what, n in counts.items() if n)
    return f"{name}, of each voice and emotion {asked}"


def table(labels: list[str], count: Counter[tuple[str, str]]) -> str:
    """Rows of a Markdown table: utterances by emotion of the voice and of the words."""
    lines: Iterable[str] = (f"| {emo} | {' | '.join(str(count[emo, sem] or '') for sem in labels)} |" for emo in labels)
    return "\n".join(lines)
