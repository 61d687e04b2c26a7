import copy
import re
from typing import Any

import pytest
import ray
from pydantic import ValidationError

from tests.infra import kuberay_schema, kubernetes_schema
from tests.infra.infra_files import INFRA, compose, read_documents, read_yaml
from tests.infra.ray_start import options_of_ray_start

# Ray's command line imports all of Ray, and what that says of pydantic is not ours.
pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning")

FOLDER = INFRA / "kuberay"
KINDS = kubernetes_schema.KINDS | kuberay_schema.KINDS
OBJECTS = [document for file in sorted(FOLDER.glob("*.yaml")) for document in read_documents(file)]
SERVED = [document for document in OBJECTS if document["kind"] in ("Deployment", "StatefulSet")]
CLUSTER = read_yaml(FOLDER / "raycluster.yaml")
JOB = read_yaml(FOLDER / "rayjob.yaml")
HEAD = CLUSTER["spec"]["headGroupSpec"]
(GPU,) = CLUSTER["spec"]["workerGroupSpecs"]


def title(document: dict[str, Any]) -> str:
    return f"{document['kind']} {document['metadata']['name']}"


def pods() -> list[dict[str, Any]]:
    return [group["template"]["spec"] for group in (HEAD, GPU, *(o["spec"] for o in SERVED))]


def container(group: dict[str, Any]) -> dict[str, Any]:
    (only,) = group["template"]["spec"]["containers"]
    return only


def served(name: str) -> dict[str, Any]:
    (found,) = [document["spec"] for document in SERVED if document["metadata"]["name"] == name]
    return container(found)


def gib(quantity: str) -> int:
    assert quantity.endswith("Gi")
    return int(quantity.removesuffix("Gi"))


@pytest.mark.parametrize("document", OBJECTS, ids=title)
def test_every_object_has_known_fields_of_the_right_types(document):
    KINDS[document["kind"]].model_validate(document)


def wrong_cluster(change: str) -> dict[str, Any]:
    cluster = copy.deepcopy(CLUSTER)
    spec = cluster["spec"]
    match change:
        case "authOption":
            spec["authOption"] = spec.pop("authOptions")
        case "mode":
            spec["authOptions"]["mode"] = "tokens"
        case "replicas":
            spec["workerGroupSpecs"][0]["minReplicas"] = 2
        case "sizeLimit":
            spec["headGroupSpec"]["template"]["spec"]["volumes"][2]["emptyDir"]["sizeLimit"] = (
                "2Gib"
            )
        case "latest":
            container(spec["headGroupSpec"])["image"] = "resnet-sweeps:latest"
        case "runAsUser":
            spec["headGroupSpec"]["template"]["spec"]["securityContext"]["runAsUser"] = 0
        case "rayStartParams":
            spec["headGroupSpec"]["rayStartParams"]["num-cpus"] = 0
    return cluster


@pytest.mark.parametrize(
    "change",
    ["authOption", "mode", "replicas", "sizeLimit", "latest", "runAsUser", "rayStartParams"],
)
def test_a_cluster_that_the_operator_would_refuse_or_nobody_should_run_is_noticed(change):
    with pytest.raises(ValidationError, match=change if change != "latest" else "image"):
        kuberay_schema.RayCluster.model_validate(wrong_cluster(change))


@pytest.mark.parametrize(
    ("key", "value", "said"),
    [
        ("submissionMode", "Sidecar", "submissionMode"),
        ("deletionStrategy", {"deletionRules": []}, "deletionRules"),
        (
            "deletionStrategy",
            {"deletionRules": [{"policy": "DeleteAll", "condition": {"jobStatus": "FAILED"}}]},
            "policy",
        ),
        (
            "deletionStrategy",
            {"deletionRules": [{"policy": "DeleteSelf", "condition": {"ttlSeconds": 5}}]},
            "one of them",
        ),
    ],
)
def test_a_job_that_the_operator_would_refuse_is_noticed(key, value, said):
    job = copy.deepcopy(JOB)
    job["spec"][key] = value
    with pytest.raises(ValidationError, match=said):
        kuberay_schema.RayJob.model_validate(job)


def test_a_head_that_restarts_cannot_hold_the_submitter():
    job = copy.deepcopy(JOB)
    job["spec"]["rayClusterSpec"]["headGroupSpec"]["template"]["spec"]["restartPolicy"] = "Always"
    with pytest.raises(ValidationError, match="SidecarMode"):
        kuberay_schema.RayJob.model_validate(job)


