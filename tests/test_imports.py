"""The architecture as a test: who may import whom, and what stands nowhere."""

import ast
import re
from collections.abc import Iterator
from graphlib import TopologicalSorter
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
SOURCES = {
    ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__"): path
    for path in sorted((ROOT / "mtc_hw").rglob("*.py"))
}
TREES = {name: ast.parse(path.read_text(encoding="utf-8")) for name, path in SOURCES.items()}

# A module may import from its own layer and those before it. `model` is the torch side: it sees only the first.
LAYERS = [
    [
        "errors",
        "resources",
        "spec",
        "spread",
        "violations",
        "neuron_file",
        "rounding",
        "readout",
        "metrics",
        "checkpoint",
        "course",
        "spice_lines",
        "formula",
    ],
    ["hardware"],
    ["netlist"],
    ["simulate"],
    ["analysis"],
    ["sources", "card_bench", "freeze", "pdk_statistics"],
    ["characterise", "converters", "calibration", "montecarlo"],
    ["findings", "findings_file", "exemplars", "plots", "verdict", "report"],
    [
        "model",
        "courses",
        "purposes",
        "prediction",
        "neuron_run",
        "excitability_plots",
        "excitability_run",
        "corners",
        "corners_plots",
        "corners_report",
        "montecarlo_plots",
        "montecarlo_report",
        "sensitivity_plots",
        "compare_run",
        "compare_plots",
        "exports",
        "map_run",
        "montecarlo_run",
        "calibration_plots",
        "calibration_network_plots",
        "calibration_findings",
        "calibration_report",
        "calibration_run",
        "chips_analysis",
        "chips_report",
        "training",
        "pipeline",
        "doctor",
        "codesign",
    ],
    [
        "cli_options",
        "cli_stages",
        "cli_train",
        "cli_excitability",
        "cli_corners",
        "cli_characterise",
        "cli_montecarlo",
        "cli_calibrate",
        "cli_chips",
        "cli_compare",
        "cli_codesign",
        "cli_pareto",
        "cli",
        "__main__",
    ],
]
LAYER = {part: height for height, parts in enumerate(LAYERS) for part in parts}
HOME = {
    "torch": r"mtc_hw\.model(\..*)?",
    "PySpice": r"mtc_hw\.simulate\.libngspice",
    "jinja2": r"mtc_hw\.(netlist|report)(\..*)?",
    "matplotlib": r"mtc_hw\.(.*[._])?(report|plots)(\..*)?",
}
NOWHERE = {"pickle", "cPickle", "dill", "cloudpickle", "marshal", "shelve"}
TEXTS = {".py", ".md", ".toml", ".yaml", ".yml", ".sh", ".j2", ".cir", ".json", ".lock", ""}
NOT_OURS = {".git", ".venv", "build", "demo", "dist", "out"}


def imported(tree: ast.AST) -> Iterator[str]:
    """Full names of what a module imports, wherever in it."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, "imports are absolute"
            source = node.module or ""
            yield from (f"{source}.{alias.name}" for alias in node.names)


def own_imports(name: str) -> set[str]:
    """Modules of this package that a module imports; a name out of a module counts as the module."""
    found = (each if each in SOURCES else each.rpartition(".")[0] for each in imported(TREES[name]))
    return {each for each in found if each in SOURCES and each not in ("mtc_hw", name)}


def part(name: str) -> str:
    """The file or folder of the package that a module belongs to."""
    return name.split(".")[1]


MODULES = [name for name in SOURCES if name != "mtc_hw"]


@pytest.mark.parametrize("name", MODULES)
def test_every_module_has_a_layer(name):
    assert part(name) in LAYER, f"give {part(name)} a place in LAYERS"


@pytest.mark.parametrize("name", MODULES)
def test_imports_go_downhill(name):
    uphill = {each for each in own_imports(name) if LAYER.get(part(each), 0) > LAYER.get(part(name), 0)}
    assert not uphill


@pytest.mark.parametrize("name", [name for name in MODULES if part(name) == "model"])
def test_the_torch_side_knows_nothing_of_the_hardware(name):
    beyond = {each for each in own_imports(name) if part(each) != "model" and LAYER.get(part(each), 0) > 0}
    assert not beyond


def test_no_modules_import_each_other_in_a_circle():
    TopologicalSorter({name: own_imports(name) for name in MODULES}).prepare()


@pytest.mark.parametrize("library", HOME)
def test_a_library_stays_in_its_home(library):
    users = {name for name, tree in TREES.items() if any(each.split(".")[0] == library for each in imported(tree))}
    assert users, f"nothing imports {library}"
    assert not {name for name in users if not re.fullmatch(HOME[library], name)}


def dangers(tree: ast.AST) -> Iterator[str]:
    """What runs text as code, runs a shell, or loads pickles."""
    yield from (each for each in imported(tree) if each.split(".")[0] in NOWHERE)
    yield from (each for each in imported(tree) if each in ("os.system", "os.popen"))
    for node in ast.walk(tree):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in ("eval", "exec"):
            yield node.func.id
        if isinstance(node, ast.Attribute) and node.attr in ("system", "popen") and ast.unparse(node.value) == "os":
            yield ast.unparse(node)
        if (
            isinstance(node, ast.keyword)
            and node.arg in ("shell", "allow_pickle")
            and ast.unparse(node.value) != "False"
        ):
            yield f"{node.arg}={ast.unparse(node.value)}"


@pytest.mark.parametrize("name", SOURCES)
def test_no_module_does_what_a_foreign_file_could_exploit(name):
    assert not list(dangers(TREES[name]))


@pytest.mark.parametrize(
    "code",
    [
        "import pickle",
        "from pickle import loads",
        "import os; os.system('ls')",
        "from os import system",
        "run('ls', shell=True)",
        "run('ls', shell=flag)",
        "eval('1')",
        "exec('1')",
        "np.load(path, allow_pickle=True)",
    ],
)
def test_the_guard_sees_each_danger(code):
    assert list(dangers(ast.parse(code)))


def texts() -> Iterator[Path]:
    for path in ROOT.rglob("*"):
        parts = path.relative_to(ROOT).parts
        cached = any(each.endswith("_cache") or each in ("__pycache__", ".hypothesis") for each in parts)
        if path.is_file() and parts[0] not in NOT_OURS and not cached and path.suffix in TEXTS:
            yield path


def test_only_ci_knows_a_folder_outside_the_project():
    outside = re.compile(rb"\.\./shared|[/]work/")
    found = {str(path.relative_to(ROOT)) for path in texts() if outside.search(path.read_bytes())}
    assert found == {".ci/run"} or (not found and not (ROOT / ".ci").exists())
