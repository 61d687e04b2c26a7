import importlib.util
import json
import re
from pathlib import Path
from typing import Any

import click
import jsonschema
import pytest

from tests.infra.infra_files import (
    IMAGE,
    INFRA,
    PASSWORDS,
    MissingVariable,
    compose,
    interpolated,
    read_yaml,
)
from tests.infra.ray_start import options_of_ray_start

# Ray's command line imports all of Ray, and what that says of pydantic is not ours.
pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning")

SERVICES: dict[str, dict[str, Any]] = compose()["services"]
each_service = pytest.mark.parametrize("name", SERVICES)


@pytest.fixture(scope="module")
def schema() -> jsonschema.Draft202012Validator:
    """The Compose Specification's own schema, as the package check-jsonschema ships it."""
    found = importlib.util.find_spec("check_jsonschema")
    assert found is not None
    assert found.submodule_search_locations
    vendored = "builtin_schemas/vendor/compose-spec.json"
    text = Path(found.submodule_search_locations[0], vendored).read_text()
    return jsonschema.Draft202012Validator(json.loads(text))


@pytest.mark.parametrize("file", ["compose.yaml", "compose.gpu.yaml"])
def test_the_file_is_what_the_compose_specification_allows(schema, file):
    assert [error.message for error in schema.iter_errors(read_yaml(INFRA / file))] == []


def test_so_it_is_with_its_variables_filled_in(schema):
    assert [error.message for error in schema.iter_errors(compose())] == []


def test_a_key_that_the_specification_does_not_know_would_be_noticed(schema):
    wrong = compose()
    wrong["services"]["mlflow"]["helthcheck"] = {}
    assert any("helthcheck" in error.message for error in schema.iter_errors(wrong))


@pytest.mark.parametrize("missing", PASSWORDS)
def test_a_password_that_is_not_set_ends_compose_with_its_name(missing):
    others = {name: "x" for name in PASSWORDS if name != missing}
    with pytest.raises(MissingVariable, match=f"set {missing}"):
        compose(others)
    with pytest.raises(MissingVariable, match=f"set {missing}"):
        compose({**others, missing: ""})


def test_a_default_password_would_be_noticed():
    assert interpolated("${POSTGRES_PASSWORD:-mlflow}", {}) == "mlflow"
    assert default_passwords("POSTGRES_PASSWORD: ${POSTGRES_PASSWORD:-mlflow}")
    assert default_passwords("      GF_SECURITY_ADMIN_PASSWORD: admin")
    assert default_passwords("--backend-store-uri postgresql://mlflow:mlflow@postgres/mlflow")


def default_passwords(text: str) -> list[str]:
    """Lines with a value for something that is named like a secret, and addresses with one."""
    secret = r"^\s*\w*(?:PASSWORD|SECRET|TOKEN)\w*:\s*(?!\$\{\w+:\?set \w+\}\s*$)\S.*$"
    return re.findall(rf"{secret}|^.*://[^/\s@]+:[^/\s@]+@.*$", text, flags=re.MULTILINE)


def test_no_password_stands_in_the_files():
    for file in INFRA.rglob("*.y*ml"):
        assert default_passwords(file.read_text()) == [], file


@each_service
def test_ports_are_on_this_machine_only(name):
    for port in SERVICES[name].get("ports", []):
        assert re.fullmatch(r"127\.0\.0\.1:(\d+):\1", port)
    assert "network_mode" not in SERVICES[name]


@each_service
def test_the_image_is_named_with_its_version(name):
    assert IMAGE.fullmatch(SERVICES[name]["image"])


@pytest.mark.parametrize("image", ["postgres", "postgres:latest", "grafana/grafana:main"])
def test_an_image_without_a_version_would_be_noticed(image):
    assert not IMAGE.fullmatch(image)


@each_service
def test_its_health_is_checked(name):
    check = SERVICES[name]["healthcheck"]
    assert check["test"][0] == "CMD"
    assert check["retries"] >= 3


def test_who_waits_for_another_waits_until_that_one_is_healthy():
    for service in SERVICES.values():
        for other, how in service.get("depends_on", {}).items():
            assert how == {"condition": "service_healthy"}
            assert other in SERVICES


def test_what_is_to_be_kept_lies_on_named_volumes():
    named = set(compose()["volumes"])
    sources = {v.split(":")[0] for s in SERVICES.values() for v in s.get("volumes", [])}
    assert named <= sources
    for source in sources - named:
        assert (INFRA / source).exists(), source


def test_the_object_store_and_the_database_share_a_network_with_mlflow_alone():
    on_stores = {name for name, service in SERVICES.items() if "stores" in service["networks"]}
    assert on_stores == {"mlflow", "postgres", "object-store"}
    assert compose()["networks"]["stores"] == {"internal": True}


def test_ray_asks_for_the_token_on_every_node():
    for name in ("ray-head", "ray-worker"):
        environment = SERVICES[name]["environment"]
        assert environment["RAY_AUTH_MODE"] == "token"
        assert environment["RAY_AUTH_TOKEN"] == "RAY_AUTH_TOKEN"


def options_of(command: list[str] | str) -> tuple[str, list[str]]:
    words = command.split() if isinstance(command, str) else command
    return " ".join(words[:2]), words[2:]


def test_mlflow_has_the_options_that_its_command_names():
    from mlflow.cli import server

    program, words = options_of(SERVICES["mlflow"]["command"])
    assert program == "mlflow server"
    parsed = server.make_context("server", words).params
    assert parsed["allowed_hosts"] == "mlflow:5000,localhost:5000,127.0.0.1:5000"
    assert parsed["artifacts_destination"] == "s3://mlflow"
    assert parsed["serve_artifacts"]


@pytest.mark.parametrize("name", ["ray-head", "ray-worker"])
def test_ray_has_the_options_that_its_command_names(name):
    program, words = options_of(SERVICES[name]["command"])
    assert program == "ray start"
    parsed = options_of_ray_start(words)
    assert parsed["block"]
    assert parsed["metrics_export_port"] == 8080


def test_an_option_that_ray_does_not_have_would_be_noticed():
    with pytest.raises(click.NoSuchOption):
        options_of_ray_start(["--head", "--dashbord-host=0.0.0.0"])


def test_the_worker_of_the_gpu_file_is_one_of_compose_yaml():
    (name,) = read_yaml(INFRA / "compose.gpu.yaml")["services"]
    assert name in SERVICES
