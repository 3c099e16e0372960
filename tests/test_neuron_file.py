import dataclasses
import math
import re
import tomllib
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mtc_hw.errors import SpecError
from mtc_hw.neuron_file import Initial, NeuronFile, Stimulus, load_neuron, neuron_text, preset_names, save_neuron
from mtc_hw.resources import folder
from mtc_hw.spec import ELEMENTS, Curve, Neurons

PLAIN = """name = "mine"
[elements]
fast_negative = { alpha = 2.0, delta = 0.0 }
slow_positive = { alpha = 2, delta = 0.5 }
[timescales]
slow = 40.0
[stimulus]
current = -1
"""


@pytest.fixture
def written(tmp_path):
    def write(text: str | bytes) -> Path:
        path = tmp_path / "mine.toml"
        path.write_bytes(text if isinstance(text, bytes) else text.encode())
        return path

    return write


def refusal(source: str | Path) -> str:
    with pytest.raises(SpecError) as caught:
        load_neuron(source)
    message = str(caught.value)
    assert message.isprintable(), "an error is one line of printable text"
    return message


def test_the_seven_presets_are_shipped():
    wanted = {"silent", "tonic", "phasic", "phasic_burst", "bursting", "adapting", "rebound"}
    assert set(preset_names()) == wanted


@pytest.mark.parametrize("name", preset_names())
def test_a_preset_is_named_after_its_file_and_says_what_it_shows(name):
    loaded = load_neuron(name)
    text = (folder("models") / "neurons" / f"{name}.toml").read_text()
    assert loaded.name == name
    assert text.startswith("# ")
    assert loaded.duration is not None and loaded.duration > loaded.stimulus.steps[-1][0]


def test_the_values_reach_the_neuron_in_their_places(written):
    loaded = load_neuron(written(PLAIN))
    assert loaded.neurons.count == 1
    assert loaded.neurons.alpha[:, 0].tolist() == [2.0, 2.0, 0.0, 0.0]
    assert loaded.neurons.delta[:, 0].tolist() == [0.0, 0.5, 0.0, 0.0]
    assert loaded.neurons.tau[:, 0].tolist() == [0.0, 40.0, 2500.0]
    assert loaded.stimulus == Stimulus(((0.0, -1.0),))
    assert loaded.initial == Initial(-1.9, -1.8, -1.8, None)
    assert loaded.duration is None


def test_the_optional_tables_are_read(written):
    text = PLAIN.replace("current = -1", "steps = [[0.0, -2], [100.0, -0.5]]\nduration = 300")
    loaded = load_neuron(
        written(text.replace("slow = 40.0", "slow = 40.0\nfast = 1.5") + "[initial]\nv = 1\nfast = 2.0\n")
    )
    assert loaded.stimulus.steps == ((0.0, -2.0), (100.0, -0.5))
    assert loaded.duration == 300.0
    assert loaded.initial == Initial(voltage=1.0, fast=2.0)
    assert loaded.neurons.tau[0, 0] == 1.5


def test_time_constants_that_no_element_uses_may_be_left_out(written):
    loaded = load_neuron(written('name = "bare"\nstimulus = { current = 0.0 }\n[elements]\n'))
    assert not loaded.neurons.alpha.any()


def test_a_bare_name_is_the_preset_even_beside_a_folder_of_that_name(tmp_path, monkeypatch):
    (tmp_path / "tonic").mkdir()
    monkeypatch.chdir(tmp_path)
    assert load_neuron("tonic").name == "tonic"


