"""From a recorded formula to what a processor does: sums, products, quotients, comparisons and powers of two.

Equal operations are made once. Hyperbolic tangents of one voltage against several offsets share its exponential, and
quotients that are ready together share one division.
"""

import math
from collections.abc import Mapping

from mtc_hw.formula.node import Node, topological
from mtc_hw.formula.precision import FLOAT32, Precision
from mtc_hw.formula.series import phi1

LOG2E = math.log2(math.e)


class Lowering:
    """Canonical machine operations for recorded ones: in one lowering, equal operations are the same node."""

    def __init__(self, replaced: Mapping[Node, Node], precision: Precision = FLOAT32) -> None:
        self.precision = precision
        self._done: dict[Node, Node] = {}
        self._replaced = replaced  # recorded node: recorded node that has its value
        self._made: dict[tuple[object, ...], Node] = {}
        self._fixed: dict[Node, bool] = {}

    def __call__(self, roots: list[Node]) -> list[Node]:
        # Arguments first, so that no recursion gets deep.
        for n in topological(roots):
            self._lower(n)
        return self._paired([self._lower(root) for root in roots])

    def _lower(self, n: Node) -> Node:
        if n not in self._done:
            self._done[n] = self._lower(self._replaced[n]) if n in self._replaced else self._rule(n)
        return self._done[n]

    def _rule(self, n: Node) -> Node:
        match n.op:
            case "tanh":
                return self._tanh(self._lower(n.args[0]))
            case "exp":
                return self._power(self._lower(n.args[0]), LOG2E, self.precision.largest)
            case "phi1" | "rise" if self.precision is not FLOAT32:
                raise AssertionError(f"{n.op} is a polynomial for float32 only")
            case "phi1":
                return self._lower(phi1(n.args[0]))
            case "rise":
                return self._lower(phi1(n.args[0]) * n.args[1])
            case "spike":
                return self._make("where", self._lower(n.args[0]), *map(self._number, (0.0, 1.0, 0.0)))
            case "detach" | "kept":
                return self._lower(n.args[0])
        return self._make(n.op, *map(self._lower, n.args), value=n.value)

    def _tanh(self, x: Node) -> Node:
        """1 - 2 / (1 + e^2x); of a difference between a voltage and a coefficient, e^2x as a product."""
        voltage, shift = x, None
        if x.op == "sub" and self.is_fixed(x.args[1]) and not self.is_fixed(x.args[0]):
            voltage, shift = x.args
        saturated = self.precision.saturated
        power = self._power(voltage, 2 * LOG2E, saturated)
        if shift is not None:
            power = self._make("mul", power, self._power(shift, -2 * LOG2E, 2 * saturated))
        inverse = self._make("reciprocal", self._make("add", power, self._number(1.0)), value="bounded")
        return self._make("sub", self._number(1.0), self._make("mul", inverse, self._number(2.0)))

    def _power(self, x: Node, scale: float, bound: float) -> Node:
        """2^(scale x) with |x| held to the bound."""
        inside = self._make("min", self._make("max", x, self._number(-bound)), self._number(bound))
        return self._make("exp2", inside, value=scale)

    def is_fixed(self, n: Node) -> bool:
        """Whether a lowered node's value stays the same over a run."""
        if n not in self._fixed:
            if n.op == "input":
                self._fixed[n] = n.value[0] == "coefficient"
            else:
                self._fixed[n] = all(self.is_fixed(arg) for arg in n.args)
        return self._fixed[n]

    def _number(self, x: float) -> Node:
        return self._make("const", value=x)

    def _make(self, op: str, *args: Node, value: object = None) -> Node:
        key = (op, value, *args)
        if key not in self._made:
            self._made[key] = Node(op, args, value)
        return self._made[key]

    def _paired(self, roots: list[Node]) -> list[Node]:
        """The roots with bounded quotients in pairs, a/xy for a/x and a/y.

        A pair lies at one depth, counted in quotients, so that no pair waits for itself.
        """
        depth: dict[Node, int] = {}
        waiting: dict[int, Node] = {}
        pairs: dict[Node, tuple[Node, Node]] = {}
        order = topological(roots)
        for n in order:
            bounded = n.op == "reciprocal" and n.value == "bounded" and not self.is_fixed(n)
            below = max((depth[arg] for arg in n.args), default=0)
            depth[n] = below + bounded
            if bounded and below in waiting:
                other = waiting.pop(below)
                pairs[n] = pairs[other] = (other, n)
            elif bounded:
                waiting[below] = n
        ready: dict[Node, Node] = {}
        for n in order:
            self._rebuild(n, pairs, ready)
        return [self._rebuild(root, pairs, ready) for root in roots]

    def _rebuild(self, n: Node, pairs: dict[Node, tuple[Node, Node]], ready: dict[Node, Node]) -> Node:
        if n not in ready:
            if n in pairs:
                first, second = (self._rebuild(each.args[0], pairs, ready) for each in pairs[n])
                shared = self._make("reciprocal", self._make("mul", first, second))
                ready[n] = self._make("mul", shared, second if n is pairs[n][0] else first)
            else:
                ready[n] = self._make(n.op, *(self._rebuild(a, pairs, ready) for a in n.args), value=n.value)
        return ready[n]
