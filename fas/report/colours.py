"""The colours of emotions, on pages and in subtitles: told apart by most colour-blind people, on light and on dark."""

COLOURS = {  # light, dark
    "angry": ("#c0392b", "#ff8574"),
    "disgust": ("#6b7d1e", "#bdd160"),
    "fear": ("#7d4bb5", "#c6a2f2"),
    "happy": ("#c98500", "#ffc845"),
    "neutral": ("#8a94a0", "#98a3af"),
    "sad": ("#2867b8", "#7fb3f5"),
    "surprise": ("#00897b", "#52d6c4"),
}
OTHERS = (("#a8447f", "#f29ac8"), ("#5d6b2f", "#c3d68a"), ("#8c5a2b", "#dfae7c"), ("#3f6f7a", "#8fcbd8"))


def colours(labels: list[str]) -> dict[str, tuple[str, str]]:
    """Label -> its colour on light and on dark ground; labels beyond the seven get those that are left, in turn."""
    others = [e for e in labels if e not in COLOURS]
    return {e: COLOURS.get(e) or OTHERS[others.index(e) % len(OTHERS)] for e in labels}
