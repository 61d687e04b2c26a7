from dataclasses import replace

import pytest

from sweeps.answer.overview import phase_of, read_overview
from tests.sweeps.finished_sweep import TEXT, finished_sweep
from tests.sweeps.simulation import LR, Driver, begin, quick_disk, write_sweep

TRIALS = "search: {algorithm: random, trials: 3, seed: 5}\n"


@pytest.fixture
def overview(tmp_path, monkeypatch):
    """A sweep whose trials end with these values, the recipe's first."""
    quick_disk(monkeypatch)

    def overview(*values: float, text=TRIALS, steps=10_000):
        sweep, folder = write_sweep(tmp_path, text), begin(tmp_path / "s")
        Driver(sweep, folder, lambda record, *_: values[record.index]).run(steps)
        return read_overview(folder, sweep)

    return overview


def test_without_confirmation_the_gain_is_that_of_one_training_each(overview):
    found = overview(0.5, 0.75, 0.25)
    assert found.gain is not None
    assert (found.gain.mean, found.gain.half_width, found.gain.n) == (0.25, None, 1)


def test_of_a_loss_a_smaller_one_is_a_gain(overview):
    found = overview(0.5, 0.75, 0.25, text=f"objective: {{metric: val_loss}}\n{TRIALS}")
    assert found.gain is not None
    assert found.gain.mean == 0.25


def test_a_recipe_that_is_best_gains_nothing_over_itself(overview):
    found = overview(0.75, 0.5, 0.25)
    assert found.gain is not None
    assert found.gain.mean == 0.0


def test_before_any_trial_has_completed_there_is_no_gain(overview):
    found = overview(0.5, 0.5, 0.5, steps=0)
    assert (found.gain, found.to_dict()["winner"], found.trials_ended) == (None, None, 0)


def test_trials_of_an_extension_count(overview, tmp_path):
    overview(0.5, 0.75, 0.25)
    folder = begin(tmp_path / "s")
    folder.write_state(replace(folder.read_state(), extra_trials=2))
    found = overview(0.5, 0.75, 0.25, steps=0)
    assert (found.trials_ended, found.num_trials) == (3, 5)


def test_only_a_budget_is_no_number_of_trials(overview):
    text = "search: {algorithm: random}\nbudget: {cpu_hours: 1}\n"
    assert overview(0.5, text=text, steps=1).num_trials is None


@pytest.mark.parametrize("better", [True, False])
def test_the_gain_of_a_confirmed_winner_is_the_mean_paired_difference(
    tmp_path, monkeypatch, better
):
    quick_disk(monkeypatch)
    sweep, folder = write_sweep(tmp_path, TEXT), begin(tmp_path / "s")

    def value(record, *_):
        if record.copy == 0:
            return 0.9 if record.overrides.get(LR) else 0.5  # a trial looks better than the recipe
        ahead = 0.25 if better else -0.25
        return 0.5 + 0.125 * record.copy + (ahead if record.index else 0.0)

    Driver(sweep, folder, value).run()
    gain = read_overview(folder, sweep).gain
    assert gain is not None
    assert gain.n == 3
    # The differences of the three seeds are all 0.25; if the recipe wins, it is itself.
    assert gain.mean == (0.25 if better else 0.0)


def test_what_a_sweep_is_doing(tmp_path, monkeypatch):
    quick_disk(monkeypatch)
    _, folder = finished_sweep(tmp_path, text=TRIALS)
    assert phase_of(folder) == "finished"
    with folder.locked():
        assert phase_of(folder) == "running"  # its driver has just begun
    folder.write_state(replace(folder.read_state(), status="running"))
    assert phase_of(folder) == "interrupted"  # its driver was killed
