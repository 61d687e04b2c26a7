import math
import warnings
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
import torch
import torch.nn.functional as F

from resnet_core import NonFiniteLoss, Recipe, create_resnet, fit
from resnet_core.data.augment import normalise
from resnet_core.data.dataset import Split
from resnet_core.data.sources import load_data
from resnet_core.training import Training
from tests.core.plain_loop import NEAR, train_by_hand
from tests.core.tiny_recipe import plain_recipe, tiny_recipe

pytestmark = pytest.mark.usefixtures("one_thread")


@pytest.fixture(scope="module")
def results(one_thread) -> list[dict]:
    return [result.metrics() for result in fit(tiny_recipe())]


def values(results: list[dict], name: str) -> list:
    return [result[name] for result in results]


def test_every_epoch_yields_one_result(results):
    assert values(results, "epoch") == [1, 2, 3]
    assert values(results, "step") == [3, 6, 9]  # 56 // 16 steps an epoch
    assert values(results, "num_epochs") == [3, 3, 3]
    assert values(results, "finished") == [False, False, True]


def test_a_result_has_the_metrics_that_others_rely_on(results):
    assert set(results[0]) == {
        "epoch", "num_epochs", "step", "finished", "train_loss", "val_loss", "val_cross_entropy",
        "val_top5_accuracy", "learning_rate", "images_per_second", "data_wait_share",
        "elapsed_seconds", "skipped_images", "val_accuracy",
    }  # fmt: skip


def test_on_real_digits_the_loss_falls_and_most_are_told_apart():
    small = {"name": "resnet_20", "num_classes": 10}
    digits = tiny_recipe(model=small, data={"digits": {}}, lr_schedulers={}, train_batch_size=32)
    results = [result.metrics() for result in fit(digits)]
    losses = values(results, "train_loss")
    assert losses == sorted(losses, reverse=True)
    assert results[-1]["val_accuracy"] > 0.5  # guessing gives 0.1


def test_accuracies_are_fractions_of_the_validation_split(results):
    for accuracy in values(results, "val_accuracy"):
        assert 0 <= accuracy <= 1
        assert accuracy * 25 == pytest.approx(round(accuracy * 25), abs=1e-9)
    assert values(results, "val_top5_accuracy") == [1, 1, 1]  # of 4 classes


def test_the_reported_rate_is_that_of_the_epochs_last_step(results):
    # Steps 2, 5 and 8: two thirds of the ramp, then a cosine of 6 steps at 2/6 and at 5/6.
    expected = [0.01 * 2 / 3, 0.01 * 0.75, 0.01 * (0.5 - math.sqrt(3) / 4)]
    assert values(results, "learning_rate") == pytest.approx(expected, rel=1e-12)


def test_an_epoch_is_what_plain_torch_makes_of_it():
    (result,) = fit(plain_recipe())
    trusted = train_by_hand(plain_recipe(), num_workers=1)
    assert trusted.distance(result.model.state_dict()) < NEAR
    # The losses are float32, with roundings of 1e-7.
    assert result.train_loss == pytest.approx(sum(trusted.step_losses) / 3, rel=1e-6)


def test_the_schedule_sets_the_rate_of_each_step():
    recipe = plain_recipe(lr_schedulers={"linear_warmup": "2ba"})
    (result,) = fit(recipe)
    trusted = train_by_hand(recipe, num_workers=1, multipliers=[0, 0.5, 1])
    assert trusted.distance(result.model.state_dict()) < NEAR


def test_running_statistics_are_those_of_plain_torch():
    (result,) = fit(plain_recipe())
    found = result.model.state_dict()
    for name, expected in train_by_hand(plain_recipe(), num_workers=1).running_statistics().items():
        torch.testing.assert_close(found[name], expected, rtol=1e-5, atol=1e-5)


def test_a_length_in_batches_may_end_within_an_epoch():
    results = [result.metrics() for result in fit(tiny_recipe(max_duration="7ba"))]
    assert values(results, "step") == [3, 6, 7]
    assert values(results, "epoch") == [1, 2, 3]
    assert values(results, "finished") == [False, False, True]


