from typing import Any

import pytest
import torch

from resnet_core import fit
from tests.core.tiny_recipe import tiny_recipe

pytestmark = pytest.mark.usefixtures("one_thread")


@pytest.fixture
def graphs(monkeypatch) -> list[torch.fx.GraphModule]:
    """Graphs as they are compiled; run as they are, since machines may lack a C++ compiler."""
    made: list[torch.fx.GraphModule] = []

    def backend(graph: torch.fx.GraphModule, _: list[torch.Tensor]) -> Any:
        made.append(graph)
        return graph.forward

    compile_ = torch.compile
    monkeypatch.setattr(
        torch, "compile", lambda network, **options: compile_(network, backend=backend, **options)
    )
    torch.compiler.reset()
    return made


def test_three_epochs_with_partial_batches_left_over_are_one_graph(graphs):
    results = list(fit(tiny_recipe(compile=True)))
    assert [result.step for result in results] == [3, 6, 9]
    assert len(graphs) == 1


def test_the_next_training_of_the_same_shapes_compiles_nothing(graphs):
    for rate in (0.1, 0.2, 0.3):
        rates = {"optimizer": {"sgd": {"learning_rate": rate, "weight_decay": rate / 100}}}
        list(fit(tiny_recipe(compile=True, **rates)))
    assert len(graphs) == 1


def test_images_that_grow_step_by_step_are_two_graphs(graphs):
    data = {"fake": {"num_train": 56, "num_evaluation": 25, "image_size_px": 32}}
    grow = {"initial_scale": 0.5, "delay_ratio": 0.2, "finetune_ratio": 0.2}
    growing = {"methods": {"progressive_resizing": grow}, "data": data}
    list(fit(tiny_recipe(compile=True, **growing)))
    # 16 px first, then one for whatever size comes: 20, 24, 28 and 32 px.
    assert len(graphs) == 2


def test_a_compiled_training_computes_what_an_eager_one_does(graphs):
    *_, compiled = fit(tiny_recipe(compile=True))
    *_, eager = fit(tiny_recipe())
    # The backend runs the captured operations themselves.
    for name, value in eager.model.state_dict().items():
        torch.testing.assert_close(compiled.model.state_dict()[name], value, rtol=1e-4, atol=1e-5)
    assert graphs
