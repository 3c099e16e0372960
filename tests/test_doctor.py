import ctypes.util
import json
import os
import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

from mtc_hw.doctor import OLDEST_PYTHON, TRAP, TRAP_DECK, Check, examine, healthy, report, to_json

ROOT = Path(__file__).resolve().parent.parent
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
GOOD, ABSENT = Check("good", True, "1"), Check("absent", None, "none", "fetch it")
BAD = Check("bad", False, "0", "mend it")
EVERY_SYSTEM = ("Debian `apt install", "Fedora `dnf install", "macOS `brew install", "conda `conda install")

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def checks():
    return {check.name: check for check in examine()}


def script(code: str, *options: str, **environment: str) -> str:
    command = [sys.executable, *options, "-c", f"import sys; sys.path.insert(0, {str(ROOT)!r}); {code}"]
    done = subprocess.run(command, env=os.environ | environment, capture_output=True, text=True, timeout=120)
    assert (done.returncode, done.stderr) == (0, "")
    return done.stdout


def wrong(code: str, *options: str, **environment: str) -> dict[str, Check]:
    """What examine() finds wrong in a Python of its own."""
    code = f"{code}; from mtc_hw.doctor import *; print(to_json(examine()))"
    found = json.loads(script(code, *options, **environment))
    assert not found["healthy"]
    return {row["name"]: Check(**row) for row in found["checks"] if row["ok"] is False}


def test_this_installation_is_healthy(checks):
    assert healthy(tuple(checks.values())), report(tuple(checks.values()))


def test_every_dependency_is_checked(checks):
    names = {re.split(r"[<>=]", line)[0].lower() for line in PROJECT["dependencies"]}
    assert names <= {name.lower() for name in checks}


def test_the_oldest_python_is_the_one_that_the_project_requires():
    assert PROJECT["requires-python"] == ">=" + ".".join(map(str, OLDEST_PYTHON))


@pytest.mark.parametrize("driver", ["pyspice", "ngspice"])
@pytest.mark.parametrize("check", ["RC", "stray .spiceinit", "same deck twice", "32 transistors"])
def test_both_drivers_are_tried(checks, driver, check):
    assert checks[f"{driver}: {check}"].ok


def test_the_surroundings_are_left_as_they_were(checks):
    home, folder = os.environ.get("HOME"), os.getcwd()
    examine()
    assert (os.environ.get("HOME"), os.getcwd()) == (home, folder)


def test_the_trap_catches_an_ngspice_that_reads_spiceinit(tmp_path):
    (tmp_path / ".spiceinit").write_text(TRAP)
    (tmp_path / "deck.cir").write_text(TRAP_DECK.replace(".end", ".print tran v(a)\n.end"))

    def volts(*options: str) -> float:
        command = ["ngspice", *options, "-b", "deck.cir"]
        printed = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True).stdout
        return float(re.findall(r"^\d+\s+\S+\s+(\S+)", printed, re.M)[-1])

    assert volts() == pytest.approx(2.0)
    assert volts("-n") == pytest.approx(1.0)


def test_importing_it_loads_no_package():
    loaded = script("import mtc_hw.doctor; print(*sys.modules)").split()
    assert not {"torch", "jinja2", "PySpice", "numpy", "pydantic"} & set(loaded)


def test_a_python_without_packages_is_told_what_to_install():
    found = wrong("pass", "-I", "-S")
    assert found["mtc-hw"].value == "not installed"
    assert found["simulators"].value == "not tried: No module named 'numpy'"


def test_a_package_that_cannot_be_imported_is_named():
    found = wrong("sys.modules['PySpice'] = None")
    assert set(found) == {"pyspice"}
    assert re.fullmatch(r"[0-9.]+, but there is no module PySpice", found["pyspice"].value)


def test_a_package_that_is_too_old_is_named(tmp_path):
    old = tmp_path / "scipy-0.9.dist-info"
    old.mkdir()
    (old / "METADATA").write_text("Metadata-Version: 2.1\nName: scipy\nVersion: 0.9\n")
    found = wrong("pass", PYTHONPATH=str(tmp_path))
    assert re.fullmatch(r"0\.9, older than [0-9.]+", found["scipy"].value)
    assert re.fullmatch(r'`.* -m pip install "scipy>=[0-9.]+"`', found["scipy"].remedy)


@pytest.mark.parametrize("module", ["jinja2", "scipy"])
def test_a_missing_package_that_builds_decks_leaves_the_simulators_untried(module):
    assert set(wrong(f"sys.modules[{module!r}] = None")) == {module, "simulators"}


def test_a_missing_ngspice_says_how_to_install_it_everywhere(tmp_path):
    found = wrong("pass", PATH=str(tmp_path))
    assert found["ngspice"].value == "ngspice is not on PATH"
    assert all(system in found["ngspice"].remedy for system in EVERY_SYSTEM)


def test_a_library_that_cannot_be_loaded_says_how_to_install_it_everywhere():
    found = wrong("pass", NGSPICE_LIBRARY_PATH="/no/such/libngspice.so")
    assert set(found) == {"libngspice"}
    assert found["libngspice"].value.startswith("libngspice cannot be loaded: /no/such/libngspice.so")
    assert all(system in found["libngspice"].remedy for system in EVERY_SYSTEM)


def test_a_library_that_is_not_ngspice_is_a_finding():
    library = ctypes.util.find_library("m")
    found = wrong("pass", NGSPICE_LIBRARY_PATH=library)
    assert set(found) == {"pyspice: runs"}


@pytest.mark.parametrize("root", ["", "/no/such/folder"])
def test_an_absent_pdk_is_no_fault(monkeypatch, root):
    monkeypatch.setenv("PDK_ROOT", root)
    absent = [check for check in examine() if check.name.startswith("PDK")]
    assert [check.ok for check in absent] == [None, None]
    assert healthy(absent)


def test_only_what_is_needed_makes_an_installation_unhealthy():
    assert healthy([GOOD, ABSENT])
    assert not healthy([GOOD, BAD])


def test_the_report_puts_each_remedy_below_its_check():
    assert report([GOOD, ABSENT, BAD]).splitlines() == [
        "ok    good    1",
        "-     absent  none",
        "              -> fetch it",
        "FAIL  bad     0",
        "              -> mend it",
    ]


def test_json_holds_every_field():
    document = json.loads(to_json([GOOD, BAD]))
    assert document["healthy"] is False
    assert [Check(**row) for row in document["checks"]] == [GOOD, BAD]
