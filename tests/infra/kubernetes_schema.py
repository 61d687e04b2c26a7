"""The fields of Kubernetes' own objects that our manifests use, and no others.

Names and types are those of the Kubernetes API, version 1.37 (https://kubernetes.io/docs/reference/
kubernetes-api/). A field that is not here is refused, so a misspelt one cannot pass. The whole of
the official schema: `kubernetes-validate --strict FILE` (72 MB, therefore not a dependency), or
`kubectl apply --dry-run=server`.
"""

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator
from pydantic.alias_generators import to_camel

Quantity = Annotated[str, Field(pattern=r"^\d+(\.\d+)?(m|k|[MGTP]|[KMGTP]i)?$")] | int
Name = Annotated[str, Field(pattern=r"^[a-z0-9]([a-z0-9-]*[a-z0-9])?$", max_length=63)]
Port = Annotated[int, Field(ge=1, le=65535)]
Image = Annotated[str, Field(pattern=r"^[a-z0-9./-]+:v?\d[\w.-]*$")]
AccessMode = Literal["ReadWriteOnce", "ReadOnlyMany", "ReadWriteMany", "ReadWriteOncePod"]


class KubernetesModel(BaseModel):
    """Fields in camelCase; unknown ones are errors, and text is no number."""

    model_config = ConfigDict(
        extra="forbid", frozen=True, strict=True, alias_generator=to_camel, validate_by_name=False
    )


class ObjectMeta(KubernetesModel):
    name: Name
    namespace: Literal["sweeps"]


class TemplateMeta(KubernetesModel):
    name: Name | None = None
    labels: dict[str, str] = {}


class SecretKeySelector(KubernetesModel):
    name: Name
    key: str


class EnvVarSource(KubernetesModel):
    secret_key_ref: SecretKeySelector


class EnvVar(KubernetesModel):
    name: Annotated[str, Field(pattern=r"^[A-Z][A-Z0-9_]*$")]
    value: str | None = None
    value_from: EnvVarSource | None = None

    @model_validator(mode="after")
    def _check_one(self) -> "EnvVar":
        if (self.value is None) == (self.value_from is None):
            raise ValueError(f"{self.name} needs a value or a place to take it from")
        return self


class ContainerPort(KubernetesModel):
    name: Annotated[str, Field(max_length=15)]
    container_port: Port


class VolumeMount(KubernetesModel):
    name: Name
    mount_path: Annotated[str, Field(pattern=r"^/")]
    read_only: bool = False


class ResourceRequirements(KubernetesModel):
    requests: dict[str, Quantity] = {}
    limits: dict[str, Quantity] = {}


class ExecAction(KubernetesModel):
    command: list[str]


class HttpGetAction(KubernetesModel):
    path: str
    port: str | Port


class Probe(KubernetesModel):
    exec: ExecAction | None = None
    http_get: HttpGetAction | None = None
    initial_delay_seconds: int = 0
    period_seconds: Annotated[int, Field(ge=1)] = 10
    failure_threshold: Annotated[int, Field(ge=1)] = 3


class PreStop(KubernetesModel):
    exec: ExecAction


class Lifecycle(KubernetesModel):
    pre_stop: PreStop


class Container(KubernetesModel):
    name: Name
    image: Image
    command: list[str] = []
    ports: list[ContainerPort] = []
    env: list[EnvVar] = []
    resources: ResourceRequirements
    volume_mounts: list[VolumeMount] = []
    lifecycle: Lifecycle | None = None
    startup_probe: Probe | None = None
    readiness_probe: Probe | None = None
    liveness_probe: Probe | None = None


class PodSecurityContext(KubernetesModel):
    run_as_user: Annotated[int, Field(ge=1)]
    run_as_group: Annotated[int, Field(ge=1)]
    run_as_non_root: Literal[True]
    fs_group: int
    fs_group_change_policy: Literal["OnRootMismatch", "Always"] | None = None


class Toleration(KubernetesModel):
    key: str
    operator: Literal["Exists", "Equal"]
    value: str | None = None
    effect: Literal["NoSchedule", "PreferNoSchedule", "NoExecute"]


class EmptyDir(KubernetesModel):
    medium: Literal["", "Memory"] = ""
    size_limit: Quantity


class VolumeClaim(KubernetesModel):
    claim_name: Name
    read_only: bool = False


