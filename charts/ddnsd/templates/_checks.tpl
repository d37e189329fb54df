{{/* What the schema cannot say, or cannot say the remedy of. */}}

{{- define "ddnsd.checkMode" -}}
{{- $config := include "ddnsd.config" . | fromJson -}}
{{- $kind := ternary "embedded" "etcd" (eq .Values.mode "embedded") -}}
{{- if ne $config.store.kind $kind -}}
{{- fail (printf "config.store.kind is %s, but mode is %s: leave config.store.kind out, or change mode" $config.store.kind .Values.mode) -}}
{{- end -}}
{{- if eq .Values.mode "embedded" -}}
{{- if or .Values.etcd.enabled .Values.externalEtcd.endpoints -}}
{{- fail "an etcd is named, but mode is embedded, which has no use for it: set mode: cluster, or remove etcd.enabled and externalEtcd.endpoints" -}}
{{- end -}}
{{- if .Values.autoscaling.enabled -}}
{{- fail "autoscaling.enabled is for mode: cluster: in embedded mode the state is on one pod's volume" -}}
{{- end -}}
{{- if gt (int $config.workers) 1 -}}
{{- fail "config.workers above 1 needs mode: cluster: the embedded store is for one process" -}}
{{- end -}}
{{- else if and .Values.etcd.enabled .Values.externalEtcd.endpoints -}}
{{- fail "etcd.enabled and externalEtcd.endpoints are both set: remove one of them" -}}
{{- end -}}
{{- $open := and .Values.etcd.enabled (not .Values.networkPolicy.enabled) (not .Values.etcd.tls.existingSecret) -}}
{{- if and (eq .Values.mode "cluster") $open -}}
{{- fail "etcd.enabled with networkPolicy.enabled: false lets every pod of this Kubernetes cluster read and change what is in etcd: set networkPolicy.enabled: true, or etcd.tls.existingSecret to a Secret with ca.crt, tls.crt and tls.key (its README says for which names), or name an etcd of yours in externalEtcd" -}}
{{- end -}}
{{- if gt (len (include "ddnsd.embeddedNameservers" . | fromJsonArray)) 1 -}}
{{- fail "config.nameservers has more than one of the kind embedded: a pod serves one, write rfc2136 for the others" -}}
{{- end -}}
{{- end -}}

{{- define "ddnsd.checkListeners" -}}
{{- $config := include "ddnsd.config" . | fromJson -}}
{{- range $name := list "public" "health" -}}
{{- $listen := index $config.listen $name -}}
{{- if include "ddnsd.isLoopback" $listen -}}
{{- fail (printf "config.listen.%s is %s, where nobody outside of the pod reaches it: write \":%s\"" $name $listen (include "ddnsd.port" $listen)) -}}
{{- end -}}
{{- end -}}
{{- with include "ddnsd.dnsListen" . -}}
{{- if include "ddnsd.isLoopback" . -}}
{{- fail (printf "the embedded nameserver listens on %s, where nobody outside of the pod reaches it: write listen: \":%s\" under config.nameservers" . (include "ddnsd.port" .)) -}}
{{- end -}}
{{- end -}}
{{- end -}}

{{- define "ddnsd.checkAdmin" -}}
{{- $listen := (include "ddnsd.config" . | fromJson).listen.admin -}}
{{- if .Values.admin.service.enabled -}}
{{- if not .Values.networkPolicy.enabled -}}
{{- fail "admin.service.enabled lets other pods reach the admin API, so it needs networkPolicy.enabled: true, which says which ones" -}}
{{- end -}}
{{- if and (eq .Values.mode "cluster") (not .Values.admin.existingSecret) -}}
{{- fail "admin.service.enabled in mode cluster needs admin.existingSecret: without it each pod has a token of its own. Make one: kubectl create secret generic ddnsd-admin --from-literal=token=\"$(openssl rand -hex 24)\"" -}}
{{- end -}}
{{- if include "ddnsd.isLoopback" $listen -}}
{{- fail (printf "admin.service.enabled, but config.listen.admin is %s, where no Service reaches it: leave config.listen.admin out" $listen) -}}
{{- end -}}
{{- else if not (include "ddnsd.isLoopback" $listen) -}}
{{- fail (printf "config.listen.admin is %s, open to other pods: leave it out, or set admin.service.enabled: true, which restricts who may" $listen) -}}
{{- end -}}
{{- end -}}

