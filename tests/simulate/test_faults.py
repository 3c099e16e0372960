"""Of sixty samples some hang, crash the library, run out of memory or never converge: the batch ends all the same."""

import time

import numpy as np
import pytest
from faulty_tasks import chip

from mtc_hw.simulate.outcome import Loss
from mtc_hw.simulate.pool import Workers, open_workers

SAMPLES = 60
# By sample: what is done to it.
FAULTS = {
    3: "syntax", 7: "missing model", 11: "operating point", 14: "timestep", 19: "timeout", 23: "killed", 24: "shot",
    29: "memory", 33: "truncated", 37: "missing vector", 41: "crashed", 46: "timeout", 52: "killed", 58: "syntax",
}  # fmt: skip
CLASSES = {"shot": "killed", "memory": "killed"}  # those that are not called as the fault
REASONS = {
    "syntax": "Undefined parameter [undefined]",
    "missing model": "can't find model 'undefined'",
    "timestep": "Timestep too small",
    "timeout": "killed after 1.5 s",
    "shot": "ended by SIGKILL",
    "memory": "out of memory, the limit is 1 GiB",
    "truncated": "stopped at 0.005 of 0.01",
    "missing vector": "no v(gone) in the result",
    "crashed": "ValueError: sample 41",
}


def drawn(driver: str, jobs: int, faults: dict[int, str]) -> dict[int, tuple[str, str, float]]:
    found = {}
    with open_workers(Workers(driver, jobs, timeout=1.5, memory=1 << 30), faults) as pool:
        for sample, result in pool.each(chip, range(SAMPLES)):
            assert sample not in found
            found[sample] = (result.status, result.reason, np.nan) if isinstance(result, Loss) else result
    return found


@pytest.fixture(scope="module")
def clean():
    return drawn("pyspice", 2, {})


def test_without_faults_all_are_right(clean):
    for sample, (status, _, voltage) in clean.items():
        assert status == "ok"
        assert voltage == pytest.approx(1.0 - np.exp(-2.5e-3 / (1e-6 * (1000.0 + sample))), abs=2e-5)


@pytest.mark.parametrize("driver", ["pyspice", "ngspice"])
def test_each_fault_has_its_class_and_the_others_are_as_without(driver, clean):
    # The command line survives the source that crashes the library.
    faults = {k: fault for k, fault in FAULTS.items() if driver == "pyspice" or fault != "killed"}
    start = time.monotonic()
    found = drawn(driver, 2, faults)
    assert time.monotonic() - start < 60.0
    assert found.keys() == set(range(SAMPLES))
    for sample, fault in faults.items():
        status, reason, _ = found[sample]
        assert status == CLASSES.get(fault, fault), (sample, reason)
        assert REASONS.get(fault, "") in reason
    for sample in found.keys() - faults.keys():
        assert found[sample] == clean[sample]
