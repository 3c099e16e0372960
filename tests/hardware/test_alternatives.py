"""Where a rule fails, what else would work: bounded, ordered, in words."""

import numpy as np
import pytest

from mtc_hw.errors import UnmappableError
from mtc_hw.hardware.alternatives import map_or_suggest, map_with_alternatives
from mtc_hw.hardware.design import as_spec
from mtc_hw.hardware.mapping import MappingOptions, map_spec
from mtc_hw.spec import ModelSpec, Neurons


def spec(alpha=(2, 2, 0, 0), delta=(0, 0, 0, 0), tau=(0, 50, 2500), offset=(0, 0, 0)) -> ModelSpec:
    columns = (np.array(each, dtype=float)[:, None] for each in (alpha, delta, tau))
    neurons = Neurons(*columns, offset=np.array(offset, dtype=float)[:, None])
    return ModelSpec(neurons, np.zeros((1, 0)), np.zeros(1))


@pytest.fixture(scope="module")
def adapt(technology, cells):
    def build(model, **options):
        return map_with_alternatives(model, technology, cells, MappingOptions(**options))

    return build


def test_what_can_be_mapped_is_not_changed(adapt, technology, cells):
    design, changes = adapt(spec())
    assert changes == ()
    assert design.digest == map_spec(spec(), technology, cells, MappingOptions()).digest


MENDED = {
    "converter": (
        spec(alpha=(9, 2, 0, 0)),
        {},
        "alpha max 11.3 unit currents instead of 4 (bias and filter steps 2.83-fold; rule: converter reach)",
    ),
    "reference": (
        spec(delta=(0, 7, 0, 0)),
        {},
        "delta max 8 unit voltages instead of 4 (reference steps 2-fold; rule: converter reach)",
    ),
    "inversion": (
        spec(alpha=(50, 2, 0, 0)),
        {"bits": None},
        "unit current 5e-10 A instead of 1e-09 (power 0.5-fold, tau_m 2-fold; rule: inversion)",
    ),
    "leakage": (
        spec(alpha=(2, 5e-4, 0, 0)),
        {"bits": None},
        "unit current 4e-09 A instead of 1e-09 (power 4-fold, tau_m 0.25-fold; rule: leakage)",
    ),
    "maximum capacitor": (
        spec(tau=(0, 5e4, 2500)),
        {},
        "unit current 2.83e-09 A instead of 1e-09 (power 2.83-fold, tau_m 0.353-fold; rule: maximum capacitor)",
    ),
    "small capacitors": (
        spec(),
        {"capacitor": 5e-14},
        "capacitor 8e-13 F instead of 5e-14 (capacitors and tau_m 16-fold; rule: parasitics, minimum capacitor)",
    ),
}


@pytest.mark.parametrize("why", MENDED)
def test_one_change_mends_and_says_what_it_costs(adapt, why):
    model, options, text = MENDED[why]
    design, (change,) = adapt(model, **options)
    assert str(change) == text
    wanted = model.neurons
    assert as_spec(design).neurons.alpha == pytest.approx(wanted.alpha, abs=0.03, rel=0.03)


@pytest.mark.parametrize("why", MENDED)
def test_a_smaller_step_would_not_have_done(adapt, technology, cells, why):
    model, options, _ = MENDED[why]
    _, (change,) = adapt(model, **options)
    between = change.before * (change.after / change.before) ** (0.5 if why == "small capacitors" else 0.3)
    with pytest.raises(UnmappableError):
        map_spec(model, technology, cells, MappingOptions(**(options | {change.option: between})))


def test_changes_are_combined_where_one_is_not_enough(adapt):
    _, changes = adapt(spec(alpha=(50, 2, 0, 0), delta=(0, 7, 0, 0)))
    assert sorted(change.option for change in changes) == ["alpha_max", "delta_max", "unit_current"]


@pytest.mark.parametrize(
    ("model", "said"),
    [
        (spec(offset=(0, 0.25, 0)), r"^neuron 0 'slow_filter': offset 0\.25 .*; no other option would mend this$"),
        (
            spec(delta=(0, 12, 0, 0)),
            r"^neuron 0 'slow_positive': reference 1\.85 V .*\(rule: headroom\).*; even with delta max 16 unit ",
        ),
    ],
)
def test_what_nothing_mends_lists_what_is_left_of_the_best_attempt(adapt, model, said):
    with pytest.raises(UnmappableError, match=said):
        adapt(model)


def test_a_refusal_names_the_alternative(technology, cells):
    text = r"neuron 0 'fast_negative': bias .*; unit current 5e-10 A instead of 1e-09 .* would do: adapt the mapping"
    with pytest.raises(UnmappableError, match=text):
        map_or_suggest(spec(alpha=(50, 2, 0, 0)), technology, cells, MappingOptions(bits=None))


def test_a_refusal_without_alternative_stays_as_it_is(technology, cells):
    with pytest.raises(UnmappableError, match=r"that listen to this filter$"):
        map_or_suggest(spec(offset=(0, 0.25, 0)), technology, cells, MappingOptions())
