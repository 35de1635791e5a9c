"""What a policy can be about. A concern is an error where a policy covers it, and a warning where none does."""

from __future__ import annotations

from stormc.finding import Check
from stormc.record import NamedTuple

_WITHOUT = (
    "No policy covers it, so a reviewer has to decide; a `policy` in a platform file makes it an error or allows it."
)


class Concern(NamedTuple):
    """The two ids of a concern; `warned` is None where there is nothing to say without a policy.

    `key` is the field of a policy that covers it. Without a key every policy covers it.
    """

    forbidden: Check
    warned: Check | None = None
    key: str = ""

    def warns_as(self, rule: str) -> bool:
        """Whether an id is that of the concern's warning."""
        return self.warned is not None and self.warned.id == rule


NAMESPACE = Concern(
    Check(
        "E824", "An app is in a namespace that its policy allows.",
        "Whoever may deploy into kube-system or another team's namespace can read its Secrets through pods.",
    ),
    Check("W824", "An app is in no namespace of the cluster's own services.", _WITHOUT), "namespaces",
)  # fmt: skip
REGISTRY = Concern(
    Check(
        "E802", "Every image comes from a registry that the policy allows.",
        "An image is a program with the NPUs, the weights and the network of the pod; overrides count too.",
    ),
    key="registries",
)  # fmt: skip
PINNED = Concern(
    Check(
        "E803", "Every image is pinned as the policy demands.",
        "A tag can be moved to another image after the review, a digest cannot.",
    ),
    key="images",
)  # fmt: skip
POD_SECURITY = Concern(
    Check(
        "E804", "Pods stay within the policy's level of pod security.",
        "Privileged containers, namespaces of the host and added capabilities give the node to the app "
        "(Kubernetes, Pod Security Standards). The level npu is baseline with two host paths that are only read: "
        "the model's and /etc/hccn.conf.",
    ),
    Check("W804", "Pods stay within the level of pod security that NPU services need.", _WITHOUT),
)  # fmt: skip
HOST_PATH = Concern(
    Check(
        "E805", "Pods mount only host paths that the policy allows.",
        "A directory of the node holds the credentials of the kubelet, the sockets of the container runtime, and the "
        "files of other tenants.",
    ),
    Check("W805", "Pods mount only the model and the network's configuration from the node, and only read.", _WITHOUT),
)  # fmt: skip
SERVICE_ACCOUNT = Concern(
    Check(
        "E806", "Pods use no service account and no token that the policy does not allow.",
        "The token of a service account is what the API server takes for the permissions of the pod.",
    ),
    Check("W806", "Pods use the namespace's default service account, without a token.", _WITHOUT),
)  # fmt: skip
NODE = Concern(
    Check(
        "E807", "Pods run only on nodes that the policy allows.",
        "A toleration of every taint, a node's name or the control plane's label puts a pod where the cluster itself "
        "runs. A required affinity to the pods of others binds those pods, too.",
    ),
    Check(
        "W807", "Pods do not ask for nodes of the control plane, for sick nodes, or for one node by its name.", _WITHOUT
    ),
)  # fmt: skip
CONTAINER = Concern(
    Check(
        "E808", "Pods have only the containers that stormc renders.",
        "A further container runs any program beside the engine, with the pod's network and volumes.",
    ),
    Check("W808", "Pods have only the containers that stormc renders.", _WITHOUT),
)  # fmt: skip
SECRET = Concern(
    Check(
        "E809", "Pods read only Secrets that the policy allows.",
        "Whoever writes a pod can read every Secret of its namespace, those of other teams included.",
    ),
    Check(
        "W809", "Pods read only Secrets whose names say that they are theirs, a registry's or a hub's.", _WITHOUT
    ),
)  # fmt: skip
EXPOSURE = Concern(
    Check(
        "E810", "Services are of a type that the policy allows.",
        "externalIPs take over traffic to any address (CVE-2020-8554), an external name leads clients elsewhere, and a "
        "load balancer opens an API without authentication to the world.",
    ),
    Check("W810", "Services are reached from inside of the cluster only.", _WITHOUT),
)  # fmt: skip
NETWORK = Concern(
    Check(
        "E811", "Network policies are there where the policy demands them, and are not opened.",
        "Engines have no authentication and open KV ports; without a NetworkPolicy every pod reaches them.",
    ),
    Check("W811", "No override opens a NetworkPolicy.", _WITHOUT),
)  # fmt: skip
REMOTE_CODE = Concern(
    Check(
        "E812", "Engines run no code from the model's directory where the policy denies it.",
        "--trust-remote-code executes the Python files beside the weights, with everything that the pod may do.",
    ),
    key="trustRemoteCode",
)  # fmt: skip
COMMAND = Concern(
    Check(
        "E813", "Containers run only stormc's programs and the engine, unless the policy allows more.",
        "A command, a script, a hook or LD_PRELOAD is a program that nobody reviewed; a patched ConfigMap, or a volume "
        "over a directory of programs, replaces the launcher, the proxy or the engine.",
    ),
    Check("W813", "Containers run only stormc's programs and the engine.", _WITHOUT),
)  # fmt: skip
METADATA = Concern(
    Check(
        "E814", "An app writes no labels, annotations or finalizers by which others act.",
        "Labels such as `app` let the Services of others select these pods; annotations turn off a mesh, add networks, "
        "or tell Argo CD to replace objects by force; a finalizer keeps an object for ever.",
    ),
    Check("W814", "An app writes no labels, annotations or finalizers by which others act.", _WITHOUT),
)  # fmt: skip
PLAIN_SECRET = Concern(
    Check(
        "E815", "No password, key or token stands in a file.",
        "It is in Git for ever, in every clone, in the rendered manifests and in the process list of the node.",
    ),
    Check(
        "W815", "No variable or flag that holds a secret has its value in a spec.",
        "It is in Git for ever, in every clone, in the rendered manifests and in the process list of the node.",
    ),
)  # fmt: skip
SUBSTITUTION = Concern(
    Check(
        "E816", "No variable is written `${NAME}`.",
        "Flux's post-build substitution puts the values of Secrets and ConfigMaps of its own namespace there.",
    ),
)  # fmt: skip
QUEUE = Concern(
    Check(
        "E817", "Pods wait in a queue that the policy allows.",
        "The queue decides whose quota of NPUs the pods take.",
    ),
    Check("W817", "Pods wait in the default queue, or in one named as their namespace or app.", _WITHOUT), "queues",
)  # fmt: skip
PRIORITY = Concern(
    Check(
        "E818", "Pods have a priority class that the policy allows.",
        "A high priority evicts the pods of others.",
    ),
    Check("W818", "Pods have no priority class of the system's.", _WITHOUT), "priorityClasses",
)  # fmt: skip
NPUS = Concern(
    Check(
        "E819", "The apps below a policy take no more NPUs than it allows.",
        "The sum over all apps below the directory of the policy counts, whatever an inventory below says; devices "
        "that an override gives to another container are in no sum.",
    ),
    Check("W819", "Only engine containers take devices, and those that the profile names.", _WITHOUT), "maxNpus",
)  # fmt: skip
OVERRIDE = Concern(
    Check(
        "E820", "Overrides change only what the policy allows, with an approver and an end.",
        "An override bypasses the fields of the spec; owner and reason are what its author writes.",
    ),
    key="overrides",
)  # fmt: skip
DELEGATED = Concern(
    Check(
        "E821", "A platform file below a policy sets only what the policy delegates.",
        "The nearest platform file wins: one in a team's directory could raise its own inventory or wire another "
        "cluster.",
    ),
)  # fmt: skip
DESTINATION = Concern(
    Check(
        "E822", "GitOps wiring stays within its destinations, service account and project.",
        "If AppProject and service account follow from the specs, the fence is drawn by those whom it is to keep in.",
    ),
    Check("W822", "GitOps wiring says where it may deploy.",
          "Without `destinations` the AppProject allows whatever namespaces the specs name."),
)  # fmt: skip
EXCEPTION = Concern(
    Check(
        "E823", "An exception of a policy is not older than its last day.",
        "An exception that nobody renews ends, and the finding that it allowed comes back.",
    ),
)  # fmt: skip