VIOLATIONS = [
    ("fast_negative", "fast_negativ", r"elements\.fast_negativ is no known key; did you mean fast_negative\?"),
    ("slow = 40.0", "slow = 40.0\nultraslo = 2.0", r"timescales\.ultraslo is no known key; did you mean ultraslow\?"),
    ("[stimulus]", "[stimulos]", r"stimulos is no known key; did you mean stimulus\?"),
    (
        "alpha = 2.0",
        "qqq = 1, alpha = 2.0",
        r"elements\.fast_negative\.qqq is no known key; known keys: alpha, delta",
    ),
    ("[timescales]", '[timescales]\n"a\\nb" = 1', r"timescales\.'a\\nb' is no known key"),
    ("alpha = 2.0", "alpha = -2.0", r"elements\.fast_negative\.alpha is -2\.0; it must be >= 0"),
    ("alpha = 2.0", "alpha = nan", r"elements\.fast_negative\.alpha is nan; it must be a finite number"),
    ("alpha = 2.0, ", "", r"elements\.fast_negative\.alpha is missing; add it"),
    ("delta = 0.0", "delta = -inf", r"elements\.fast_negative\.delta is -inf; it must be a finite number"),
    ("delta = 0.0", "delta = 1e300", r"elements\.fast_negative\.delta is 1e\+300; it must be <= 1000"),
    ("delta = 0.0", 'delta = "0"', r"elements\.fast_negative\.delta is '0'; it must be a finite number"),
    ("delta = 0.0", "delta = true", r"elements\.fast_negative\.delta is True; it must be a finite number"),
    (
        "delta = 0.0",
        "delta = 1979-05-27",
        r"elements\.fast_negative\.delta is datetime.*; it must be a finite number",
    ),
    ("delta = 0.0", "delta = 1" + "0" * 400, r"delta is 10{56}\.\.\.; it must be a finite number"),
    ("delta = 0.0", "delta = 0x" + "f" * 5000, r"delta is a number of thousands of digits; it must be a finite"),
    ("{ alpha = 2.0, delta = 0.0 }", "2.0", r"elements\.fast_negative is 2\.0; it must be a table"),
    ("slow = 40.0", "slow = 0.0", r"timescales\.slow is 0\.0; it must be >= 1e-06"),
    ("slow = 40.0", "slow = -1", r"timescales\.slow is -1; it must be >= 1e-06"),
    ("slow = 40.0", "slow = 1e10", r"timescales\.slow is 10000000000\.0; it must be <= 1e\+09"),
    ("slow = 40.0", "slow = 1\nfast = -1", r"timescales\.fast is -1; it must be >= 0"),
    ("slow = 40.0", "", r"timescales\.slow is missing and slow_positive uses it; add it, in tau_m"),
    ("current = -1", "", r"stimulus has neither current nor steps; give exactly one of them"),
    ("current = -1", "current = -1\nsteps = [[0, 1]]", r"stimulus has both current and steps; give exactly one"),
    ("current = -1", "current = inf", r"stimulus\.current is inf; it must be a finite number"),
    ("current = -1", "current = -1\nduration = 0", r"stimulus\.duration is 0; it must be > 0"),
    ("current = -1", "steps = []", r"stimulus\.steps is empty; give at least \[\[0\.0, current\]\]"),
    ("current = -1", "steps = 3", r"stimulus\.steps is 3; it must be a list \[\[time, current\], \.\.\.\]"),
    ("current = -1", "steps = [0.0, 1.0]", r"stimulus\.steps\[0\] is 0\.0; it must be \[time, current\]"),
    ("current = -1", "steps = [[0.0, 1, 2]]", r"stimulus\.steps\[0\] is \[0\.0, 1, 2\]; write a step as"),
    ("current = -1", "steps = [[0.0]]", r"stimulus\.steps\[0\] is \[0\.0\]; write a step as \[time, current\]"),
    ("current = -1", "steps = [[1.0, 1]]", r"stimulus\.steps\[0\] begins at 1\.0; the first step must begin at 0\.0"),
    (
        "current = -1",
        "steps = [[0, 1], [9, 2], [9, 3]]",
        r"stimulus\.steps\[2\] begins at 9, not after the step before",
    ),
    ("current = -1", "steps = [[0, 1], [nan, 2]]", r"stimulus\.steps\[1\]\[0\] is nan; it must be a finite number$"),
    ("current = -1", "steps = [[0, 1], [99, 2]]\nduration = 50", r"duration is 50; it must exceed the last .* 99$"),
    ('"mine"', "3", r"name is 3; it must be a text in quotes"),
    ('name = "mine"', "", r"name is missing; add it"),
]


