"""The fields of KubeRay's RayCluster and RayJob that our manifests use, and no others.

Names, types and values are those of KubeRay's CRD API reference (in Ray's documentation, of 1.6.2
and 1.7.1), of ray-operator/apis/ray/v1/{raycluster,rayjob}_types.go and of samples in
ray-project/kuberay (autoscaler-v2, auth.secret-ref, deletion-rules). A field that is not here is
refused, so a misspelt one cannot pass. The operator's whole CRDs: `kubectl apply
--dry-run=server`, where it is installed.
"""

from typing import Annotated, Literal

from pydantic import Field, model_validator

from tests.infra.kubernetes_schema import (
    KubernetesModel,
    Name,
    ObjectMeta,
    PodTemplateSpec,
    ResourceRequirements,
)

Seconds = Annotated[int, Field(ge=0)]
Count = Annotated[int, Field(ge=0)]


class AuthOptions(KubernetesModel):
    mode: Literal["token", "disabled"]
    secret_name: Name


class AutoscalerOptions(KubernetesModel):
    version: Literal["v1", "v2"]
    upscaling_mode: Literal["Default", "Aggressive", "Conservative"]
    idle_timeout_seconds: Seconds
    resources: ResourceRequirements


class HeadGroupSpec(KubernetesModel):
    service_type: Literal["ClusterIP", "NodePort", "LoadBalancer"]
    ray_start_params: dict[str, str]
    template: PodTemplateSpec


class WorkerGroupSpec(KubernetesModel):
    group_name: Name
    replicas: Count
    min_replicas: Count
    max_replicas: Count
    ray_start_params: dict[str, str]
    template: PodTemplateSpec

    @model_validator(mode="after")
    def _check_order(self) -> "WorkerGroupSpec":
        if not self.min_replicas <= self.replicas <= self.max_replicas:
            raise ValueError("replicas lie between minReplicas and maxReplicas")
        return self


class RayClusterSpec(KubernetesModel):
    ray_version: str
    auth_options: AuthOptions
    enable_in_tree_autoscaling: bool
    autoscaler_options: AutoscalerOptions
    head_group_spec: HeadGroupSpec
    worker_group_specs: list[WorkerGroupSpec]


class RayCluster(KubernetesModel):
    api_version: Literal["ray.io/v1"]
    kind: Literal["RayCluster"]
    metadata: ObjectMeta
    spec: RayClusterSpec


class DeletionCondition(KubernetesModel):
    job_status: Literal["SUCCEEDED", "FAILED"] | None = None
    job_deployment_status: Literal["Failed"] | None = None
    ttl_seconds: Seconds = 0

    @model_validator(mode="after")
    def _check_one(self) -> "DeletionCondition":
        if (self.job_status is None) == (self.job_deployment_status is None):
            raise ValueError("a condition names jobStatus or jobDeploymentStatus, one of them")
        return self


class DeletionRule(KubernetesModel):
    policy: Literal["DeleteCluster", "DeleteWorkers", "DeleteSelf", "DeleteNone"]
    condition: DeletionCondition


class DeletionStrategy(KubernetesModel):
    deletion_rules: Annotated[list[DeletionRule], Field(min_length=1)]


class RayJobSpec(KubernetesModel):
    entrypoint: str
    submission_mode: Literal["K8sJobMode", "HTTPMode", "InteractiveMode", "SidecarMode"]
    backoff_limit: Count
    deletion_strategy: DeletionStrategy
    ray_cluster_spec: RayClusterSpec

    @model_validator(mode="after")
    def _check_sidecar(self) -> "RayJobSpec":
        head = self.ray_cluster_spec.head_group_spec.template.spec
        if self.submission_mode == "SidecarMode" and head.restart_policy != "Never":
            raise ValueError("SidecarMode needs the head's restartPolicy to be Never")
        return self


class RayJob(KubernetesModel):
    api_version: Literal["ray.io/v1"]
    kind: Literal["RayJob"]
    metadata: ObjectMeta
    spec: RayJobSpec


KINDS = {"RayCluster": RayCluster, "RayJob": RayJob}
