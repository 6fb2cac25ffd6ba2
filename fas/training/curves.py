"""Learning curves as a picture."""

from pathlib import Path

from fas.figures import plt, save


def draw(history: list[dict[str, float]], best: int, path: Path) -> None:
    """Losses and dev UAR over epochs."""
    epochs = [r["epoch"] for r in history]
    figure, (left, right) = plt.subplots(1, 2, figsize=(9, 3.2), layout="constrained")
    for key, label in (("train_loss", "train"), ("dev_loss", "dev")):
        left.plot(epochs, [r[key] for r in history], label=label)
    left.set(xlabel="epoch", ylabel="cross entropy")
    left.legend()
    right.plot(epochs, [100 * r["dev_uar"] for r in history])
    right.axvline(best, color="0.6", linestyle=":", label=f"chosen: epoch {best}")
    right.set(xlabel="epoch", ylabel="dev UAR (%)")
    right.legend()
    save(figure, path)
