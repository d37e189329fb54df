{{/* config.yaml: what the chart fills in, and over it what the values' `config` says. */}}

{{/* The whole of it, as JSON for fromJson. */}}
{{- define "ddnsd.config" -}}
{{- $filled := dict
    "listen" (dict "admin" (ternary ":8081" "127.0.0.1:8081" .Values.admin.service.enabled))
    "store" (include "ddnsd.store" . | fromJson)
    "nameservers" (include "ddnsd.nameservers" . | fromJson) -}}
{{- with .Values.admin.existingSecret -}}
{{- $_ := set $filled "admin" (dict "token_file" (printf "/secrets/%s/%s" . $.Values.admin.key)) -}}
{{- end -}}
{{- if and .Values.controller.enabled .Values.controller.watchNamespaces -}}
{{- $_ := set $filled "kube" (dict "watch_namespaces" .Values.controller.watchNamespaces) -}}
{{- end -}}
{{- with include "ddnsd.secretsRole" . -}}
{{- $_ := set $filled "kube" (dict "secrets_role" .) -}}
{{- end -}}
{{- mergeOverwrite $filled (deepCopy .Values.config) | toJson -}}
{{- end -}}

{{- define "ddnsd.store" -}}
{{- if eq .Values.mode "embedded" -}}
{{- dict "kind" "embedded" | toJson -}}
{{- else if .Values.etcd.enabled -}}
{{- $etcd := dict "endpoints" (include "ddnsd.etcdEndpoints" . | fromJsonArray) "quota" (int64 .Values.etcd.quota) -}}
{{- with .Values.etcd.tls.existingSecret -}}
{{- $_ := set $etcd "tls" (include "ddnsd.tlsFiles" (list $.Values.etcd.tls (printf "/secrets/%s" .)) | fromJson) -}}
{{- end -}}
{{- dict "kind" "etcd" "compact_after" 0 "etcd" $etcd | toJson -}}
{{- else -}}
{{- dict "kind" "etcd" "etcd" (include "ddnsd.externalEtcd" . | fromJson) | toJson -}}
{{- end -}}
{{- end -}}

{{- define "ddnsd.externalEtcd" -}}
{{- $external := .Values.externalEtcd -}}
{{- $etcd := dict "endpoints" $external.endpoints -}}
{{- with $external.auth.user -}}
{{- $file := printf "/secrets/%s/%s" $external.auth.existingSecret $external.auth.key -}}
{{- $_ := merge $etcd (dict "user" . "password_file" $file) -}}
{{- end -}}
{{- with $external.tls.existingSecret -}}
{{- $_ := set $etcd "tls" (include "ddnsd.tlsFiles" (list $external.tls (printf "/secrets/%s" .)) | fromJson) -}}
{{- end -}}
{{- toJson $etcd -}}
{{- end -}}

{{/* The files of a group of values `tls`, each by what it is for, as JSON. Takes a list of the group and the folder. */}}
{{- define "ddnsd.tlsFiles" -}}
{{- $files := dict -}}
{{- range $name := list "ca" "certificate" "key" -}}
{{- with index (index $ 0) $name -}}
{{- $_ := set $files $name (printf "%s/%s" (index $ 1) .) -}}
{{- end -}}
{{- end -}}
{{- toJson $files -}}
{{- end -}}

{{/* In embedded mode one inside the pod, unless others are named; on all addresses, unless it says otherwise. Behind a
     Service no pod has an address that resolvers could use. */}}
{{- define "ddnsd.nameservers" -}}
{{- $nameservers := dict -}}
{{- range $name, $each := default (dict "default" (dict "kind" "embedded")) .Values.config.nameservers -}}
{{- $listen := ternary (dict "listen" ":5300" "addresses" "none") dict (eq $each.kind "embedded") -}}
{{- $_ := set $nameservers $name $listen -}}
{{- end -}}
{{- if not .Values.config.nameservers -}}
{{- $_ := set $nameservers.default "kind" "embedded" -}}
{{- end -}}
{{- toJson $nameservers -}}
{{- end -}}

{{/* The names of the nameservers inside the pod, as a JSON array. */}}
{{- define "ddnsd.embeddedNameservers" -}}
{{- $names := list -}}
{{- range $name, $each := (include "ddnsd.config" . | fromJson).nameservers -}}
{{- if eq $each.kind "embedded" -}}
{{- $names = append $names $name -}}
{{- end -}}
{{- end -}}
{{- toJson $names -}}
{{- end -}}

