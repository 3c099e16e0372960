"""The benchmarks run, on little, and say what they promise; what they time is not for a test to judge."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from mtc_hw.hardware import pdk
from mtc_hw.hardware.technology import load_technology

FOLDER = Path(__file__).parents[1] / "benchmarks"


def benchmark(name: str, *flags: str) -> str:
    command = [sys.executable, str(FOLDER / f"{name}.py"), "--quick", *flags]
    run = subprocess.run(command, capture_output=True, text=True, timeout=600)
    assert run.returncode == 0, run.stderr
    return run.stdout


@pytest.fixture(scope="module")
def kernel() -> dict[str, Any]:
    flags = ("--json", "--neurons", "32", "--batch", "2", "--samples", "40")
    return dict(json.loads(benchmark("kernel", *flags)))


@pytest.mark.slow
def test_kernel_times_every_contestant_and_its_own_limit(kernel: dict[str, Any]) -> None:
    names = {f"{name}_ns" for name in ("ours", "curved", "eager", "compile", "jax", "snntorch", "norse", "limit")}
    assert names <= kernel.keys()
    assert 0 < kernel["limit_ns"] < kernel["ours_ns"] < kernel["eager_ns"]


@pytest.mark.slow
def test_kernel_is_as_exact_as_float32(kernel: dict[str, Any]) -> None:
    assert kernel["gradient_error_spiking"] < 1e-4
    assert kernel["gradient_error_contractive"] < 1e-4


@pytest.mark.slow
def test_kernel_keeps_the_voltages_and_the_filters_of_each_sample(kernel: dict[str, Any]) -> None:
    assert kernel["bytes_per_sample"] == pytest.approx(16 * 41 / 40)


@pytest.mark.slow
def test_training_splits_an_iteration_into_its_pieces() -> None:
    found = json.loads(benchmark("training", "--json"))
    parts = found["pieces_ms"]["1"]
    assert set(parts) == {"whole", "batch", "forward", "fit", "backward", "adam", "rest"}
    assert sum(parts.values()) == pytest.approx(2 * parts["whole"])
    assert found["peak_mb"] > found["imports_mb"] > 0


@pytest.mark.slow
def test_an_interrupted_table_goes_on(tmp_path: Path) -> None:
    out = tmp_path / "table.jsonl"
    flags = ("--neurons", "lif", "--out", str(out), "--jobs", "1")
    whole = benchmark("table", *flags)
    lines = out.read_text().strip().splitlines()
    assert [line.split(" | ")[0] for line in whole.splitlines()[2:]] == ["| lif"]
    cut = [lines[0], lines[1][: len(lines[1]) // 2]]
    out.write_text("\n".join(cut))
    benchmark("table", *flags)
    jobs = [json.loads(line)["job"] for line in out.read_text().splitlines() if line.endswith("}")]
    assert cut[0] in out.read_text()
    assert len({json.dumps(job) for job in jobs}) == len(jobs)


@pytest.mark.slow
def test_ensemble_fires_as_lsoda_and_sooner() -> None:
    found = json.loads(benchmark("ensemble", "--json"))
    for kind in ("ideal", "circuit"):
        lsoda, *ours = found[kind]
        assert len(ours) == 8
        assert {row["same_count"] for row in ours} == {100.0}
        assert max(row["median_error"] for row in ours if row["step"] <= 0.5) < 0.05
        assert all(row["ms_a_neuron"] < lsoda["ms_a_neuron"] for row in ours)
    assert [(row["neurons"], row["precision"], row["lost"]) for row in found["driven"]] == [
        ("ideal", "float32", 0),
        ("ideal", "float64", 0),
        ("circuit", "float32", 0),
        ("circuit", "float64", 0),
    ]


@pytest.mark.slow
def test_netlist_adds_mapping_and_rendering() -> None:
    found = json.loads(benchmark("netlist", "--json"))
    assert found["neurons"] == 20
    assert found["total_s"] == pytest.approx(found["map_s"] + found["render_s"])
    assert found["megabytes"] > 0.1


@pytest.mark.slow
def test_workers_compares_with_plain_ngspice_and_tells_the_growth() -> None:
    found = json.loads(benchmark("workers", "--json", "--jobs", "2"))
    assert found["wall_ratio"] == pytest.approx(2.0 * found["wall_s"] / found["bare_s"])
    assert found["wall_s"] >= found["quiet_s"]
    assert len(found["samples_s"]) == len(found["neurons_s"]) == 3
    assert found["samples_slope"] == pytest.approx(1.0, abs=0.3)
    assert found["growth_mb"] < 50.0


@pytest.mark.pdk
@pytest.mark.slow
def test_cards_are_as_the_pdk_and_load_sooner() -> None:
    library = load_technology("gf180mcuD").library
    if library is None or pdk.find(library) is None:
        pytest.skip("PDK gf180mcuD is not installed")
    _, _, row = benchmark("cards").splitlines()
    name, corner, *cells = row.strip("| ").split(" | ")
    assert (name, corner, len(cells)) == ("gf180mcuD", "tt", 8)
    assert max(map(float, cells[:6])) < 1e-3
    assert float(cells[6].removesuffix(" s")) > 1e-3 * float(cells[7].removesuffix(" ms"))


@pytest.mark.slow
def test_corners_tells_a_window_for_each_neuron_and_tracking(tmp_path: Path) -> None:
    text = benchmark("corners", "--size", "4", "--neurons", "tonic", "--out", str(tmp_path))
    assert text.count("tonic is tonic at 3 of 3 conditions") == 2
    assert {path.name for path in tmp_path.iterdir()} == {"corners-tonic-ptat.csv", "corners-tonic-fixed.csv"}


@pytest.mark.slow
def test_temperature_scores_a_network_before_and_after_a_refit(tmp_path: Path) -> None:
    text = benchmark("temperature", "--sizes", "4", "--out", str(tmp_path))
    assert text.splitlines()[2].startswith("| mackey-glass-fast | 4/4 | ptat | 0 | ")
    assert len((tmp_path / "temperature-mackey-glass-fast-ptat.csv").read_text().splitlines()) == 2


@pytest.mark.slow
def test_tiers_compares_each_tier_with_the_transistors_of_the_same_chips(tmp_path: Path) -> None:
    text = benchmark("tiers", "--out", str(tmp_path))
    rows = [line.strip("| ").split(" | ") for line in text.splitlines() if line.startswith("| ")][1:]
    assert [row[:4] for row in rows if row[1] == "cells"] == [
        [n, "cells", "3", "100%"] for n in ("tonic", "bursting")
    ]
    assert [row[1] for row in rows] == ["cells", "ode"] * 2
    table = (tmp_path / "tiers-generic-4x4-nominal.csv").read_text().splitlines()
    assert len(table) == 1 + 2 * 3 * 3


@pytest.mark.slow
def test_codesign_puts_three_networks_of_one_area_on_the_same_chips(tmp_path: Path) -> None:
    found = json.loads(benchmark("codesign", "--json", "--out", str(tmp_path)).splitlines()[-1])
    areas = [each["costs"]["area"] for each in found["networks"].values()]
    assert max(areas) <= 1.001 * areas[0] and min(areas) > 0.97 * areas[0]
    assert all(each["chips"]["chips"] == 4 for each in found["networks"].values())
    assert len(found["gains"]) == 6 and all(each["chips"] == 4 for each in found["gains"])
    (tmp_path / "measured-chips.json").unlink()  # goes on from what is there, to the same figures
    again = json.loads(benchmark("codesign", "--json", "--out", str(tmp_path)).splitlines()[-1])
    assert again["gains"] == found["gains"]
