"""Measures a technology's cells in ngspice: what the mapper needs of them, and their data sheets."""

from mtc_hw.characterise.measure import cells_for, characterise, load_cells, record_path, save_cells

__all__ = ["cells_for", "characterise", "load_cells", "record_path", "save_cells"]
