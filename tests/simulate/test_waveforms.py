import numpy as np
import pytest

from mtc_hw.errors import DataError
from mtc_hw.simulate.waveforms import Waveforms, load_waveforms, to_trace


@pytest.fixture
def waves(mapped, network):
    design = mapped(network)
    axis = np.array([0.0, 1.0, 3.0]) * design.scale.second
    volts = design.technology.analog_ground + design.scale.volt * np.array([-2.0, 0.0, 1.5])
    return design, Waveforms(axis, {"time": axis, "v(v_1)": volts, "v(u_slow_1)": volts[::-1]})


def test_names_are_found_whatever_their_case(waves):
    assert waves[1]["V(V_1)"] is waves[1]["v(v_1)"]


def test_waveforms_come_back_bit_for_bit(waves, tmp_path):
    waves[1].save(tmp_path / "run.npz")
    loaded = load_waveforms(tmp_path / "run.npz")
    assert np.array_equal(loaded.axis, waves[1].axis)
    assert list(loaded.values) == list(waves[1].values)
    for name in loaded.values:
        assert np.array_equal(loaded[name], waves[1][name])


def test_a_trace_is_in_units_of_the_model(waves):
    design, waveforms = waves
    trace = to_trace(waveforms, design, 1)
    assert trace.time == pytest.approx([0.0, 1.0, 3.0])
    assert trace.voltage[:, 0] == pytest.approx([-2.0, 0.0, 1.5])
    assert trace.slow[:, 0] == pytest.approx([1.5, 0.0, -2.0])
    assert trace.ultraslow is None


def test_a_neuron_that_is_not_in_the_waveforms_is_named(waves):
    with pytest.raises(DataError, match=r"^no v\(v_3\) in the waveforms; they hold time, v\(v_1\), v\(u_slow_1\)$"):
        to_trace(waves[1], waves[0], 3)


def test_what_holds_no_waveforms_is_refused(tmp_path):
    with pytest.raises(DataError, match=r"^\S+gone\.npz holds no waveforms: "):
        load_waveforms(tmp_path / "gone.npz")
    (tmp_path / "text.npz").write_text("no archive")
    with pytest.raises(DataError, match=r"^\S+text\.npz holds no waveforms: "):
        load_waveforms(tmp_path / "text.npz")
    np.savez(tmp_path / "other.npz", axis=np.zeros(3))
    with pytest.raises(DataError, match=r"^\S+other\.npz holds no waveforms: "):
        load_waveforms(tmp_path / "other.npz")
    np.savez(tmp_path / "pickle.npz", axis=np.array([object()], dtype=object), names=[], values=[])
    with pytest.raises(DataError, match=r"^\S+pickle\.npz holds no waveforms: .*pickle"):
        load_waveforms(tmp_path / "pickle.npz")
