"""Formulas that become machine code: recorded operations, their lowering, an LLVM emitter. Knows no torch."""
