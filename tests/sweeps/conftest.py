import pytest

from resnet_core.yaml_source import InvalidFile
from sweeps.loading import load_sweep
from tests.sweeps.simulation import RANDOM, quick_disk, write_sweep
from tests.sweeps.sweep_file import DESIGN, HEAD, RECIPE


@pytest.fixture
def load(tmp_path):
    def load(space=DESIGN, sets=(), *, head=HEAD, recipe=RECIPE):
        (tmp_path / "recipe.yaml").write_text(recipe)
        (tmp_path / "sweep.yaml").write_text(head + space)
        return load_sweep(tmp_path / "sweep.yaml", sets)

    return load


@pytest.fixture
def problems(load, tmp_path):
    """What `load` refuses, without the folder's name."""

    def problems(*args, **kwargs):
        with pytest.raises(InvalidFile) as caught:
            load(*args, **kwargs)
        return [str(one).replace(f"{tmp_path}/", "") for one in caught.value.problems]

    return problems


@pytest.fixture
def sweep(tmp_path, monkeypatch):
    """A sweep for `simulation.Driver`, from the text of a file without its recipe."""
    quick_disk(monkeypatch)

    def sweep(text=RANDOM, **options):
        return write_sweep(tmp_path, text, **options)

    return sweep


@pytest.fixture
def searching(tmp_path):
    """A sweep of 20 trials that an algorithm suggests."""

    def searching(algorithm="random", more="", **options):
        search = f"search: {{algorithm: {algorithm}, trials: 20, seed: 3}}\n"
        return write_sweep(tmp_path, search + more, **options)

    return searching
