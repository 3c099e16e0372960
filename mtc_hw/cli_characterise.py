"""The command that measures a technology's cells."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from mtc_hw.cli_options import Json, Size, Technology
from mtc_hw.hardware.unit import SQUARE

if TYPE_CHECKING:
    from rich.table import Table

    from mtc_hw.characterise.datasheet import DataSheet


def characterise(
    technology: Technology = "generic",
    size: Size = SQUARE,
    corner: Annotated[
        list[str] | None, typer.Option(help="Process corner, once for each; tt when not given.")
    ] = None,
    temperature: Annotated[
        list[float] | None, typer.Option(help="Degrees Celsius, once for each; the technology's own when not given.")
    ] = None,
    out: Annotated[Path | None, typer.Option(help="cells-TECHNOLOGY-SIZE.json here when not given.")] = None,
    as_json: Json = False,
) -> None:
    """Measure every cell of a technology in ngspice: its data sheet.

    Every corner is measured at every temperature.

    Example: mtc-hw characterise --technology generic --size 2 --corner ff --temperature 0 --temperature 70
    """
    import json

    from rich.console import Console

    from mtc_hw.characterise import record_path
    from mtc_hw.characterise.datasheet import data_sheet, save_data_sheets, to_json
    from mtc_hw.hardware.technology import load_technology

    celsius: list[float | None] = [*temperature] if temperature else [None]
    conditions = [load_technology(technology, corner=c, temperature=t) for c in corner or ["tt"] for t in celsius]
    sheets = [data_sheet(each, size.width, size.length) for each in conditions]
    path = out or Path(record_path(conditions[0].name, size.width, size.length).name)
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

    from mtc_hw.characterise.datasheet import UNITS

    technology = sheet.technology
    tables = []
    for each in sheet.sheets:
        condition = f"{technology.corner}, {technology.temperature:g} C, {technology.supply:g} V"
        table = Table(title=f"{technology.name} {each.cell}, {condition}", title_justify="left", min_width=60)
        table.add_column("bias, A")
        for bias in each.bias:
            table.add_column(f"{bias:.3g}", justify="right")
        for name, values in each.figures.items():
            cells = [" ".join(f"{value:.4g}" for value in ([row] if values.ndim == 1 else row)) for row in values]
            table.add_row(f"{name}, {UNITS[name]}" if UNITS[name] != "1" else name, *map(Text, cells))
        tables.append(table)
    return tables
