"""A seed fixes what is suggested, with every algorithm."""

import pytest

from tests.sweeps.simulation import (
    LR,
    RECIPE,
    SPACE,
    Driver,
    begin,
    near_one,
)

WIDE = f"{SPACE}  optimizer.decoupled_sgdw.momentum: {{uniform: [0.5, 0.99]}}\n"


@pytest.mark.parametrize("algorithm", ["random", "grid", "tpe", "gp", "cmaes", "qmc", "nsga2"])
def test_a_seed_fixes_all_suggestions_whether_or_not_the_driver_is_restarted(
    sweep, tmp_path, algorithm
):
    space = WIDE
    if algorithm == "grid":
        space = "space:\n  train_batch_size: {grid: [32, 64]}\n"
        space += "  seed: {grid: [1, 2, 3, 4, 5, 6, 7, 8]}\n"

    def overrides(name: str, seed: int, *, restarts: bool, trials: int = 17) -> list:
        text = f"search: {{algorithm: {algorithm}, trials: {trials}, seed: {seed}}}\n"
        what = sweep(text, space=space, recipe=RECIPE.replace("9ep", "1ep"))
        folder = begin(tmp_path / name)
        if restarts:
            while Driver(what, folder).run(1):
                pass
        else:
            Driver(what, folder).run()
        return Driver(what, folder).overrides

    undisturbed = overrides("one", 3, restarts=False)
    assert overrides("other", 3, restarts=True) == undisturbed
    assert len({str(one) for one in undisturbed}) == 17
    if algorithm != "grid":
        other = overrides("third", 4, restarts=False, trials=5)
        assert not {str(one) for one in other[1:]} & {str(one) for one in undisturbed[1:]}


@pytest.mark.parametrize("algorithm", ["tpe", "gp", "cmaes"])
def test_what_was_measured_decides_what_is_suggested(sweep, tmp_path, algorithm):
    what = sweep(
        f"search: {{algorithm: {algorithm}, trials: 17, seed: 3}}\n",
        space=WIDE,
        recipe=RECIPE.replace("9ep", "1ep"),
    )
    one = Driver(what, begin(tmp_path / "one"))
    other = Driver(what, begin(tmp_path / "other"), lambda *args: 1 - near_one(*args))
    one.run()
    other.run()
    assert one.overrides[1] == other.overrides[1]
    assert one.overrides[16] != other.overrides[16]


def test_every_trial_lies_in_the_space(sweep, tmp_path):
    driver = Driver(sweep("search: {algorithm: tpe, trials: 14}\n"), begin(tmp_path / "a"))
    driver.run()
    assert all(0.2 <= one[LR] <= 8 for one in driver.overrides[1:])
