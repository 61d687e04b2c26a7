from tests.sweeps.sweep_file import DESIGN, RECIPE


def test_a_recipe_without_data_is_refused(problems):
    assert problems(recipe=RECIPE.replace("data: {digits: {}}\n", "")) == [
        "sweep.yaml:3:10: extends: the recipe names no data; add data: {digits: {}} or "
        "data: {fake: {}}"
    ]


def test_a_batch_that_does_not_split_over_the_workers_is_refused(problems):
    (found,) = problems(DESIGN + "resources: {workers_per_trial: 3}\n")
    assert found == (
        "sweep.yaml:14:32: resources.workers_per_trial: train_batch_size 128 does not split over "
        "3 workers; the nearest that does: 126 and 129"
    )


def test_a_rung_that_never_comes_is_refused(problems):
    asha = "early_stopping: {asha: {grace_period: 6ep}}\n"
    assert problems(DESIGN + asha) == [
        "sweep.yaml:14:39: early_stopping.asha.grace_period: no trial is longer than 6ep, "
        "so nothing stops at 6ep; allowed: 1ep to 5ep"
    ]
