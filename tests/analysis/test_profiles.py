import json
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mtc_hw.analysis.profiles import isi_distance, isi_profile, spike_distance, spike_profile
from mtc_hw.errors import DataError

ORACLE = json.loads((Path(__file__).parent.parent / "golden" / "pyspike.json").read_text())["pairs"]
DISTANCES = {"isi": isi_distance, "spike": spike_distance}
PROFILES = {"isi": isi_profile, "spike": spike_profile}
END = 64.0
trains = st.lists(st.integers(0, 256).map(lambda n: n / 4.0), unique=True, max_size=8).map(sorted)
each_distance = pytest.mark.parametrize("distance", DISTANCES.values(), ids=DISTANCES)


@pytest.mark.parametrize("name", DISTANCES)
def test_a_distance_is_what_pyspike_finds(name):
    """400 random pairs, among them empty ones, single spikes, coincident spikes and spikes on the ends."""
    sizes = {len(train) for row in ORACLE for train in row["trains"]}
    assert len(ORACLE) == 400 and {0, 1, 2} < sizes
    for row in ORACLE:
        found = DISTANCES[name](*row["trains"], row["start"], row["end"])
        assert found == pytest.approx(row[name], rel=0.0, abs=1e-9), row


@each_distance
@given(a=trains, b=trains)
def test_a_distance_is_symmetric_bounded_and_nothing_between_equal_trains(distance, a, b):
    assert distance(a, a, 0.0, END) == 0.0
    assert distance(a, b, 0.0, END) == pytest.approx(distance(b, a, 0.0, END), abs=1e-12)
    assert distance(a, b, 0.0, END) >= 0.0


@each_distance
@given(a=trains, b=trains, shift=st.integers(-1000, 1000), factor=st.sampled_from([0.25, 2.0, 8.0]))
def test_a_distance_does_not_depend_on_origin_and_unit_of_time(distance, a, b, shift, factor):
    moved = [factor * (np.array(train, dtype=float) + shift) for train in (a, b)]
    there = distance(*moved, factor * shift, factor * (END + shift))
    assert there == pytest.approx(distance(a, b, 0.0, END), abs=1e-12)


@each_distance
@given(a=trains, b=trains)
def test_a_distance_is_the_same_when_time_runs_backwards(distance, a, b):
    """But for a train of one spike at an end, where PySpike takes the other end for its next spike."""
    if any(len(train) == 1 and train[0] in (0.0, END) for train in (a, b)):
        return
    backwards = [END - np.array(train[::-1], dtype=float) for train in (a, b)]
    assert distance(*backwards, 0.0, END) == pytest.approx(distance(a, b, 0.0, END), abs=1e-12)


@pytest.mark.parametrize("name", PROFILES)
@given(a=trains, b=trains)
def test_a_profile_covers_the_recording_and_bends_at_spikes_alone(name, a, b):
    found = PROFILES[name](a, b, 0.0, END)
    assert found.edges.tolist() == sorted({0.0, END, *a, *b})
    assert found.left.shape == found.right.shape == (found.edges.size - 1,)
    assert found.mean() == DISTANCES[name](a, b, 0.0, END)
    assert (found.left >= 0.0).all() and (found.right >= 0.0).all()


def test_the_isi_profile_by_hand():
    found = isi_profile([2.0, 4.0, 8.0], [5.0], 0.0, 10.0)
    assert found.edges.tolist() == [0.0, 2.0, 4.0, 5.0, 8.0, 10.0]
    # Intervals 2, 2, 4, 4, max(2, 4) against 5 before its one spike and after it.
    assert found.left == pytest.approx([0.6, 0.6, 0.2, 0.2, 0.2])
    assert found.mean() == pytest.approx(0.36)


def test_the_isi_distance_of_regular_trains_is_that_of_their_intervals():
    slow, fast = np.arange(5.0, 100.0, 10.0), np.arange(1.0, 100.0, 2.0)
    assert isi_distance(slow, fast, 0.0, 100.0) == pytest.approx(0.8)


def test_the_spike_profile_by_hand():
    found = spike_profile([0.0, 10.0], [4.0, 14.0], 0.0, 20.0)
    assert found.edges.tolist() == [0.0, 4.0, 10.0, 14.0, 20.0]
    # Equal intervals of 10: the mean of both distances per interval. All spikes are 4 from the nearest other one.
    assert found.left == pytest.approx([0.4] * 4)
    assert found.right == pytest.approx([0.4] * 4)


def test_coincident_spikes_bring_the_spike_profile_to_nothing():
    found = spike_profile([2.0, 5.0, 9.0], [1.0, 5.0, 8.0], 0.0, 10.0)
    at = found.edges.tolist().index(5.0)
    assert found.right[at - 1] == found.left[at] == 0.0
    assert found.right[at] > 0.0


def test_trains_without_spikes_and_two_spikes_on_the_end_differ_in_nothing():
    for train in ([], [10.0]):
        for distance in DISTANCES.values():
            assert distance(train, train, 0.0, 10.0) == 0.0


@pytest.mark.parametrize("profile", PROFILES.values(), ids=PROFILES)
@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (([1.0], [2.0], 5.0, 5.0), "^the recording is from 5 to 5; it must begin before it ends$"),
        (([1.0], [2.0], 0.0, np.inf), "^the recording is from 0 to inf; it must begin before it ends$"),
        (([1.0], [2.0, 9.0], 0.0, 5.0), "^spikes from 2 to 9 lie outside the recording, 0 to 5$"),
        (([1.0], [-2.0], 0.0, 5.0), "^spikes from -2 to -2 lie outside the recording, 0 to 5$"),
        (([3.0, 1.0], [], 0.0, 5.0), r"^spike times\[1\] is 1, not after 3; sort the times$"),
    ],
)
def test_a_recording_that_cannot_be_is_refused(profile, arguments, message):
    with pytest.raises(DataError, match=message):
        profile(*arguments)
