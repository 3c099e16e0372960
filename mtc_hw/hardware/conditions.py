"""A design at another corner, supply or temperature: the same codes, other volts and amperes."""

import dataclasses
from dataclasses import dataclass
from typing import Literal

import numpy as np

from mtc_hw.errors import TechnologyError
from mtc_hw.hardware.dac import Dac
from mtc_hw.hardware.design import MappedDesign
from mtc_hw.hardware.scale import Scale
from mtc_hw.hardware.technology import Technology, technology_of

KELVIN = 273.15
Tracking = Literal["ptat", "fixed"]


@dataclass(frozen=True)
class Condition:
    """Where a chip works."""

    corner: str
    supply: float  # V
    celsius: float

    @property
    def name(self) -> str:
        return f"{self.corner}-{self.supply:g}V-{self.celsius:g}C"


def at_condition(design: MappedDesign, there: Technology, tracking: Tracking) -> MappedDesign:
    """The design with the same codes on the same process at another corner, supply and temperature.

    `there` is the technology loaded for that corner, supply and temperature, a PDK's with the cards of the design's
    transistor sizes (`mtc_hw.freeze.unit_sized`). The references' source and the bias currents are ideal: they know
    the temperature as `at_temperature` says, neither the corner nor the supply. Raises TechnologyError for another
    process, and for a supply that is not above the analog ground.
    """
    here = design.technology
    if (there.name, there.analog_ground) != (here.name, here.analog_ground):
        raise TechnologyError(
            f"this design is on {here.name} with its analog ground at {here.analog_ground:g} V, not on {there.name} "
            f"with {there.analog_ground:g} V; map it there"
        )
    _check_supply(there.supply, there.analog_ground)
    return dataclasses.replace(at_temperature(design, there.temperature, tracking), technology=there)


def at_temperature(design: MappedDesign, celsius: float, tracking: Tracking) -> MappedDesign:
    """The design at `celsius`, its converters fed by a PTAT or by a temperature-independent source.

    The unit voltage 2 U_T / kappa goes with the absolute temperature T. A "ptat" source (Vittoz and Fellrath, IEEE
    JSSC 12(3), 1977) scales every current, and the references' distance from the analog ground, as T / T0 through
    the converters' steps: tau_m = C V_u / I_u and every code keep their meaning. A "fixed" one scales nothing, so
    that in unit voltages the references move, and every time constant grows as T. The unit of time stays that of T0,
    and a network's input comes in unit voltages either way. The cells stay those measured at T0. Raises
    TechnologyError for a temperature that the technology refuses.
    """
    technology = technology_at(design.technology, celsius)
    ratio = warming(design.technology, celsius)
    scale = design.scale
    if tracking == "fixed":
        # A threshold in V is a smaller part of a larger unit voltage.
        levels = {
            each.name: getattr(design.synapse, each.name) / ratio for each in dataclasses.fields(design.synapse)
        }
        return dataclasses.replace(
            design,
            technology=technology,
            scale=Scale(scale.volt * ratio, scale.amp, scale.second),
            synapse=dataclasses.replace(design.synapse, **levels),
        )
    ground = technology.analog_ground
    reference = design.reference_dac
    return dataclasses.replace(
        design,
        technology=technology,
        scale=Scale(scale.volt * ratio, scale.amp * ratio, scale.second),
        reference_dac=dataclasses.replace(
            reference, lsb=reference.lsb * ratio, base=ground + (reference.base - ground) * ratio
        ),
        bias_dac=_scaled(design.bias_dac, ratio),
        filter_dac=_scaled(design.filter_dac, ratio),
        pole_dac=_scaled(design.pole_dac, ratio),
        input_dac=_scaled(design.input_dac, ratio),
        offset_dac=_scaled(design.offset_dac, ratio),
        readout_dac=_scaled(design.readout_dac, ratio),
        trim=dataclasses.replace(
            design.trim,
            reference=_scaled(design.trim.reference, ratio),
            offset=_scaled(design.trim.offset, ratio),
        ),
        readout_unit=design.readout_unit * ratio,
    )


def technology_at(technology: Technology, celsius: float) -> Technology:
    """The technology at another temperature. Raises TechnologyError for one that it refuses."""
    return technology_of(technology.model_dump() | {"temperature": celsius})


def warming(technology: Technology, celsius: float) -> float:
    """Ratio of an absolute temperature to the technology's own."""
    return (celsius + KELVIN) / (technology.temperature + KELVIN)


def _scaled(dac: Dac, ratio: float) -> Dac:
    return dataclasses.replace(dac, lsb=dac.lsb * ratio)


def at_supply(design: MappedDesign, volts: float) -> MappedDesign:
    """The design at another supply voltage; the analog ground, a reference of its own, stays.

    Raises TechnologyError for a supply that is not above the analog ground.
    """
    _check_supply(volts, design.technology.analog_ground)
    return dataclasses.replace(design, technology=technology_of(design.technology.model_dump() | {"supply": volts}))


def _check_supply(volts: float, ground: float) -> None:
    if not (np.isfinite(volts) and volts > ground):
        raise TechnologyError(f"supply is {volts} V; it must be finite and above the analog ground, {ground:g} V")
