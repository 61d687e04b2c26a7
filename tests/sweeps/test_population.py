"""PBT and PB2: who takes over whom, who waits for whom, and a driver that goes on for another."""

import math
from pathlib import Path
from typing import Any

import pytest
from ray.tune.search import Searcher

from resnet_core import Recipe
from sweeps.population.config import Pb2Config, PbtConfig
from sweeps.population.mutations import current_values, read_mutations
from sweeps.population.search import PopulationSearch
from tests.sweeps.population_bench import LR, Bench, FakeTrial


def test_the_weakest_takes_over_the_strongest_once_all_are_there(tmp_path):
    bench = Bench(tmp_path)
    assert [bench.report(i, 1, a) for i, a in enumerate([0.3, 0.1, 0.9])] == ["NOOP"] * 3
    bench.turn()
    assert bench.mutations() == {0: [], 1: [], 2: [], 3: []}
    bench.report(3, 1, 0.5)
    bench.turn()
    assert bench.mutations() == {0: [], 1: [(1, 2)], 2: [], 3: []}
    assert bench.sent_on == [0, 1, 2, 3]


def test_a_donor_whose_checkpoint_is_damaged_is_taken_over_by_nobody_and_all_train_on(tmp_path):
    bench = Bench(tmp_path)
    for index, accuracy in enumerate([0.3, 0.1, 0.9, 0.5]):
        bench.report(index, 1, accuracy)
    (tmp_path / "t0002/checkpoints/ep0001/manifest.json").write_text('{"sha256": ')
    bench.turn()
    assert bench.mutations() == {0: [], 1: [], 2: [], 3: []}
    assert bench.sent_on == [0, 1, 2, 3]


def test_what_was_taken_over_lies_in_the_trials_folder(tmp_path):
    bench = Bench(tmp_path)
    bench.epoch(1, [0.3, 0.1, 0.9, 0.5])
    (mutation,) = read_mutations(tmp_path / "t0001")
    weights = tmp_path / "t0001/checkpoints/ep0001/model.pt"
    assert weights.read_text() == "weights of 2 after 1"
    assert mutation.model_sha256 == "sha-2-1"
    assert (mutation.value, mutation.donor_value) == (0.1, 0.9)
    assert mutation.before == {LR: 0.02}
    rate = Recipe.from_yaml(tmp_path / "t0001/recipe.yaml").optimizer.settings.learning_rate
    assert mutation.after == {LR: rate}
    # Multiplied by a factor, or (1 in 4) drawn anew.
    assert rate in (pytest.approx(0.03 * 0.8), pytest.approx(0.03 * 1.2)) or 1e-4 <= rate <= 1
    assert bench.trials[1].config["genes"] == {LR: rate}
    assert bench.trials[1].config["index"] == 1


def test_trial_0_takes_over_nobody_and_is_taken_over(tmp_path):
    bench = Bench(tmp_path)
    bench.epoch(1, [0.1, 0.3, 0.9, 0.5])
    bench.epoch(2, [0.9, 0.3, 0.4, 0.5])
    assert bench.mutations() == {0: [], 1: [(1, 2), (2, 0)], 2: [], 3: []}
    assert current_values(tmp_path / "t0000", [LR]) == {LR: 0.01}


def test_nan_is_weakest_and_never_taken_over(tmp_path):
    bench = Bench(tmp_path, rule=PbtConfig(quantile_ratio=0.5))
    bench.epoch(1, [math.nan, math.nan, 0.2, math.nan])
    assert bench.mutations() == {0: [], 1: [(1, 2)], 2: [], 3: [(1, 2)]}


def test_the_same_scores_give_the_same_mutations_in_whatever_order_they_come(tmp_path):
    found = []
    for name, order in [("one", [0, 1, 2, 3]), ("other", [3, 1, 0, 2])]:
        (tmp_path / name).mkdir()
        bench = Bench(tmp_path / name)
        bench.epoch(1, [0.3, 0.1, 0.9, 0.5], order)
        bench.epoch(2, [0.3, 0.5, 0.9, 0.1], order)
        found.append([read_mutations(tmp_path / name / f"t{i:04d}") for i in range(4)])
    assert found[0] == found[1]
    assert [len(mutations) for mutations in found[0]] == [0, 1, 0, 1]


@pytest.mark.parametrize("rule", [PbtConfig(), Pb2Config()], ids=["pbt", "pb2"])
def test_a_new_driver_goes_on_as_the_old_one_would_have(tmp_path, rule):
    scores = [[0.3, 0.1, 0.9, 0.5], [0.4, 0.6, 0.95, 0.2], [0.2, 0.7, 0.96, 0.8]]
    found = []
    for name in ("undisturbed", "restarted"):
        (tmp_path / name).mkdir()
        bench = Bench(tmp_path / name, rule=rule)
        for epoch, accuracies in enumerate(scores, start=1):
            bench.epoch(epoch, accuracies)
            if name == "restarted":
                bench = Bench(tmp_path / name, rule=rule)
        found.append([read_mutations(tmp_path / name / f"t{i:04d}") for i in range(4)])
    assert found[0] == found[1]
    assert sum(map(len, found[0])) == 3


def test_a_comparison_that_a_killed_driver_never_made_is_made_by_the_next_one(tmp_path):
    bench = Bench(tmp_path)
    for index, accuracy in enumerate([0.3, 0.1, 0.9, 0.5]):
        bench.report(index, 1, accuracy)
    bench = Bench(tmp_path)  # before any turn of the loop
    bench.epoch(1, [0.3, 0.1, 0.9, 0.5])  # the workers report their newest epoch again
    assert bench.mutations()[1] == [(1, 2)]