def test_the_cluster_of_a_job_is_the_cluster_that_stays():
    assert JOB["spec"]["rayClusterSpec"] == CLUSTER["spec"]


def test_ray_in_the_manifests_is_the_one_that_is_locked():
    assert CLUSTER["spec"]["rayVersion"] == ray.__version__


@pytest.mark.parametrize("group", [HEAD, GPU], ids=["head", "gpu"])
def test_ray_has_the_options_that_the_groups_give_it(group):
    words = [f"--{name}={value}" for name, value in group["rayStartParams"].items()]
    assert options_of_ray_start([*words, "--head"])


def test_a_gpu_node_is_there_before_a_sweep_starts():
    assert GPU["minReplicas"] >= 1
    assert GPU["maxReplicas"] > GPU["minReplicas"]


def test_workers_may_run_on_spot_nodes_and_the_head_may_not():
    tolerated = {toleration["key"] for toleration in GPU["template"]["spec"]["tolerations"]}
    assert {"nvidia.com/gpu", "cloud.google.com/gke-spot"} <= tolerated
    assert "tolerations" not in HEAD["template"]["spec"]


def test_a_worker_gets_as_much_as_it_asks_for_and_shared_memory_within_it():
    resources = container(GPU)["resources"]
    assert resources["requests"] == resources["limits"]
    *_, shared = GPU["template"]["spec"]["volumes"]
    assert gib(shared["emptyDir"]["sizeLimit"]) < gib(resources["limits"]["memory"]) / 2


def test_the_jobs_workers_fill_the_cores_of_a_node():
    limits = container(GPU)["resources"]["limits"]
    (per_worker,) = re.findall(r"cpus_per_worker=(\d+)", JOB["spec"]["entrypoint"])
    assert int(per_worker) * limits["nvidia.com/gpu"] == int(limits["cpu"])


def test_a_node_that_leaves_has_more_time_than_its_script_waits():
    script = container(GPU)["lifecycle"]["preStop"]["exec"]["command"][-1]
    assert script == "/opt/resnet-sweeps/infra/leave_node.py"
    text = (INFRA / "docker" / "leave_node.py").read_text()
    (seconds,) = re.findall(r"^_WAIT_SECONDS = ([\d.]+)", text, flags=re.MULTILINE)
    assert float(seconds) < GPU["template"]["spec"]["terminationGracePeriodSeconds"]


def test_ray_runs_in_the_image_of_this_folder():
    image = compose()["services"]["ray-head"]["image"]
    assert {container(HEAD)["image"], container(GPU)["image"]} == {image}


def test_mlflow_and_its_database_are_those_of_compose():
    services = compose()["services"]
    for name in ("mlflow", "postgres"):
        assert served(name)["image"] == services[name]["image"]


def test_every_volume_that_is_mounted_is_there():
    claims = {o["metadata"]["name"] for o in OBJECTS if o["kind"] == "PersistentVolumeClaim"}
    for pod in pods():
        volumes = {volume["name"] for volume in pod.get("volumes", [])}
        mounted = {m["name"] for c in pod["containers"] for m in c["volumeMounts"]}
        assert mounted == volumes or mounted == {"postgres"}
        for volume in pod.get("volumes", []):
            if claim := volume.get("persistentVolumeClaim"):
                assert claim["claimName"] in claims


def test_what_every_node_shares_can_be_mounted_by_many():
    for claim in read_documents(FOLDER / "storage.yaml"):
        assert claim["spec"]["accessModes"] == ["ReadWriteMany"]


def test_mlflow_answers_to_the_name_that_ray_calls_it_by():
    mlflow = served("mlflow")
    (allowed,) = [w for w in mlflow["command"] if w.startswith("--allowed-hosts=")]
    hosts = allowed.removeprefix("--allowed-hosts=").split(",")
    assert "*" not in allowed
    for group in (HEAD, GPU):
        (uri,) = [e["value"] for e in container(group)["env"] if e["name"] == "MLFLOW_TRACKING_URI"]
        assert uri.removeprefix("http://") in hosts


def test_mlflow_has_the_options_that_its_command_names():
    from mlflow.cli import server

    mlflow = served("mlflow")
    assert mlflow["command"][:2] == ["mlflow", "server"]
    assert server.make_context("server", mlflow["command"][2:]).params["serve_artifacts"]


def test_services_lead_to_pods():
    labels = [document["spec"]["template"]["metadata"]["labels"] for document in SERVED]
    for service in (o for o in OBJECTS if o["kind"] == "Service"):
        assert service["spec"]["selector"] in labels
