"""What a co-design starts from, by name, and how much it takes."""

import dataclasses
from pathlib import Path

from mtc_hw.codesign.loop import CodesignOptions
from mtc_hw.errors import DataError
from mtc_hw.model.options import TrainOptions, load_recipe, recipe_names, with_flags
from mtc_hw.model.tasks import MACKEY_GLASS, Split, mackey_glass_split
from mtc_hw.sources import load_network
from mtc_hw.spec import ModelSpec

Start = ModelSpec | TrainOptions

SMALL = {"window": 120, "burn_in": 40, "batch": 8}
"""Of a quick training."""


def load_start(name: str) -> Start:
    """A recipe, shipped or a TOML file, or a trained network. Raises DataError for what has no circuit."""
    if name in recipe_names() or Path(name).suffix == ".toml":
        options = load_recipe(name)
        if options.neuron != "mtc" or options.layers > 1 or options.recurrent:
            raise DataError(f"recipe {name} has no circuit; only one layer of mtc neurons, not recurrent, has one")
        return options
    try:
        return load_network(name)
    except DataError as error:
        raise DataError(f"{error}; or the name of a recipe: {', '.join(recipe_names())}") from None


def series_of(start: Start, quick: bool = False) -> Split:
    """The Mackey-Glass series, short for a quick look. Raises DataError for a network of another task."""
    task = MACKEY_GLASS
    if isinstance(start, ModelSpec):
        if start.task is None or start.task.name != task.name:
            raise DataError("the network is of another task; co-design trains on mackey-glass")
        task = start.task
    return mackey_glass_split(3000, 600, task=task) if quick else mackey_glass_split(task=task)


def quickened(start: Start, options: CodesignOptions) -> tuple[Start, CodesignOptions]:
    """The same in seconds: few neurons, iterations, samples and chips. It shows that all runs, not how well."""
    if isinstance(start, TrainOptions):
        start = with_flags(start, hidden=min(start.hidden, 12), iterations=30, candidates=2, warm_up=5, **SMALL)
    tune = with_flags(options.tune, iterations=10, warm_up=2, **SMALL)
    verify = dataclasses.replace(options.verify, test=200, refit=400)
    chips, looped = min(options.chips, 4), min(options.looped, 2)
    return start, dataclasses.replace(options, tune=tune, verify=verify, chips=chips, looped=looped)


def with_iterations(
    start: Start, options: CodesignOptions, train: int | None, tune: int | None
) -> tuple[Start, CodesignOptions]:
    """Other lengths of training and fine-tuning. Raises DataError for the training of a network that is given."""
    if train is not None and isinstance(start, ModelSpec):
        raise DataError("--iterations is of the training, and a network is given; --tune is of its fine-tuning")
    if train is not None and isinstance(start, TrainOptions):
        start = dataclasses.replace(start, iterations=train)
    tuned = options.tune if tune is None else dataclasses.replace(options.tune, iterations=tune)
    return start, dataclasses.replace(options, tune=tuned)


def with_seed(start: Start, options: CodesignOptions, seed: int) -> tuple[Start, CodesignOptions]:
    """One root seed for the chips, the training and the fine-tuning."""
    if isinstance(start, TrainOptions):
        start = dataclasses.replace(start, seed=seed)
    return start, dataclasses.replace(options, seed=seed, tune=dataclasses.replace(options.tune, seed=seed))
