"""Reverse-mode differentiation of a recorded formula: the adjoint is a formula again."""

from collections.abc import Mapping

from mtc_hw.formula.node import Node, topological, where
from mtc_hw.formula.series import polynomial
from mtc_hw.model.algebra import surrogate_slope

PSI = (8.333316003e-02, -1.388488077e-03, 3.280686572e-05, -7.551642604e-07, 1.176565329e-08)
"""(phi1'(z) / phi1(z) - 1/2) / z in powers of z^2 on [-3, 3] to 5e-8, the same way."""


def pull_back(seeds: Mapping[Node, Node]) -> dict[Node, Node]:
    """The loss gradient of every node, by the chain rule from the gradients of some: {node: gradient}."""
    gradient = dict(seeds)
    for current in reversed(topological(seeds)):
        if current in gradient:
            for arg, share in _shares(current, gradient[current]):
                gradient[arg] = gradient[arg] + share if arg in gradient else share
    return gradient


def _shares(n: Node, g: Node) -> list[tuple[Node, Node]]:
    """What an operation passes on to its arguments of its own gradient g."""
    match n.op:
        case "add":
            return [(n.args[0], g), (n.args[1], g)]
        case "sub":
            return [(n.args[0], g), (n.args[1], -g)]
        case "mul":
            return [(n.args[0], g * n.args[1]), (n.args[1], g * n.args[0])]
        case "reciprocal":
            return [(n.args[0], -g * n * n)]
        case "exp":
            return [(n.args[0], g * n)]
        case "tanh":
            return [(n.args[0], g * (1.0 - n * n))]
        case "rise":
            z, distance = n.args
            # Of the step itself, so that neither the flow nor the current is computed again.
            return [(z, g * n * psi(z)), (distance, g * Node("phi1", (z,)))]
        case "max":
            x, low = n.args
            return [(x, where(x, low.value, g, 0.0))]
        case "min":
            x, high = n.args
            return [(x, where(-x, -high.value, g, 0.0))]
        case "where":
            above, level, this, other = n.args
            return [(this, where(above, level.value, g, 0.0)), (other, where(above, level.value, 0.0, g))]
        case "spike":
            return [(n.args[0], g * surrogate_slope(n.args[0], n.value))]
        case "kept":
            return [(n.args[0], g)]
        case "const" | "input" | "detach":
            return []
    raise AssertionError(f"no derivative for {n.op}")


def psi(z: Node) -> Node:
    """phi1'(z) / phi1(z), to 1e-7 for |z| <= 3."""
    return z * polynomial(PSI, z * z) + 0.5