def test_every_step_is_announced_before_its_epochs_result():
    events: list[Any] = []
    recipe = tiny_recipe(max_duration="4ba")
    for result in fit(recipe, after_step=lambda training: events.append(f"step {training.step}")):
        events.append(result.epoch)
    assert events == ["step 1", "step 2", "step 3", 1, "step 4", 2]


def test_a_schedule_scale_shortens_training_and_schedule_alike():
    # 6 epochs, of which 2 warm up and 4 follow a cosine, at half their length: the tiny recipe.
    longer = {"linear_warmup": "2ep", "cosine_decay": {"T_max": "4ep"}}
    scaled = tiny_recipe(max_duration="6ep", lr_schedulers=longer, schedule_scale=0.5)
    rates = [result.learning_rate for result in fit(scaled)]
    assert rates == [result.learning_rate for result in fit(tiny_recipe())]
    assert len(rates) == 3


def test_a_time_limit_ends_the_training_after_the_epoch_under_way():
    (only,) = fit(tiny_recipe(time_limit="0.001sec"))
    assert (only.epoch, only.num_epochs, only.finished) == (1, 3, True)


def test_a_training_that_ran_out_of_time_has_nothing_to_resume(tmp_path):
    recipe = tiny_recipe(time_limit="0.001sec")
    (only,) = fit(recipe)
    only.save_checkpoint(tmp_path / "ep0001")
    assert list(fit(recipe, resume_from=tmp_path / "ep0001")) == []


def test_with_ema_the_average_is_evaluated_and_the_raw_weights_on_their_own():
    ema = {"ema": {"half_life": "1000ba", "update_interval": "1ba"}}
    recipe = tiny_recipe(methods=ema, lr_schedulers={})
    *_, last = fit(recipe)
    # So slow an average has hardly left the initial weights, which guess.
    assert last.val_loss != last.raw_val_loss
    assert last.model is not last._training.model
    plain = [result.metrics() for result in fit(tiny_recipe(methods={}, lr_schedulers={}))][-1]
    # Averaging beside it changes nothing about the training itself.
    assert last.raw_val_loss == plain["val_loss"]
    assert "raw_val_loss" not in plain


def test_scaling_the_rate_by_the_batch_is_reported():
    recipe = tiny_recipe(lr_scaling="linear", lr_reference_batch_size=32)
    with pytest.warns(UserWarning, match=r"rate 0\.01 for batches of 32 is 0\.005 for 16"):
        next(fit(recipe))


def test_closing_the_generator_stops_the_training():
    training = fit(tiny_recipe())
    assert next(training).epoch == 1
    training.close()
    assert list(training) == []


def test_torchs_global_random_numbers_are_left_alone():
    torch.manual_seed(5)
    before = torch.get_rng_state()
    assert len(list(fit(tiny_recipe(max_duration="4ba")))) == 2
    assert torch.equal(torch.get_rng_state(), before)


def test_a_training_runs_outside_the_main_thread():
    with ThreadPoolExecutor(1) as pool:
        found = pool.submit(lambda: [result.step for result in fit(tiny_recipe())]).result()
    assert found == [3, 6, 9]


@pytest.mark.parametrize("seed", [0, 1])
def test_bf16_begins_near_fp32_and_learns(seed):
    found = [result.train_loss for result in fit(tiny_recipe(precision="bf16", seed=seed))]
    assert found[-1] < found[0]
    fp32, bf16 = (
        next(fit(tiny_recipe(precision=precision, seed=seed, max_duration="1ba"))).train_loss
        for precision in ("fp32", "bf16")
    )
    assert bf16 != fp32
    # A rounding to 8 bits is 0.4 %; some 20 layers, each of which does it, make it a few percent.
    assert bf16 == pytest.approx(fp32, rel=0.05)


def test_weights_stay_in_full_precision_under_bf16():
    (result,) = fit(tiny_recipe(precision="bf16", max_duration="1ba"))
    assert {weight.dtype for weight in result.model.parameters()} == {torch.float32}


def test_a_loss_that_is_not_finite_ends_the_training_and_says_when():
    mad = {"optimizer": {"sgd": {"learning_rate": 1e30}}, "lr_schedulers": {}}
    (first_step,) = fit(tiny_recipe(**mad, max_duration="1ba"))
    message = r"loss of step 1 is not finite \(learning rate 1e\+30\); the loss before it was 1\.\d"
    with pytest.raises(NonFiniteLoss, match=message) as caught:
        next(fit(tiny_recipe(**mad)))
    assert (caught.value.step, caught.value.learning_rate) == (1, 1e30)
    assert caught.value.last_finite_loss == first_step.train_loss


