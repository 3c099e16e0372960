import re

import pytest

from mtc_hw.errors import DataError
from mtc_hw.hardware.library import LIBRARY, library_cell
from mtc_hw.netlist.render import common_context
from mtc_hw.netlist.templates import render
from mtc_hw.resources import folder

BY_NAME = {each.name: each for each in LIBRARY}
# An input transconductor is a wide OTA under another name.
SUBCIRCUIT = {"input_gm": "wide_ota"}


@pytest.fixture(scope="module")
def rendered(technology):
    """Every transistor template, 2 um wide and 4 um long."""
    context = common_context(technology, 2e-6, 4e-6)
    return {each.template: render(f"transistor/{each.template}", context) for each in LIBRARY}


def body(text: str, name: str) -> tuple[list[str], str]:
    """Ports and inside of a subcircuit."""
    found = re.search(rf"^\.subckt {name} (.*?)\n(.*?)^\.ends {name}$", text, re.MULTILINE | re.DOTALL)
    assert found, name
    return found.group(1).split(), found.group(2)


def test_names_are_unique():
    assert len(BY_NAME) == len(LIBRARY)


@pytest.mark.parametrize("name", BY_NAME)
def test_a_cells_ports_are_those_of_its_subcircuit(rendered, name):
    ports, _ = body(rendered[BY_NAME[name].template], SUBCIRCUIT.get(name, name))
    assert tuple(ports) == BY_NAME[name].ports


@pytest.mark.parametrize("name", BY_NAME)
def test_a_cells_devices_are_those_of_its_subcircuit(rendered, technology, name):
    cell = BY_NAME[name]
    _, inside = body(rendered[cell.template], SUBCIRCUIT.get(name, name))
    found = re.findall(r"^(m\w+) (?:\S+ ){4}(\S+) w=\{(\S+?)\*\(1\+b_\w+\)\} l=(\S+)", inside, re.MULTILINE)
    models = {"n": technology.nmos.model, "p": technology.pmos.model}
    own = {each.name: each for each in cell.devices if "_" not in each.name}  # the others are inside what it needs
    assert {device for device, *_ in found} == set(own)
    for device, model, width, length in found:
        assert model == models[own[device].polarity]
        assert float(width) == pytest.approx(2e-6 * own[device].width)
        assert float(length) == pytest.approx(4e-6 * own[device].length)


@pytest.mark.parametrize("name", BY_NAME)
def test_every_device_of_a_cell_can_be_mismatched(rendered, name):
    cell = BY_NAME[name]
    _, inside = body(rendered[cell.template], SUBCIRCUIT.get(name, name))
    for device in cell.devices:
        for prefix in ("vt", "b"):
            assert re.search(rf"^\+.*\b{prefix}_{device.name}=0\b", inside, re.MULTILINE), device.name
            used = re.findall(rf"{prefix}_\w+=\{{{prefix}_{device.name}\}}|[{{+]{prefix}_{device.name}[)}}]", inside)
            assert len(used) == 1, device.name


@pytest.mark.parametrize("name", BY_NAME)
def test_a_cell_has_a_test_bench(name):
    assert (folder("netlist_templates") / "testbench" / BY_NAME[name].testbench).is_file()


def test_what_a_cell_needs_is_in_the_library():
    assert {each for cell in LIBRARY for each in cell.needs} <= set(BY_NAME)


def test_a_cell_that_is_not_there_is_refused():
    with pytest.raises(
        DataError, match=r"^no cell 'opamp' in the library; there are: ota, wide_ota, input_gm, synapse"
    ):
        library_cell("opamp")
