import re
import sys

import pytest
from minipdk import write_pdk

from mtc_hw.errors import TechnologyError
from mtc_hw.hardware import pdk
from mtc_hw.hardware.record import LibraryRecord


@pytest.fixture(autouse=True)
def bare(monkeypatch, tmp_path):
    """No PDK of this machine is in the way."""
    for name in ("PDK", "PDK_ROOT"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(pdk, "ROOTS", (str(tmp_path / "usual"),))
    pdk.contents.cache_clear()


def place(**changes):
    fields = {"pdk": "miniA", "path": "tech/mini.lib", "remedy": "ask the foundry", "unit": 1e-6, "switches": {}}
    sections = {"sections": {"tt": "usual"}, "digests": {"mini 1": {"tt": "00"}}}
    return LibraryRecord.model_validate(fields | sections | changes)


def test_pdk_root_is_where_a_pdk_is_looked_for_first(monkeypatch, tmp_path):
    library, _ = write_pdk(tmp_path / "here"), write_pdk(tmp_path / "usual")
    monkeypatch.setenv("PDK_ROOT", str(tmp_path / "here"))
    assert pdk.located(place()) == library


def test_the_installers_folders_are_looked_through_without_pdk_root(tmp_path):
    library = write_pdk(tmp_path / "usual")
    assert pdk.located(place()) == library


def test_pdk_names_a_variant_that_holds_the_same_transistors(monkeypatch, tmp_path):
    monkeypatch.setenv("PDK_ROOT", str(tmp_path))
    monkeypatch.setenv("PDK", "miniC")
    library = write_pdk(tmp_path)
    assert pdk.located(place()) == library
    (tmp_path / "miniA").rename(tmp_path / "miniC")
    assert pdk.located(place()) == tmp_path / "miniC" / "tech" / "mini.lib"


def test_a_python_package_does_as_well(monkeypatch, tmp_path):
    write_pdk(tmp_path)
    (tmp_path / "miniA").rename(tmp_path / "minipackage")
    (tmp_path / "minipackage" / "__init__.py").write_text("raise SystemExit('the package itself is not imported')")
    monkeypatch.syspath_prepend(str(tmp_path))
    packaged = place(package="minipackage", package_path="tech/mini.lib")
    assert pdk.located(packaged) == tmp_path / "minipackage" / "tech" / "mini.lib"
    assert "minipackage" not in sys.modules


def test_a_pdk_that_is_nowhere_says_where_and_what_to_do(tmp_path):
    text = (
        rf"looked for {re.escape(str(tmp_path))}/usual/miniA/tech/mini\.lib \(PDK_ROOT is not set\); ask the foundry"
    )
    with pytest.raises(TechnologyError, match=f"^PDK miniA is not there: {text}$"):
        pdk.located(place())
    assert pdk.find(place()) is None


def test_a_section_s_files_and_devices_are_found(tmp_path):
    found = pdk.contents(write_pdk(tmp_path), "usual")
    assert [path.name for path in found.files] == ["mini.lib", "all.spice"]
    assert {"nmos_x", "pmos_x"} == found.subcircuits
    assert {"nmos_m", "pmos_m"} == found.models


def test_only_what_a_section_reads_is_in_its_digest(tmp_path):
    library = write_pdk(tmp_path)
    other = library.parent / "other.spice"
    other.write_text("* not read\n")
    first = pdk.digest(library, "usual")
    other.write_text("* still not read\n")
    pdk.contents.cache_clear()
    assert pdk.digest(library, "usual") == first
    models = library.parent / "devices" / "all.spice"
    models.write_text(models.read_text() + "* one more line\n")
    pdk.contents.cache_clear()
    assert pdk.digest(library, "usual") != first


@pytest.mark.parametrize(
    ("line", "read"),
    [
        (".include 'x y.spice'", "outside"),
        ('.INC "x y.spice"', "outside"),
        ("  .lib 'x y.spice' PART", "inside"),
        ("* .include 'x y.spice'", None),
    ],
)
def test_every_way_to_include_is_followed(tmp_path, line, read):
    (tmp_path / "a.lib").write_text(f".lib all\n{line}\n.endl\n.lib none\n.endl\n")
    parts = ".LIB part\n.subckt inside d g s b\n.ends\n.endl part\n.subckt outside d g s b\n.ends\n"
    (tmp_path / "x y.spice").write_text(parts)
    assert pdk.contents(tmp_path / "a.lib", "ALL").subcircuits == ({read} if read else set())
    assert pdk.contents(tmp_path / "a.lib", "none").subcircuits == set()


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (".lib usual\n.include gone.spice\n.endl\n", r"gone\.spice cannot be read: No such file or directory$"),
        (".lib other\n.endl\n", r"a\.lib has no section 'usual'$"),
        (
            ".lib usual\n.control\nshell ls\n.endc\n.endl\n",
            r"a\.lib holds \.control, which runs commands; it is not read$",
        ),
    ],
)
def test_a_library_that_does_not_do_is_told(tmp_path, text, message):
    (tmp_path / "a.lib").write_text(text)
    with pytest.raises(TechnologyError, match=rf"^the PDK's file \S+{message}"):
        pdk.contents(tmp_path / "a.lib", "usual")


def test_libraries_that_read_each_other_come_to_an_end(tmp_path):
    (tmp_path / "a.lib").write_text(".lib one\n.lib 'a.lib' two\n.endl\n.lib two\n.lib 'a.lib' one\n.endl\n")
    assert pdk.contents(tmp_path / "a.lib", "one").files == (tmp_path / "a.lib",)
