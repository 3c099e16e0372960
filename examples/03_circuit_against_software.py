"""One neuron in software and at transistor level, compared spike by spike."""

from mtc_hw.hardware.technology import load_technology
from mtc_hw.neuron_file import load_neuron
from mtc_hw.neuron_run import NeuronOptions, run_neuron
from mtc_hw.simulate.pool import Workers, open_workers


def main() -> None:
    options = NeuronOptions(level="transistor", duration=2000.0)
    with open_workers(Workers(jobs=1)) as run:
        result = run_neuron(load_neuron("tonic"), load_technology("generic"), options, run)
    print(f"software: {len(result.software_spikes)} spikes, {result.software_regime}")
    print(f"circuit:  {len(result.circuit_spikes)} spikes, {result.circuit_regime}")
    if result.comparison is not None:
        print(f"mean interval differs by {result.comparison.differences.interval_mean:.2%}")


if __name__ == "__main__":
    main()
