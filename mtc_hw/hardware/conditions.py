"""A design at another temperature or supply: the same codes, other volts and amperes."""

import dataclasses
from typing import Literal

import numpy as np

from mtc_hw.errors import TechnologyError
from mtc_hw.hardware.dac import Dac
from mtc_hw.hardware.design import MappedDesign
from mtc_hw.hardware.scale import Scale
from mtc_hw.hardware.technology import Technology, technology_of

KELVIN = 273.15
Tracking = Literal["ptat", "fixed"]


def at_temperature(design: MappedDesign, celsius: float, tracking: Tracking) -> MappedDesign:
    """The design at `celsius`, its converters fed by a PTAT or by a temperature-independent source.

    The unit voltage 2 U_T / kappa goes with the absolute temperature T. A "ptat" source (Vittoz and Fellrath, IEEE
    JSSC 12(3), 1977) scales the bias currents, and the references' distance from the analog ground, as T / T0 through
    the converters' steps: tau_m = C V_u / I_u and every code keep their meaning. A "fixed" one scales nothing, so
    that in unit voltages the references move, and every time constant grows as T. The unit of time stays that of T0.
    The cells stay those measured at T0. Raises TechnologyError for a temperature that the technology refuses.
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
    ground = design.technology.analog_ground
    if not (np.isfinite(volts) and volts > ground):
        raise TechnologyError(f"supply is {volts} V; it must be finite and above the analog ground, {ground:g} V")
    return dataclasses.replace(design, technology=technology_of(design.technology.model_dump() | {"supply": volts}))