{{- define "ddnsd.checkSource" -}}
{{- if and .Values.controller.enabled .Values.externalEtcd.endpoints (not (dig "kube" "source" "" .Values.config)) -}}
{{- fail "config.kube.source is missing: other Kubernetes clusters may put custom resources into this etcd, so name this one, once for ever (letters, digits and hyphens); or set controller.enabled: false" -}}
{{- end -}}
{{- end -}}

{{- define "ddnsd.checkSecrets" -}}
{{- $mounted := include "ddnsd.secrets" . | fromJsonArray -}}
{{- range $path := regexFindAll "\"/secrets/[^\"]*" (include "ddnsd.config" .) -1 -}}
{{- $name := index (splitList "/" $path) 2 -}}
{{- if not (has $name $mounted) -}}
{{- fail (printf "config names the file %s, but no Secret %s is mounted: add it to existingSecrets" (trimPrefix "\"" $path) $name) -}}
{{- end -}}
{{- end -}}
{{- end -}}

{{/* What an upgrade cannot change. `lookup` finds nothing in `helm template`. */}}
{{- define "ddnsd.checkRelease" -}}
{{- $name := include "ddnsd.fullname" . -}}
{{- $other := ternary (list "Deployment" "cluster" "deployment") (list "StatefulSet" "embedded" "statefulset") (eq .Values.mode "embedded") -}}
{{- with lookup "apps/v1" (index $other 0) .Release.Namespace $name -}}
{{- $this := ternary "statefulset" "deployment" (eq $.Values.mode "embedded") -}}
{{- $where := printf "-n %s" $.Release.Namespace -}}
{{- $steps := list
    (printf "this release runs in mode %s, and mode %s would start with nothing. State moves by export and import:" (index $other 1) $.Values.mode)
    (printf "  kubectl exec %s %s/%s -- ddnsd export >backup.yaml    # again, while it warns" $where (index $other 2) $name)
    (printf "  helm uninstall %s %s    # volumes and custom resources stay" $where $.Release.Name)
    (printf "  helm install %s %s … --set mode=%s --set controller.enabled=false" $where $.Release.Name $.Values.mode)
    (printf "  kubectl exec -i %s %s/%s -- ddnsd import - <backup.yaml" $where $this $name)
    (printf "  helm upgrade %s %s … --set mode=%s" $where $.Release.Name $.Values.mode)
    "config.kube.source stays what it was (kubernetes, where it was never set): under another name the hosts pass to other accounts, which withdraws all addresses"
    "docs/operations.md has more: moving from one machine to a cluster, and back" -}}
{{- fail (join "\n" $steps) -}}
{{- end -}}
{{- if and (eq .Values.mode "cluster") .Values.etcd.enabled -}}
{{- with lookup "apps/v1" "StatefulSet" .Release.Namespace (include "ddnsd.etcdName" .) -}}
{{- $scheme := include "ddnsd.etcdScheme" $ -}}
{{- $there := ternary "https" "http" (contains "--listen-peer-urls=https://" (join " " (first .spec.template.spec.containers).args)) -}}
{{- if ne $scheme $there -}}
{{- fail (printf "etcd.tls.existingSecret would have the members of this release speak %s, and they know each other by %s: an upgrade cannot change it. Leave it as it was, or move: `ddnsd export`, a new release, `ddnsd import` (docs/operations.md)" $scheme $there) -}}
{{- end -}}
{{- if ne (int .spec.replicas) (int $.Values.etcd.members) -}}
{{- fail (printf "etcd.members is %v, and this release has %v: pods alone make no members, so an upgrade cannot change it. Set etcd.members: %v, or move: `ddnsd export`, a new release with %v members, `ddnsd import` (docs/operations.md)" $.Values.etcd.members .spec.replicas .spec.replicas $.Values.etcd.members) -}}
{{- end -}}
{{- end -}}
{{- end -}}
{{- end -}}
