{{/* What the controller may do, and where. */}}

{{/* Says "yes" where the controller has pods of its own: in embedded mode it runs inside the one pod. */}}
{{- define "ddnsd.hasControllerPods" -}}
{{- if and (eq .Values.mode "cluster") .Values.controller.enabled }}yes{{ end -}}
{{- end -}}

{{/* Whose rights they are: the pods' that run it. */}}
{{- define "ddnsd.controllerAccount" -}}
{{- $component := ternary "controller" "node" (eq (include "ddnsd.hasControllerPods" .) "yes") -}}
- kind: ServiceAccount
  name: {{ include "ddnsd.serviceAccountName" (list . $component) | quote }}
  namespace: {{ (include "ddnsd.namespace" .) | quote }}
{{- end -}}

{{/* The namespaces that it watches, as a JSON array; empty: all. */}}
{{- define "ddnsd.watchNamespaces" -}}
{{- $namespaces := dig "kube" "watch_namespaces" .Values.controller.watchNamespaces .Values.config -}}
{{- kindIs "string" $namespaces | ternary (list $namespaces) $namespaces | toJson -}}
{{- end -}}

{{- define "ddnsd.namespacedRules" -}}
- apiGroups: [ddnsd.dev]
  resources: [accounts, hosts, tokens]
  verbs: [list, watch]
- apiGroups: [ddnsd.dev]
  resources: [accounts/status, hosts/status, tokens/status]
  verbs: [patch]
{{- end -}}

{{/* In some namespaces alone, as a Secret of one may be the key to everything. It is found by its name, never listed.
     What `create` may do is limited by the ValidatingAdmissionPolicy. */}}
{{- define "ddnsd.secretRules" -}}
- apiGroups: [""]
  resources: [secrets]
  verbs: [get{{ if .Values.controller.secrets.create }}, create{{ end }}]
{{- end -}}

{{/* The namespaces whose Secrets it may use, as a JSON array. */}}
{{- define "ddnsd.secretNamespaces" -}}
{{- $watched := include "ddnsd.watchNamespaces" . | fromJsonArray -}}
{{- coalesce .Values.controller.secrets.namespaces $watched (list (include "ddnsd.namespace" .)) | uniq | toJson -}}
{{- end -}}

{{/* The ClusterRole that a tenant binds in a namespace of his own; with Roles in some namespaces alone there is none. */}}
{{- define "ddnsd.secretsRole" -}}
{{- $watched := include "ddnsd.watchNamespaces" . | fromJsonArray -}}
{{- if and .Values.controller.enabled .Values.controller.rbac.create (not $watched) -}}
{{- printf "%s:%s-secrets" (include "ddnsd.namespace" .) (include "ddnsd.fullname" .) -}}
{{- end -}}
{{- end -}}


{{- define "ddnsd.clusterRules" -}}
- apiGroups: [ddnsd.dev]
  resources: [zones]
  verbs: [list, watch]
- apiGroups: [ddnsd.dev]
  resources: [zones/status]
  verbs: [patch]
{{- end -}}

{{/*
In the release's own namespace, whose UID tells this Kubernetes cluster from one rebuilt under its name; and for
its Events.
*/}}
{{- define "ddnsd.ownRules" -}}
- apiGroups: [""]
  resources: [namespaces]
  resourceNames: [{{ (include "ddnsd.namespace" .) | quote }}]
  verbs: [get]
- apiGroups: [events.k8s.io]
  resources: [events]
  verbs: [create]
{{- end -}}

{{/* A role and its binding to the controller. `root`, `name`, `rules`, and `namespace` (none: for the cluster). */}}
{{- define "ddnsd.grant" -}}
{{- $scope := ternary "" "Cluster" (hasKey . "namespace") -}}
{{- $root := .root -}}
{{- $name := .name -}}
{{- $namespace := .namespace -}}
{{- range $kind := list "Role" "RoleBinding" }}
---
apiVersion: rbac.authorization.k8s.io/v1
kind: {{ $scope }}{{ $kind }}
metadata:
  name: {{ $name | quote }}
  {{- with $namespace }}
  namespace: {{ . | quote }}
  {{- end }}
  labels:
    {{- include "ddnsd.labels" (list $root "controller") | nindent 4 }}
  {{- include "ddnsd.annotations" (list $root dict) | nindent 2 }}
{{- if eq $kind "Role" }}
rules:
  {{- $.rules | nindent 2 }}
{{- else }}
roleRef:
  apiGroup: rbac.authorization.k8s.io
  kind: {{ $scope }}Role
  name: {{ $name | quote }}
subjects:
  {{- include "ddnsd.controllerAccount" $root | nindent 2 }}
{{- end }}
{{- end }}
{{- end -}}

{{/* The command that lets it use the Secrets of a namespace. Takes a list of the root and the namespace. */}}
{{- define "ddnsd.bindSecrets" -}}
{{- $root := index . 0 -}}
{{- $account := include "ddnsd.controllerAccount" $root | fromYamlArray | first -}}
{{- printf "kubectl create rolebinding ddnsd-secrets --namespace=%s --clusterrole=%s --serviceaccount=%s:%s"
    (index . 1) (include "ddnsd.secretsRole" $root) $account.namespace $account.name -}}
{{- end -}}
