"""Which voice speaks which line in which emotion: balanced, seeded, agreements and conflicts."""

import random
import re
from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from fas import conf
from fas.data.datadir import EMOTIONS
from fas.errors import ConfError, DataError
from fas.synthesis.lines import Line, Lines

SYNTHESISERS = ("espeak", "people")


@dataclass
class Part:
    """An entry of `plan`: the utterances of one subset. Counts are of each voice and each emotion of the voice."""

    voices: str  # group of `speakers`
    lines: str = ""  # split of the lines; empty where they have none
    agree: int = 0  # words that carry the voice's emotion
    neutral: int = 0  # neutral words
    conflict: int = 0  # emotional words that contradict the voice, as many different emotions


@dataclass
class Command:
    """A program that speaks: its arguments, {text} and the like standing for values (fas/synthesis/command.py)."""

    command: list[str]
    sample_rate: int = 0  # Hz that its files must have; 0: any
    tries: int = 3
    timeout: float = 300.0  # seconds of one try
    seconds: list[float] = field(default_factory=lambda: [0.2, 30.0])  # shortest and longest speech


@dataclass
class SetConf:
    """The conf of a conflict set, local/case_mini/set.yaml for one.

    lines: a table beside the conf; emotions: emotion of the voice -> what the synthesiser is told of it; speakers:
    group -> voice -> what the synthesiser is told of it; synthesiser: espeak, people, or the entries of a Command;
    length: characters of a line, least and most; title, who and terms go into the set's card.
    """

    name: str
    title: str
    who: str
    terms: str
    language: str
    lines: str
    emotions: dict[str, dict[str, Any]]
    speakers: dict[str, dict[str, dict[str, Any]]]
    plan: dict[str, Any]  # a Part each, once read
    synthesiser: Any = "espeak"  # a Command, once read, where it is none of SYNTHESISERS
    length: list[int] = field(default_factory=lambda: [4, 200])

    @property
    def labels(self) -> list[str]:
        """The emotions in the order of the seven classes, others behind them."""
        return [e for e in EMOTIONS if e in self.emotions] + [e for e in self.emotions if e not in EMOTIONS]

    @property
    def voices(self) -> dict[str, dict[str, Any]]:
        """Voice -> what the synthesiser is told of it, of all groups."""
        return {name: entry for group in self.speakers.values() for name, entry in group.items()}


@dataclass(frozen=True)
class Utterance:
    """One row of metadata.tsv."""

    utt: str
    speaker: str
    split: str  # the part of the plan
    emo: str  # of the voice
    sem: str  # of the words
    line_id: str
    text: str
    scenario: str = ""


def read_conf(path: Path) -> SetConf:
    """Read a set's conf. Raises ConfError naming the file and the key."""
    values = conf.load(path)
    for key in ("emotions", "speakers", "plan"):
        if not isinstance(values.get(key), dict) or not values[key]:
            raise ConfError(f"{path}: {key} must map names to entries")
        for name, entry in values[key].items():
            if not isinstance(entry, dict | None):
                raise ConfError(f"{path}: {key}: {name} must map names to entries, not {entry!r}")
    values["emotions"] = {str(emo): entry or {} for emo, entry in values["emotions"].items()}
    groups = {str(g): group or {} for g, group in values["speakers"].items()}
    values["speakers"] = {g: {str(n): entry or {} for n, entry in group.items()} for g, group in groups.items()}
    made = conf.build(SetConf, values, path)
    made.plan = {str(n): conf.build(Part, entry or {}, f"{path}: plan: {n}") for n, entry in made.plan.items()}
    names = [n for group in made.speakers.values() for n in group]
    for kind, found in {"emotions": made.emotions, "speakers": names, "plan": made.plan, "name": [made.name]}.items():
        if wrong := [n for n in found if not re.fullmatch(r"\w+", str(n))]:
            raise ConfError(f"{path}: {kind}: {wrong[0]!r} must be letters, digits and underscores")
    if twice := [n for n, count in Counter(names).items() if count > 1]:
        raise ConfError(f"{path}: speakers: {twice[0]} is in two groups; a voice of the test set must be in no other")
    if isinstance(made.synthesiser, dict):
        built = conf.build(Command, made.synthesiser, f"{path}: synthesiser")
        made.synthesiser = Command(**asdict(built))  # the plain class, which goes to other processes
    elif made.synthesiser not in SYNTHESISERS:
        raise ConfError(f"{path}: synthesiser is {', '.join(SYNTHESISERS)} or has a command, not {made.synthesiser!r}")
    pairs = {"length": made.length}
    if isinstance(made.synthesiser, Command):
        pairs["synthesiser: seconds"] = made.synthesiser.seconds
        if made.synthesiser.tries < 1 or made.synthesiser.timeout <= 0:
            raise ConfError(f"{path}: synthesiser: tries is 1 or more, and timeout more than 0 s")
    for key, pair in pairs.items():
        if len(pair) != 2 or not 0 <= pair[0] <= pair[1]:
            raise ConfError(f"{path}: {key}: give the least and the most, not {pair}")
    for name, part in made.plan.items():
        _check_part(made, part, f"{path}: plan: {name}")
    return made


