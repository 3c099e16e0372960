import os
import re
import stat
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from minipdk import write_pdk, write_record

from mtc_hw.card_bench import Transistor, worst_difference
from mtc_hw.characterise import cells_for, characterise, load_cells, record_path
from mtc_hw.errors import TechnologyError
from mtc_hw.freeze import TOLERANCE, cache_folder, check, freeze, sized, unit_sized
from mtc_hw.hardware import pdk
from mtc_hw.hardware.process import CORNERS, KINDS
from mtc_hw.hardware.technology import load_technology
from mtc_hw.netlist.render import common_context
from mtc_hw.neuron_file import load_neuron
from mtc_hw.neuron_run import NeuronOptions, run_neuron

UM = 1e-6
TEMPERATURES = [-40.0, 27.0, 125.0]
PDKS = ("gf180mcuD", "sky130A")


@pytest.fixture
def mini(tmp_path, monkeypatch):
    """The small PDK's technology, with a cache of its own."""
    library = write_pdk(tmp_path / "pdks")
    monkeypatch.setenv("PDK_ROOT", str(tmp_path / "pdks"))
    monkeypatch.delenv("PDK", raising=False)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    record = write_record(tmp_path / "mini.toml", pdk.digest(library, "usual"), pdk.digest(library, "quick"))
    return lambda corner="tt": load_technology(str(record), corner)


def both_kinds(*sizes):
    return [Transistor(kind, *size) for size in sizes for kind in KINDS]


def models(cards: str) -> dict[str, dict[str, float]]:
    found = {}
    for card in cards.split(".model ")[1:]:
        name, _, *values = card.replace("+", " ").split()
        found[name] = {key: float(value) for key, value in (each.split("=") for each in values)}
    return found


def test_a_card_holds_the_numbers_of_the_bin_that_the_size_falls_into(mini):
    cards = models(sized(mini("ff"), [(2 * UM, 2 * UM), (2 * UM, 5 * UM)]).cards)
    assert set(cards) == {"nmos_x_2000x2000", "pmos_x_2000x2000", "nmos_x_2000x5000", "pmos_x_2000x5000"}
    assert cards["nmos_x_2000x2000"]["vth0"] == 0.45 and cards["pmos_x_2000x5000"]["vth0"] == -0.40
    assert cards["nmos_x_2000x2000"]["toxe"] == pytest.approx(0.97 * 4.1e-9, rel=1e-12)
    assert not {"lmin", "lmax", "wmin", "wmax"} & set(cards["nmos_x_2000x2000"])


@pytest.mark.parametrize("length", [2 * UM, 3 * UM, 5 * UM], ids=["first bin", "edge", "second bin"])
def test_a_card_is_as_the_subcircuit_at_every_temperature(mini, length):
    sizes = [(2 * UM, length), (4 * UM, length)]
    found = check(sized(mini(), sizes), both_kinds(*sizes), TEMPERATURES)
    assert len(found) == 12
    assert max(each.worst for each in found) < 1e-5


def test_a_card_of_another_corner_is_told_apart(mini):
    """The check would see the wrong card: between the corners lies more than its tolerance."""
    size = (2 * UM, 2 * UM)
    fast = sized(mini("ff"), [size])
    wrong = sized(mini(), [size]).model_copy(update={"cards": fast.cards})
    assert min(each.worst for each in check(wrong, both_kinds(size), [27.0])) > 10 * TOLERANCE


def test_the_worst_difference_is_the_relative_one_between_a_picoampere_and_a_microampere():
    reference = np.array([1e-13, 2e-12, -1e-9, 9e-7, 2e-6])
    assert worst_difference(reference, reference * [3.0, 1.0, 1.002, 0.999, 5.0]) == pytest.approx(2e-3)


def test_sizes_add_up_and_the_digest_stays(mini):
    technology = mini()
    once = unit_sized(technology, 2 * UM, 2 * UM)
    more = sized(once, [(4 * UM, 2 * UM), (2 * UM, 5 * UM)])
    assert once.sizes == ((2 * UM, 2 * UM), (4 * UM, 2 * UM))
    assert more.sizes == (*once.sizes, (2 * UM, 5 * UM))
    assert more.cards.startswith(once.cards)
    assert more.digest() == once.digest() == technology.digest()


def test_a_deck_s_sizes_have_their_own_cards(mini):
    context = common_context(unit_sized(mini(), 2 * UM, 2 * UM), 2 * UM, 2 * UM)
    assert (context["unit_size"].nmos, context["double_size"].pmos) == ("nmos_x_2000x2000", "pmos_x_4000x2000")


def test_a_size_without_a_card_is_refused(mini):
    text = r"^technology mini has no card for W/L 6/2 um, only for: 2/2, 4/2; freeze it with mtc_hw\.freeze\.sized$"
    with pytest.raises(TechnologyError, match=text):
        unit_sized(mini(), 2 * UM, 2 * UM).card("nmos", 6 * UM, 2 * UM)


