"""What can go wrong that its user can mend; a command line prints such an error as one line (fas.cli.main)."""

MOST_PROBLEMS = 20


class FASError(Exception):
    """The file or the utterance, why, and what to do."""


class ArkError(FASError):
    """An ark that can't be read: file, utterance, why, and what to do."""


class AudioError(FASError):
    """An audio file that can't be used: its name, why, and what to do."""


class ClusterError(FASError):
    """A scheduler or its conf that can't be used: what it said."""


class ConfError(FASError):
    """A conf file that can't be used: its name, the key, and what is allowed."""


class DataError(FASError):
    """What is wrong with a data directory: every problem found, a line each."""

    def __init__(self, problems: list[str]):
        shown = problems[:MOST_PROBLEMS]
        more = len(problems) - len(shown)
        super().__init__("\n".join(shown + ([f"... and {more} problems more"] if more else [])))
        self.problems = problems


class MissingCorpus(DataError):
    """A corpus that is not there: what to get, where, its licence and the layout expected."""


class EspeakError(FASError):
    """eSpeak NG could not start, does not know a voice, or made no sound."""


class FetchError(FASError):
    """A model that could not be had: what was tried, and what to do."""
