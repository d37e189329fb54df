"""Any values that the chart should take, made by hypothesis."""

from typing import Any

from hypothesis import strategies as st

TSIG = {"secret_file": "/secrets/ddnsd-tsig/ddnsd.key"}
WORDS = st.sampled_from(["a", "on", "n", "true", "12", "1e3", "x-y", "x.y_z"])
LABELS = st.dictionaries(st.sampled_from(["team", "example.com/x", "y"]), WORDS, max_size=2)
PEERS = st.just([{"podSelector": {"matchLabels": {"a": "b"}}}])


def value_sets() -> st.SearchStrategy[dict[str, Any]]:
    """Return whole sets of values, of either mode."""
    return st.one_of(_values("embedded", _embedded()), _values("cluster", _cluster()))


def _some(**values: st.SearchStrategy[Any]) -> st.SearchStrategy[dict[str, Any]]:
    """Return groups in which any of the values may be left out."""
    return st.fixed_dictionaries({}, optional=values)


def _values(mode: str, own: st.SearchStrategy[dict[str, Any]]) -> st.SearchStrategy[dict[str, Any]]:
    return st.builds(lambda common, own: {"mode": mode, **common, **own}, _common(), own)


def _common() -> st.SearchStrategy[dict[str, Any]]:
    flag = st.booleans()
    service = _some(
        type=st.sampled_from(["ClusterIP", "NodePort", "LoadBalancer"]),
        port=st.integers(1, 65535),
        nodePort=st.sampled_from([0, 30080]),
        externalTrafficPolicy=st.sampled_from(["Local", "Cluster"]),
        loadBalancerClass=WORDS,
        loadBalancerSourceRanges=st.just(["192.0.2.0/24"]),
        annotations=LABELS,
    )
    return _some(
        service=service,
        dns=_some(service=service),
        commonLabels=st.just({"team": "dns"}),
        commonAnnotations=LABELS,
        namespaceOverride=st.just("elsewhere"),
        deploymentAnnotations=LABELS,
        dnsPolicy=st.sampled_from(["", "Default"]),
        hostAliases=st.just([{"ip": "192.0.2.1", "hostnames": ["a"]}]),
        podLabels=st.sampled_from([{"tier": "y"}, {"team": "on", "app.kubernetes.io/component": "other"}]),
        podAnnotations=LABELS,
        nodeSelector=LABELS,
        tolerations=st.just([{"operator": "Exists"}]),
        imagePullSecrets=st.just(["a", {"name": "b"}]),
        image=_some(tag=WORDS, digest=st.just(f"sha256:{'0' * 64}"), registry=st.just("r.example.com:5000")),
        networkPolicy=_some(**{"from": PEERS}, metricsFrom=PEERS, egress=st.just([{}])),
        serviceAccount=_some(create=flag, annotations=LABELS),
        controller=_some(
            enabled=flag,
            watchNamespaces=st.sampled_from([[], ["dns"], ["a", "on"]]),
            rbac=_some(create=flag, aggregate=flag),
            serviceAccount=_some(create=flag, name=st.sampled_from(["", "mine"])),
            podLabels=st.just({"tier": "n"}),
            tolerations=st.just([{"operator": "Exists"}]),
        ),
        crds=_some(enabled=flag, keep=flag, annotations=LABELS),
        metrics=_some(
            serviceMonitor=_some(enabled=flag, labels=LABELS),
            prometheusRule=_some(enabled=flag, disabled=st.just(["DdnsdDrift"])),
            dashboard=_some(enabled=flag, annotations=LABELS),
        ),
        ingress=st.just({"enabled": True, "hosts": ["ddns.example.com", "*.example.org"]}),
        httpRoute=st.just({"enabled": True, "parentRefs": [{"name": "public"}]}),
        nameOverride=st.sampled_from(["dyn", "x" * 63]),
        fullnameOverride=st.just("ddnsd"),
        priorityClassName=WORDS,
    ).map(lambda values: {**values, "fullnameOverride": "ddnsd"})


def _config(nameservers: st.SearchStrategy[Any]) -> st.SearchStrategy[dict[str, Any]]:
    return _some(
        trusted_proxies=st.sampled_from([[], ["10.0.0.0/8", "fd00::/8"]]),
        listen=_some(public=st.sampled_from([":9000", "0.0.0.0:80", "[::]:8080"]), health=st.just(":9100")),
        publish=_some(
            timeout=st.floats(0.5, 60), batch=st.integers(1, 1000), fence=st.sampled_from(["on", "_n"])
        ),
        drain=_some(timeout=st.one_of(st.integers(0, 600), st.floats(0, 600))),
        node=_some(region=WORDS),
        kube=_some(source=st.just("home"), watch_namespaces=st.sampled_from(["a", ["a", "b"]])),
        leader=_some(eligible=st.booleans(), priority=st.integers(-1000, 1000)),
        log=_some(format=st.sampled_from(["json", "console"])),
    ).flatmap(lambda config: nameservers.map(lambda some: {**config, **some}))


def _embedded() -> st.SearchStrategy[dict[str, Any]]:
    listen = st.sampled_from([":53", "0.0.0.0:5353", [":5300", "[::]:5301"]])
    inside = _some(listen=listen, server_name=st.just("ns1.example.com")).map(
        lambda x: {"kind": "embedded", **x}
    )
    outside = st.just({"kind": "rfc2136", "address": "192.0.2.53", "key": TSIG})
    nameservers = st.sampled_from(["default", "other"]).flatmap(
        lambda name: st.one_of(inside, outside).map(lambda each: {"nameservers": {name: each}})
    )
    return st.fixed_dictionaries(
        {"config": _config(st.one_of(st.just({}), nameservers)), "existingSecrets": st.just(["ddnsd-tsig"])},
        optional={
            "persistence": _some(
                enabled=st.booleans(), existingClaim=st.sampled_from(["", "mine"]), size=st.just("5Gi")
            ),
            "admin": st.just({"service": {"enabled": True}}),
        },
    )


def _cluster() -> st.SearchStrategy[dict[str, Any]]:
    nameservers = {"default": {"kind": "rfc2136", "address": "192.0.2.53", "key": TSIG}}
    external = {
        "endpoints": ["https://etcd1.example.com:2379"],
        "auth": {"user": "on", "existingSecret": "ddnsd-etcd"},
        "tls": {"existingSecret": "ddnsd-etcd", "certificate": "tls.crt", "key": "tls.key"},
    }
    own = {"enabled": True, "members": 1, "initialClusterState": "existing", "quota": 8 << 30}
    secret = {"etcd": {"enabled": True, "tls": {"existingSecret": "ddnsd-etcd"}}}
    stores = st.sampled_from([{"etcd": {"enabled": True}}, {"etcd": own}, secret, {"externalEtcd": external}])
    rest = st.fixed_dictionaries(
        {
            "config": _config(st.just({"nameservers": nameservers})),
            "existingSecrets": st.just(["ddnsd-tsig"]),
        },
        optional={
            "replicas": st.one_of(st.none(), st.integers(1, 50)),
            "autoscaling": st.just({"enabled": True}),
            "drain": st.fixed_dictionaries({"delay": st.integers(0, 300)}),
            "admin": st.just({"existingSecret": "ddnsd-admin", "service": {"enabled": True}}),
        },
    )
    return st.builds(lambda store, rest: {**store, **_named(rest)}, stores, rest)


def _named(values: dict[str, Any]) -> dict[str, Any]:
    """Return the values with a name for the cluster, as an etcd of one's own needs."""
    kube = {"source": "home", **values["config"].get("kube", {})}
    return {**values, "config": {**values["config"], "kube": kube}}
