"""The rules of a StormService for admission: its metadata, and how the pods of its roles are kept apart."""

from __future__ import annotations

from collections.abc import Iterator

from stormc.facts.keys import HUAWEI_PREFIX, Annotation, Env, Label
from stormc.facts.limits import CAPABILITIES
from stormc.facts.pods import GRACE_SECONDS, PROBES
from stormc.policy import isolation, placement, secrets
from stormc.policy.cel import Rule, containers, matching, maybe, pods, text, texts, whole
from stormc.policy.cel_objects import metadata_rules
from stormc.policy.cel_programs import program_rules
from stormc.policy.cel_volumes import volume_rules
from stormc.policy.objects import ACTING
from stormc.policy.pod_security import SELINUX_TYPES, SYSCTLS
from stormc.policy.policy import Policy

_QUEUE = Annotation.QUEUE_NAME
_OWN_KEYS = (_QUEUE, Label.MANAGED_BY, Label.PART_OF)


def pod_rules(policy: Policy) -> Iterator[Rule]:
    """The rules of a StormService."""
    for _, listed in policy.values("namespaces"):
        yield "E824", "the namespace is not one of the policy's", whole("request.namespace", listed)
    yield from metadata_rules()
    for part in (
        _security,
        _taken_back,
        _group_of_root,
        _access,
        _placement,
        _neighbours,
        _shares,
        _devices,
        _runtime,
        volume_rules,
        program_rules,
        _surroundings,
        _metadata,
        _selector,
    ):
        yield from part(policy)


def _context(of: str) -> str:
    """That a pod or a container has nothing in its security context by which it leaves its place."""
    base = f"{of}.?securityContext"
    types = texts(SELINUX_TYPES)
    return " && ".join([
        f'{base}.?seccompProfile.?type.orValue("") != "Unconfined"',
        f'{base}.?appArmorProfile.?type.orValue("") != "Unconfined"',
        f'{base}.?seLinuxOptions.?type.orValue("") in {types}',
        f'{base}.?seLinuxOptions.?user.orValue("") == "" && {base}.?seLinuxOptions.?role.orValue("") == ""',
        f"{base}.?windowsOptions.?hostProcess.orValue(false) == false",
        f"{base}.?runAsUser.orValue(1) != 0 && {base}.?runAsNonRoot.orValue(true)",
    ])  # fmt: skip


def _security(policy: Policy) -> Iterator[Rule]:
    if policy.level != "npu":
        nothing = pods("p.?volumes.orValue([]).all(v, !has(v.hostPath))")
        yield "E804", "pods of this level mount nothing of the node", nothing
    yield (
        "E804",
        "the pods share namespaces with the node",
        pods("!p.?hostNetwork.orValue(false) && !p.?hostPID.orValue(false) && !p.?hostIPC.orValue(false)"),
    )
    yield "E804", "a security context gives more than NPU services need", pods(_context("p"))
    yield "E804", "a security context gives more than NPU services need", containers(_context("c"))
    yield (
        "E804",
        "a sysctl changes the kernel beyond the pod",
        pods(f"p.?securityContext.?sysctls.orValue([]).all(s, s.name in {texts(SYSCTLS)})"),
    )
    yield (
        "E804",
        "a container is privileged, or has capabilities, /proc or ports of the node",
        containers(
            "!c.?securityContext.?privileged.orValue(false) && "
            f"c.?securityContext.?capabilities.?add.orValue([]).all(x, x in {texts(CAPABILITIES)}) && "
            'c.?securityContext.?procMount.orValue("Default") == "Default" && '
            "c.?ports.orValue([]).all(x, x.?hostPort.orValue(0) == 0)"
        ),
    )


def _taken_back(policy: Policy) -> Iterator[Rule]:
    if policy.covers("seccomp"):
        own, shared = (f'{of}.?securityContext.?seccompProfile.?type.orValue("")' for of in ("c", "p"))
        kinds = '["RuntimeDefault", "Localhost"]'
        filtered = f'{own} in {kinds} || ({own} == "" && {shared} in {kinds})'
        message = "a container has no seccompProfile RuntimeDefault"
        yield (
            "E804",
            message,
            pods(f"p.containers.all(c, {filtered}) && p.?initContainers.orValue([]).all(c, {filtered})"),
        )
    if policy.covers("dropAllCapabilities"):
        dropped = 'c.?securityContext.?capabilities.?drop.orValue([]).exists(x, x == "ALL")'
        yield "E804", "a container does not drop capability ALL", containers(dropped)
    yield (
        "E804",
        "a container may gain privileges or open raw sockets",
        containers(
            "c.?securityContext.?allowPrivilegeEscalation.orValue(true) == false && "
            'c.?securityContext.?capabilities.?drop.orValue([]).exists(x, x in ["ALL", "NET_RAW"])'
        ),
    )
    yield (
        "E804",
        "routing pods run as root, write their root file system or have no seccomp profile",
        (
            'variables.roles.all(r, r.name != "routing" || ('
            "r.template.spec.?securityContext.?runAsNonRoot.orValue(false) && "
            'r.template.spec.?securityContext.?seccompProfile.?type.orValue("") == "RuntimeDefault" && '
            "r.template.spec.containers.all(c, c.?securityContext.?readOnlyRootFilesystem.orValue(false))))"
        ),
    )


