"""A program's formula for one step and the formula of its adjoint, lowered to machine operations."""

from dataclasses import dataclass

from mtc_hw.formula.lower import Lowering
from mtc_hw.formula.node import Node, node, topological
from mtc_hw.model.adjoint import pull_back
from mtc_hw.model.algebra import Value
from mtc_hw.model.program import Program

Name = tuple[str, int]
"""Kind and number of an input: coefficient; state, before the step; drive, the layer's one input in a step; current,
at the ends of the sample, and share of the way between them. In the adjoint also: kept, the first state
before that step; start, the states at the record's first step; adjoint of the states after the step; outer, the
output's gradient; weight of the sums."""


@dataclass(frozen=True)
class Recipe:
    """What a kernel is compiled for."""

    program: Program
    arrays: tuple[str, ...]  # names of the coefficients that differ between neurons
    constants: tuple[tuple[str, float], ...]
    dense: bool  # a current for every neuron, or one input that all weigh: coefficients "weight" and "bias"
    even: bool  # whether the neurons fill an even number of vectors


def _input(kind: str, index: int = 0) -> Node:
    return Node("input", value=(kind, index))


@dataclass(frozen=True, eq=False)
class Recording:
    """A step's formula."""

    coefficients: list[Node]
    state: list[Node]
    currents: list[Node]  # none, or those of the sample's two ends
    after: list[Node]
    output: Node
    sums: list[Node]

    def kept(self) -> list[Node]:
        """The value that the backward pass reads instead of computing."""
        return [n for n in topological(self.after) if n.op == "kept"]


def record(recipe: Recipe, step: int = 0) -> Recording:
    """Run one step on inputs without a value."""
    coefficients = [_input("coefficient", index) for index in range(len(recipe.arrays))]
    c: dict[str, Value] = dict(recipe.constants) | dict(zip(recipe.arrays, coefficients, strict=True))
    state = [_input("state", index) for index in range(len(recipe.program.initial))]
    ends = [_input("current", 0), _input("current", 1)] if recipe.dense else []
    share, drive = _input("share"), _input("drive", step)
    current = ends[0] + share * (ends[1] - ends[0]) if ends else c["weight"] * drive + c["bias"]
    after, output, sums = recipe.program.step(tuple(state), current, c)
    return Recording(coefficients, state, ends, [node(each) for each in after], output, [node(each) for each in sums])


@dataclass(frozen=True, eq=False)
class Formula:
    """Machine operations of a step, in the order in which the loops store them."""

    roots: list[Node]
    hoisted: list[Node]  # made of coefficients alone: computed once a row

    def inputs(self, kind: str) -> list[Name]:
        return [n.value for n in topological(self.roots) if n.op == "input" and n.value[0] == kind]


def _formulas(parts: list[list[Node]], lowering: Lowering) -> list[Formula]:
    """A formula for each list of roots, all with the same hoisted nodes."""
    lowered = lowering([root for part in parts for root in part])
    order = topological(lowered)
    wanted = {arg for n in order if not lowering.is_fixed(n) for arg in n.args} | set(lowered)
    hoisted = [n for n in order if n in wanted and lowering.is_fixed(n) and n.op not in ("input", "const")]
    rest = iter(lowered)
    return [Formula([next(rest) for _ in part], hoisted) for part in parts]


def forward_formula(recipe: Recipe) -> Formula:
    """Roots: states after the step, output, sums."""
    recording = record(recipe)
    return _formulas([[*recording.after, recording.output, *recording.sums]], Lowering({}))[0]


LONGEST = 4
"""Steps of a record at most: the k-th finds its states again in k steps."""


@dataclass(frozen=True, eq=False)
class Adjoint:
    """How the backward pass goes through the steps of one record of the tape.

    A record keeps the first state before each step and the others before its first one, from which the formulas find
    them again. It holds a single step where finding them again takes exponentials.
    """

    steps: list[Formula]  # roots: loss gradients of states before the step, coefficients, currents
    starts: list[int]  # numbers of the states that a record keeps besides the first

    @property
    def slots(self) -> int:
        """Numbers that a record keeps."""
        return len(self.steps) + len(self.starts)


def adjoint(recipe: Recipe) -> Adjoint:
    """The formulas of as many steps as divide a sample and find states again at small cost."""
    substeps = recipe.program.substeps
    whole = _adjoint(recipe, max(steps for steps in range(1, LONGEST + 1) if substeps % steps == 0))
    cheap = all(_powers(each) == _powers(whole.steps[0]) for each in whole.steps)
    return whole if cheap else _adjoint(recipe, 1)


def _powers(formula: Formula) -> int:
    return sum(n.op == "exp2" for n in topological(formula.roots, set(formula.hoisted)))


def _adjoint(recipe: Recipe, steps: int) -> Adjoint:
    known: dict[Node, Node] = {}
    roots = []
    before: Recording | None = None
    for step in range(steps):
        recording = record(recipe, step)
        for index, each in enumerate(recording.state):
            found = _input("start", index) if before is None else before.after[index]
            known[each] = found if index else _input("kept", step)
        for each in recording.kept():
            known[each] = _input("kept", step + 1)
            made = each.args[0]
            if made.op == "add" and made.args[1].op == "rise":
                known[made.args[1]] = known[each] - made.args[0]
            known[made] = known[each]
        roots.append(_gradients(recording))
        before = recording
    formulas = _formulas(roots, Lowering(known))
    return Adjoint(formulas, sorted({index for each in formulas for _, index in each.inputs("start")}))


def _gradients(recording: Recording) -> list[Node]:
    """Loss gradients of states before the step, coefficients and currents."""
    seeds: dict[Node, Node] = {}
    ends = [("adjoint", n, after) for n, after in enumerate(recording.after)]
    ends += [("outer", 0, recording.output)] + [("weight", n, total) for n, total in enumerate(recording.sums)]
    for kind, index, each in ends:
        seed = _input(kind, index)
        seeds[each] = seeds[each] + seed if each in seeds else seed
    gradient = pull_back(seeds)
    return [
        gradient.get(each, node(0.0)) for each in (*recording.state, *recording.coefficients, *recording.currents)
    ]
