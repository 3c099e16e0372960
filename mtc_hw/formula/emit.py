"""Machine code for a formula that repeats over rows, steps and neurons, through LLVM, vector by vector.

Needs no compiler on the user's machine: llvmlite is LLVM itself.
"""

import ctypes
from collections.abc import Container, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import llvmlite.binding as llvm
from llvmlite import ir

from mtc_hw.formula.node import Node, topological
from mtc_hw.formula.precision import FLOAT32, Precision

BLOCK = 128
"""Neurons that a pass over time takes together: few enough for the first-level cache."""

F32, F64, I32, I64, POINTER = ir.FloatType(), ir.DoubleType(), ir.IntType(32), ir.IntType(64), ir.PointerType()
LINE = 64  # bytes of a cache line
PAGE = 4096  # bytes

# Without reassoc: results would differ from one processor to the next, and rounding by a large number would vanish.
FLAGS = ("nnan", "ninf", "nsz", "contract")
UNSURE = ("nsz", "contract")
"""For numbers that may not be finite: these then stay so."""


CYCLES = {"input": 0, "const": 0, "max": 2, "min": 2, "where": 4, "exp2": 40, "reciprocal": 14}
"""What an operation takes, about; a sum or a product 3."""


def _breadth_first(roots: list[Node], known: Container[Node]) -> list[Node]:
    """The unknown nodes that the roots need, in the order in which their arguments are there.

    A processor looks only some two hundred operations ahead for those that need not wait.
    """
    ready: dict[Node, int] = {}
    for n in topological(roots, known):
        if n not in known:
            ready[n] = CYCLES.get(n.op, 3) + max((ready.get(arg, 0) for arg in n.args), default=0)
    return sorted(ready, key=ready.__getitem__)