@pytest.mark.parametrize(
    ("old", "new", "message"), VIOLATIONS, ids=[f"{new[:24]}-{i}" for i, (_, new, _) in enumerate(VIOLATIONS)]
)
def test_a_wrong_key_or_value_is_named_with_its_remedy(written, old, new, message):
    found = refusal(path := written(PLAIN.replace(old, new, 1)))
    assert found.startswith(f"{path}: ")
    assert re.search(message, found), found


@pytest.mark.parametrize(
    "name", ["\\nx", "a\\nb", "x\\n", "a b", "a'b", 'a\\"b', "é", "", "1x", "_x", ".end", "x" * 65]
)
def test_a_name_that_a_netlist_cannot_hold_is_refused(written, name):
    found = refusal(written(PLAIN.replace('"mine"', f'"{name}"')))
    assert re.search(r"name is .*; use a letter, then at most 63 letters, digits or underscores$", found)


@given(st.text(max_size=5))
def test_only_plain_identifiers_are_names(name):
    def identifier(text: str) -> bool:
        return bool(text) and text.isascii() and text[0].isalpha() and all(c.isalnum() or c == "_" for c in text)

    from mtc_hw.neuron_file import NAME

    assert bool(re.fullmatch(NAME, name)) == identifier(name)


def test_every_violation_is_listed_at_once(written):
    text = PLAIN.replace("alpha = 2.0", "alpha = -1.0").replace("40.0", "nan").replace('"mine"', '"a b"')
    found = refusal(written(text.replace("current = -1", "steps = [[1.0, 2.0]]\nfoo = 1")))
    for part in (
        "alpha is -1.0",
        "slow is nan",
        "name is 'a b'",
        "steps[0] begins at 1.0",
        "stimulus.foo is no known",
    ):
        assert part in found


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (PLAIN + "current = 2\n", r"is not TOML: Cannot overwrite a value \(at line 9.*\); mend it$"),
        ("name = ", r"is not TOML: Invalid value \(at .*\); mend it$"),
        ("a = " + "9" * 5000, r"is not TOML: .*4300 digits"),
        ("a = " + "[" * 100_000, r"is not TOML: maximum recursion depth exceeded"),
        (b"\xff\xfen", r"is not UTF-8 text \(byte 0\); save it as UTF-8$"),
        ("#" * (2 << 20), r"holds more than 1048576 bytes; a neuron file holds one neuron$"),
    ],
    ids=["duplicate key", "cut", "digits", "depth", "bytes", "size"],
)
def test_what_is_not_a_small_toml_text_is_refused(written, text, message):
    assert re.search(message, refusal(written(text)))


def test_an_empty_file_lists_what_it_lacks(written):
    assert refusal(written("")).endswith(
        "name is missing; add it; elements is missing; add it; stimulus is missing; add it"
    )


def test_an_unknown_name_lists_the_presets_and_the_nearest():
    found = refusal("burstng")
    assert re.fullmatch(
        r"neuron file burstng does not exist; .*: adapting, .*, tonic \(did you mean bursting\?\)", found
    )


@pytest.mark.parametrize("name", ["no/such/file.toml", "a\0b", "x\ny", "a" * 5000, "/dev/zero"])
def test_a_path_that_is_no_file_is_refused(name):
    assert re.search(r"^neuron file .* (does not exist|cannot be read)", refusal(name))


def test_a_folder_is_refused(tmp_path):
    assert refusal(tmp_path).endswith("is a folder; name one neuron file (.toml) in it")


def test_a_step_holds_from_its_time_on():
    stimulus = Stimulus(((0.0, -2.0), (100.0, -0.5)))
    assert [stimulus.current(t) for t in (-1.0, 0.0, 99.999, 100.0, 1e6)] == [-2.0, -2.0, -2.0, -0.5, -0.5]


