"""Plans: the shipped ones can be read, what is wrong with another is one line, and a refit can be asked for."""

import pytest

from mtc_hw.calibration.plan import CurvesStep, Plan, RefitStep, load_plan, shipped_plans
from mtc_hw.errors import DataError

CHECK = '[[steps]]\nmethod = "check"\n'
CURVES = '[[steps]]\nmethod = "curves"\n'
TARGET = '[[steps.targets]]\nquantity = "rate"\n'
SEARCH = 'duration = 900.0\nknobs = ["bias.leak"]\n'


@pytest.mark.parametrize("name", sorted(shipped_plans()))
def test_a_shipped_plan_has_the_name_of_its_file(name):
    plan = load_plan(name)
    assert plan.name == name
    assert Plan.model_validate_json(plan.model_dump_json()).digest() == plan.digest()


def test_the_default_plan_checks_what_it_trims_and_takes_40_measurements_at_most():
    plan = load_plan("dc")
    assert plan.measurements == 40
    assert [each.method for each in plan.steps] == ["curves", "curves", "check", "readout", "refit"]
    assert plan.refit is not None and plan.refit.samples == 1000


def test_knobs_are_all_there_are_unless_told():
    step = CurvesStep(method="curves")
    assert set(step.knobs) == {"bias", "reference", "filter", "input", "offset", "synapse"}


@pytest.mark.parametrize(
    ("steps", "text"),
    [
        ('name = "a b"\n' + CHECK, r"name is 'a b': String should match pattern .*"),
        (CHECK, r"name is missing"),
        ('name = "x"', r"steps is missing"),
        ('name = "x"\nsteps = []', r"a plan has one step or more"),
        ('name = "x"\nmeasurements = 0\n' + CHECK, r"measurements is 0: Input should be greater than or equal to 1"),
        ('name = "x"\nround = 1\n' + CHECK, r"round is no known key"),
        ('name = "x"\n[[steps]]\nmethod = "luck"', r"steps\.0 is \{'method': 'luck'\}: .*"),
        (
            'name = "x"\n' + CHECK + "tolerance = 0.0",
            r"steps\.0\.check\.tolerance is 0\.0: Input should be greater than 0",
        ),
        (
            'name = "x"\n' + CHECK + "curves = { step = 0.0 }",
            r"steps\.0\.check\.curves\.step is 0\.0: Input should be greater than 0\.001",
        ),
        (
            'name = "x"\n' + CHECK + "curves = { sweep = [1.0, -1.0] }",
            r"steps\.0\.check\.curves\.sweep: the second value must be the larger",
        ),
        (
            'name = "x"\n' + CHECK + "curves = { sweep = [-4.5, inf] }",
            r"steps\.0\.check\.curves\.sweep\.1 is inf: .*",
        ),
        (
            'name = "x"\n' + CHECK + "curves = { sweep = [-1.0, 0.2] }",
            r"steps\.0\.check\.curves: the sweep must hold 5 steps of 0\.25",
        ),
        (
            'name = "x"\n' + CHECK + "curves = { outputs = [-1.0, 0.0, 2.0] }",
            r"steps\.0\.check\.curves\.outputs: outputs must rise in equal steps",
        ),
        (
            'name = "x"\n' + CHECK + "curves = { outputs = [1.0, 0.0, -1.0] }",
            r"steps\.0\.check\.curves\.outputs: outputs must rise in equal steps",
        ),
        ('name = "x"\n' + CHECK + "curves = { outputs = [] }", r"steps\.0\.check\.curves\.outputs is \[\]: .*"),
        (
            'name = "x"\n' + CURVES + "accuracy = 0.0\n" + CHECK,
            r"steps\.0\.curves\.accuracy is 0\.0: Input should be greater than 0",
        ),
        ('name = "x"\n' + CURVES + 'knobs = ["gain"]\n' + CHECK, r"steps\.0\.curves\.knobs\.0 is 'gain': .*"),
        (
            'name = "x"\n[[steps]]\nmethod = "refit"\nsamples = 49',
            r"steps\.0\.refit\.samples is 49: Input should be greater than or equal to 50",
        ),
        (
            'name = "x"\nmeasurements = 0\n' + CHECK + "tolerance = nan",
            r"measurements is 0: .*; steps\.0\.check\.tolerance is nan: .*",
        ),
        (
            'name = "x"\n[[steps]]\nmethod = "readout"\n' + CHECK,
            r"readout and refit come after all steps of single neurons",
        ),
        (
            'name = "x"\n' + CHECK + CURVES,
            r"a check must follow the last step of curves: what is not measured is no success",
        ),
        (
            'name = "x"\n[[steps]]\nmethod = "bisection"\n' + SEARCH + TARGET + TARGET,
            r"steps\.0\.bisection: a bisection turns one knob on one target; use gauss-newton .*",
        ),
        ("name = ", r".*; shipped plans: .*dc.*"),
    ],
)
def test_a_plan_with_violations_gives_one_line(tmp_path, steps, text):
    path = tmp_path / "mine.toml"
    path.write_text(steps)
    with pytest.raises(DataError, match=rf"^plan \S+mine\.toml: {text}$") as caught:
        load_plan(str(path))
    assert str(caught.value).isprintable()


def test_an_unknown_plan_is_answered_with_those_there_are():
    with pytest.raises(DataError, match=r"^plan dcc: .*; shipped plans: .*dc"):
        load_plan("dcc")


def test_a_refit_of_other_length_leaves_the_other_steps():
    plan = load_plan("dc")
    longer, without = plan.with_refit(3000), plan.with_refit(0)
    assert longer.refit == RefitStep(method="refit", samples=3000)
    assert longer.steps[:-1] == without.steps == plan.steps[:-1] and without.refit is None
    assert without.with_refit(1000) == plan
    assert len({each.digest() for each in (plan, longer, without)}) == 3
