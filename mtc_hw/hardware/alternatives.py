"""What else would work where a mapping breaks a rule: another unit current, capacitor or full scale."""

import dataclasses
import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from mtc_hw.errors import UnmappableError
from mtc_hw.hardware.cells import Cells
from mtc_hw.hardware.design import MappedDesign
from mtc_hw.hardware.mapping import MappingOptions, draft_of, map_spec
from mtc_hw.hardware.rules import Violation, violations
from mtc_hw.hardware.technology import Technology
from mtc_hw.spec import ModelSpec

STEPS = (math.sqrt(2.0), 2.0, 2.0 * math.sqrt(2.0), 4.0, 8.0, 16.0)  # factors tried, smallest deviation first
ROUNDS = 3  # changes that are combined at most

_UNITS = {"unit_current": "A", "capacitor": "F", "alpha_max": "unit currents", "delta_max": "unit voltages"}

_EFFECTS = {
    "unit_current": "power {0:.3g}-fold, tau_m {1:.3g}-fold",
    "capacitor": "capacitors and tau_m {0:.3g}-fold",
    "alpha_max": "bias and filter steps {0:.3g}-fold",
    "delta_max": "reference steps {0:.3g}-fold",
}

_DIRECTIONS = {
    "converter reach": (("alpha_max", 1), ("delta_max", 1), ("capacitor", 1), ("capacitor", -1)),
    "leakage": (("capacitor", 1), ("unit_current", 1)),
    "inversion": (("unit_current", -1),),
    "parasitics": (("capacitor", 1),),
    "minimum capacitor": (("capacitor", 1),),
    "maximum capacitor": (("unit_current", 1), ("capacitor", -1)),
}
"""Which options may mend a rule, and whether upwards or downwards. Limits and the model itself are not touched."""


@dataclass(frozen=True)
class Change:
    """One option that an alternative sets otherwise, and the rules for which it does."""

    option: str  # of MappingOptions
    before: float
    after: float
    rules: tuple[str, ...]

    def applied(self, options: MappingOptions) -> MappingOptions:
        values: dict[str, Any] = {self.option: self.after}
        return dataclasses.replace(options, **values)

    def __str__(self) -> str:
        name, unit = self.option.replace("_", " "), _UNITS[self.option]
        effect = _EFFECTS[self.option].format(self.after / self.before, self.before / self.after)
        why = ", ".join(self.rules)
        return f"{name} {self.after:.3g} {unit} instead of {self.before:.3g} ({effect}; rule: {why})"


def map_with_alternatives(
    spec: ModelSpec, technology: Technology, cells: Cells, options: MappingOptions
) -> tuple[MappedDesign, tuple[Change, ...]]:
    """The design with the options as given, or with the fewest and smallest changes to them that keep every rule.

    Up to three changes are combined: in each round the smallest one that leaves no violation, else the one that
    leaves the fewest. Raises UnmappableError with every violation of the best attempt when none keeps all rules.
    """
    left = violations(draft_of(spec, technology, cells, options), options)
    changes: tuple[Change, ...] = ()
    for _ in range(ROUNDS):
        if not left:
            break
        best = _best(spec, technology, cells, options, left)
        if best is None:
            break
        change, left = best
        options = change.applied(options)
        changes = (*changes, change)
    if left:
        tried = f"even with {', '.join(map(str, changes))}" if changes else "no other option would mend this"
        raise UnmappableError([*(str(each) for each in left), tried])
    return map_spec(spec, technology, cells, options), changes


def map_or_suggest(spec: ModelSpec, technology: Technology, cells: Cells, options: MappingOptions) -> MappedDesign:
    """`map_spec`, whose refusal also names the alternative that would work, where there is one."""
    try:
        return map_spec(spec, technology, cells, options)
    except UnmappableError as refused:
        try:
            _, changes = map_with_alternatives(spec, technology, cells, options)
        except UnmappableError:
            raise refused from None
        would = " and ".join(map(str, changes))
        raise UnmappableError([*refused.violations, f"{would} would do: adapt the mapping (--adapt)"]) from None


def _best(
    spec: ModelSpec, technology: Technology, cells: Cells, options: MappingOptions, left: list[Violation]
) -> tuple[Change, list[Violation]] | None:
    """The smallest change after which nothing is left, else the one that leaves least; None when none leaves less."""
    found: tuple[Change, list[Violation]] | None = None
    for change in _candidates(options, left):
        changed = change.applied(options)
        after = violations(draft_of(spec, technology, cells, changed), changed)
        if len(after) < len(left if found is None else found[1]):
            found = change, after
        if not after:
            break
    return found


def _candidates(options: MappingOptions, left: list[Violation]) -> Iterator[Change]:
    """Changes that may help, smallest first."""
    rules = tuple(dict.fromkeys(each.rule for each in left))
    wanted: dict[tuple[str, int], list[str]] = {}
    for rule in rules:
        for direction in _DIRECTIONS.get(rule, ()):
            wanted.setdefault(direction, []).append(rule)
    for step in STEPS:
        for (option, sign), why in wanted.items():
            before = getattr(options, option)
            yield Change(option, before, float(f"{before * step**sign:.3g}"), tuple(why))
