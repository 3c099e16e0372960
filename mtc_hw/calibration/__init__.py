"""Calibration: trims that make a mismatched chip do what its model means."""