def test_the_last_finite_loss_is_known_across_epochs_and_resumptions(tmp_path):
    seen: list[float] = []

    def poison(training: Training) -> None:
        if training.step == 3:  # the last of the first epoch
            seen.append(training.epoch_log[3].item())
            training.model.fc.weight.data.fill_(math.nan)

    results = fit(tiny_recipe(), after_step=poison)
    next(results).save_checkpoint(tmp_path / "ep0001")
    for training in (results, fit(tiny_recipe(), resume_from=tmp_path / "ep0001")):
        with pytest.raises(NonFiniteLoss) as caught:
            next(training)
        assert (caught.value.step, caught.value.last_finite_loss) == (3, seen[0])


def test_a_recipe_without_data_is_refused_with_what_to_add():
    with pytest.raises(ValueError, match=r"names no data; add data: \{digits: \{\}\} or"):
        next(fit(tiny_recipe(data=None)))


def test_a_decay_that_looks_decoupled_is_warned_about():
    card = {"sgd": {"learning_rate": 2.048, "momentum": 0.875, "weight_decay": 5e-4}}
    training = fit(tiny_recipe(optimizer=card, data=None))
    with (
        pytest.warns(UserWarning, match="write decoupled_sgdw"),
        pytest.raises(ValueError, match="no data"),
    ):
        next(training)


def test_a_usual_recipe_trains_without_warnings():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert next(fit(tiny_recipe(max_duration="1ba"))).finished


def test_the_shipped_digits_recipe_trains():
    file = Path(__file__).parents[2] / "configs" / "recipes" / "resnet18_digits.yaml"
    (result,) = fit(Recipe.from_yaml(file, ["max_duration=2ba"]))
    assert result.step == 2


def test_a_model_trains_in_a_loop_of_ones_own():
    torch.manual_seed(0)
    images, labels = torch.randn(8, 3, 8, 8), torch.arange(8) % 2
    model = create_resnet("resnet18", num_classes=2)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.01, momentum=0.9)
    losses = []
    for _ in range(5):
        loss = model.loss(model(images), labels)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    metrics = model.metrics()
    metrics.update(model(images), labels)
    assert losses[-1] < losses[0] / 2
    assert metrics.compute()["accuracy"] == 1


def test_cross_entropy_is_reported_beside_another_loss():
    model = {"name": "resnet18", "num_classes": 4, "loss_name": "binary_cross_entropy_with_logits"}
    (result,) = fit(plain_recipe(model=model))
    recipe = plain_recipe(model=model)
    assert recipe.data is not None
    validation = load_data(recipe.data, 4, torch.device("cpu")).validation
    assert isinstance(validation, Split)
    data = load_data(recipe.data, 4, torch.device("cpu"))
    images = normalise(validation.images, data.mean, data.std, channels_last=True)
    with torch.no_grad():
        logits = result.model.eval()(images)
    expected = F.cross_entropy(logits, validation.labels).item()
    assert result.val_cross_entropy == pytest.approx(expected, rel=1e-5)
    assert result.val_loss != result.val_cross_entropy


def test_workers_without_a_process_group_are_refused(monkeypatch):
    monkeypatch.setenv("WORLD_SIZE", "2")
    with pytest.raises(ValueError, match=r"call torch\.distributed\.init_process_group\(\) before"):
        next(fit(tiny_recipe()))


def test_two_trainings_in_two_threads_are_each_the_one_alone():
    recipes = [tiny_recipe(seed=seed, max_duration="1ep") for seed in (0, 1)]
    alone = [next(fit(recipe)).train_loss for recipe in recipes]
    with ThreadPoolExecutor(2) as threads:
        together = list(threads.map(lambda recipe: next(fit(recipe)).train_loss, recipes))
    assert together == alone


def test_one_image_where_batch_norm_needs_more_is_refused_with_the_way_out():
    with pytest.raises(ValueError, match=r"one image .*, or write model\.initial_stem: cifar"):
        next(fit(tiny_recipe(micro_batch_size=1)))
