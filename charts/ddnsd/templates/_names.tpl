{{/* Names, labels and images. */}}

{{- define "ddnsd.name" -}}
{{- default .Chart.Name .Values.nameOverride | trunc 45 | trimSuffix "-" -}}
{{- end -}}

{{/* At most 45 characters: what the objects' names and the pods' labels add has 18 of the 63. */}}
{{- define "ddnsd.fullname" -}}
{{- $name := include "ddnsd.name" . -}}
{{- $both := ternary .Release.Name (printf "%s-%s" .Release.Name $name) (contains $name .Release.Name) -}}
{{- default $both .Values.fullnameOverride | trunc 45 | trimSuffix "-" -}}
{{- end -}}

{{- define "ddnsd.namespace" -}}
{{- default .Release.Namespace .Values.namespaceOverride -}}
{{- end -}}

{{- define "ddnsd.etcdName" -}}
{{- printf "%s-etcd" (include "ddnsd.fullname" .) -}}
{{- end -}}

{{/* Takes a list of the root and a component. */}}
{{- define "ddnsd.serviceAccountName" -}}
{{- $root := index . 0 -}}
{{- $full := include "ddnsd.fullname" $root -}}
{{- $account := $root.Values.serviceAccount -}}
{{- if eq (index . 1) "controller" -}}
{{- $account = $root.Values.controller.serviceAccount -}}
{{- $full = printf "%s-controller" $full -}}
{{- end -}}
{{- default (ternary $full "default" $account.create) $account.name -}}
{{- end -}}

{{/* Takes a list of the root and a component: `node` and `controller` are ddnsd's, `etcd` is a member, `test` is
     helm test's. */}}
{{- define "ddnsd.selectorLabels" -}}
{{- $root := index . 0 -}}
app.kubernetes.io/name: {{ include "ddnsd.name" $root | quote }}
app.kubernetes.io/instance: {{ $root.Release.Name | quote }}
app.kubernetes.io/component: {{ index . 1 }}
{{- end -}}

{{/* An object's labels. Takes a list of the root, a component, and perhaps labels of the object's own. */}}
{{- define "ddnsd.labels" -}}
{{- $root := index . 0 -}}
{{- $release := dict
    "helm.sh/chart" (printf "%s-%s" $root.Chart.Name $root.Chart.Version | replace "+" "_")
    "app.kubernetes.io/version" $root.Chart.AppVersion
    "app.kubernetes.io/managed-by" $root.Release.Service -}}
{{- merge $release (include "ddnsd.podLabels" . | fromYaml) | toYaml -}}
{{- end -}}

{{/* Without the chart's version, so that a new chart alone starts no pod anew. Of a key that is there twice, the
     chart's own value counts, then the object's, then everybody's. */}}
{{- define "ddnsd.podLabels" -}}
{{- $root := index . 0 -}}
{{- $own := ternary (last .) dict (gt (len .) 2) -}}
{{- $fixed := include "ddnsd.selectorLabels" . | fromYaml -}}
{{- merge $fixed (dict "app.kubernetes.io/part-of" "ddnsd") $own $root.Values.commonLabels | toYaml -}}
{{- end -}}

{{/* An object's metadata: `root`, `suffix` of its name, `component`, and perhaps `labels` and `annotations`. */}}
{{- define "ddnsd.metadata" -}}
name: {{ printf "%s%s" (include "ddnsd.fullname" .root) .suffix | quote }}
namespace: {{ (include "ddnsd.namespace" .root) | quote }}
labels:
  {{- include "ddnsd.labels" (list .root .component (default dict .labels)) | nindent 2 }}
{{- include "ddnsd.annotations" (list .root .annotations) }}
{{- end -}}

{{/* An object's annotations, on a line of their own, where it has any. Takes a list of the root and the object's own. */}}
{{- define "ddnsd.annotations" -}}
{{- with merge dict (default dict (index . 1)) (index . 0).Values.commonAnnotations }}
annotations:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- end -}}

{{/* Takes a list of the root, an image and the tag that it has by default. */}}
{{- define "ddnsd.image" -}}
{{- $root := index . 0 -}}
{{- $image := index . 1 -}}
{{- $registry := default $image.registry $root.Values.global.imageRegistry -}}
{{- $name := ternary (printf "%s/%s" $registry $image.repository) $image.repository (ne $registry "") -}}
{{- if $image.digest -}}
{{- printf "%s@%s" $name $image.digest -}}
{{- else -}}
{{- printf "%s:%s" $name (default (index . 2) $image.tag) -}}
{{- end -}}
{{- end -}}

{{- define "ddnsd.imagePullSecrets" -}}
{{- with concat .Values.global.imagePullSecrets .Values.imagePullSecrets -}}
imagePullSecrets:
{{- range . }}
  {{- if kindIs "string" . }}
  - name: {{ . | quote }}
  {{- else }}
  - name: {{ .name | quote }}
  {{- end }}
{{- end }}
{{- end -}}
{{- end -}}
