"""Train a small network on the Mackey-Glass task and save it as a checkpoint."""

from pathlib import Path

from mtc_hw.model.tasks import mackey_glass_split
from mtc_hw.model.train import TrainOptions, train
from mtc_hw.pipeline import save_trained

OUT = Path("example")


def main() -> None:
    trained = train(mackey_glass_split(), TrainOptions(hidden=16, iterations=60, seed=0))
    report = trained.report
    print(f"R2 {report.r2:.3f}, at a quarter of the step {report.r2_refined:.3f}, sparsity {report.s_comp:.2f}")
    print("saved", save_trained(trained, OUT))


if __name__ == "__main__":
    main()
