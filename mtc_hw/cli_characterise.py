"""The command that measures a technology's cells."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from mtc_hw.cli_options import Json, Size, Technology
from mtc_hw.hardware.unit import SQUARE

if TYPE_CHECKING:
    from rich.table import Table

    from mtc_hw.characterise import record_path
    from mtc_hw.characterise.datasheet import DataSheet


def characterise(
    technology: Technology = "generic",
    size: Size = SQUARE,
    temperature: Annotated[
        list[float] | None,
        typer.Option(help="Degrees Celsius, several times for several; the technology's own else."),
    ] = None,
    out: Annotated[Path | None, typer.Option(help="cells-TECHNOLOGY-SIZE.json here when not given.")] = None,
    as_json: Json = False,
) -> None:
    """Measure every cell of a technology in ngspice: its data sheet.

    Example: mtc-hw characterise --technology generic --size 2 --temperature 0 --temperature 70
    """
    import json

    from rich.console import Console

    from mtc_hw.characterise import record_path
    from mtc_hw.characterise.datasheet import data_sheet, save_data_sheets, to_json
    from mtc_hw.hardware.technology import load_technology, technology_of

    chosen = load_technology(technology)
    conditions = [technology_of(chosen.model_dump() | {"temperature": each}) for each in temperature or ()]
    sheets = [data_sheet(each, size.width, size.length) for each in conditions or [chosen]]
    path = out or Path(record_path(chosen.name, size.width, size.length).name)
    save_data_sheets(sheets, path)
    if as_json:
        print(json.dumps(to_json(sheets) | {"out": str(path)}, allow_nan=False))
        return
    console = Console(width=None if Console().is_terminal else 160)
    for sheet in sheets:
        console.print(*_tables(sheet), sep="\n")
    print(f"data sheet of {len(sheets)} condition{'s' if len(sheets) > 1 else ''} in {path}")


def _tables(sheet: "DataSheet") -> "list[Table]":
    """A table for each cell: a row a figure, a column a bias."""
    from rich.table import Table
    from rich.text import Text

    from mtc_hw.characterise import record_path
    from mtc_hw.characterise.datasheet import UNITS

    technology = sheet.technology
    tables = []
    for each in sheet.sheets:
        condition = f"{technology.temperature:g} C, {technology.supply:g} V"
        table = Table(title=f"{technology.name} {each.cell}, {condition}", title_justify="left", min_width=60)
        table.add_column("bias, A")
        for bias in each.bias:
            table.add_column(f"{bias:.3g}", justify="right")
        for name, values in each.figures.items():
            cells = [" ".join(f"{value:.4g}" for value in ([row] if values.ndim == 1 else row)) for row in values]
            table.add_row(f"{name}, {UNITS[name]}" if UNITS[name] != "1" else name, *map(Text, cells))
        tables.append(table)
    return tables
