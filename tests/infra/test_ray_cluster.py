import copy
import re
import shlex
from typing import Any

import jsonschema
import pytest
from ray.autoscaler._private.util import prepare_config, validate_config

from tests.infra.infra_files import IMAGE, INFRA, compose, read_yaml
from tests.infra.ray_start import options_of_ray_start

# Ray's command line imports all of Ray, and what that says of pydantic is not ours.
pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning")

FOLDER = INFRA / "ray-cluster"
CLOUDS = ("aws", "gcp")
each_cloud = pytest.mark.parametrize("cloud", CLOUDS)


def read(cloud: str) -> dict[str, Any]:
    return read_yaml(FOLDER / f"{cloud}.yaml")


@each_cloud
def test_ray_takes_the_file_by_its_own_schema(cloud):
    config = prepare_config(read(cloud))
    validate_config(config)
    # Ray's defaults would install a Ray of their own; nothing of them may be left.
    assert "pip install -U" not in str(config)


@each_cloud
def test_a_key_that_ray_does_not_know_would_be_noticed(cloud):
    config = read(cloud)
    config["available_node_types"]["gpu"]["min_worker"] = 1
    with pytest.raises(jsonschema.ValidationError, match="min_worker"):
        validate_config(prepare_config(config))


@each_cloud
def test_a_minimum_above_the_maximum_would_be_noticed(cloud):
    config = copy.deepcopy(read(cloud))
    config["available_node_types"]["gpu"]["min_workers"] = 9
    with pytest.raises(ValueError, match="max_workers"):
        validate_config(prepare_config(config))


@each_cloud
def test_workers_are_spot_machines_of_which_one_is_always_there(cloud):
    gpu = read(cloud)["available_node_types"]["gpu"]
    assert 1 <= gpu["min_workers"] < gpu["max_workers"]
    node = gpu["node_config"]
    market = {"aws": node.get("InstanceMarketOptions"), "gcp": node.get("scheduling")}[cloud]
    assert "spot" in str(market).lower()


@each_cloud
def test_the_head_is_no_spot_machine_and_trains_nothing(cloud):
    config = read(cloud)
    head = config["available_node_types"][config["head_node_type"]]
    assert "spot" not in str(head["node_config"]).lower()
    assert head["resources"] == {"CPU": 0, "GPU": 0}


@each_cloud
def test_it_is_the_image_of_this_folder(cloud):
    image = read(cloud)["docker"]["image"]
    assert IMAGE.fullmatch(image)
    assert image.split("/")[-1] == compose()["services"]["ray-head"]["image"]


@each_cloud
def test_every_node_gets_the_token(cloud):
    mounts = read(cloud)["file_mounts"]
    assert mounts == {"/home/ray/.ray/auth_token": "~/.ray/auth_token"}
    dockerfile = (INFRA / "docker" / "Dockerfile").read_text()
    assert "RAY_AUTH_MODE=token" in dockerfile
    assert "/home/ray/.ray" in dockerfile


@each_cloud
def test_ray_has_the_options_that_the_commands_name(cloud):
    config = read(cloud)
    head, worker = (
        options_of_ray_start(shlex.split(config[f"{kind}_start_ray_commands"][-1])[2:])
        for kind in ("head", "worker")
    )
    assert head["dashboard_host"] == "127.0.0.1"
    assert head["autoscaling_config"] == "~/ray_bootstrap_config.yaml"
    assert worker["address"] == "$RAY_HEAD_IP:6379"


@each_cloud
def test_the_head_installs_the_clouds_client_by_hashes_from_what_the_image_has(cloud):
    (command,) = read(cloud)["head_setup_commands"]
    assert command.endswith(f"--require-hashes -r /opt/resnet-sweeps/infra/{cloud}.lock")
    assert f"infra/ray-cluster/{cloud}.lock" in (INFRA / "docker" / "Dockerfile").read_text()


@each_cloud
def test_the_clouds_client_agrees_with_the_lock_on_what_both_have(cloud):
    pin = re.compile(r"^([a-z0-9-]+)==(\S+)", flags=re.MULTILINE)
    ours = pin.findall((INFRA.parent / "requirements.lock").read_text())
    theirs = pin.findall((FOLDER / f"{cloud}.lock").read_text())
    shared = {name for name, _ in ours} & {name for name, _ in theirs}
    assert shared
    assert {entry for entry in theirs if entry[0] in shared} <= set(ours)
