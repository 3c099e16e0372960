"""Errors that are the user's to mend. The command line prints their message in one line and exits with 2."""


class MtcError(Exception):
    """Base of every error that names what is wrong, the value, where, and the remedy."""


class SpecError(MtcError):
    """A model, neuron file or task that does not describe a network."""


class DataError(MtcError):
    """A series, checkpoint or artefact that cannot be read or does not belong to its input."""


class UnmappableError(MtcError):
    """A model that the hardware cannot hold; the message lists every violation."""

    def __init__(self, violations: list[str]) -> None:
        self.violations = tuple(violations)
        super().__init__("; ".join(violations))

    def __reduce__(self) -> tuple[type["UnmappableError"], tuple[list[str]]]:
        """It crosses from a worker process."""
        return UnmappableError, (list(self.violations),)


class TechnologyError(MtcError):
    """A technology that is unknown, incomplete or not installed."""


class DeckError(MtcError):
    """A netlist that must not be run."""


class SimulatorMissingError(MtcError):
    """ngspice or its shared library was not found."""


class WorkersError(MtcError):
    """Worker processes that do not start."""
