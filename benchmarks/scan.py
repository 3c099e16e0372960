"""The same layer in JAX: lax.scan over the very formula that the kernel is compiled from, its step checkpointed."""

import os
from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from importlib.util import find_spec
from typing import Any

from contest import Contestant
from problem import SEEDS, Problem, driven
from torch import Tensor

from mtc_hw.formula.node import Node, topological
from mtc_hw.model.record import Recipe, Recording, record
from mtc_hw.spec import ELEMENTS

OPERATIONS = {"add": "add", "sub": "subtract", "mul": "multiply", "max": "maximum", "min": "minimum", "tanh": "tanh"}


def jax_scan(problem: Problem, threads: int) -> Contestant | None:
    """None without JAX, whose threads are those of its first use in a process."""
    if find_spec("jax") is None:
        return None
    if threads == 1:
        os.environ["XLA_FLAGS"] = "--xla_cpu_multi_thread_eigen=false intra_op_parallelism_threads=1"
    import jax

    c = problem.coefficients()
    constants = tuple((name, value) for name, value in c.items() if not isinstance(value, Tensor))
    arrays = tuple(name for name, value in c.items() if isinstance(value, Tensor))
    formula = record(Recipe(problem.program, arrays, constants, False, False))
    scan = Scan(formula, arrays, problem.law.step_size, problem.program.initial)
    leaves = {name: jax.numpy.asarray(leaf.detach().numpy()) for name, leaf in problem.leaves.items()}
    drive = jax.numpy.asarray(driven(problem).numpy())
    forward, both = jax.jit(scan.loss), jax.jit(jax.grad(scan.loss, has_aux=True))
    return Contestant(
        partial(_finished, forward, leaves, drive), partial(_finished, both, leaves, drive), problem.size.work
    )


def _finished(function: Any, *arguments: Any) -> Any:
    import jax

    return jax.block_until_ready(function(*arguments))


@dataclass(frozen=True, eq=False)
class Scan:
    """A run of a recorded step."""

    formula: Recording
    arrays: tuple[str, ...]  # names of the coefficients that differ between neurons
    step_size: float
    initial: tuple[float, ...]

    def coefficients(self, leaves: Mapping[str, Any]) -> dict[str, Any]:
        """What `mtc.coefficients` makes of the parameters."""
        import jax.numpy as jnp

        c = {name: leaves[name] for name in ("weight", "bias")}
        for row, element in enumerate(ELEMENTS):
            c |= {f"alpha_{element}": leaves["alpha"][row], f"delta_{element}": leaves["delta"][row]}
        for row, name in enumerate(("slow", "ultraslow")):
            rate = self.step_size / leaves["tau"][row]
            c |= {f"half_{name}": rate / 2, f"whole_{name}": -jnp.expm1(-rate)}
        return c

    def loss(self, leaves: Mapping[str, Any], drive: Any) -> tuple[Any, Any]:
        """Loss with the benchmark's gradients, and the outputs (steps, B, N)."""
        import jax

        c = self.coefficients(leaves)
        inputs = {("coefficient", index): c[name] for index, name in enumerate(self.arrays)}
        shape = drive.shape[1], leaves["bias"].shape[-1]
        start = [jax.numpy.full(shape, each) for each in self.initial]
        step = jax.checkpoint(partial(self.step, inputs))
        (_, totals), outputs = jax.lax.scan(step, (start, 0.0), drive)
        return outputs.sum() + totals, outputs

    def step(
        self, inputs: Mapping[tuple[str, int], Any], carry: tuple[list[Any], Any], drive: Any
    ) -> tuple[Any, Any]:
        state, totals = carry
        now = {("state", index): value for index, value in enumerate(state)} | {("drive", 0): drive}
        roots = [*self.formula.after, self.formula.output, *self.formula.sums]
        *after, output, activity, excess = evaluate(roots, {**inputs, **now})
        return (after, totals + SEEDS[0] * activity.sum() + SEEDS[1] * excess.sum()), output


def evaluate(roots: list[Node], inputs: Mapping[tuple[str, int], Any]) -> list[Any]:
    """A recorded formula on JAX arrays."""
    values: dict[Node, Any] = {}
    for n in topological(roots):
        args = [values[arg] for arg in n.args]
        values[n] = inputs.get(n.value) if n.op == "input" else _operation(n, args)
    return [values[root] for root in roots]


def _operation(n: Node, args: list[Any]) -> Any:
    import jax.numpy as jnp

    match n.op:
        case "const":
            return jnp.float32(n.value)
        case "kept":
            return args[0]
        case "detach":
            import jax

            return jax.lax.stop_gradient(args[0])
        case "rise":
            z, distance = args
            safe = jnp.where(abs(z) < 1e-3, 1.0, z)
            return jnp.where(abs(z) < 1e-3, 1 + z / 2 * (1 + z / 3), jnp.expm1(safe) / safe) * distance
        case "where":
            return jnp.where(args[0] >= args[1], args[2], args[3])
    return getattr(jnp, OPERATIONS[n.op])(*args)
