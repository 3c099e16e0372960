import dataclasses
import re

import numpy as np
import pytest
from trimmed import trimmed

from mtc_hw.calibration.knobs import IDEAL_STEPS, at_bounds, available, read, resolve, space, write
from mtc_hw.errors import DataError
from mtc_hw.hardware.design import BRANCHES, LEAK, as_spec

NAMES = [
    "bias.fast_negative", "bias.slow_positive", "bias.slow_negative", "bias.ultraslow_positive", "bias.leak",
    "filter.fast", "filter.slow", "filter.ultraslow",
    "reference.fast_negative", "reference.slow_positive", "reference.slow_negative",
    "reference.ultraslow_positive", "reference.leak", "input.0", "input.1", "offset",
]  # fmt: skip


@pytest.fixture(scope="module")
def design(mapped, network):
    return mapped(network, bits=8)


def names(trims):
    return [trim.name for trim in trims]


def test_a_network_has_a_name_for_every_trim(design):
    assert names(available(design)) == NAMES
    places = {(trim.array, trim.row) for trim in available(design)}
    assert len(places) == len(BRANCHES) + LEAK + 1 + 2 + 1


@pytest.mark.parametrize(
    ("asked", "found"),
    [
        (["offset", "filter.slow"], ["offset", "filter.slow"]),
        (["reference.*"], NAMES[8:13]),
        (["*.leak", "bias.leak"], ["bias.leak", "reference.leak"]),
        (["*"], NAMES),
    ],
)
def test_names_are_resolved_in_their_order_and_once(design, asked, found):
    assert names(resolve(design, asked)) == found


def test_a_star_leaves_out_what_no_neuron_has(preset):
    tonic = preset("tonic", bits=8)[2]
    assert names(resolve(tonic, ["bias.*", "filter.*"])) == [
        "bias.fast_negative", "bias.slow_positive", "bias.leak", "filter.slow"
    ]  # fmt: skip
    # By its own name it may be meant, and is absent.
    assert np.isnan(read(tonic, resolve(tonic, ["filter.ultraslow"]))).all()


@pytest.mark.parametrize(
    ("asked", "text"),
    [
        (["bias.fast_negativ", "ofset"], "'bias.fast_negativ' is no knob, did you mean 'bias.fast_negative'; "
                                         "'ofset' is no knob, did you mean 'offset'; there are: bias.fast_neg"),
        (["zzz*"], "'zzz*' is no knob; there are: "),
        (["input.2"], "'input.2' is no knob, did you mean 'input.1'"),
        ([""], "'' is no knob"),
        ([], "no knob is named; there are: bias.fast_negative"),
    ],
)  # fmt: skip
def test_unknown_names_are_told_with_what_there_is(design, asked, text):
    with pytest.raises(DataError, match=re.escape(text)):
        resolve(design, asked)


def test_what_was_written_is_read_and_nothing_else_moves(design):
    trims = resolve(design, ["*"])
    before = trimmed(design, 1)
    codes = np.random.default_rng(2).integers(-31, 32, (len(trims), 4)).astype(float)
    after = write(before, trims, codes)
    here = np.isfinite(read(design, trims))
    assert np.array_equal(read(after, trims)[here], codes[here])
    assert np.array_equal(np.isfinite(read(after, trims)), here)
    assert write(before, trims, read(before, trims)).digest == before.digest
    assert (after.bias_trim[~design.present] == 0.0).all()


def test_each_knob_moves_what_it_says(design):
    spec = as_spec(design)

    def moved(name):
        after = as_spec(write(design, resolve(design, [name]), np.full((1, 4), 5.0)))
        rows = {
            "alpha": (after.neurons.alpha != spec.neurons.alpha).any(axis=1),
            "delta": (after.neurons.delta != spec.neurons.delta).any(axis=1),
            "tau": (after.neurons.tau != spec.neurons.tau).any(axis=1),
            "weights": (after.weights != spec.weights).any(axis=0),
        }
        single = {
            "leak": (after.neurons.leak, spec.neurons.leak),
            "rest": (after.neurons.rest, spec.neurons.rest),
            "bias": (after.bias, spec.bias),
        }
        found = {f"{key}{int(i)}" for key, each in rows.items() for i in np.flatnonzero(each)}
        return found | {key for key, (one, other) in single.items() if (one != other).any()}

    assert moved("bias.slow_negative") == {"alpha2"}
    assert moved("bias.leak") == {"leak"}
    assert moved("reference.slow_positive") == {"delta1"}
    assert moved("reference.leak") == {"rest"}
    assert moved("filter.ultraslow") == {"tau2"}
    assert moved("input.1") == {"weights1"}
    assert moved("offset") == {"bias"}