class Emitter:
    """One function `kernel(first row, last row, table)`, being written."""

    def __init__(self, lanes: int, precision: Precision = FLOAT32, flags: tuple[str, ...] = FLAGS) -> None:
        self.lanes, self.precision, self.flags = lanes, precision, flags
        self.real = F32 if precision is FLOAT32 else F64
        self.vector = ir.VectorType(self.real, lanes)
        self.module = ir.Module("layer")
        kind = ir.FunctionType(ir.VoidType(), (I64, I64, POINTER))
        self.function = ir.Function(self.module, kind, "kernel")
        self.function.args[2].add_attribute("noalias")
        self.build = ir.IRBuilder(self.function.append_basic_block())
        self.first, self.last, self._table = self.function.args

    def entry(self, index: int) -> ir.Value:
        """A whole number of the table."""
        return self.build.load(self.build.gep(self._table, [I64(index)], source_etype=I64), typ=I64)

    def address(self, index: int) -> ir.Value:
        """A pointer of the table."""
        return self.build.inttoptr(self.entry(index), POINTER)

    def room(self, numbers: int) -> ir.Value:
        """Memory of a call's own, on the stack.

        It begins at a page, and with it what the registers do not hold: elsewhere, by chance, that would straddle two
        cache lines, and a load may seem, by the last 12 bits of its address, to wait for a store before it.
        """
        with self.build.goto_entry_block():
            room = self.build.alloca(ir.ArrayType(self.real, numbers))
            room.align = PAGE
            # llvmlite's alloca has a type of its own.
            return self.build.inttoptr(self.build.ptrtoint(room, I64), POINTER)

    @contextmanager
    def loop(self, start: ir.Value, stop: ir.Value, step: int = 1) -> Iterator[ir.Value]:
        """The statements inside, for start, start + step, ... below stop."""
        with self.build.goto_entry_block():
            counter = self.build.alloca(I64)
        self.build.store(start, counter)
        test, body, after = (self.function.append_basic_block() for _ in range(3))
        self.build.branch(test)
        self.build.position_at_end(test)
        index = self.build.load(counter, typ=I64)
        self.build.cbranch(self.build.icmp_signed("<", index, stop), body, after)
        self.build.position_at_end(body)
        yield index
        self.build.store(self.build.add(index, I64(step)), counter)
        self.build.branch(test)
        self.build.position_at_end(after)

    def offset(self, pointer: ir.Value, *terms: ir.Value | int | tuple[ir.Value | int, ir.Value | int]) -> ir.Value:
        """The pointer moved on by a sum of numbers and products of two."""
        total: ir.Value = I64(0)
        for term in terms:
            factors = term if isinstance(term, tuple) else (term,)
            values = [I64(factor) if isinstance(factor, int) else factor for factor in factors]
            product = values[0] if len(values) == 1 else self.build.mul(*values)
            total = self.build.add(total, product)
        return self.build.gep(pointer, [total], source_etype=self.real)

    def load(self, pointer: ir.Value) -> ir.Value:
        return self.build.load(pointer, typ=self.vector, align=self.precision.word)

    def store(self, value: ir.Value, pointer: ir.Value) -> None:
        self.build.store(value, pointer, align=self.precision.word)

    def fetch(self, pointer: ir.Value, write: bool = False) -> None:
        """Ask for the memory of a vector that is read or written later."""
        kind = ir.FunctionType(ir.VoidType(), (POINTER, I32, I32, I32))
        name = "llvm.prefetch.p0"
        function = self.module.globals.get(name) or ir.Function(self.module, kind, name)
        for line in range(0, self.lanes * self.precision.word, LINE):
            moved = self.build.gep(pointer, [I64(line // self.precision.word)], source_etype=self.real)
            self.build.call(function, (moved, I32(int(write)), I32(3), I32(1)))  # keep close, data

    def everywhere(self, pointer: ir.Value) -> ir.Value:
        """The number at a pointer in every lane."""
        number = self.build.load(pointer, typ=self.real)
        single = self.build.insert_element(ir.Constant(self.vector, ir.Undefined), number, I32(0))
        mask = ir.Constant(ir.VectorType(I32, self.lanes), [0] * self.lanes)
        return self.build.shuffle_vector(single, ir.Constant(self.vector, ir.Undefined), mask)

    def number(self, x: float) -> ir.Value:
        return ir.Constant(self.vector, [x] * self.lanes)

    def compute(
        self, roots: list[Node], inputs: Mapping[tuple[str, int], ir.Value], known: Mapping[Node, ir.Value]
    ) -> list[ir.Value]:
        """Instructions for the roots, from inputs by name and from nodes whose values are there already."""
        values = dict(known)
        for n in _breadth_first(roots, values):
            values[n] = inputs[n.value] if n.op == "input" else self._instruction(n, [values[arg] for arg in n.args])
        return [values[root] for root in roots]

    def _instruction(self, n: Node, args: list[ir.Value]) -> ir.Value:
        b = self.build
        match n.op:
            case "const":
                return self.number(n.value)
            case "add":
                return b.fadd(*args, flags=self.flags)
            case "sub":
                return b.fsub(*args, flags=self.flags)
            case "mul":
                return b.fmul(*args, flags=self.flags)
            case "reciprocal":
                return b.fdiv(self.number(1.0), args[0], flags=self.flags)
            case "max":
                return b.select(b.fcmp_ordered(">", args[0], args[1], flags=self.flags), args[0], args[1])
            case "min":
                return b.select(b.fcmp_ordered("<", args[0], args[1], flags=self.flags), args[0], args[1])
            case "where":
                return b.select(b.fcmp_ordered(">=", args[0], args[1], flags=self.flags), args[2], args[3])
            case "exp2":
                return self._exp2(args[0], n.value)
        raise AssertionError(f"no instruction for {n.op}")

    def _exp2(self, x: ir.Value, scale: float) -> ir.Value:
        """2^(scale x) for |x| <= largest: a polynomial of the fraction, the whole part added to its exponent."""
        b, p, flags = self.build, self.precision, self.flags
        whole = ir.VectorType(ir.IntType(8 * p.word), self.lanes)
        scaled = b.fmul(x, self.number(scale), flags=("contract",))
        shifted = b.fadd(scaled, self.number(p.whole), flags=("contract",))
        rounded = b.fsub(shifted, self.number(p.whole), flags=("contract",))
        if p is FLOAT32:
            fraction = b.fsub(scaled, rounded, flags=("contract",))
        else:
            # Rounded once: the fraction of a large product would be off by many units in the last place.
            fraction = self._fused(x, self.number(scale), b.fneg(rounded))
        # Estrin's scheme, whose sums wait less for one another; the largest term last, for the last digit.
        first, *terms = [self.number(each) for each in p.powers]
        power = fraction
        while len(terms) > 1:
            pairs = zip(terms[::2], terms[1::2], strict=False)
            odd = terms[-1:] if len(terms) % 2 else []
            terms = [b.fadd(b.fmul(high, power, flags=flags), low, flags=flags) for low, high in pairs] + odd
            power = b.fmul(power, power, flags=flags)
        result = b.fadd(b.fmul(terms[0], fraction, flags=flags), first, flags=flags)
        exponent = b.shl(b.bitcast(shifted, whole), ir.Constant(whole, [p.mantissa] * self.lanes))
        return b.bitcast(b.add(b.bitcast(result, whole), exponent), self.vector)

    def _fused(self, a: ir.Value, b: ir.Value, c: ir.Value) -> ir.Value:
        """a b + c, rounded once where the processor can."""
        name = f"llvm.fmuladd.v{self.lanes}f{8 * self.precision.word}"
        kind = ir.FunctionType(self.vector, (self.vector,) * 3)
        return self.build.call(self.module.globals.get(name) or ir.Function(self.module, kind, name), (a, b, c))

    def finish(self) -> "Code":
        self.build.ret_void()
        return Code(str(self.module))


class Code:
    """Machine code, kept alive together with the engine that owns it."""

    def __init__(self, text: str) -> None:
        machine = llvm.Target.from_default_triple().create_target_machine(
            cpu=llvm.get_host_cpu_name(), features=FEATURES, opt=3, codemodel="small", jit=True
        )
        module = llvm.parse_assembly(text)
        options = llvm.create_pipeline_tuning_options(speed_level=2)
        options.loop_vectorization = options.slp_vectorization = options.loop_unrolling = False
        passes = llvm.create_pass_builder(machine, options)
        passes.getModulePassManager().run(module, passes)
        self._engine = llvm.create_mcjit_compiler(module, machine)
        self._engine.finalize_object()
        address = self._engine.get_function_address("kernel")
        kind: Any = ctypes.CFUNCTYPE(None, ctypes.c_int64, ctypes.c_int64, ctypes.c_void_p)
        self.call = kind(address)  # ctypes lets go of the interpreter's lock
        self.call.engine = self._engine  # which must live as long as the function


llvm.initialize_native_target()
llvm.initialize_native_asmprinter()
FEATURES: str = llvm.get_host_cpu_features().flatten()


def vector_width(precision: Precision = FLOAT32) -> int:
    """Numbers in a vector of this processor."""
    return (64 if "+avx512f" in FEATURES else 32 if "+avx" in FEATURES else 16) // precision.word
