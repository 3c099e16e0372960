"""Where the data folders are: inside the wheel, or beside the package in a checkout or an editable install."""

from pathlib import Path

from mtc_hw.errors import DataError

_PACKAGE = Path(__file__).resolve().parent


def folder(name: str) -> Path:
    """Folder of shipped data: `netlist_templates`, `models` or `calibration`. Read only.

    Raises DataError when the installation lacks it.
    """
    for root in (_PACKAGE / "_shared", _PACKAGE.parent):
        if (root / name).is_dir():
            return root / name
    raise DataError(
        f"data folder {name!r} is not in {_PACKAGE / '_shared'} nor beside the package; install mtc-hw again"
    )
