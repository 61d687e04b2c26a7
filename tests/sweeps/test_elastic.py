"""How many workers an elastic trial may have, and which room it asks of a cluster."""

import pytest

from resnet_core.problems import CannotTrain, InvalidFile
from sweeps.cluster import Refused, fit_into, placement_on
from sweeps.elastic import worker_counts
from sweeps.loading import load_sweep
from sweeps.sections import ResourcesConfig
from tests.sweeps.sweep_file import DESIGN, HEAD, RECIPE


@pytest.fixture
def load(tmp_path):
    """A sweep with these lines at its end; its batch has 128 images."""

    def load(workers: str, space: str = ""):
        (tmp_path / "recipe.yaml").write_text(RECIPE)
        file = tmp_path / "sweep.yaml"
        file.write_text(f"{HEAD}{DESIGN}{space}resources: {{workers_per_trial: {workers}}}\n")
        return load_sweep(file)

    return load


def counts(sweep) -> tuple[int, ...]:
    domain = sweep.space.domains.get("train_batch_size")
    return worker_counts(sweep.recipe, sweep.spec.resources, domain)


@pytest.mark.parametrize(
    ("workers", "expected"),
    [("[4, 8]", (4, 8)), ("[3, 5]", (4,)), ("[1, 4]", (1, 2, 4)), ("2", (2,)), ("[2, 2]", (2,))],
)
def test_a_batch_of_128_is_trained_by_the_numbers_that_divide_it(load, workers, expected):
    assert counts(load(workers)) == expected


def test_every_batch_size_of_the_space_must_split(load):
    space = "  train_batch_size: {choice: [96, 128]}\n"
    assert counts(load("[2, 8]", space)) == (2, 4, 8)
    assert counts(load("[3, 8]", "  train_batch_size: {choice: [48, 120]}\n")) == (3, 4, 6, 8)


@pytest.mark.parametrize(
    ("workers", "message"),
    [
        ("[5, 7]", "train_batch_size 128 does not split over 7 workers"),
        ("[8, 4]", r"the bounds are inverted; write \[4, 8\]"),
        ("[0, 4]", "must be at least 1"),
    ],
)
def test_a_range_that_leaves_nothing_is_refused_with_its_place(load, workers, message):
    with pytest.raises(InvalidFile, match=message) as caught:
        load(workers)
    assert "sweep.yaml:14:" in str(caught.value)


def test_a_range_without_end_is_only_looked_at_as_far_as_the_batch_has_images(load):
    assert counts(load("[64, 1000000000]")) == (64, 128)


def test_what_is_no_batch_size_is_told_and_not_counted(load):
    with pytest.raises(InvalidFile, match="train_batch_size"):
        load("[1, 2]", "  train_batch_size: {choice: [64, abc]}\n")
    with pytest.raises(InvalidFile, match="train_batch_size"):
        load("1", "  train_batch_size: {choice: [64, [1]]}\n")


def test_room_is_counted_in_the_numbers_that_can_train():
    resources = ResourcesConfig(workers_per_trial=(4, 7), max_concurrent_trials="auto")
    assert fit_into([{"CPU": 8.0}], resources, (4,)) == 2
    with pytest.raises(Refused, match="a trial needs 4 workers of 1 CPU each"):
        fit_into([{"CPU": 3.0}], ResourcesConfig(workers_per_trial=(3, 8)), (4, 8))


def test_a_recipe_that_nobody_can_split_is_an_error(load):
    recipe = load("1").recipe
    with pytest.raises(CannotTrain, match="3 workers"):
        worker_counts(recipe, ResourcesConfig(workers_per_trial=3))


@pytest.mark.parametrize(
    ("cpus", "expected"), [([4], 1), ([8], 1), ([8, 7], 1), ([8, 8], 2), ([2, 3], 1)]
)
def test_trials_get_all_their_workers_before_another_one_runs_beside_them(cpus, expected):
    nodes = [{"CPU": float(count)} for count in cpus]
    resources = ResourcesConfig(workers_per_trial=(4, 8), max_concurrent_trials="auto")
    assert fit_into(nodes, resources) == expected


@pytest.mark.parametrize(
    ("gpus", "workers", "expected"),
    [
        ([8, 8], 8, "STRICT_PACK"),  # one trial a node
        ([8, 8], 4, "STRICT_PACK"),
        ([8, 8], 5, "PACK"),  # three trials fit, one of them on both nodes
        ([4, 4], 8, "PACK"),
        ([8, 2], 2, "STRICT_PACK"),
        ([8, 8], (4, 8), "PACK"),  # may have to go on with what is left on several nodes
    ],
)
def test_workers_share_a_node_where_that_costs_no_trial_its_place(gpus, workers, expected):
    nodes = [{"CPU": 64.0, "GPU": float(count)} for count in gpus]
    resources = ResourcesConfig(workers_per_trial=workers, gpus_per_worker=1)
    assert placement_on(nodes, resources) == expected