class Volume(KubernetesModel):
    name: Name
    persistent_volume_claim: VolumeClaim | None = None
    empty_dir: EmptyDir | None = None


class NodeSelectorRequirement(KubernetesModel):
    key: str
    operator: Literal["In", "NotIn", "Exists", "DoesNotExist"]
    values: list[str] = []


class NodeSelectorTerm(KubernetesModel):
    match_expressions: list[NodeSelectorRequirement]


class PreferredSchedulingTerm(KubernetesModel):
    weight: Annotated[int, Field(ge=1, le=100)]
    preference: NodeSelectorTerm


class NodeAffinity(KubernetesModel):
    preferred_during_scheduling_ignored_during_execution: list[PreferredSchedulingTerm]


class Affinity(KubernetesModel):
    node_affinity: NodeAffinity


class PodSpec(KubernetesModel):
    containers: Annotated[list[Container], Field(min_length=1)]
    volumes: list[Volume] = []
    restart_policy: Literal["Always", "OnFailure", "Never"] = "Always"
    security_context: PodSecurityContext
    tolerations: list[Toleration] = []
    affinity: Affinity | None = None
    termination_grace_period_seconds: int = 30
    enable_service_links: bool = True
    automount_service_account_token: bool = True


class PodTemplateSpec(KubernetesModel):
    metadata: TemplateMeta = TemplateMeta()
    spec: PodSpec


class LabelSelector(KubernetesModel):
    match_labels: dict[str, str] = {}


class ClaimSpec(KubernetesModel):
    access_modes: Annotated[list[AccessMode], Field(min_length=1)]
    resources: ResourceRequirements
    storage_class_name: str | None = None


class ClaimTemplate(KubernetesModel):
    metadata: TemplateMeta
    spec: ClaimSpec


class PersistentVolumeClaim(KubernetesModel):
    api_version: Literal["v1"]
    kind: Literal["PersistentVolumeClaim"]
    metadata: ObjectMeta
    spec: ClaimSpec


class ServicePort(KubernetesModel):
    name: Name
    port: Port
    target_port: Port


class ServiceSpec(KubernetesModel):
    selector: dict[str, str]
    ports: Annotated[list[ServicePort], Field(min_length=1)]
    type: Literal["ClusterIP"] = "ClusterIP"


class Service(KubernetesModel):
    api_version: Literal["v1"]
    kind: Literal["Service"]
    metadata: ObjectMeta
    spec: ServiceSpec


class DeploymentStrategy(KubernetesModel):
    type: Literal["Recreate", "RollingUpdate"]


class DeploymentSpec(KubernetesModel):
    replicas: Annotated[int, Field(ge=0)]
    strategy: DeploymentStrategy | None = None
    selector: LabelSelector
    template: PodTemplateSpec


class Deployment(KubernetesModel):
    api_version: Literal["apps/v1"]
    kind: Literal["Deployment"]
    metadata: ObjectMeta
    spec: DeploymentSpec


class StatefulSetSpec(KubernetesModel):
    service_name: Name
    replicas: Annotated[int, Field(ge=0)]
    selector: LabelSelector
    template: PodTemplateSpec
    volume_claim_templates: list[ClaimTemplate] = []


class StatefulSet(KubernetesModel):
    api_version: Literal["apps/v1"]
    kind: Literal["StatefulSet"]
    metadata: ObjectMeta
    spec: StatefulSetSpec


class NetworkPolicyPeer(KubernetesModel):
    pod_selector: LabelSelector | None = None
    namespace_selector: LabelSelector | None = None


class NetworkPolicyIngressRule(KubernetesModel):
    from_: list[NetworkPolicyPeer] = Field(alias="from")


class NetworkPolicySpec(KubernetesModel):
    pod_selector: LabelSelector
    policy_types: list[Literal["Ingress", "Egress"]]
    ingress: list[NetworkPolicyIngressRule]


class NetworkPolicy(KubernetesModel):
    api_version: Literal["networking.k8s.io/v1"]
    kind: Literal["NetworkPolicy"]
    metadata: ObjectMeta
    spec: NetworkPolicySpec


KINDS: dict[str, type[Any]] = {
    model.__name__: model
    for model in (PersistentVolumeClaim, Service, Deployment, StatefulSet, NetworkPolicy)
}
