{{/* What the schema cannot say, or cannot say the remedy of. */}}

{{/* `helm upgrade --reuse-values` takes the values of the release before, and what is new in this chart is missing. */}}
{{- define "ddnsd.checkValues" -}}
{{- if not (and (hasKey .Values.controller "secrets") (hasKey .Values.etcd "tls") (hasKey .Values "strategy")) -}}
{{- fail "these are the values of an older chart, without what this one has more: helm upgrade with --reset-then-reuse-values in place of --reuse-values" -}}
{{- end -}}
{{- end -}}

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
{{- if gt (int .Values.replicas) 1 -}}
{{- fail (printf "replicas is %v, but mode is embedded, which has one pod, as the state is on its volume: leave replicas out, or set mode: cluster" .Values.replicas) -}}
{{- end -}}
{{- if gt (int .Values.controller.replicas) 1 -}}
{{- fail (printf "controller.replicas is %v, but mode is embedded, where the controller runs in the one pod: leave it out, or set mode: cluster" .Values.controller.replicas) -}}
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

{{- define "ddnsd.checkGracePeriod" -}}
{{- $least := int (include "ddnsd.leastGracePeriod" .) -}}
{{- with .Values.terminationGracePeriodSeconds -}}
{{- if lt (int .) $least -}}
{{- fail (printf "terminationGracePeriodSeconds is %v: a pod needs %d to leave (drain.delay, config.publish.timeout, config.drain.timeout and 5): leave it out, or make it longer" . $least) -}}
{{- end -}}
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
{{- with lookup "apps/v1" (index $other 0) (include "ddnsd.namespace" .) $name -}}
{{- $this := ternary "statefulset" "deployment" (eq $.Values.mode "embedded") -}}
{{- $where := printf "-n %s" (include "ddnsd.namespace" $) -}}
{{- $steps := list
    (printf "this release runs in mode %s, and mode %s would start with nothing. State moves by export and import:" (index $other 1) $.Values.mode)
    (printf "  kubectl exec %s %s/%s -- ddnsd export >backup.yaml    # again, while it warns" $where (index $other 2) $name)
    (printf "  helm uninstall %s %s    # volumes and custom resources stay" $where $.Release.Name)
    (printf "  helm install %s %s … --set mode=%s --set controller.enabled=false" $where $.Release.Name $.Values.mode)
    (printf "  kubectl exec -i %s %s/%s -- ddnsd import - <backup.yaml" $where $this $name)
    (printf "  helm upgrade %s %s … --set mode=%s" $where $.Release.Name $.Values.mode)
    "config.kube.source stays what it was (kubernetes, where it was never set): under another name the hosts pass to other accounts, which withdraws all addresses"
    "docs/operations/moving.md has more: moving from one machine to a cluster, and back" -}}
{{- fail (join "\n" $steps) -}}
{{- end -}}
{{- include "ddnsd.checkNames" . -}}
{{- if eq .Values.mode "embedded" -}}
{{- with lookup "apps/v1" "StatefulSet" (include "ddnsd.namespace" .) $name -}}
{{- include "ddnsd.checkClaim" (list $ . "persistence" (include "ddnsd.stateClaim" $ | fromJson)) -}}
{{- end -}}
{{- else if .Values.etcd.enabled -}}
{{- with lookup "apps/v1" "StatefulSet" (include "ddnsd.namespace" .) (include "ddnsd.etcdName" .) -}}
{{- include "ddnsd.checkMembers" (list $ .) -}}
{{- include "ddnsd.checkClaim" (list $ . "etcd.persistence" (include "ddnsd.etcdClaim" $ | fromJson)) -}}
{{- end -}}
{{- end -}}
{{- end -}}

{{/* Takes a list of the root and etcd's StatefulSet as it is. */}}
{{- define "ddnsd.checkMembers" -}}
{{- $root := index . 0 -}}
{{- $spec := (index . 1).spec -}}
{{- $scheme := include "ddnsd.etcdScheme" $root -}}
{{- $there := ternary "https" "http" (contains "--listen-peer-urls=https://" (join " " (first $spec.template.spec.containers).args)) -}}
{{- if ne $scheme $there -}}
{{- fail (printf "etcd.tls.existingSecret would have the members of this release speak %s, and they know each other by %s: an upgrade cannot change it. Leave it as it was, or move: `ddnsd export`, a new release, `ddnsd import` (docs/operations/moving.md)" $scheme $there) -}}
{{- end -}}
{{- $members := int $root.Values.etcd.members -}}
{{- if ne (int $spec.replicas) $members -}}
{{- fail (printf "etcd.members is %v, and this release has %v: pods alone make no members, so an upgrade cannot change it. Set etcd.members: %v, or move: `ddnsd export`, a new release with %v members, `ddnsd import` (docs/operations/moving.md)" $members $spec.replicas $spec.replicas $members) -}}
{{- end -}}
{{- end -}}