def test_holds_cover_the_run_and_agree_with_the_current():
    stimulus = Stimulus(((0.0, 1.0), (10.0, 2.0), (20.0, 3.0)))
    assert stimulus.holds(15.0) == ((0.0, 10.0, 1.0), (10.0, 15.0, 2.0))
    assert stimulus.holds(10.0) == ((0.0, 10.0, 1.0),)
    assert all(stimulus.current(start) == level for start, _, level in stimulus.holds(100.0))


@pytest.mark.parametrize(
    ("steps", "message"),
    [
        ((), "stimulus steps is empty"),
        (((1.0, 0.0),), r"stimulus steps\[0\] begins at 1.0"),
        (((0.0, math.nan),), r"stimulus steps\[0\] holds nan; every value must be a finite number"),
        (((0.0, 1.0), (0.0, 2.0)), r"stimulus steps\[1\] begins at 0.0, not after the step before; sort"),
    ],
)
def test_a_stimulus_that_is_no_function_of_time_is_refused(steps, message):
    with pytest.raises(SpecError, match=message):
        Stimulus(steps)


def test_the_presets_list_their_elements_in_the_order_of_the_arrays():
    for name in preset_names():
        given_elements = list(tomllib.loads((folder("models") / "neurons" / f"{name}.toml").read_text())["elements"])
        assert given_elements == [element for element in ELEMENTS if element in given_elements]


def same(one: NeuronFile, other: NeuronFile) -> bool:
    arrays = all(
        np.array_equal(getattr(one.neurons, a), getattr(other.neurons, a)) for a in ("alpha", "delta", "tau")
    )
    rest = (one.name, one.stimulus, one.initial, one.duration) == (
        other.name,
        other.stimulus,
        other.initial,
        other.duration,
    )
    return arrays and rest


@pytest.mark.parametrize("name", preset_names())
def test_a_saved_preset_is_read_back_as_it_was(name, tmp_path):
    loaded = load_neuron(name)
    assert same(load_neuron(save_neuron(loaded, tmp_path / "new" / "copy.toml")), loaded)


@given(
    alpha=st.lists(st.floats(0.0, 1e3, exclude_min=True), min_size=4, max_size=4),
    delta=st.lists(st.floats(-1e3, 1e3), min_size=4, max_size=4),
    tau=st.lists(st.floats(1e-6, 1e9), min_size=3, max_size=3),
    level=st.floats(-1e9, 1e9),
    fast=st.none() | st.floats(-1e3, 1e3),
    duration=st.none() | st.floats(20.0, 1e9),
)
def test_every_number_survives_a_file(tmp_path_factory, alpha, delta, tau, level, fast, duration):
    neurons = Neurons(np.array(alpha)[:, None], np.array(delta)[:, None], np.array(tau)[:, None])
    stimulus = Stimulus(((0.0, -level), (1.5, level)))
    neuron = NeuronFile("any", neurons, stimulus, Initial(-1.0, -2.0, 0.5, fast), duration)
    file = tmp_path_factory.mktemp("saved") / "any.toml"
    assert same(load_neuron(save_neuron(neuron, file)), neuron)


@pytest.mark.parametrize(
    "change",
    [
        {"leak": np.array([2.0])},
        {"rest": np.array([0.1])},
        {"offset": np.full((3, 1), 0.1)},
        {"leak_curve": Curve(1.0, 1.0)},
        {"filter_curve": Curve(1.0, 1.0)},
    ],
    ids=lambda change: next(iter(change)),
)
def test_what_the_form_cannot_say_is_refused(change):
    loaded = load_neuron("tonic")
    odd = dataclasses.replace(loaded, neurons=dataclasses.replace(loaded.neurons, **change))
    with pytest.raises(SpecError, match="tonic cannot be a neuron file: it holds one neuron with a linear leak of 1"):
        neuron_text(odd)


@pytest.mark.parametrize("name", ["", "two words", "a\nb", "1st"])
def test_a_name_that_is_no_identifier_is_not_written(name):
    with pytest.raises(SpecError, match="cannot be a neuron file"):
        neuron_text(dataclasses.replace(load_neuron("tonic"), name=name))
