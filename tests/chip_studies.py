"""Small studies that several tests share."""

from mtc_hw.analysis.datasheet import datasheet
from mtc_hw.exports import design_of
from mtc_hw.hardware.unit import SQUARE
from mtc_hw.hardware.variation import Variation
from mtc_hw.montecarlo.study import FreeNeuron, Study, one_place
from mtc_hw.sources import load_source

SHEET = datasheet("tonic", {"regime": {"wanted": "tonic"}})


def tonic_study(tier="ode", duration=300.0, seed=1, **options):
    """A tonic neuron's chips, its codes as mapped."""
    source = load_source("tonic")
    design = design_of(source, bits=8, technology="generic", size=SQUARE)
    return Study(FreeNeuron(source.neuron, duration), design, one_place(design), tier, Variation(), seed, **options)
