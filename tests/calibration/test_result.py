"""What a calibration found, in a file: it comes back bit for bit, and fits the chips of its own design only."""

import dataclasses
import json

import numpy as np
import pytest

from mtc_hw.calibration.calibrate import calibrate
from mtc_hw.calibration.compiled_instrument import CompiledInstrument
from mtc_hw.calibration.plan import CheckStep, Plan, RefitStep, load_plan
from mtc_hw.calibration.purpose import Lesson, Purpose
from mtc_hw.calibration.result import apply, load_result, save_result
from mtc_hw.course import POINTS, Course
from mtc_hw.errors import DataError
from mtc_hw.hardware.mismatch import perturb
from mtc_hw.hardware.technology import load_technology
from mtc_hw.spec import ModelSpec

DC = load_plan("dc")
SHORT = DC.model_copy(
    update={"measurements": 51, "steps": (*DC.steps[:-1], RefitStep(method="refit", samples=100, burn_in=20))}
)


def found(design, spec, chip, plan=SHORT):
    held = np.zeros((POINTS, design.count))
    course = Course(held, np.stack([held] * 3), np.zeros((POINTS, design.input_code.shape[1], design.count)))
    rng = np.random.default_rng(0)
    lesson = Lesson(0.3 * rng.normal(size=(120, design.input_code.shape[1])), rng.normal(size=(120, 2)))
    return calibrate(design, Purpose(spec, course, lesson=lesson), CompiledInstrument([chip], "ode"), plan)


@pytest.fixture(scope="module")
def design(mapped, network):
    return mapped(network, bits=8)


@pytest.fixture(scope="module")
def result(design, network):
    return found(design, network, perturb(design, 2, 0))


def same(one, other) -> bool:
    """Every number bit for bit, NaN too."""
    if dataclasses.is_dataclass(one):
        names = [each.name for each in dataclasses.fields(one)]
        return type(one) is type(other) and all(same(getattr(one, name), getattr(other, name)) for name in names)
    if isinstance(one, tuple):
        return len(one) == len(other) and all(map(same, one, other))
    if isinstance(one, np.ndarray):
        return one.dtype == other.dtype and one.shape == other.shape and one.tobytes() == other.tobytes()
    return bool(one == other)


def test_a_result_comes_back_bit_for_bit(result, tmp_path):
    save_result(result, tmp_path / "deep" / "result.json")
    assert same(load_result(tmp_path / "deep" / "result.json"), result)


def test_a_result_of_bare_neurons_comes_back_with_its_empty_arrays(preset, tmp_path):
    _, spec, design = preset("tonic")
    result = found(design, spec, design, Plan(name="look", steps=(CheckStep(method="check"),)))
    save_result(result, tmp_path / "result.json")
    assert apply(load_result(tmp_path / "result.json"), design).digest == design.digest


def test_a_result_fits_every_chip_of_its_design(design, result):
    chip = perturb(design, 9, 4)
    codes = apply(result, chip)
    assert codes.deviations is chip.deviations
    assert np.array_equal(codes.bias_trim, result.bias_trim) and result.bias_trim.any()


def test_the_readout_of_before_the_refit_can_be_had(design, result):
    trained, refitted = apply(result, design, trained_readout=True), apply(result, design)
    assert np.array_equal(trained.readout_code, result.trained.code)
    assert np.array_equal(refitted.readout_code, result.readout.code)
    assert trained.readout_dac.lsb == result.trained.lsb != refitted.readout_dac.lsb
    assert not np.array_equal(trained.readout_code, refitted.readout_code)
    assert np.array_equal(trained.bias_trim, refitted.bias_trim)


def louder(network) -> ModelSpec:
    return dataclasses.replace(network, bias=network.bias + 0.1)


@pytest.mark.parametrize(
    ("other", "text"),
    [
        (lambda mapped, network: mapped(louder(network), bits=8), r"it is of network \w{16}, the design of \w{16}; "),
        (lambda mapped, network: mapped(network, bits=9), "the design's converters have other bits or steps; "),
        (lambda mapped, network: mapped(network, bits=8, trim_bits=5), "the design's converters have other bits or "),
        (
            lambda mapped, network: dataclasses.replace(
                (own := mapped(network, bits=8)), offset_code=own.offset_code + 1.0
            ),
            "the design's codes are others, it was mapped or edited since; ",
        ),
        (
            lambda mapped, network: dataclasses.replace(
                (own := mapped(network, bits=8)), offset_trim=own.offset_trim + 1.0
            ),
            r"it is of design \w{16}, this is \w{16}, which has trims, capacitors or readout codes of its own; ",
        ),
        (
            lambda mapped, network: dataclasses.replace(
                mapped(network, bits=8), technology=load_technology("generic", temperature=70.0)
            ),
            r"it is of technology generic tt 1\.8 V 27 C, the design of generic tt 1\.8 V 70 C; ",
        ),
    ],
)
def test_a_result_of_another_design_is_refused_with_what_differs(mapped, network, result, other, text):
    with pytest.raises(DataError, match=f"^this calibration, plan dc, does not fit: {text}") as refused:
        apply(result, other(mapped, network))
    assert str(refused.value).endswith(("calibrate this one", "calibrate this version"))


@pytest.mark.parametrize(
    ("change", "text"),
    [
        (lambda d: d | {"version": 3}, "holds mtc_hw calibration 3, expected mtc_hw calibration 4; calibrate again"),
        (
            lambda d: d | {"format": "mtc_hw design"},
            "holds mtc_hw design 4, expected mtc_hw calibration 4; calibrate again",
        ),
        (lambda d: {}, "holds no mtc_hw calibration: 'format'; calibrate again"),
        (lambda d: [], "holds no mtc_hw calibration: list indices .*; calibrate again"),
        (lambda d: d | {"value": {}}, "holds no mtc_hw calibration: 'plan'; calibrate again"),
    ],
)
def test_what_holds_no_calibration_is_refused(result, tmp_path, change, text):
    path = tmp_path / "result.json"
    save_result(result, path)
    path.write_text(json.dumps(change(json.loads(path.read_text()))))
    with pytest.raises(DataError, match=rf"^\S+result\.json {text}$"):
        load_result(path)


def test_a_missing_result_is_refused(tmp_path):
    with pytest.raises(
        DataError, match=r"^\S+gone\.json holds no mtc_hw calibration: \[Errno 2\] .*; calibrate again$"
    ):
        load_result(tmp_path / "gone.json")