def test_absent_trims_are_nan_and_stay_as_they_are(design):
    trims = resolve(design, ["filter.fast", "input.0"])
    assert np.isnan(read(design, trims)).tolist() == [[True, False, True, True], [False] * 4]
    after = write(design, trims, np.array([[9.0] * 4, [np.nan, 3.0, 3.0, 3.0]]))
    assert after.bias_trim[LEAK + 1].tolist() == [0.0, 9.0, 0.0, 0.0]
    assert after.input_trim[:, 0].tolist() == [0.0, 3.0, 3.0, 3.0]


def test_a_neuron_outside_the_mask_keeps_its_codes(design):
    trims = resolve(design, ["offset"])
    after = write(design, trims, np.full((1, 4), 7.0), np.array([True, False, True, False]))
    assert after.offset_trim.tolist() == [7.0, 0.0, 7.0, 0.0]


def test_steps_that_a_converter_does_not_have_are_refused(design):
    with pytest.raises(DataError, match="offset of neuron 2 is 32; it goes from -31 to 31"):
        write(design, resolve(design, ["offset"]), np.array([[0.0, 31.0, 32.0, 0.0]]))
    with pytest.raises(DataError, match=re.escape("codes have shape (1, 3); 1 knobs of 4 neurons were named")):
        write(design, resolve(design, ["offset"]), np.zeros((1, 3)))


def test_a_space_spans_the_converters_around_the_present_codes(design):
    chip = trimmed(design, 4)
    where = space(chip, resolve(chip, ["offset", "filter.fast"]))
    assert where.names == ("offset", "filter.fast")
    assert np.array_equal(
        where.start, [chip.offset_trim, [np.nan, chip.bias_trim[LEAK + 1, 1], np.nan, np.nan]], True
    )
    near = space(chip, resolve(chip, ["offset"]), 0.1)
    assert near.high[0].tolist() == np.minimum(chip.offset_trim + 7.0, 31.0).tolist()
    assert near.low[0].tolist() == np.maximum(chip.offset_trim - 7.0, -31.0).tolist()
    assert where.high[0].tolist() == [31.0] * 4 and np.isnan(where.low[1, 0]) and where.low[1, 1] == -31.0


def test_ideal_converters_are_searched_in_fine_steps(mapped, network):
    ideal = mapped(network)
    trims = resolve(ideal, ["offset"])
    assert (space(ideal, trims).high == IDEAL_STEPS).all()
    after = write(ideal, trims, np.full((1, 4), IDEAL_STEPS / 4.0))
    assert after.offset_trims() == pytest.approx(ideal.trim.offset.lsb / 4.0)
    assert read(after, trims).tolist() == [[IDEAL_STEPS / 4.0] * 4]


def test_trims_at_their_bounds_are_named(mapped, network):
    design = mapped(network, bits=8)
    trims = {name: getattr(design, name).copy() for name in ("bias_trim", "reference_trim", "input_trim")}
    trims["bias_trim"][1, 0], trims["reference_trim"][4, 2], trims["input_trim"][2, 1] = 31.0, -31.0, 31.0
    offset = np.array([0.0, 0.0, 0.0, -31.0])
    found = at_bounds(dataclasses.replace(design, **trims, offset_trim=offset))
    assert found == (
        ("bias.slow_positive at its bound",),
        (),
        ("reference.leak at its bound", "input.1 at its bound"),
        ("offset at its bound",),
    )
    assert at_bounds(design) == ((),) * 4


def test_an_ideal_converter_has_no_bound(mapped, network):
    design = mapped(network)
    far = dataclasses.replace(design, offset_trim=np.full(4, 1e6))
    assert at_bounds(far) == ((),) * 4