def test_a_technology_with_its_own_cards_needs_no_freezing(technology):
    assert unit_sized(technology, 4 * UM, 4 * UM) is technology
    assert technology.card("pmos", 4 * UM, 4 * UM) == "pch"


@pytest.mark.parametrize(
    ("size", "text"),
    [
        ((0.1 * UM, 4 * UM), r"^technology generic: width 0\.1 um is outside 0\.2 to 100 um$"),
        ((4 * UM, 200 * UM), r"^technology generic: length 200 um is outside 0\.2 to 100 um$"),
        ((4.003 * UM, 4 * UM), r"^technology generic: width 4\.003 um is not a multiple of 0\.01 um$"),
    ],
)
def test_a_size_off_the_grid_is_refused(technology, size, text):
    with pytest.raises(TechnologyError, match=text):
        sized(technology, [size])


def test_the_cache_spares_a_second_load(mini, monkeypatch):
    first = unit_sized(mini(), 2 * UM, 2 * UM)
    monkeypatch.setenv("PATH", "")  # no ngspice to be found
    assert unit_sized(mini(), 2 * UM, 2 * UM) == first
    with pytest.raises(Exception, match="ngspice is not on PATH"):
        unit_sized(mini("ff"), 2 * UM, 2 * UM)


def test_a_damaged_cache_file_is_made_again(mini):
    first = unit_sized(mini(), 2 * UM, 2 * UM)
    path = sorted(cache_folder().iterdir())[0]
    good = path.read_text()
    for damage in (good[:-5], good.replace("vth0=0.45", "vth0=0.46"), "", "\0"):
        path.write_text(damage)
        assert unit_sized(mini(), 2 * UM, 2 * UM) == first
        assert path.read_text() == good


def test_another_pdk_makes_another_card(mini, tmp_path):
    first = unit_sized(mini(), 2 * UM, 2 * UM)
    path = tmp_path / "pdks" / "miniA" / "tech" / "devices" / "all.spice"
    path.write_text(path.read_text().replace("0.45", "0.47"))
    pdk.contents.cache_clear()
    with pytest.warns(UserWarning, match="is another version: its tt models have the digest"):
        technology = mini()
    second = unit_sized(technology, 2 * UM, 2 * UM)
    assert models(second.cards)["nmos_x_2000x2000"]["vth0"] == 0.47
    assert second.digest() != first.digest()
    assert technology.library.version == "unknown"


def test_many_at_once_leave_whole_files_only(mini):
    technology = mini()
    with ThreadPoolExecutor(4) as pool:
        found = list(pool.map(lambda _: unit_sized(technology, 2 * UM, 2 * UM), range(4)))
    assert all(each == found[0] for each in found)
    files = list(cache_folder().iterdir())
    assert len(files) == 4 and all(file.suffix == ".cir" for file in files)


def test_statistics_that_are_left_on_are_refused(mini):
    technology = mini()
    on = technology.library.model_copy(update={"switches": {"sw_mm": 1.0}})
    text = r"^the PDK's subcircuit makes w=\S+, delvto=\S+ of nmos W/L 2/2 um, which a card cannot hold; set the"
    with pytest.raises(TechnologyError, match=text):
        freeze(technology.model_copy(update={"library": on}), [Transistor("nmos", 2 * UM, 2 * UM)])


def test_a_subcircuit_of_several_elements_is_refused(mini, tmp_path):
    path = tmp_path / "pdks" / "miniA" / "tech" / "devices" / "all.spice"
    path.write_text(path.read_text().replace("m0 d g s b pmos_m", "r1 d x 1k\nm0 x g s b pmos_m"))
    pdk.contents.cache_clear()
    text = r"^pmos W/L 2/2 um of mini consists of 2 elements; only a plain transistor can be frozen$"
    with pytest.warns(UserWarning), pytest.raises(TechnologyError, match=text):
        freeze(mini(), both_kinds((2 * UM, 2 * UM)))


def test_a_device_that_the_pdk_names_otherwise_is_told(mini):
    technology = mini()
    renamed = technology.model_copy(update={"nmos": technology.nmos.model_copy(update={"model": "nfet"})})
    with pytest.raises(TechnologyError, match=r"^section usual of the PDK miniA holds no nfet; a PDK of another ver"):
        unit_sized(renamed, 2 * UM, 2 * UM)


