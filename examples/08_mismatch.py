"""Train for chips with 10 % mismatch, and see what a readout refit on each chip is worth."""

from mtc_hw.model.options import TrainOptions
from mtc_hw.model.robustness import robustness
from mtc_hw.model.tasks import mackey_glass_split
from mtc_hw.model.train import train
from mtc_hw.spread import Spread

SPREAD = Spread(alpha=0.1, tau=0.1, delta=0.1)


def main() -> None:
    split = mackey_glass_split(4000, 2000)
    for chips in ("nominal", "per_sample", "per_chip"):
        options = TrainOptions(hidden=32, iterations=100, chips=chips, spread=SPREAD, settled=1.0)
        trained = train(split, options)
        found = robustness(trained.network, trained.readout, split, SPREAD, chips=20).summary()
        print(f"{chips}: R2 of 20 chips {found['raw_median']:.3f}, refitted {found['refitted_median']:.3f}")


if __name__ == "__main__":
    main()
