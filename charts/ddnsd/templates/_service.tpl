{{/* What Services for clients have in common; takes their values. */}}
{{- define "ddnsd.serviceSpec" -}}
type: {{ .type }}
ipFamilyPolicy: {{ .ipFamilyPolicy }}
{{- with .ipFamilies }}
ipFamilies:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .sessionAffinity }}
sessionAffinity: {{ . }}
{{- end }}
{{- if ne .type "ClusterIP" }}
externalTrafficPolicy: {{ .externalTrafficPolicy }}
{{- end }}
{{- if eq .type "LoadBalancer" }}
{{- with .loadBalancerClass }}
loadBalancerClass: {{ . | quote }}
{{- end }}
{{- with .loadBalancerSourceRanges }}
loadBalancerSourceRanges:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- end }}
{{- end -}}

{{- define "ddnsd.nodePort" -}}
{{- if and .nodePort (ne .type "ClusterIP") -}}
nodePort: {{ .nodePort }}
{{- end -}}
{{- end -}}
