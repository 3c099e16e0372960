"""What a Monte Carlo run asks: everything that decides a chip's result, and nothing else."""

import dataclasses
import hashlib
import json
from dataclasses import dataclass
from functools import cached_property
from typing import Literal, get_args

from mtc_hw import __version__
from mtc_hw.errors import DataError
from mtc_hw.hardware.bank import Bank
from mtc_hw.hardware.conditions import Condition
from mtc_hw.hardware.design import MappedDesign
from mtc_hw.hardware.variation import Variation
from mtc_hw.neuron_file import NeuronFile
from mtc_hw.simulate import ngspice
from mtc_hw.spec import Array

FORMAT = 2  # of results: another number, and every chip runs anew
Tier = Literal["ode", "cells", "behavioural", "transistor"]
TIERS: tuple[Tier, ...] = get_args(Tier)
COMPILED: tuple[Tier, ...] = ("ode", "cells")
"""Tiers without ngspice."""

BELOW: dict[Tier, Tier] = {"ode": "cells", "cells": "transistor", "behavioural": "transistor"}
"""The tier that is nearer to silicon, and slower."""

Precision = Literal["float32", "float64"]


@dataclass(frozen=True, eq=False)
class FreeNeuron:
    """A neuron under its own stimulus."""

    neuron: NeuronFile
    duration: float  # tau_m

    def digest(self) -> str:
        said = (self.neuron.stimulus, self.neuron.initial, self.duration)
        return hashlib.sha256(repr(said).encode()).hexdigest()


@dataclass(frozen=True, eq=False)
class Series:
    """What a network hears, and what it should answer."""

    inputs: Array  # (T, inputs), standardised
    targets: Array  # (T,)

    def digest(self) -> str:
        return hashlib.sha256(self.inputs.tobytes() + self.targets.tobytes()).hexdigest()


@dataclass(frozen=True, eq=False)
class DrivenNetwork:
    """A network on its task."""

    test: Series
    burn_in: int  # samples that do not count
    refit: Series | None = None  # on which every chip gets a readout of its own; None: it keeps the network's
    ridge: float = 1e-5  # of that fit, per sample

    def digest(self) -> str:
        refit = "" if self.refit is None else f"{self.refit.digest()} {self.ridge}"
        return hashlib.sha256(f"{self.test.digest()} {self.burn_in} {refit}".encode()).hexdigest()


@dataclass(frozen=True, eq=False)
class Place:
    """A design as it is at one condition, without deviations."""

    condition: Condition
    design: MappedDesign


def one_place(design: MappedDesign) -> tuple[Place]:
    """The design at its own condition alone."""
    own = design.technology
    return (Place(Condition(own.corner, own.supply, own.temperature), design),)


@dataclass(frozen=True, eq=False)
class Study:
    """Virtual chips of a design on one tier, at one condition or several."""

    subject: FreeNeuron | DrivenNetwork
    design: MappedDesign  # at its own condition, without deviations: of what the draws are
    places: tuple[Place, ...]
    tier: Tier
    variation: Variation
    seed: int
    bank: Bank | None = None  # of the PDK's own draws, where the variation takes those
    precision: Precision = "float64"  # of the compiled tiers
    keep_waveforms: bool = False

    def __post_init__(self) -> None:
        if self.tier not in TIERS:
            raise DataError(f"tier is {self.tier!r}; there are: {', '.join(TIERS)}")
        if not self.places:
            raise DataError("no condition to run at; give one")

    @property
    def compiled(self) -> bool:
        return self.tier in COMPILED

    @cached_property
    def _deciding(self) -> dict[str, object]:
        """What the results of all places have in common."""
        said = {
            "format": FORMAT,
            "mtc_hw": __version__,
            "tier": self.tier,
            "subject": self.subject.digest(),
            "variation": self.variation.to_json(),
            "seed": self.seed,
            "bank": None if self.bank is None else _bank_digest(self.bank),
        }
        return said | ({"precision": self.precision} if self.compiled else {"ngspice": ngspice.version()})

    def run_key(self, place: Place) -> str:
        """SHA-256, hexadecimal: with a sample's number the address of its result, whatever else is run beside it."""
        said = self._deciding | {"design": place.design.digest, "condition": place.condition.name}
        return hashlib.sha256(json.dumps(said, sort_keys=True).encode()).hexdigest()

    @property
    def digest(self) -> str:
        """SHA-256 over the keys of all places, hexadecimal."""
        return hashlib.sha256("".join(map(self.run_key, self.places)).encode()).hexdigest()

    def chip(self, place: Place, sample: int) -> MappedDesign:
        """The virtual chip at a place: the same draws whatever the place and the tier."""
        drawn = self.variation.draw(self.design, self.seed, sample, self.bank)
        return dataclasses.replace(place.design, deviations=drawn.deviations)


def _bank_digest(bank: Bank) -> str:
    return hashlib.sha256(bank.threshold.tobytes() + bank.gain.tobytes()).hexdigest()


@dataclass(frozen=True)
class Block:
    """Samples that are run together."""

    place: int  # index of it in the study
    samples: tuple[int, ...]
