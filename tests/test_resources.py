import re

import pytest

from mtc_hw import resources
from mtc_hw.errors import DataError
from mtc_hw.resources import folder

FOLDERS = ["netlist_templates", "models", "calibration"]


@pytest.mark.parametrize("name", FOLDERS)
def test_every_data_folder_is_found_and_holds_files(name):
    assert any(path.is_file() for path in folder(name).rglob("*"))


@pytest.mark.parametrize("name", FOLDERS)
def test_a_checkout_uses_its_own_folder(name):
    assert folder(name) == resources._PACKAGE.parent / name


@pytest.mark.parametrize("name", FOLDERS)
def test_a_wheel_uses_the_folder_inside_the_package(name, tmp_path, monkeypatch):
    shipped, stranger = tmp_path / "mtc_hw" / "_shared" / name, tmp_path / name
    shipped.mkdir(parents=True)
    stranger.mkdir()
    monkeypatch.setattr(resources, "_PACKAGE", tmp_path / "mtc_hw")
    assert folder(name) == shipped


def test_a_missing_folder_is_named_with_the_remedy(tmp_path, monkeypatch):
    monkeypatch.setattr(resources, "_PACKAGE", tmp_path)
    expected = f"data folder 'models' is not in {tmp_path}/_shared nor beside the package; install mtc-hw again"
    with pytest.raises(DataError, match=f"^{re.escape(expected)}$"):
        folder("models")


def test_a_file_in_place_of_a_folder_does_not_count(tmp_path, monkeypatch):
    monkeypatch.setattr(resources, "_PACKAGE", tmp_path / "mtc_hw")
    (tmp_path / "models").write_text("")
    with pytest.raises(DataError, match=r"^data folder 'models' is not in "):
        folder("models")
