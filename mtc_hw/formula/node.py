"""Operations that are written down instead of computed: on `Node` the usual arithmetic records a formula."""

import math
from collections.abc import Container, Iterable, Iterator
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, eq=False)
class Node:
    """One operation of a recorded formula; equal only to itself."""

    op: str
    args: tuple["Node", ...] = ()
    value: Any = None  # the number of a constant, the name of an input, the kind of a surrogate

    def __add__(self, other: "Node | float") -> "Node":
        return _plus(self, other)

    def __radd__(self, other: float) -> "Node":
        return _plus(self, other)

    def __sub__(self, other: "Node | float") -> "Node":
        return self if _is(other, 0.0) else Node("sub", (self, node(other)))

    def __rsub__(self, other: float) -> "Node":
        return -self if other == 0.0 else Node("sub", (node(other), self))

    def __mul__(self, other: "Node | float") -> "Node":
        return _times(self, other)

    def __rmul__(self, other: float) -> "Node":
        return _times(self, other)

    def __neg__(self) -> "Node":
        return Node("const", value=-self.value) if self.op == "const" else Node("sub", (node(0.0), self))

    def __truediv__(self, other: "Node | float") -> "Node":
        return self * Node("reciprocal", (other,)) if isinstance(other, Node) else self * (1.0 / other)

    def __rtruediv__(self, other: float) -> "Node":
        return other * Node("reciprocal", (self,))


def node(x: Node | float) -> Node:
    """A number as a constant."""
    return x if isinstance(x, Node) else Node("const", value=float(x))


def _is(x: Node | float, number: float) -> bool:
    return (x.op == "const" and x.value == number) if isinstance(x, Node) else x == number


def _plus(a: Node, b: Node | float) -> Node:
    if _is(b, 0.0):
        return a
    return node(b) if _is(a, 0.0) else Node("add", (a, node(b)))


def _times(a: Node, b: Node | float) -> Node:
    for x, y in ((a, b), (node(b), a)):
        if _is(x, 0.0) or _is(y, 1.0):
            return x
    return Node("mul", (a, node(b)))


def tanh(x: Node) -> Node:
    return Node("tanh", (x,))


def exp(x: Node) -> Node:
    return Node("exp", (x,))


def where(above: Node, level: float, this: Node | float, other: Node | float) -> Node:
    """`this` where above >= level, `other` elsewhere."""
    return Node("where", (above, node(level), node(this), node(other)))


def clamp(x: Node, low: float, high: float = math.inf) -> Node:
    """x within the bounds."""
    lifted = Node("max", (x, node(low)))
    return lifted if high == math.inf else Node("min", (lifted, node(high)))


def topological(roots: Iterable[Node], known: Container[Node] = ()) -> list[Node]:
    """Every node that the roots need, arguments before their users; known ones need nothing."""
    order: list[Node] = []
    seen: set[Node] = set()
    stack: list[tuple[Node, Iterator[Node]]] = []
    for root in roots:
        if root in seen:
            continue
        seen.add(root)
        stack.append((root, iter(() if root in known else root.args)))
        while stack:
            current, rest = stack[-1]
            following = next((arg for arg in rest if arg not in seen), None)
            if following is None:
                order.append(current)
                stack.pop()
            else:
                seen.add(following)
                stack.append((following, iter(() if following in known else following.args)))
    return order
