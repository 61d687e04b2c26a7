import hashlib
import warnings
from pathlib import Path
from urllib.error import URLError

import pytest
import torch
import torchvision
from torch import Tensor
from torchvision.models import ResNet18_Weights, get_model_weights

from resnet_core import create_resnet
from resnet_core.methods.section import MethodsConfig
from resnet_core.models.factory import build_model
from resnet_core.models.family import FAMILY, ModelConfig
from resnet_core.models.pretrained_names import WEIGHTS, architecture_of, variants_of

pytestmark = pytest.mark.usefixtures("one_thread")
State = dict[str, Tensor]
PUBLISHED = "resnet18-f37072fd.pth"


@pytest.fixture
def cache(tmp_path, monkeypatch) -> Path:
    """Where torch keeps what it downloads, empty; whoever goes to the network finds none."""

    def refuse(*_: object, **__: object) -> None:
        raise URLError("Network is unreachable")

    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    monkeypatch.setattr("torch.hub.urlopen", refuse)
    folder = tmp_path / "hub" / "checkpoints"
    folder.mkdir(parents=True)
    return folder


@pytest.fixture
def published(cache) -> State:
    """Weights under the name that torchvision downloads them to; torch checks no digest there."""
    state = torchvision.models.resnet18().state_dict()
    torch.save(state, cache / PUBLISHED)
    return state


@pytest.fixture
def own_file(tmp_path) -> Path:
    """Weights of a resnet_20 with 10 classes."""
    file = tmp_path / "own.pt"
    torch.save(create_resnet("resnet_20", 10).state_dict(), file)
    return file


def assert_holds(model: torch.nn.Module, expected: State) -> None:
    found = model.state_dict()
    assert [name for name in expected if not torch.equal(found[name], expected[name])] == []


@pytest.mark.parametrize("architecture", WEIGHTS)
def test_the_weights_and_their_accuracies_are_those_of_torchvision(architecture):
    published = get_model_weights(architecture)
    accuracies = {
        weights.name.lower(): weights.meta["_metrics"]["ImageNet-1K"]["acc@1"] / 100
        for weights in published
    }
    assert WEIGHTS[architecture] == pytest.approx(accuracies, abs=1e-9)
    assert list(WEIGHTS[architecture])[-1] == published["DEFAULT"].name.lower()  # pyright: ignore[reportIndexIssue]


@pytest.mark.parametrize("name", [name for name in FAMILY if name in WEIGHTS])
def test_every_variant_with_weights_has_the_parameters_of_its_architecture(name):
    for groups, width in variants_of(name):
        architecture = architecture_of(name, groups, width)
        assert architecture is not None
        with torch.device("meta"):
            model = create_resnet(name, groups=groups, width_per_group=width)
        published = get_model_weights(architecture)["DEFAULT"].meta["num_params"]  # pyright: ignore[reportIndexIssue]
        assert sum(p.numel() for p in model.parameters()) == published


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        ({"pretrained": True}, ("resnet50", "imagenet1k_v2")),
        ({"pretrained": "imagenet1k_v1"}, ("resnet50", "imagenet1k_v1")),
        (
            {"pretrained": True, "groups": 32, "width_per_group": 4},
            ("resnext50_32x4d", "imagenet1k_v2"),
        ),
        ({"pretrained": "imagenet1k_v1", "width_per_group": 128},
         ("wide_resnet50_2", "imagenet1k_v1")),
        ({"pretrained": False}, None),
        ({"pretrained": "own.pth"}, None),
    ],
    ids=str,
)  # fmt: skip
def test_a_config_names_the_published_weights(arguments, expected):
    assert ModelConfig(name="resnet50", **arguments).published_weights == expected


@pytest.mark.parametrize("pretrained", [True, "imagenet1k_v1"])
def test_published_weights_come_whole_for_a_thousand_classes(published, pretrained):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert_holds(create_resnet("resnet18", pretrained=pretrained), published)


def test_for_other_classes_the_trunk_is_loaded_the_head_is_new_and_it_says_so(published):
    torch.manual_seed(3)
    fresh = create_resnet("resnet18", num_classes=10)
    torch.manual_seed(3)
    with pytest.warns(UserWarning, match="has 1000 classes, the model 10: .* head .* is new"):
        model = create_resnet("resnet18", num_classes=10, pretrained=True)
    head = {"fc.weight": fresh.fc.weight, "fc.bias": fresh.fc.bias}
    assert_holds(model, {**published, **head})


