"""The behavioural neuron in Verilog-A, and a model card for each neuron of a design."""

from mtc_hw import __version__
from mtc_hw.hardware.design import MappedDesign, as_spec
from mtc_hw.netlist.dialects import Dialect
from mtc_hw.netlist.templates import render
from mtc_hw.spec import ELEMENTS, FILTERS, Curve, ModelSpec

_POSITIVE = " from (0:inf)"
_NOT_NEGATIVE = " from [0:inf)"
_BOUNDS = {
    "volt": _POSITIVE,
    "amp": _POSITIVE,
    "farad": _POSITIVE,
    "leak": _POSITIVE,
    "tau_fast": _NOT_NEGATIVE,
    "tau_slow": _POSITIVE,
    "tau_ultraslow": _POSITIVE,
    "leak_slope": _NOT_NEGATIVE,
    "filter_slope": _NOT_NEGATIVE,
    "input_slope": _NOT_NEGATIVE,
}


def verilog_module(design: MappedDesign) -> str:
    """The text of `mtc_neuron.va`: the neurons that the design means, mismatch in it, inputs as ports."""
    context = _context(design)
    values = _parameters(design, as_spec(design), 0)
    return render(
        "verilog_a/mtc_neuron.va.j2",
        context
        | {
            "technology": design.technology.name,
            "parameters": [(name, value, _BOUNDS.get(name, "")) for name, value in values.items()],
        },
    )


def verilog_cards(design: MappedDesign, dialect: Dialect) -> str:
    """The text of `mtc_neurons.inc`: a model card of the module for each neuron."""
    spec = as_spec(design)
    cards = [{"index": i, "settings": _parameters(design, spec, i)} for i in range(design.count)]
    return render(f"verilog_a/{dialect}.j2", _context(design) | {"cards": cards})


def _context(design: MappedDesign) -> dict[str, object]:
    inputs = list(range(design.input_code.shape[1]))
    ports = ["v", *(f"u_{name}" for name in FILTERS), *(f"x_{i}" for i in inputs), "ref"]
    return {"version": __version__, "digest": design.digest[:16], "inputs": inputs, "ports": ports}


def _parameters(design: MappedDesign, spec: ModelSpec, index: int) -> dict[str, float]:
    """The module's parameters for one neuron: the scale in SI, all else in model units."""
    neurons, scale = spec.neurons, design.scale
    values = {"volt": scale.volt, "amp": scale.amp, "farad": scale.farad}
    for row, element in enumerate(ELEMENTS):
        values |= {
            f"alpha_{element}": float(neurons.alpha[row, index]),
            f"delta_{element}": float(neurons.delta[row, index]),
        }
    for row, name in enumerate(FILTERS):
        values |= {
            f"tau_{name}": float(neurons.tau[row, index]),
            f"offset_{name}": float(neurons.offset[row, index]),
        }
    values |= {"leak": float(neurons.leak[index]), "rest": float(neurons.rest[index])}
    values |= _curve("leak", neurons.leak_curve) | _curve("filter", neurons.filter_curve)
    values |= _curve("input", spec.input_curve)
    values |= {f"weight_{i}": float(weight) for i, weight in enumerate(spec.weights[index])}
    return values | {"bias": float(spec.bias[index])}


def _curve(name: str, curve: Curve | None) -> dict[str, float]:
    return {f"{name}_slope": curve.slope if curve else 0.0, f"{name}_shift": curve.shift if curve else 0.0}