def test_a_pdk_that_calls_a_device_by_its_alias_serves_as_well(mini, tmp_path):
    path = tmp_path / "pdks" / "miniA" / "tech" / "devices" / "all.spice"
    path.write_text(path.read_text().replace("nmos_x", "nfet_x"))
    record = tmp_path / "mini.toml"
    record.write_text(record.read_text().replace("unit = 1e-6", 'unit = 1e-6\naliases = { nmos_x = "nfet_x" }'))
    pdk.contents.cache_clear()
    with pytest.warns(UserWarning, match="another version"):
        technology = unit_sized(mini(), 2 * UM, 2 * UM)
    assert {"nfet_x_2000x2000", "pmos_x_2000x2000"} < set(models(technology.cards))


def test_a_library_that_ngspice_cannot_read_is_told(mini, tmp_path):
    path = tmp_path / "pdks" / "miniA" / "tech" / "devices" / "all.spice"
    path.write_text(path.read_text().replace("4.1e-9*skew", "4.1e-9*gone"))
    pdk.contents.cache_clear()
    with (
        pytest.warns(UserWarning),
        pytest.raises(TechnologyError, match=r"^ngspice cannot run the transistors of mini: "),
    ):
        unit_sized(mini(), 2 * UM, 2 * UM)


def test_a_pdk_that_is_not_there_says_where_it_was_looked_for(mini, monkeypatch, tmp_path):
    monkeypatch.setenv("PDK_ROOT", str(tmp_path / "nowhere"))
    root = re.escape(str(tmp_path))
    text = rf"^PDK miniA is not there: looked for {root}/nowhere/miniA/tech/mini\.lib; ask the foundry$"
    with pytest.raises(TechnologyError, match=text):
        unit_sized(mini(), 2 * UM, 2 * UM)


def test_a_neuron_of_frozen_transistors_fires(mini, runner):
    """Both drivers' way into a deck: cells are measured, the neuron mapped, trimmed and run."""
    result = run_neuron(load_neuron("tonic"), mini(), NeuronOptions("transistor", 400.0, 4 * UM, 4 * UM), runner)
    assert result.outcome.ok and str(result.circuit_regime) == "tonic"


def found_pdk(name: str):
    """The technology of an installed PDK; the test is skipped without it."""
    technology = load_technology(name)
    if pdk.find(technology.library) is None:
        pytest.skip(f"PDK {name} is not installed")
    return technology


@pytest.fixture(scope="session")
def pdk_cache(tmp_path_factory):
    """The tests' own cache, so that every card is frozen anew once."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_CACHE_HOME", str(tmp_path_factory.mktemp("cache")))
        yield


@pytest.mark.pdk
@pytest.mark.slow
@pytest.mark.parametrize(("name", "corner"), [*(("gf180mcuD", corner) for corner in CORNERS), ("sky130A", "sf")])
def test_a_real_pdk_s_cards_are_as_its_transistors(pdk_cache, name, corner):
    """Five corners of GF180; of SKY130, which loads for ten seconds, one: benchmarks/cards.py goes through all."""
    found_pdk(name)
    technology = load_technology(name, corner)
    sizes = [(4 * UM, 4 * UM), (8 * UM, 4 * UM)]
    found = check(sized(technology, sizes), both_kinds(*sizes), TEMPERATURES)
    assert len(found) == 12
    assert max(each.worst for each in found) < TOLERANCE


@pytest.mark.pdk
@pytest.mark.slow
@pytest.mark.parametrize("name", PDKS)
def test_a_shipped_pdk_record_is_what_is_measured_now(pdk_cache, name):
    technology = found_pdk(name)
    shipped = load_cells(record_path(name, 4 * UM, 4 * UM))
    fresh = characterise(technology, 4 * UM, 4 * UM)
    assert shipped.technology == technology.digest()
    assert shipped.unit == pytest.approx(fresh.unit, rel=1e-6)
    assert shipped.ota.gain == pytest.approx(fresh.ota.gain, rel=1e-4)
    assert cells_for(technology, 4 * UM, 4 * UM).unit == shipped.unit


@pytest.mark.pdk
@pytest.mark.slow
@pytest.mark.parametrize("name", PDKS)
def test_presets_keep_their_regime_on_a_real_pdk(pdk_cache, runner, name):
    technology = found_pdk(name)
    tonic = run_neuron(load_neuron("tonic"), technology, NeuronOptions("transistor", 1000.0), runner)
    intervals = [np.median(np.diff(spikes[3:])) for spikes in (tonic.software_spikes, tonic.circuit_spikes)]
    assert intervals[1] == pytest.approx(intervals[0], rel=0.02)
    bursting = run_neuron(load_neuron("bursting"), technology, NeuronOptions("transistor", 5000.0), runner)
    assert str(bursting.circuit_regime) == str(bursting.software_regime) == "bursting"


def test_the_cache_is_private_to_the_user(mini):
    unit_sized(mini(), 2 * UM, 2 * UM)
    assert cache_folder().is_relative_to(os.environ["XDG_CACHE_HOME"])
    assert all(stat.S_IMODE(file.stat().st_mode) == 0o600 for file in cache_folder().iterdir())