def test_weights_from_before_batches_were_counted_load_with_a_count_of_zero(cache, published):
    old = {name: t for name, t in published.items() if not name.endswith("num_batches_tracked")}
    torch.save(old, cache / PUBLISHED)
    model = create_resnet("resnet18", pretrained=True)
    assert_holds(model, {**old, "bn1.num_batches_tracked": torch.tensor(0)})


@pytest.mark.parametrize("digest", ["right", "wrong"])
def test_a_download_is_checked_against_the_digest_in_its_name(cache, monkeypatch, tmp_path, digest):
    state = torchvision.models.resnet18().state_dict()
    torch.save(state, tmp_path / "saved.pth")
    content = (tmp_path / "saved.pth").read_bytes()
    prefix = hashlib.sha256(content).hexdigest()[:8] if digest == "right" else "00000000"
    served = tmp_path / f"resnet18-{prefix}.pth"
    served.write_bytes(content)
    monkeypatch.undo()  # the refusal to download
    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    monkeypatch.setattr(ResNet18_Weights.IMAGENET1K_V1.value, "url", served.as_uri())
    if digest == "right":
        assert_holds(create_resnet("resnet18", pretrained=True), state)
    else:
        with pytest.raises(OSError, match=r"no weights for resnet18 .*invalid hash value"):
            create_resnet("resnet18", pretrained=True)
        assert list(cache.iterdir()) == []


def test_without_a_network_the_file_to_bring_and_its_place_are_named(cache):
    with pytest.raises(OSError, match=r"no weights for resnet18 .*unreachable.*bring ") as caught:
        create_resnet("resnet18", pretrained=True)
    url = ResNet18_Weights.IMAGENET1K_V1.url
    assert str(caught.value).endswith(f"bring {PUBLISHED} from {url} to {cache}")


@pytest.mark.parametrize(
    "content", [b"", b"<html>", b"PK\x03\x04 cut off"], ids=["empty", "a page", "cut"]
)
@pytest.mark.parametrize("place", ["cached", "local"])
def test_a_damaged_file_is_an_oserror_that_names_it(cache, tmp_path, place, content):
    file = cache / PUBLISHED if place == "cached" else tmp_path / "own.pth"
    file.write_bytes(content)
    with pytest.raises(OSError, match=r"is damaged") as caught:
        create_resnet("resnet18", pretrained=True if place == "cached" else str(file))
    assert str(caught.value).startswith(str(file))


def test_a_truncated_file_of_weights_is_an_oserror_that_names_it(own_file):
    own_file.write_bytes(own_file.read_bytes()[:-1000])
    with pytest.raises(OSError, match=rf"{own_file} is damaged"):
        create_resnet("resnet_20", 10, pretrained=str(own_file))


class Touch:
    def __init__(self, file: Path) -> None:
        self.file = file

    def __reduce__(self) -> tuple[object, ...]:
        return Path.touch, (self.file,)


def test_a_file_that_would_run_code_is_refused_and_runs_none(tmp_path):
    torch.save({"fc.weight": Touch(tmp_path / "ran")}, tmp_path / "evil.pth")
    with pytest.raises(OSError, match=r"evil.pth is damaged, or holds more than tensors"):
        create_resnet("resnet_20", 10, pretrained=str(tmp_path / "evil.pth"))
    assert not (tmp_path / "ran").exists()


def test_a_local_file_loads_whatever_the_groups_the_width_and_the_stem(tmp_path):
    arguments = {"groups": 2, "width_per_group": 8, "initial_stem": "cifar", "num_classes": 3}
    saved = create_resnet("resnet50", **arguments).state_dict()
    torch.save(saved, tmp_path / "own.pth")
    model = create_resnet("resnet50", pretrained=str(tmp_path / "own.pth"), **arguments)
    assert_holds(model, saved)


def test_a_local_file_of_other_classes_brings_its_trunk(own_file):
    with pytest.warns(UserWarning, match=r"own.pt has 10 classes, the model 7"):
        model = create_resnet("resnet_20", 7, pretrained=str(own_file))
    saved = torch.load(own_file, weights_only=True)
    assert_holds(model, {name: t for name, t in saved.items() if not name.startswith("fc.")})


