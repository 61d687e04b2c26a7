import pytest

from resnet_core import Recipe
from sweeps.admission import admit
from sweeps.memory import Memory
from tests.sweeps.simulation import LR, STRETCH, Driver, begin, write_sweep

# resnet_20 has 272,474 parameters, resnet_56 855,770 (He et al. 2016, table 6: 0.27M and 0.85M).
SPACE = f"space:\n  model.name: {{choice: [resnet_20, resnet_56]}}\n  {LR}: {{uniform: [1, 2]}}\n"
DEEP = {"model.name": "resnet_56", LR: 1.5}


@pytest.fixture
def admitted(tmp_path):
    def admitted(*points, text="", **options):
        sweep = write_sweep(tmp_path, f"search: {{trials: 9}}\n{text}", space=SPACE)
        folder = begin(tmp_path / "a")
        memory = Memory(sweep, folder)
        for index, point in enumerate(points):
            admit(sweep, folder, memory, index, point, **options)
        assert folder.read_records() == list(memory.records.values())
        return list(memory.records.values())

    return admitted


def test_a_new_point_is_pending_with_its_recipe_in_its_folder(admitted, tmp_path):
    _, record = admitted({}, DEEP, rung=3, sampler={"trial": {"a": 1}})
    assert (record.status, record.rung, record.sampler) == ("pending", 3, {"trial": {"a": 1}})
    assert record.name == "t0001 model=resnet_56 lr=1.5"
    (folder,) = (tmp_path / "a/trials").glob("t0001-*")
    recipe = Recipe.from_yaml(folder / "recipe.yaml")
    assert (recipe.model.name, recipe.digest()) == ("resnet_56", record.digest)


def test_the_first_trial_is_called_the_recipe(admitted):
    assert admitted({})[0].name == "t0000 recipe"


def test_a_trial_with_an_origin_says_so_in_its_name(admitted):
    (record,) = admitted({LR: 1.5}, origin="rerun of t0003")
    assert record.name == "t0000 rerun of t0003: lr=1.5"


def test_the_same_recipe_written_otherwise_is_a_duplicate(admitted):
    _, record = admitted({}, {"model.name": "resnet_20"}, rung=3)
    assert (record.status, record.twin, record.rung) == ("duplicate", "t0000", None)


def test_a_duplicate_of_a_duplicate_names_the_one_that_is_trained(admitted):
    records = admitted({}, DEEP, DEEP, DEEP)
    assert [record.twin for record in records] == [None, None, "t0001", "t0001"]


def test_another_seed_is_another_recipe(admitted):
    assert admitted({}, {"seed": 1})[1].status == "pending"


def test_a_point_that_violates_a_constraint_is_infeasible_and_says_which(admitted):
    _, record = admitted({}, DEEP, text="constraints: [parameters <= 0.5M, flops <= 1T]\n")
    assert (record.status, record.reason) == ("infeasible", "constraint")
    assert record.error == "violates parameters <= 0.5M"
    assert record.violations["parameters <= 0.5M"] == pytest.approx(855_770 / 500_000 - 1)
    assert record.violations["flops <= 1T"] < 0
    assert not record.was_trained


def test_the_recipe_is_trained_whatever_the_constraints_say(admitted):
    (record,) = admitted({}, text="constraints: [parameters <= 0.1M]\n")
    assert record.status == "pending"
    assert record.violations["parameters <= 0.1M"] > 0


def test_costs_are_counted_where_the_objective_asks_for_them(admitted):
    _, record = admitted({}, DEEP, text="objective: {against: [parameters, flops]}\n")
    assert record.costs["parameters"] == 855_770
    assert record.costs["training_flops"] > record.costs["flops"] > 0


@pytest.mark.parametrize("text", ["", "objective: {against: [training_seconds]}\n"])
def test_costs_that_nobody_asks_for_are_not_counted(admitted, text):
    assert admitted({}, text=text)[0].costs == {}


def test_an_impossible_point_is_an_error(admitted):
    with pytest.raises(ValueError, match="more than the 1204 training images"):
        admitted({"train_batch_size": 5000})


def test_infeasible_points_cost_no_trial_and_no_training(tmp_path):
    text = "search: {algorithm: random, trials: 5, seed: 1}\nconstraints: [parameters <= 0.5M]\n"
    sweep = write_sweep(tmp_path, text + STRETCH, space=SPACE)
    driver = Driver(sweep, begin(tmp_path / "a"))
    driver.run()
    records = driver.folder.read_records()
    infeasible = [r for r in records if r.overrides.get("model.name") == "resnet_56"]
    assert infeasible
    assert {record.status for record in infeasible} == {"infeasible"}
    assert len(records) - len(infeasible) == 5
    assert all(not driver.folder.history(record) for record in infeasible)
