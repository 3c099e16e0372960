"""What a user gets: the wheel, built from the sdist, alone in an environment of its own."""

import json
import os
import subprocess
import sys
import sysconfig
import tarfile
import zipfile
from pathlib import Path

import pytest

from mtc_hw.resources import folder

ROOT = Path(__file__).resolve().parent.parent
DATA = ["netlist_templates", "models", "calibration"]
RENDER = """
import json
import numpy as np
import mtc_hw
from mtc_hw.characterise import cells_for
from mtc_hw.hardware.mapping import MappingOptions, map_spec
from mtc_hw.hardware.technology import load_technology
from mtc_hw.netlist.render import neuron_deck
from mtc_hw.netlist.solver import TRANSISTOR
from mtc_hw.neuron_file import load_neuron
from mtc_hw.resources import folder
from mtc_hw.spec import ModelSpec

neuron, technology = load_neuron("tonic"), load_technology("generic")
spec = ModelSpec(neuron.neurons, np.zeros((1, 0)), np.zeros(1))
design = map_spec(spec, technology, cells_for(technology, 4e-6, 4e-6), MappingOptions())
deck = neuron_deck(design, 0, "transistor", neuron.stimulus, 200.0, neuron.initial, TRANSISTOR)
folders = [str(folder(name)) for name in ("netlist_templates", "models", "calibration")]
print(json.dumps({"package": mtc_hw.__file__, "folders": folders, "text": deck.text}))
"""

pytestmark = pytest.mark.slow


def run(*command: str | Path, cwd: Path) -> str:
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    done = subprocess.run(command, cwd=cwd, env=environment, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def built(tmp_path_factory):
    """Folder with the sdist and the wheel that was built from it."""
    target = tmp_path_factory.mktemp("dist")
    options = ("--no-isolation", "--skip-dependency-check", "--outdir", target)
    run(sys.executable, "-m", "build", *options, ROOT, cwd=target)
    return target


@pytest.fixture(scope="module")
def installed(built, tmp_path_factory):
    """An environment with the wheel; the other packages are those of this one."""
    target = tmp_path_factory.mktemp("elsewhere") / "venv"
    run(sys.executable, "-m", "venv", "--without-pip", target, cwd=built)
    python = target / "bin" / "python"
    wheel = next(built.glob("*.whl"))
    run(sys.executable, "-m", "pip", "--python", python, "install", "--no-deps", "--no-index", wheel, cwd=built)
    packages = next(target.rglob("site-packages"))
    # A path in a .pth file is searched, but its own .pth files, the editable install's among them, are not read.
    (packages / "others.pth").write_text(sysconfig.get_path("purelib"))
    return target


def test_the_wheel_holds_the_package_and_its_data_only(built):
    names = zipfile.ZipFile(next(built.glob("*.whl"))).namelist()
    assert {name.split("/")[0].split("-")[0] for name in names} == {"mtc_hw"}
    assert "mtc_hw/py.typed" in names
    for name in DATA:
        ours = {str(path.relative_to(ROOT)) for path in folder(name).rglob("*") if path.is_file()}
        assert ours <= {each.removeprefix("mtc_hw/_shared/") for each in names}


def test_the_sdist_holds_what_a_packager_needs_and_nothing_of_ci(built):
    with tarfile.open(next(built.glob("*.tar.gz"))) as sdist:
        names = {name.partition("/")[2] for name in sdist.getnames()}
    assert {"pyproject.toml", "README.md", "LICENSE", "requirements.lock", "tests/test_packaging.py"} <= names
    assert not {name for name in names if name.startswith((".ci", ".venv", "demo"))}


def test_the_installed_wheel_renders_the_same_deck_from_its_own_data(installed, tmp_path):
    there = json.loads(run(installed / "bin" / "python", "-I", "-c", RENDER, cwd=tmp_path))
    here = json.loads(run(sys.executable, "-c", RENDER, cwd=ROOT))
    package = Path(there["package"]).parent
    assert package.is_relative_to(installed)
    assert there["folders"] == [str(package / "_shared" / name) for name in DATA]
    assert here["folders"] == [str(ROOT / name) for name in DATA]
    assert there["text"] == here["text"]


def test_the_installed_command_starts(installed, tmp_path):
    assert "Usage" in run(installed / "bin" / "mtc-hw", "--help", cwd=tmp_path)