def test_a_comparison_that_was_made_is_not_made_again(tmp_path):
    bench = Bench(tmp_path)
    bench.epoch(1, [0.3, 0.1, 0.9, 0.5])
    bench = Bench(tmp_path)
    assert bench.report(0, 1, 0.3) == "CONTINUE"


def test_who_waits_gives_up_its_slot_to_those_who_are_behind(tmp_path):
    bench = Bench(tmp_path, slots=2, size=3)
    bench.trials[2].status = "PAUSED"
    bench.trials[2].last_result = {"epoch": 0}
    assert bench.turn() is None  # two train already
    assert bench.report(0, 1, 0.5) == "PAUSE"
    assert bench.turn() is bench.trials[2]
    bench.trials[2].status = "RUNNING"
    assert bench.report(1, 1, 0.6) == "NOOP"  # nobody is behind any more
    bench.report(2, 1, 0.7)
    assert bench.turn() is None
    assert bench.sent_on == [1, 2]  # trial 0 has no slot until one of them waits


def test_a_trial_that_fails_is_not_waited_for(tmp_path):
    bench = Bench(tmp_path)
    for index, accuracy in enumerate([0.3, 0.1, 0.9]):
        bench.report(index, 1, accuracy)
    bench.trials[3].status = "TERMINATED"
    bench.population.on_trial_complete(bench, bench.trials[3], {"kind": "failed"})
    bench.turn()
    assert bench.mutations()[1] == [(1, 2)]


def test_an_interrupted_trial_leaves_the_others_as_they_are(tmp_path):
    bench = Bench(tmp_path)
    for index, accuracy in enumerate([0.3, 0.1, 0.9]):
        bench.report(index, 1, accuracy)
    bench.trials[3].status = "TERMINATED"
    bench.population.on_trial_complete(bench, bench.trials[3], {"kind": "interrupted"})
    bench.turn()
    assert bench.mutations() == {0: [], 1: [], 2: [], 3: []}
    assert bench.sent_on == [0, 1, 2]  # their trainables notice the interruption themselves


def test_a_trial_that_is_tried_again_is_waited_for_again(tmp_path):
    bench = Bench(tmp_path)
    for index, accuracy in enumerate([0.3, 0.1, 0.9, 0.5]):
        bench.report(index, 1, accuracy)
    bench.population.on_trial_add(bench, bench.trials[3])
    bench.turn()
    assert bench.sent_on == []
    bench.report(3, 1, 0.5)
    bench.turn()
    assert bench.sent_on == [0, 1, 2, 3]


def test_numbers_that_no_recipe_takes_together_give_way_to_the_donors(tmp_path):
    bench = Bench(tmp_path, rule=PbtConfig(resample_probability=0, factors=(0.01,)))
    for index in range(4):  # a floor that 0.03 * 0.01 would fall below
        file = tmp_path / f"t{index:04d}/recipe.yaml"
        data = Recipe.from_yaml(file).to_dict()
        data["lr_schedulers"] = {"cosine_decay": {"T_max": "9ep", "eta_min": 0.005}}
        file.write_text(Recipe.model_validate(data).to_yaml())
    bench.epoch(1, [0.3, 0.1, 0.9, 0.5])
    (mutation,) = read_mutations(tmp_path / "t0001")
    assert mutation.after == {LR: 0.03}


def test_pb2_proposes_within_the_bounds_once_it_has_seen_changes(tmp_path):
    bench = Bench(tmp_path, rule=Pb2Config())
    for epoch in range(1, 6):
        bench.epoch(epoch, [0.3, 0.1 + 0.01 * epoch, 0.5 + 0.05 * epoch, 0.4])
    first, *others = read_mutations(tmp_path / "t0001")
    assert first.after[LR] == pytest.approx(0.03)  # nothing is known yet: the donor's own
    assert len(others) == 4
    assert all(1e-4 <= mutation.after[LR] <= 1 for mutation in others)
    assert any(mutation.after[LR] != pytest.approx(0.03) for mutation in others)


class OneByOne(Searcher):
    """Hands out folders, then waits, as the sweep's own searcher does."""

    def __init__(self, root: Path, size: int) -> None:
        super().__init__()
        self.left = [
            {"index": i, "folder": str(root / f"t{i:04d}"), "copy": 0} for i in range(size)
        ]

    def suggest(self, trial_id: str) -> Any:
        return self.left.pop(0) if self.left else None


def test_the_searcher_is_asked_only_while_there_is_room(tmp_path):
    bench = Bench(tmp_path, slots=2, size=2)
    population = bench.population
    inner = OneByOne(tmp_path, 2)
    search = PopulationSearch(inner, population, lambda: bool(inner.left))
    assert search.suggest("a") is None  # two train
    bench.trials[1].status = "PAUSED"
    config = search.suggest("b")
    assert config == {
        "index": 0, "folder": str(tmp_path / "t0000"), "copy": 0, "genes": {LR: 0.01},
    }  # fmt: skip
    assert population.everyone_is_here is False
    assert search.suggest("c") is not None
    assert population.everyone_is_here is True  # nobody else comes
    assert search.suggest("d") is None
    assert population.everyone_is_here is True


def test_confirmations_are_no_members(tmp_path):
    bench = Bench(tmp_path)
    confirmation = FakeTrial(tmp_path / "t0000", 0, copy=1)
    bench.population.on_trial_add(None, confirmation)
    result = {"kind": "epoch", "epoch": 1, "val_accuracy": 0.1}
    assert bench.population.on_trial_result(bench, confirmation, result) == "CONTINUE"