def test_a_local_file_that_is_not_there_is_named(tmp_path):
    with pytest.raises(FileNotFoundError, match=rf"there is no file {tmp_path}/away.pt"):
        create_resnet("resnet_20", pretrained=f"{tmp_path}/away.pt")


@pytest.mark.parametrize(
    ("name", "message"),
    [
        # Six blocks more, each of 2 convolutions and 2 norms of 4 tensors that must be there.
        ("resnet_32", r"60 missing \(layer1\.3\.bn1\.bias, .*, \.\.\.\); set name, groups"),
        (
            "resnet_9",
            r"of another shape \(bn1\.bias, bn1\.running_mean, bn1\.running_var, \.\.\.\)",
        ),
    ],
    ids=["deeper", "wider"],
)
def test_a_file_of_another_model_is_refused_with_some_of_what_does_not_match(
    own_file, name, message
):
    with pytest.raises(ValueError, match=rf"own\.pt is not of this {name}: .*{message}"):
        create_resnet(name, 10, pretrained=str(own_file))


def test_a_file_that_is_no_state_dict_is_refused_with_what_it_holds(tmp_path):
    torch.save({"epoch": 3, "model": {}}, tmp_path / "whole.pt")
    with pytest.raises(ValueError, match=r"must hold a state dict .* got epoch, model; save"):
        create_resnet("resnet_20", pretrained=str(tmp_path / "whole.pt"))


@pytest.mark.parametrize(
    ("name", "arguments", "message"),
    [
        ("resnet18", {"pretrained": "imagenet1k_v2"},
         "no weights imagenet1k_v2 for resnet18; published are: imagenet1k_v1"),
        ("resnet101", {"pretrained": "imagenet1k_v2", "groups": 64, "width_per_group": 4},
         "no weights imagenet1k_v2 for resnext101_64x4d; published are: imagenet1k_v1"),
        ("resnet50", {"pretrained": "imagenet_v1"},
         "unknown weights 'imagenet_v1'; allowed: true, false, imagenet1k_v1, imagenet1k_v2 or a "
         "file .* did you mean 'imagenet1k_v1'"),
        ("resnet50", {"pretrained": 1}, "must be true, false, a weights name or a file, got 1"),
        ("resnet50", {"pretrained": True, "groups": 2},
         "no published weights for resnet50 with groups 2 and width_per_group 64, "
         "but for 1 and 64 or 32 and 4 or 1 and 128"),
        ("resnet152", {"pretrained": True, "width_per_group": 128}, "but for 1 and 64; or bring"),
        ("resnet18", {"pretrained": True, "initial_stem": "cifar"},
         "published weights are those of the ImageNet stem, got initial_stem: cifar"),
        ("resnet_20", {"pretrained": True}, "no published weights for resnet_20; bring a local"),
        ("resnet50", {"pretrained": True, "initializers": ["bn_ones"]},
         "initializers would overwrite the pretrained weights"),
        ("resnet50", {"pretrained": "own.pt", "initializers": ["bn_ones"]},
         "initializers would overwrite the pretrained weights"),
    ],
    ids=str,
)  # fmt: skip
def test_what_no_published_weights_fit_is_refused_before_building(name, arguments, message):
    with pytest.raises(ValueError, match=message):
        ModelConfig.model_validate({"name": name, **arguments})


@pytest.mark.parametrize(
    ("methods", "message"),
    [
        ({"zero_init_residual": True}, "zero_init_residual would overwrite pretrained weights"),
        ({"squeeze_excite": {}}, "published weights have no squeeze-excite"),
    ],
    ids=str,
)
def test_methods_that_pretrained_weights_rule_out_are_refused(published, methods, message):
    config = ModelConfig(name="resnet18", pretrained=True)
    with pytest.raises(ValueError, match=message):
        build_model(config, MethodsConfig.model_validate(methods))


def test_blurpool_goes_with_published_weights(published):
    methods = MethodsConfig.model_validate({"blurpool": {}})
    config = ModelConfig(name="resnet18", pretrained=True)
    assert_holds(build_model(config, methods), published)