{{/* Where the nameserver inside the pod listens, the first of its places; empty: there is none. */}}
{{- define "ddnsd.dnsListen" -}}
{{- with include "ddnsd.embeddedNameservers" . | fromJsonArray -}}
{{- $listen := (get (include "ddnsd.config" $ | fromJson).nameservers (first .)).listen -}}
{{- if kindIs "slice" $listen -}}
{{- first $listen -}}
{{- else -}}
{{- $listen -}}
{{- end -}}
{{- end -}}
{{- end -}}

{{/* The port at the end of "host:port". */}}
{{- define "ddnsd.port" -}}
{{- regexFind "[0-9]+$" . -}}
{{- end -}}

{{/* Says "yes" for a listener that nobody outside of the pod reaches. */}}
{{- define "ddnsd.isLoopback" -}}
{{- if regexMatch "^(127\\.|localhost:|\\[::1\\])" . }}yes{{ end -}}
{{- end -}}

{{/* What starts a component's pods anew when it changes: the values of the keys that ddnsd reads at its start alone,
     which script/chart lists. Takes a list of the root and the component. */}}
{{- define "ddnsd.restartingConfig" -}}
{{- $root := index . 0 -}}
{{- $config := include "ddnsd.config" $root | fromJson -}}
{{- $runsController := include "ddnsd.role" . -}}
{{- range $root.Files.Get "files/restarting-keys.json" | fromJsonArray -}}
{{- $keys := splitList "." . -}}
{{- if or $runsController (ne (first $keys) "kube") -}}
{{- include "ddnsd.valueAt" (list $config $keys) -}}
{{- end -}}
{{- end -}}
{{- end -}}

{{/* What is in a value below some keys, of which <name> is any; empty for nothing. Takes a list of both. */}}
{{- define "ddnsd.valueAt" -}}
{{- $value := index . 0 -}}
{{- $keys := index . 1 -}}
{{- if not $keys -}}
={{ toJson $value }};
{{- else if kindIs "map" $value -}}
{{- range $name, $below := $value -}}
{{- if has (first $keys) (list $name "<name>") -}}
{{- with include "ddnsd.valueAt" (list $below (rest $keys)) -}}
{{ $name }}.{{ . }}
{{- end -}}
{{- end -}}
{{- end -}}
{{- end -}}
{{- end -}}

{{/* The file of the admin token, for the command line in the pod too. */}}
{{- define "ddnsd.adminTokenFile" -}}
{{- $config := include "ddnsd.config" . | fromJson -}}
{{- dig "admin" "token_file" (printf "%s/admin-token" $config.data) $config -}}
{{- end -}}

{{/* The names of the Secrets that pods mount, as a JSON array. */}}
{{- define "ddnsd.secrets" -}}
{{- $external := .Values.externalEtcd -}}
{{- $all := concat .Values.existingSecrets (list .Values.admin.existingSecret) -}}
{{- if eq .Values.mode "cluster" -}}
{{- $all = concat $all (list $external.auth.existingSecret $external.tls.existingSecret .Values.etcd.tls.existingSecret) -}}
{{- end -}}
{{- $all | compact | uniq | toJson -}}
{{- end -}}

{{- define "ddnsd.etcdEndpoints" -}}
{{- $endpoints := list -}}
{{- range $number := until (int .Values.etcd.members) -}}
{{- $endpoints = append $endpoints (printf "%s://%s:2379" (include "ddnsd.etcdScheme" $) (include "ddnsd.etcdHost" (list $ $number))) -}}
{{- end -}}
{{- toJson $endpoints -}}
{{- end -}}

{{- define "ddnsd.etcdScheme" -}}
{{- ternary "https" "http" (ne .Values.etcd.tls.existingSecret "") -}}
{{- end -}}

{{/* Takes a list of the root and a member: its number, or $(POD_NAME) where it names itself. */}}
{{- define "ddnsd.etcdHost" -}}
{{- $root := index . 0 -}}
{{- $name := include "ddnsd.etcdName" $root -}}
{{- $member := kindIs "string" (index . 1) | ternary (index . 1) (printf "%s-%v" $name (index . 1)) -}}
{{- printf "%s.%s.%s.svc" $member $name (include "ddnsd.namespace" $root) -}}
{{- end -}}
