"""Describe a process of your own in a TOML file, and run a neuron made of its transistors at each corner."""

from pathlib import Path

from mtc_hw.hardware.technology import load_technology
from mtc_hw.neuron_file import load_neuron
from mtc_hw.neuron_run import NeuronOptions, run_neuron
from mtc_hw.simulate.pool import Workers, open_workers

FILE = str(Path(__file__).with_name("my_process.toml"))


def main() -> None:
    options = NeuronOptions(level="transistor", duration=500.0)
    with open_workers(Workers(jobs=1)) as run:
        for corner in load_technology(FILE).corners:
            result = run_neuron(load_neuron("tonic"), load_technology(FILE, corner), options, run)
            unit = 1e3 * result.design.scale.volt
            print(
                f"{corner}: {len(result.circuit_spikes)} spikes, {result.circuit_regime}; unit voltage {unit:.1f} mV"
            )


if __name__ == "__main__":
    main()