ISOLATION = Concern(
    Check(
        "E825", "Pods keep the names, processes, runtime and devices that stormc gives them.",
        "Other host names and name servers lead the engine elsewhere, another runtime class leaves the cluster's "
        "sandbox, and a probe with a host lets the kubelet of the node send requests anywhere.",
    ),
    Check("W825", "Pods keep the names, processes, runtime and devices that stormc gives them.", _WITHOUT),
)  # fmt: skip
VOLUME = Concern(
    Check(
        "E826", "Pods mount only volumes of kinds that the policy allows, and their own ConfigMaps.",
        "A claim, a ConfigMap or a driver of others shows their data, and a network volume any server's.",
    ),
    Check("W826", "Pods mount no volume that reaches what others hold.", _WITHOUT),
)  # fmt: skip

CONCERNS = (
    NAMESPACE, REGISTRY, PINNED, POD_SECURITY, HOST_PATH, SERVICE_ACCOUNT, NODE, CONTAINER, SECRET, EXPOSURE, NETWORK,
    REMOTE_CODE, COMMAND, METADATA, PLAIN_SECRET, SUBSTITUTION, QUEUE, PRIORITY, NPUS, OVERRIDE, DELEGATED,
    DESTINATION, EXCEPTION, ISOLATION, VOLUME,
)  # fmt: skip
CHECKS = tuple(check for concern in CONCERNS for check in (concern.forbidden, concern.warned) if check is not None)