def _group_of_root(_: Policy) -> Iterator[Rule]:
    yield (
        "E804",
        "the pods are of the group of root",
        pods(
            "p.?securityContext.?runAsGroup.orValue(1) != 0 && p.?securityContext.?fsGroup.orValue(1) != 0 && "
            "!(0 in p.?securityContext.?supplementalGroups.orValue([]))"
        ),
    )
    yield "E804", "a container is of the group of root", containers("c.?securityContext.?runAsGroup.orValue(1) != 0")


def _access(policy: Policy) -> Iterator[Rule]:
    accounts = [listed for _, listed in policy.values("serviceAccounts")] or [[]]
    for listed in accounts:
        name = 'p.?serviceAccountName.orValue(p.?serviceAccount.orValue(""))'
        yield "E806", "the pods use a service account that the policy does not list", pods(whole(name, ["", *listed]))
    if not policy.covers("serviceAccounts"):
        yield "E806", "the pods have a token", pods("p.?automountServiceAccountToken.orValue(true) == false")
    for listed in [listed for _, listed in policy.values("secrets")] or [[]]:

        def ok(name: str, listed: list[str] = listed) -> str:
            return whole(name, ["", *listed])

        yield (
            "E809",
            "the pods read a Secret that the policy does not list",
            pods(
                f"p.?imagePullSecrets.orValue([]).all(s, {ok('s.name')}) && p.?volumes.orValue([]).all(v, "
                f"{ok(maybe('v.?secret.?secretName'))} && v.?projected.?sources.orValue([]).all(s, "
                f"{ok(maybe('s.?secret.?name'))} && !has(s.serviceAccountToken)))"
            ),
        )
        yield "E809", "a container reads a Secret that the policy does not list", containers(
            f"c.?env.orValue([]).all(e, {ok(maybe('e.?valueFrom.?secretKeyRef.?name'))}) && "
            f"c.?envFrom.orValue([]).all(e, {ok(maybe('e.?secretRef.?name'))})"
        )  # fmt: skip


def _placement(policy: Policy) -> Iterator[Rule]:
    control_plane = texts(placement.CONTROL_PLANE)
    one_node = texts((*placement.CONTROL_PLANE, *placement.ONE_NODE))
    preferred = "p.?affinity.?nodeAffinity.?preferredDuringSchedulingIgnoredDuringExecution.orValue([])"
    terms = "p.?affinity.?nodeAffinity.?requiredDuringSchedulingIgnoredDuringExecution.?nodeSelectorTerms.orValue([])"
    yield (
        "E807",
        "the pods ask for the control plane, or for one node",
        pods(
            f'p.?nodeName.orValue("") == "" && p.?nodeSelector.orValue({{}}).all(k, !(k in {one_node})) && '
            f"{terms}.all(t, (t.?matchExpressions.orValue([]) + t.?matchFields.orValue([])).all(x, "
            f"!(x.key in {one_node}))) && {preferred}.all(w, "
            f"w.?preference.?matchExpressions.orValue([]).all(x, !(x.key in {control_plane})))"
        ),
    )
    allowed = " && ".join(whole('t.?key.orValue("")', listed) for _, listed in policy.values("tolerations"))
    sick = " && ".join(
        f'(!t.key.startsWith("{each}") || t.?tolerationSeconds.orValue({placement.A_WHILE + 1}) <= {placement.A_WHILE})'
        for each in placement.SICK
    )
    own = f'(t.?key.orValue("") != "" && !(t.key in {control_plane}) && ({sick}))'
    yield (
        "E807",
        "the pods tolerate a taint that the policy does not list",
        pods(f"p.?tolerations.orValue([]).all(t, {allowed or own})"),
    )


def _neighbours(_: Policy) -> Iterator[Rule]:
    selector = "t.?labelSelector"
    others = (
        f"({selector}.?matchLabels.orValue({{}}).size() > 0 || {selector}.?matchExpressions.orValue([]).size() > 0)"
        " && !has(t.namespaceSelector) && t.?namespaces.orValue([]).size() == 0"
    )
    yield (
        "E807",
        "the pods choose nodes by the pods of others",
        pods(
            " && ".join(
                f"p.?affinity.?{kind}.?requiredDuringSchedulingIgnoredDuringExecution.orValue([]).all(t, {others})"
                for kind in ("podAffinity", "podAntiAffinity")
            )
        ),
    )


