import dataclasses
import json

import numpy as np
import pytest

from mtc_hw.errors import DataError
from mtc_hw.hardware.design import Deviations
from mtc_hw.hardware.design_file import load_design, save_design
from mtc_hw.hardware.mismatch import perturb
from mtc_hw.hardware.technology import technology_of
from mtc_hw.netlist.render import neuron_deck
from mtc_hw.netlist.solver import NETWORK
from mtc_hw.spec import ModelSpec, Neurons, Readout, RectifiedTanh, Synapse


@pytest.fixture
def path(tmp_path):
    return tmp_path / "somewhere" / "design.json"


def assert_same(one, other) -> None:
    for each in dataclasses.fields(one):
        a, b = getattr(one, each.name), getattr(other, each.name)
        if isinstance(a, np.ndarray):
            assert (a.shape, a.dtype) == (b.shape, b.dtype) and a.tobytes() == b.tobytes(), each.name
        elif dataclasses.is_dataclass(a):
            assert_same(a, b)
        else:
            assert a == b, each.name


@pytest.mark.parametrize("synapse", [Synapse(0.1, 1.5), RectifiedTanh(0.1)], ids=["saturated_relu", "rectified_tanh"])
def test_either_synapse_comes_back(mapped, network, path, synapse):
    design = mapped(dataclasses.replace(network, synapse=synapse), bits=8)
    save_design(design, path)
    assert load_design(path).synapse == synapse


@pytest.mark.parametrize("bits", [None, 8])
@pytest.mark.parametrize("sample", [None, 4])
def test_a_design_comes_back_bit_for_bit(mapped, network, path, bits, sample):
    design = mapped(network, bits=bits)
    design = design if sample is None else perturb(design, seed=11, sample=sample)
    save_design(design, path)
    loaded = load_design(path)
    assert loaded.digest == design.digest
    assert_same(design, loaded)


def test_bare_neurons_come_back_with_their_empty_arrays(preset, path):
    file, _, design = preset("tonic")
    save_design(design, path)
    loaded = load_design(path)
    assert loaded.readout_code.shape == design.readout_code.shape == (0, 1)
    assert loaded.input_code.shape == design.input_code.shape == (1, 0)
    decks = [neuron_deck(d, 0, "transistor", file.stimulus, 10.0, file.initial, NETWORK) for d in (design, loaded)]
    assert decks[0] == decks[1]


def test_numpy_scalars_in_a_model_survive(mapped, network, path):
    readout = dataclasses.replace(network.readout, tau=np.float64(20.0))
    spec = dataclasses.replace(network, readout=readout, step=np.float64(0.5))
    assert isinstance(spec, ModelSpec)
    design = perturb(mapped(spec), seed=np.int64(3), sample=np.int64(1))
    save_design(design, path)
    assert load_design(path).digest == design.digest


def test_loaded_arrays_cannot_be_written(mapped, network, path):
    save_design(mapped(network), path)
    with pytest.raises(ValueError, match="read-only"):
        load_design(path).bias_code[0, 0] = 1.0


def saved(design, path) -> dict:
    save_design(design, path)
    return json.loads(path.read_text())


def test_a_changed_code_is_noticed(mapped, network, path):
    document = saved(mapped(network), path)
    document["design"]["bias_code"][0][0] += 1.0
    path.write_text(json.dumps(document))
    with pytest.raises(DataError, match=r"^\S+design\.json was changed after it was saved: its digest differs; map"):
        load_design(path)


@pytest.mark.parametrize(
    ("change", "text"),
    [
        (lambda d: d | {"version": 1}, r"holds \('mtc_hw design', 1\), expected \('mtc_hw design', 3\); map the net"),
        (lambda d: d | {"format": "mtc_hw cells"}, r"holds \('mtc_hw cells', 3\), expected"),
        (lambda d: [], "holds None, expected"),
        (lambda d: d | {"design": {}}, "is incomplete: 'technology'; map the network again$"),
        (lambda d: d | {"design": []}, "is incomplete: list indices must be"),
        (
            lambda d: d | {"design": d["design"] | {"scale": 3.0}},
            "is incomplete: 'float' object is not subscriptable",
        ),
        (lambda d: d | {"design": d["design"] | {"bias_code": [[1.0], [1.0, 2.0]]}}, "is incomplete: setting an arr"),
        (
            lambda d: d | {"design": d["design"] | {"technology": {}}},
            r"is incomplete: name is missing; corners is missing",
        ),
    ],
    ids=["version", "format", "list", "empty", "design list", "number", "ragged", "technology"],
)
def test_what_is_no_design_is_refused_in_one_line(mapped, network, path, change, text):
    path.write_text(json.dumps(change(saved(mapped(network), path))))
    with pytest.raises(DataError, match=rf"^\S+design\.json {text}") as caught:
        load_design(path)
    assert str(caught.value).isprintable()


def test_a_truncated_or_missing_file_is_refused(mapped, network, path):
    with pytest.raises(DataError, match=r"^\S+design\.json is not a design: \[Errno 2\]"):
        load_design(path)
    save_design(mapped(network), path)
    path.write_text(path.read_text()[:-100])
    with pytest.raises(DataError, match=r"^\S+design\.json is not a design: "):
        load_design(path)


def leaves(fields: dict, path: tuple = ()) -> list[tuple[tuple, object]]:
    """Numbers and texts of nested tables, with their paths."""
    found = []
    for name, value in fields.items():
        if isinstance(value, dict):
            found += leaves(value, (*path, name))
        elif isinstance(value, float | str):
            found.append(((*path, name), value))
    return found


def changed(fields: dict, path: tuple, value: object) -> dict:
    head, *rest = path
    return fields | {head: changed(fields[head], tuple(rest), value) if rest else value}


def test_every_field_of_a_technology_comes_back_and_counts(mapped, network, technology, path):
    design = mapped(network, bits=8)
    plain = technology.model_dump()
    found = leaves(plain)
    assert {"supply", "cards", "name"} <= {place[0] for place, _ in found}
    for place, value in found:
        other = value * (1.0 + 2.0**-50) if isinstance(value, float) else f"{value}x"
        varied = dataclasses.replace(design, technology=technology_of(changed(plain, place, other)))
        assert varied.digest != design.digest, place
        save_design(varied, path)
        assert load_design(path).technology == varied.technology, place
        assert load_design(path).digest == varied.digest, place


@pytest.mark.parametrize("bits", [None, 8])
def test_a_thousand_mismatched_neurons_come_back_bit_for_bit(mapped, cells, path, bits):
    rng = np.random.default_rng(5)
    present = rng.random((4, 1000)) < np.array([[1.0], [0.9], [0.5], [0.5]])
    neurons = Neurons(
        alpha=present * rng.uniform(0.5, 3.0, (4, 1000)),
        delta=rng.uniform(-1.5, 1.5, (4, 1000)),
        tau=np.stack([rng.choice([0.0, 2.0], 1000), rng.uniform(20, 80, 1000), rng.uniform(200, 2500, 1000)]),
        leak_curve=cells.leak_curve,
    )
    readout = Readout(rng.normal(size=(2, 1000)), rng.normal(size=2), tau=20.0)
    spec = ModelSpec(neurons, rng.normal(size=(1000, 3)), rng.normal(size=1000), readout=readout)
    # Draws of any size: the chip's own take longer than the file.
    draws = Deviations(3, 1, *rng.normal(size=(2, 8, 10, 1000)))
    design = dataclasses.replace(mapped(spec, bits=bits), deviations=draws)
    save_design(design, path)
    loaded = load_design(path)
    assert_same(design, loaded)
    assert loaded.digest == design.digest