def _check_part(made: SetConf, part: Part, where: str) -> None:
    """Raises ConfError."""
    if part.voices not in made.speakers:
        groups = ", ".join(made.speakers)
        raise ConfError(f"{where}: voices: {part.voices!r} is no group of speakers; there are {groups}")
    if part.neutral and "neutral" not in made.emotions:
        raise ConfError(f"{where}: neutral words need the emotion neutral")
    if not part.agree + part.neutral + part.conflict:
        raise ConfError(f"{where}: says how many utterances agree, have neutral words, or conflict; all are 0")
    fewest = min(len(contradicting(made.labels, emo)) for emo in made.labels)
    if not 0 <= part.conflict <= fewest or part.agree < 0 or part.neutral < 0:
        most = f"conflict at most {fewest}, the emotions that contradict one"
        raise ConfError(f"{where}: agree, neutral and conflict are 0 or more, {most}")


def contradicting(labels: Sequence[str], emo: str) -> list[str]:
    """Emotions of words that contradict a voice: all but its own and neutral."""
    return [sem for sem in labels if sem not in (emo, "neutral")]


def draw(pile: list[Line], items: list[Line], said: set[str], rng: random.Random) -> Line:
    """The first line of a pile that is not in `said`; behind a pile of none lie all lines, shuffled anew."""
    place = next((i for i, line in enumerate(pile) if line.line_id not in said), None)
    if place is None:
        pile += rng.sample(items, len(items))
        place = next((i for i, line in enumerate(pile) if line.line_id not in said), 0)
    return pile.pop(place)


def plan(settings: SetConf, lines: Lines, seed: int) -> list[Utterance]:
    """All utterances: emotions of the voice balanced in each part, conflicting pairs (emo, sem) spread evenly.

    Raises DataError naming the emotions whose lines are missing or too few, so that a voice would say one twice.
    """
    rng = random.Random(f"{settings.name} plan {seed}")
    piles: dict[tuple[str, str], list[Line]] = defaultdict(list)
    said: dict[tuple[str, str], set[str]] = defaultdict(set)  # of each voice in each emotion
    utterances: list[Utterance] = []
    missing: set[tuple[str, str]] = set()

    def add(split: str, speaker: str, emo: str, sem: str) -> None:
        kind = settings.plan[split].lines, sem
        if kind not in lines:
            missing.add(kind)
            return
        line = draw(piles[kind], lines[kind], said[speaker, emo], rng)
        said[speaker, emo].add(line.line_id)
        utt = f"{speaker}-{emo}-{sem}-{len(utterances) + 1:04d}"
        utterances.append(Utterance(utt, speaker, split, emo, sem, line.line_id, line.text, line.scenario))

    for split, part in settings.plan.items():
        pairs: Counter[tuple[str, str]] = Counter()
        left_out: Counter[str] = Counter()
        for speaker in settings.speakers[part.voices]:
            for emo in settings.labels:
                for sem in [emo] * part.agree + ["neutral"] * part.neutral:
                    add(split, speaker, emo, sem)
                for sem in _conflicts(settings.labels, emo, part.conflict, pairs, left_out):
                    add(split, speaker, emo, sem)
    problems = [f"no line{' of ' * bool(s) + s} has the emotion {sem}; add some" for s, sem in sorted(missing)]
    times = Counter((u.speaker, u.line_id, u.emo) for u in utterances)
    few = sorted({(u.split, u.sem) for u in utterances if times[u.speaker, u.line_id, u.emo] > 1})
    again = "a voice would say one twice in one emotion; add lines or ask for fewer"
    problems += [f"{split}: too few lines have the emotion {sem}: {again}" for split, sem in few]
    if problems:
        raise DataError(problems)
    return utterances


def _conflicts(
    labels: Sequence[str], emo: str, count: int, pairs: Counter[tuple[str, str]], left_out: Counter[str]
) -> list[str]:
    """`count` emotions of words that contradict the voice: out are those it had most, then those least left out."""
    others = contradicting(labels, emo)
    if not count:
        return []
    ranked = sorted(others, key=lambda sem: (-pairs[emo, sem], left_out[sem]))
    out = set(ranked[: len(others) - count])
    left_out.update(out)
    kept = [sem for sem in others if sem not in out]
    pairs.update((emo, sem) for sem in kept)
    return kept


def cut(utterances: list[Utterance], n: int, name: str, seed: int) -> list[Utterance]:
    """`n` of the utterances, in proportion over splits and voice emotions and at least one of each."""
    groups = defaultdict(list)
    for utterance in utterances:
        groups[utterance.split, utterance.emo].append(utterance)
    if not len(groups) <= n <= len(utterances):
        raise DataError([f"--utts {n}: give {len(groups)} (one a split and emotion) to {len(utterances)} (all)"])
    rng = random.Random(f"{name} cut {seed}")
    spare = n - len(groups)  # beyond one a group
    shares = {key: spare * len(group) / len(utterances) for key, group in groups.items()}
    takes = {key: 1 + int(share) for key, share in shares.items()}
    by_rest = sorted(groups, key=lambda key: (int(shares[key]) - shares[key], key))
    for key in by_rest[: n - sum(takes.values())]:
        takes[key] += 1
    return [utterance for key, group in groups.items() for utterance in rng.sample(group, len(group))[: takes[key]]]