def _shares(policy: Policy) -> Iterator[Rule]:
    """Priority and queue, of which others have less then."""
    for _, listed in policy.values("priorityClasses"):
        yield (
            "E818",
            "the pods have a priority class that the policy does not list",
            pods(whole('p.?priorityClassName.orValue("")', ["", *listed])),
        )
    yield (
        "E818",
        "the pods have a priority of the system's",
        pods('!p.?priorityClassName.orValue("").startsWith("system-") && !has(p.priority)'),
    )
    for _, listed in policy.values("queues"):
        tables = [f"r.?template.?metadata.?{table}[?{text(_QUEUE)}].orValue('')" for table in ("labels", "annotations")]
        checks = " && ".join(whole(table, ["", *listed]) for table in tables)
        yield "E817", "the pods wait in a queue that the policy does not list", f"variables.roles.all(r, {checks})"


def _devices(_: Policy) -> Iterator[Rule]:
    resources = "(c.?resources.?limits.orValue({})).all(k, {0}) && (c.?resources.?requests.orValue({})).all(k, {0})"
    other = resources.replace("{0}", f"!k.contains('/') || (r.name != 'routing' && k.startsWith('{HUAWEI_PREFIX}'))")
    yield (
        "E819",
        "a container takes devices that nobody counts",
        (f"variables.roles.all(r, r.?template.?spec.?containers.orValue([]).all(c, {other}))"),
    )


def _runtime(_: Policy) -> Iterator[Rule]:
    none = 'e.?value.orValue("") in ["", "none", "void"] && !has(e.valueFrom)'
    own = f"e.name == '{Env.VISIBLE_DEVICES}' && has(e.valueFrom) && r.name != 'routing'"
    names = texts(placement.RUNTIME_VARIABLES)
    yield (
        "E819",
        "a variable asks the runtime for devices",
        (
            "variables.roles.all(r, r.?template.?spec.?containers.orValue([]).all(c, c.?env.orValue([]).all(e, "
            f"!(e.name in {names}) || ({none}) || ({own}))))"
        ),
    )


def _surroundings(_: Policy) -> Iterator[Rule]:
    hosts = " && ".join(
        f'c.?{probe}.?{kind}.?host.orValue("") == ""' for probe in PROBES for kind in ("httpGet", "tcpSocket")
    )
    yield "E825", "a probe lets the node ask another address", containers(hosts)
    yield (
        "E825",
        "the pods have other names, processes or runtimes than stormc gives them",
        pods(
            " && ".join(
                f"!has(p.{field})" for field in ("hostAliases", "dnsConfig", "runtimeClassName", "resourceClaims")
            )
            + " && !p.?shareProcessNamespace.orValue(false) && !p.?hostUsers.orValue(false)"
        ),
    )
    part = matching(maybe("m.?subPath"), r"(^|/)\.\.(/|$)")
    mount = f'm.?mountPropagation.orValue("None") == "None" && m.?subPathExpr.orValue("") == "" && !{part}'
    yield (
        "E825",
        "a container shares mounts with the node, or mounts what .. leads to",
        containers(f"c.?volumeMounts.orValue([]).all(m, {mount})"),
    )
    yield (
        "E825",
        "the pods take longer to end than an hour",
        pods(f"p.?terminationGracePeriodSeconds.orValue({GRACE_SECONDS}) <= {isolation.LONGEST_END}"),
    )
    yield "E825", "a container has block devices", containers("c.?volumeDevices.orValue([]).size() == 0")


def _metadata(_: Policy) -> Iterator[Rule]:
    keys = f"!{whole('k.lowerAscii()', ACTING)} || {whole('k', _OWN_KEYS)}"
    form = f"{secrets.VALUE}|{secrets.URL}"
    for table in ("labels", "annotations"):
        yield (
            "E814",
            f"the pods' {table} hold a key by which others act",
            (f"variables.roles.all(r, r.?template.?metadata.?{table}.orValue({{}}).all(k, {keys}))"),
        )
        values = f"!{matching('t[k]', form)}"
        inside = f"[r.?template.?metadata.?{table}.orValue({{}})].all(t, t.all(k, {values}))"
        yield "E815", f"the pods' {table} hold a secret in plain text", f"variables.roles.all(r, {inside})"
    yield (
        "E814",
        "the pods are said to be of another namespace or owner",
        (
            "variables.roles.all(r, !has(r.template.metadata) || (!has(r.template.metadata.namespace) && "
            "r.template.metadata.?finalizers.orValue([]).size() == 0))"
        ),
    )


def _selector(_: Policy) -> Iterator[Rule]:
    yield (
        "E054",
        "the selector is not the app's",
        (
            'object.spec.selector.?matchLabels[?"stormc.dev/app"].orValue("") == '
            'request.namespace + "." + object.metadata.name'
        ),
    )
