"""A mock bench behind a socket with one noisy, mismatched chip: trim its interval, record that, do it again offline.
`python 11_bench.py 5025` only serves the chip, at tcp://127.0.0.1:5025."""

import dataclasses
import sys
from pathlib import Path

import numpy as np

from mtc_hw.calibration.bisection import bisect
from mtc_hw.calibration.compiled_instrument import CompiledInstrument
from mtc_hw.calibration.instruments import instrument_of
from mtc_hw.calibration.noise import Budgeted, Noisy
from mtc_hw.calibration.observables import Firing, Instrument, Request
from mtc_hw.calibration.remote_server import serve
from mtc_hw.calibration.replay import Recorder
from mtc_hw.calibration.search import Found, Goal, Space
from mtc_hw.exports import design_of
from mtc_hw.hardware.design import MappedDesign
from mtc_hw.hardware.mismatch import perturb
from mtc_hw.hardware.unit import parse_size
from mtc_hw.neuron_file import load_neuron
from mtc_hw.sources import load_source

NEURON = load_neuron("tonic")
RUN = Request(firing=(Firing(NEURON.stimulus, 1000.0, NEURON.initial),))
WANTED, NOISE = 52.0, 0.001  # tau_m, and relative, of the interval


def trim(design: MappedDesign, instrument: Instrument) -> Found:
    """Looks for the trim of the constant current at which the mean interval is the wanted one, to 1 tau_m."""

    def interval(codes: np.ndarray) -> np.ndarray:
        seen = instrument.measure(dataclasses.replace(design, offset_trim=codes[0]), RUN)
        return np.array([[np.diff(own).mean() if own.size > 1 else np.nan for own in seen.spikes[0]]])

    low, high = (np.array([[end]]) for end in design.trim.offset.limits)
    space = Space(("offset trim",), low, high, start=np.zeros((1, 1)))
    return bisect(interval, space, Goal(("interval",), np.array([[WANTED]]), 1.0, relative_noise=NOISE))


def main(port: int = 0) -> None:
    design = design_of(load_source("tonic"), bits=8, technology="generic", size=parse_size("2"))
    chip = Noisy(CompiledInstrument([perturb(design, seed=3, sample=0)], "cells"), NOISE, seed=1)
    with serve(chip, design, port=port) as server:
        if port:
            input(f"{server.address}; Enter ends it\n")
            return
        bench = Recorder(Budgeted(instrument_of(server.address, design), 40), Path("recording"), design)
        found = trim(design, bench)
    for (codes,), (seen,) in found.history:
        print(f"code {codes[0]:3g}: {seen[0]:.2f} tau_m")
    print(f"{found.reason[0] or 'met'}, {found.measurements[0]} measurements of 40")
    again = trim(design, instrument_of("replay:recording", design))
    print(f"offline code {again.codes[0, 0]:g}, residual {again.residual[0, 0] - found.residual[0, 0]:+g} beside it")


if __name__ == "__main__":
    main(*map(int, sys.argv[1:]))