{{/* Under another name the release's StatefulSets begin with empty volumes, and a selector cannot change at all. */}}
{{- define "ddnsd.checkNames" -}}
{{- $names := dict "node" (include "ddnsd.fullname" .) "etcd" (include "ddnsd.etcdName" .) -}}
{{- range $each := (lookup "apps/v1" "StatefulSet" (include "ddnsd.namespace" .) "").items -}}
{{- $labels := default dict $each.metadata.labels -}}
{{- $mine := and (eq (toString (get $labels "app.kubernetes.io/instance")) $.Release.Name) (eq (toString (get $labels "app.kubernetes.io/part-of")) "ddnsd") -}}
{{- $name := get $names (toString (get $labels "app.kubernetes.io/component")) -}}
{{- if and $mine $name (ne $name $each.metadata.name) -}}
{{- fail (printf "nameOverride, fullnameOverride: they would call this release's StatefulSet %s, and its state is on the volumes of %s: an upgrade would begin with empty ones. Leave them as they were (fullnameOverride: %s), or move: `ddnsd export`, a new release, `ddnsd import` (docs/operations/moving.md)" $name $each.metadata.name ($each.metadata.name | trimSuffix "-etcd")) -}}
{{- end -}}
{{- end -}}
{{- $kind := ternary "StatefulSet" "Deployment" (eq .Values.mode "embedded") -}}
{{- with lookup "apps/v1" $kind (include "ddnsd.namespace" .) $names.node -}}
{{- $selected := get .spec.selector.matchLabels "app.kubernetes.io/name" -}}
{{- if ne $selected (include "ddnsd.name" $) -}}
{{- fail (printf "nameOverride: the pods of this release have the label app.kubernetes.io/name: %s, which an upgrade cannot change: leave nameOverride as it was, or delete what selects by it first: kubectl delete -n %s %s/%s --cascade=orphan" $selected (include "ddnsd.namespace" $) (lower $kind) $names.node) -}}
{{- end -}}
{{- end -}}
{{- end -}}

{{/* A StatefulSet cannot change its claims. Takes a list of the root, the StatefulSet as it is, the values' name, and the
     claim as it shall be ({} for none). */}}
{{- define "ddnsd.checkClaim" -}}
{{- $root := index . 0 -}}
{{- $set := index . 1 -}}
{{- $values := index . 2 -}}
{{- $wanted := index . 3 -}}
{{- $where := printf "-n %s" (include "ddnsd.namespace" $root) -}}
{{- $claims := default list $set.spec.volumeClaimTemplates -}}
{{- if ne (len $claims) (ternary 0 1 (empty $wanted)) -}}
{{- fail (printf "%s.enabled, %s.existingClaim: an upgrade cannot change where the state is. Leave them as they were, or move: `ddnsd export`, helm uninstall, helm install with the new ones, `ddnsd import` (docs/operations/moving.md)" $values $values) -}}
{{- end -}}
{{- range $claim := $claims -}}
{{- $spec := $claim.spec -}}
{{- $size := $spec.resources.requests.storage -}}
{{- $recreate := printf "kubectl delete %s statefulset %s --cascade=orphan    # its pods go on\n  and then this upgrade again" $where $set.metadata.name -}}
{{- if ne (include "ddnsd.bytes" $size) (include "ddnsd.bytes" $wanted.size) -}}
{{- fail (printf "%s.size is %s, and this release has %s: an upgrade cannot change it. Where the storage class lets volumes grow (allowVolumeExpansion), for each of them:\n  kubectl patch %s persistentvolumeclaim state-%s-0 --patch '{\"spec\": {\"resources\": {\"requests\": {\"storage\": \"%s\"}}}}'\n  %s" $values $wanted.size $size $where $set.metadata.name $wanted.size $recreate) -}}
{{- end -}}
{{- if ne (toJson (default dict $claim.metadata.annotations)) (toJson (default dict $wanted.annotations)) -}}
{{- fail (printf "%s.annotations: an upgrade cannot change those of the claim. Annotate the claim itself (kubectl annotate %s persistentvolumeclaim state-%s-0 …), and:\n  %s" $values $where $set.metadata.name $recreate) -}}
{{- end -}}
{{- if or (ne (default "" $spec.storageClassName) $wanted.storageClass) (ne (toJson $spec.accessModes) (toJson $wanted.accessModes)) -}}
{{- fail (printf "%s: this release's volume has the storage class %q and the access modes %s, which an upgrade cannot change: leave %s.storageClass and accessModes as they were, or move: `ddnsd export`, helm uninstall, delete the claim, helm install with the new ones, `ddnsd import` (docs/operations/moving.md)" $values (default "" $spec.storageClassName) (join ", " $spec.accessModes) $values) -}}
{{- end -}}
{{- end -}}
{{- end -}}

{{/* A quantity as a number, so that 1Gi is what 1024Mi is. */}}
{{- define "ddnsd.bytes" -}}
{{- $units := dict "k" 1e3 "M" 1e6 "G" 1e9 "T" 1e12 "P" 1e15 "E" 1e18 "Ki" 1024 "Mi" 1048576 "Gi" 1073741824 "Ti" 1099511627776 "Pi" 1125899906842624 "Ei" 1152921504606846976 -}}
{{- mulf (float64 (regexFind "^[0-9.]+" .)) (float64 (get $units (regexFind "[A-Za-z]*$" .) | default 1)) -}}
{{- end -}}
