"""The Verilog-A neuron, compiled by VerilogAE (the front end of OpenVAF) and evaluated against the reference."""

import dataclasses
import re

import numpy as np
import pytest

from mtc_hw.hardware.design import as_spec
from mtc_hw.hardware.mismatch import perturb
from mtc_hw.netlist.dialects import DIALECTS
from mtc_hw.netlist.verilog import verilog_cards, verilog_module
from mtc_hw.simulate.ode import _Constants, _flow

NODES = ("v", "u_fast", "u_slow", "u_ultraslow")
FLOWS = ("drift", "slow_flow", "ultraslow_flow", "fast_flow")
DECLARED = "  real x, fast, slow, ultraslow, drift, fast_flow, slow_flow, ultraslow_flow;\n"


@pytest.fixture(scope="module")
def compiled(tmp_path_factory):
    """A function that compiles a module's text with its right-hand sides marked for reading."""
    verilogae = pytest.importorskip("verilogae", reason="VerilogAE has wheels up to Python 3.11")

    def compile_(text: str):
        assert DECLARED in text
        marked = "  real x, fast, slow, ultraslow;\n" + "".join(f"  (*retrieve*) real {name};\n" for name in FLOWS)
        path = tmp_path_factory.mktemp("va") / "mtc_neuron.va"
        path.write_text(text.replace(DECLARED, marked))
        return verilogae.load(str(path))

    return compile_


def settings(cards: str, index: int) -> dict[str, float]:
    """Parameters on a neuron's model card."""
    line = next(line for line in cards.splitlines() if re.match(rf"\.?model mtc_{index} ", line))
    return {name: float(value) for name, value in re.findall(r"(\w+)=(\S+)", line)}


def flows(model, values: dict[str, float], unit: dict[str, float]) -> dict[str, float]:
    """The module's right-hand sides where the nodes are at `unit`, unit voltages above ref."""
    found = {}
    for name in FLOWS:
        function = model.functions[name]
        # A branch v-ref is called br_vref.
        volts = {branch: unit[branch[3:-3]] * values["volt"] for branch in function.voltages}
        given = {each: values[each] for each in function.parameters}
        found[name] = function.eval(temperature=300.0, voltages=volts, **given)
    return found


@pytest.mark.parametrize("curved", [True, False], ids=["curved", "linear"])
@pytest.mark.parametrize("dialect", DIALECTS)
def test_the_right_hand_sides_are_the_reference_s(compiled, mapped, network, curved, dialect):
    """d/dt of every state of a mismatched chip's neurons at random states and inputs, to rounding."""
    neurons = network.neurons if curved else dataclasses.replace(network.neurons, leak_curve=None, filter_curve=None)
    curve = network.neurons.leak_curve if curved else None
    chip = perturb(mapped(dataclasses.replace(network, neurons=neurons, input_curve=curve), bits=8), 2, 0)
    meant, cards, model = as_spec(chip), verilog_cards(chip, dialect), compiled(verilog_module(chip))
    rng = np.random.default_rng(3)
    for index in range(chip.count):
        values, one = settings(cards, index), meant.neurons.take(index)
        for _ in range(5):
            state, inputs = rng.uniform(-3.0, 3.0, 4), rng.normal(size=2)
            unit = dict(zip(("v", "u_slow", "u_ultraslow", "u_fast"), state, strict=True))
            found = flows(model, values, unit | {f"x_{i}": x for i, x in enumerate(inputs)})
            expected = derivative(one, state, float(meant.input_current(inputs[None])[0, index]))
            assert [found[name] for name in FLOWS[: len(expected)]] == pytest.approx(expected, rel=1e-12, abs=1e-14)


def derivative(neurons, state, current) -> list[float]:
    constants = _Constants.of(neurons, 0)
    held = state if neurons.tau[0, 0] > 0 else state[:3]
    return list(_flow(np.array(held), 0.0, lambda time: current, constants))


def test_a_bare_neuron_s_module_compiles(compiled, preset):
    _, _, design = preset("bursting", bits=8)
    text = verilog_module(design)
    assert "module mtc_neuron(v, u_fast, u_slow, u_ultraslow, ref);\n" in text
    found = flows(compiled(text), settings(verilog_cards(design, "ngspice"), 0), dict.fromkeys(NODES, -1.0))
    assert np.isfinite(list(found.values())).all() and found["fast_flow"] == 0.0


def test_the_module_has_a_port_for_each_input_and_a_card_for_each_neuron(mapped, network):
    design = mapped(network)
    text = verilog_module(design)
    ports = "v, u_fast, u_slow, u_ultraslow, x_0, x_1, ref"
    assert f"module mtc_neuron({ports});\n" in text
    assert f"  electrical {ports};\n" in text
    for dialect in DIALECTS:
        cards = verilog_cards(design, dialect)
        assert len(re.findall(r"^\.?model mtc_\d+ mtc_neuron ", cards, re.MULTILINE)) == design.count
        names = set(re.findall(r"parameter real (\w+)", text))
        assert all(set(settings(cards, index)) == names for index in range(design.count))


def test_the_defaults_are_neuron_0(mapped, network):
    design = mapped(network, bits=8)
    defaults = dict(re.findall(r"parameter real (\w+) = (\S+?)(?: from .*)?;", verilog_module(design)))
    assert {name: float(value) for name, value in defaults.items()} == settings(verilog_cards(design, "xyce"), 0)


def test_every_current_charges_its_own_capacitor(mapped, network):
    """d/dt of each node is its right-hand side: the contributions, as they stand."""
    contributions = re.findall(r"I\((\w+), (\w+)\) <\+ (.*);", verilog_module(mapped(network)))
    charged = {"u_fast": "fast_flow", "v": "drift", "u_slow": "slow_flow", "u_ultraslow": "ultraslow_flow"}
    expected = [(node, "ref", f"farad*ddt(V({node}, ref)) - amp*{flow}") for node, flow in charged.items()]
    assert sorted(contributions) == sorted([*expected, ("u_fast", "v", "amp/volt*V(u_fast, v)")])


def test_a_wrong_module_does_not_compile(compiled, mapped, network):
    text = verilog_module(mapped(network)).replace("tanh(fast - delta_fast_negative)", "tanh(fast - delta_fats)")
    with pytest.raises(RuntimeError, match=r"compilation failed$"):
        compiled(text)
