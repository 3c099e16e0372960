"""Monte Carlo: a row a chip, the same chip wherever it is drawn, tables that read back."""

import csv

import numpy as np
import pytest

from mtc_hw.analysis.yields import clopper_pearson
from mtc_hw.errors import DataError
from mtc_hw.exports import calibrate_chip, compare_levels, design_of, draw_chips
from mtc_hw.hardware.design import as_spec
from mtc_hw.hardware.mismatch import perturb
from mtc_hw.hardware.unit import SQUARE, parse_size
from mtc_hw.montecarlo import neuron_chips, regime_counts, software_chips, write_table
from mtc_hw.simulate.pool import Workers
from mtc_hw.sources import Source, load_source

TONIC = load_source("tonic")


@pytest.fixture(scope="module")
def tonic():
    return design_of(TONIC, bits=8, technology="generic", size=SQUARE)


@pytest.mark.slow
def test_every_chip_has_a_row_and_the_first_ones_do_not_depend_on_the_number(tonic, runner):
    three = neuron_chips(tonic, TONIC.neuron, "behavioural", 400.0, seed=5, samples=3, run=runner)
    two = neuron_chips(tonic, TONIC.neuron, "behavioural", 400.0, seed=5, samples=2, run=runner)
    assert [chip.sample for chip in three] == [0, 1, 2]
    for first, again in zip(three, two, strict=False):
        assert (first.spikes, first.isi_mean) == (again.spikes, again.isi_mean)
    assert len({chip.isi_mean for chip in three}) == 3
    assert sum(regime_counts(three).values()) == 3


@pytest.mark.slow
def test_a_larger_transistor_s_chips_spread_less(runner):
    def spread(size):
        design = design_of(TONIC, bits=None, technology="generic", size=size)
        chips = neuron_chips(design, TONIC.neuron, "behavioural", 500.0, seed=2, samples=12, run=runner)
        return np.std([chip.isi_mean for chip in chips if chip.isi_mean is not None])

    assert spread(parse_size("8")) < 0.7 * spread(SQUARE)


def test_the_software_twin_gets_the_same_draws(tonic):
    seen = []
    rows = software_chips(tonic, lambda spec: (seen.append(spec.digest()) or 0.5, 0.75), seed=9, samples=3)
    assert seen == [as_spec(perturb(tonic, 9, k)).digest() for k in range(3)]
    assert [(row.r2, row.r2_refitted) for row in rows] == [(0.5, 0.75)] * 3


def test_a_table_reads_back(tonic, tmp_path):
    rows = software_chips(tonic, lambda _: (0.5, 0.75), seed=1, samples=2)
    write_table(rows, tmp_path / "new" / "chips.csv")
    with (tmp_path / "new" / "chips.csv").open(newline="") as file:
        read = list(csv.DictReader(file))
    assert [(int(row["sample"]), float(row["r2"]), row["outcome"]) for row in read] == [
        (0, 0.5, "ok"),
        (1, 0.5, "ok"),
    ]


@pytest.mark.slow
def test_network_chips_are_drawn_and_counted(small_network, tmp_path):
    source = Source(spec=small_network)
    design = design_of(source, bits=8, technology="generic", size=SQUARE)
    drawn = draw_chips(source, design, "behavioural", 2, 1, 300.0, 0.9, Workers(), tmp_path)
    assert drawn["n_ok"] == 2
    assert len(drawn["r2"]) == 2


@pytest.mark.slow
def test_a_network_is_compared_and_calibrated_by_its_own_source(small_network, tmp_path):
    source = Source(spec=small_network)
    design = design_of(source, bits=8, technology="generic", size=SQUARE)
    compared = compare_levels(source, design, "behavioural", 60.0, Workers())
    assert len(compared["neurons"]) == design.count
    assert all(row["outcome"] == "ok" for row in compared["neurons"])
    done = calibrate_chip(source, design, "dc", "behavioural", 1, 0, Workers(), tmp_path / "record.json")
    assert done["calibrated"] == done["neurons"] == design.count
    assert (tmp_path / "record.json").is_file()


def test_a_bare_design_has_no_series_to_be_compared_on(tonic):
    with pytest.raises(DataError, match=r"^this design is of a bare neuron or another task"):
        compare_levels(Source(design=tonic), tonic, "behavioural", 60.0, Workers())


@pytest.mark.parametrize(("good", "total"), [(0, 10), (10, 10), (7, 10), (25, 30)])
def test_an_exact_interval_holds_its_tails(good, total):
    from scipy.stats import binom

    rate = clopper_pearson(good, total)
    assert rate.low <= rate.value <= rate.high
    if good < total:
        assert binom.cdf(good, total, rate.high) == pytest.approx(0.025)
    if good:
        assert binom.sf(good - 1, total, rate.low) == pytest.approx(0.025)


@pytest.mark.parametrize(("good", "total"), [(1, 0), (3, 2), (-1, 4)])
def test_impossible_counts_have_no_yield(good, total):
    with pytest.raises(DataError, match=r"give no yield"):
        clopper_pearson(good, total)
