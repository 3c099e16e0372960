"""mtc_hw: maps trained multi-timescale conductance spiking networks to circuit netlists."""

__version__ = "0.1.0"
