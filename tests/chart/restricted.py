"""Pod Security "restricted", with "baseline" that it includes, and what this project adds to it.

https://kubernetes.io/docs/concepts/security/pod-security-standards/, in its order; without Windows.
"""

from collections.abc import Iterator
from typing import Any

from tests.chart.helm import Document

_CONTEXT = "securityContext"
_VOLUMES = {
    *("configMap", "csi", "downwardAPI", "emptyDir", "ephemeral", "persistentVolumeClaim"),
    *("projected", "secret"),
}
_SYSCTLS = {
    *("kernel.shm_rmid_forced", "net.ipv4.ip_local_port_range", "net.ipv4.ip_unprivileged_port_start"),
    *("net.ipv4.tcp_syncookies", "net.ipv4.ping_group_range", "net.ipv4.ip_local_reserved_ports"),
    *("net.ipv4.tcp_keepalive_time", "net.ipv4.tcp_fin_timeout", "net.ipv4.tcp_keepalive_intvl"),
    "net.ipv4.tcp_keepalive_probes",
}
_SECCOMP = ("RuntimeDefault", "Localhost")
_SELINUX = ("", "container_t", "container_init_t", "container_kvm_t", "container_engine_t")


def unrestricted(pod: Document) -> Iterator[str]:
    """Yield what is not as restricted as it has to be, in a pod or a pod's template."""
    spec = pod["spec"]
    context = spec.get(_CONTEXT, {})
    yield from (f"{key} is set" for key in ("hostNetwork", "hostPID", "hostIPC") if spec.get(key))
    yield from _of_both(context)
    yield from (
        f"sysctl {each['name']}" for each in context.get("sysctls", ()) if each["name"] not in _SYSCTLS
    )
    annotations = pod["metadata"].get("annotations", {})
    yield from (f"{key} is set" for key in annotations if key.startswith("container.apparmor.security."))
    for volume in spec.get("volumes", ()):
        yield from (f"a volume of the kind {kind}" for kind in volume.keys() - {"name"} - _VOLUMES)
    for container in containers(pod):
        yield from (f"{container['name']}: {what}" for what in _too_free(container, context))


def containers(pod: Document) -> list[Document]:
    """Return a pod's containers, those that run before the others too."""
    spec = pod["spec"]
    return [*spec.get("initContainers", ()), *spec.get("ephemeralContainers", ()), *spec["containers"]]


def _too_free(container: Document, pod: Document) -> Iterator[str]:
    own = container.get(_CONTEXT, {})
    both: dict[str, Any] = {**pod, **own}
    capabilities = own.get("capabilities", {})
    yield from _of_both(own)
    if own.get("privileged"):
        yield "privileged"
    if set(capabilities.get("add", ())) - {"NET_BIND_SERVICE"} or "ALL" not in capabilities.get("drop", ()):
        yield "keeps capabilities"
    yield from (f"port {port} of the host" for port in container.get("ports", ()) if port.get("hostPort"))
    if own.get("procMount", "Default") != "Default":
        yield "sees all of /proc"
    if own.get("allowPrivilegeEscalation") is not False:
        yield "may escalate its privileges"
    if both.get("runAsNonRoot") is not True:
        yield "may run as root"
    if both.get("seccompProfile", {}).get("type") not in _SECCOMP:
        yield "has no seccomp profile"
    if own.get("readOnlyRootFilesystem") is not True:  # from here on ours
        yield "may write into its root"
    if not both.get("runAsUser"):
        yield "names no user: etcd's image has none"


def _of_both(context: Document) -> Iterator[str]:
    """Yield what neither a pod nor a container may say."""
    selinux = context.get("seLinuxOptions", {})
    if selinux.get("type", "") not in _SELINUX or selinux.get("user") or selinux.get("role"):
        yield "an SELinux type of its own"
    if context.get("appArmorProfile", {}).get("type", "RuntimeDefault") == "Unconfined":
        yield "AppArmor is off"
    if context.get("runAsUser") == 0:
        yield "runs as root"
    if context.get("runAsNonRoot") is False:
        yield "may run as root"
    if context.get("seccompProfile", {}).get("type", "RuntimeDefault") not in _SECCOMP:
        yield "seccomp is off"
    if context.get("windowsOptions", {}).get("hostProcess"):
        yield "a host process"
