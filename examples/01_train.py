"""Train a small network on the Mackey-Glass task and save it as a checkpoint."""

from pathlib import Path

from mtc_hw.model.options import TrainOptions
from mtc_hw.model.tasks import mackey_glass_split
from mtc_hw.training import train_and_save

OUT = Path("example")


def main() -> None:
    options = TrainOptions(hidden=16, iterations=60, seed=0)
    trained, checkpoint = train_and_save(mackey_glass_split(), options, OUT, "python examples/01_train.py")
    report = trained.report
    print(f"R2 {report.r2:.3f}, at a quarter of the step {report.r2_refined:.3f}, sparsity {report.s_comp:.2f}")
    print("saved", checkpoint)


if __name__ == "__main__":
    main()
