{{/* The pods of ddnsd: `node` answers clients, `controller` takes custom resources in cluster mode. What follows
     takes a list of the root and one of these components; what is said of a component's pods stands in .Values,
     or in .Values.controller. */}}

{{/* The seconds that a pod gets to leave: to be noticed, to answer what it has accepted, and to hand over. */}}
{{- define "ddnsd.gracePeriod" -}}
{{- default (include "ddnsd.leastGracePeriod" .) .Values.terminationGracePeriodSeconds -}}
{{- end -}}

{{- define "ddnsd.leastGracePeriod" -}}
{{- $config := include "ddnsd.config" . | fromJson -}}
{{- $delay := ternary .Values.drain.delay 0 (eq .Values.mode "cluster") -}}
{{- add $delay (dig "publish" "timeout" 8 $config | ceil) (dig "drain" "timeout" 10 $config | ceil) 5 -}}
{{- end -}}

{{/* What `ddnsd serve --role` is told; empty: it is a node alone. */}}
{{- define "ddnsd.role" -}}
{{- $root := index . 0 -}}
{{- if eq (index . 1) "controller" -}}
controller
{{- else if and (eq $root.Values.mode "embedded") $root.Values.controller.enabled -}}
all
{{- end -}}
{{- end -}}

{{- define "ddnsd.pod" -}}
{{- $root := index . 0 -}}
{{- $component := index . 1 -}}
{{- $role := include "ddnsd.role" . -}}
{{- $own := ternary $root.Values.controller $root.Values (eq $component "controller") -}}
metadata:
  labels:
    {{- include "ddnsd.podLabels" (list $root $component $own.podLabels) | nindent 4 }}
  annotations:
    checksum/config: {{ include "ddnsd.restartingConfig" . | sha256sum }}
    {{- with $own.podAnnotations }}
    {{- toYaml . | nindent 4 }}
    {{- end }}
spec:
  serviceAccountName: {{ include "ddnsd.serviceAccountName" . | quote }}
  automountServiceAccountToken: {{ ne $role "" }}
  enableServiceLinks: false
  {{- with include "ddnsd.imagePullSecrets" $root }}
  {{- . | nindent 2 }}
  {{- end }}
  securityContext:
    {{- toYaml $root.Values.podSecurityContext | nindent 4 }}
  terminationGracePeriodSeconds: {{ include "ddnsd.gracePeriod" $root }}
  {{- range $key := list "runtimeClassName" "dnsPolicy" "dnsConfig" "hostAliases" "initContainers" }}
  {{- with get $root.Values $key }}
  {{ $key }}:
    {{- toYaml . | nindent 4 }}
  {{- end }}
  {{- end }}
  containers:
    - name: ddnsd
      image: {{ include "ddnsd.image" (list $root $root.Values.image $root.Chart.AppVersion) }}
      imagePullPolicy: {{ $root.Values.image.pullPolicy }}
      args:
        - serve
        - --config
        - /etc/ddnsd/config.yaml
        {{- with $role }}
        - --role
        - {{ . }}
        {{- end }}
        {{- with $own.extraArgs }}
        {{- toYaml . | nindent 8 }}
        {{- end }}
      {{- with include "ddnsd.environment" . }}
      env:
        {{- . | nindent 8 }}
      {{- end }}
      {{- with $root.Values.envFrom }}
      envFrom:
        {{- toYaml . | nindent 8 }}
      {{- end }}
      ports:
        {{- include "ddnsd.ports" . | nindent 8 }}
      startupProbe:
        httpGet: {path: /healthz, port: health}
        {{- toYaml $root.Values.startupProbe | nindent 8 }}
      readinessProbe:
        httpGet: {path: /readyz, port: health}
        {{- toYaml $root.Values.readinessProbe | nindent 8 }}
      livenessProbe:
        httpGet: {path: /healthz, port: health}
        {{- toYaml $root.Values.livenessProbe | nindent 8 }}
      {{- if and (eq $component "node") (eq $root.Values.mode "cluster") }}
      lifecycle:
        preStop:
          exec:
            command: [ddnsd, drain, --delay, {{ $root.Values.drain.delay }}s]
      {{- end }}
      securityContext:
        {{- toYaml $root.Values.securityContext | nindent 8 }}
      {{- with $own.resources }}
      resources:
        {{- toYaml . | nindent 8 }}
      {{- end }}
      volumeMounts:
        # Whole folders, never subPath: what is mounted by subPath is not updated when it changes.
        - name: config
          mountPath: /etc/ddnsd
          readOnly: true
        - name: state
          mountPath: /var/lib/ddnsd
        {{- range $index, $secret := include "ddnsd.secrets" $root | fromJsonArray }}
        - name: secret-{{ $index }}
          mountPath: /secrets/{{ $secret }}
          readOnly: true
        {{- end }}
        {{- with $root.Values.extraVolumeMounts }}
        {{- toYaml . | nindent 8 }}
        {{- end }}
    {{- with $root.Values.extraContainers }}
    {{- toYaml . | nindent 4 }}
    {{- end }}
  volumes:
    - name: config
      configMap:
        name: {{ include "ddnsd.fullname" $root | quote }}
    {{- with include "ddnsd.stateVolume" $root }}
    {{- . | nindent 4 }}
    {{- end }}
    {{- range $index, $secret := include "ddnsd.secrets" $root | fromJsonArray }}
    - name: secret-{{ $index }}
      secret:
        secretName: {{ $secret | quote }}
        defaultMode: 0440
    {{- end }}
    {{- with $root.Values.extraVolumes }}
    {{- toYaml . | nindent 4 }}
    {{- end }}
  {{- with include "ddnsd.placement" (list $root $component $own) }}
  {{- . | nindent 2 }}
  {{- end }}
{{- end -}}

{{- define "ddnsd.environment" -}}
{{- $root := index . 0 -}}
{{- if eq (index . 1) "node" -}}
# For the command line: kubectl exec … -- ddnsd get hosts
- name: DDNSD_SERVER
  value: http://127.0.0.1:{{ include "ddnsd.port" (include "ddnsd.config" $root | fromJson).listen.admin }}
- name: DDNSD_ADMIN_TOKEN_FILE
  value: {{ include "ddnsd.adminTokenFile" $root | quote }}
{{- end }}
{{- with $root.Values.extraEnv }}
{{ toYaml . }}
{{- end }}
{{- end -}}

{{- define "ddnsd.ports" -}}
{{- $root := index . 0 -}}
{{- $listen := (include "ddnsd.config" $root | fromJson).listen -}}
- name: health
  containerPort: {{ include "ddnsd.port" $listen.health }}
{{- if eq (index . 1) "node" }}
- name: http
  containerPort: {{ include "ddnsd.port" $listen.public }}
{{- if $root.Values.admin.service.enabled }}
- name: admin
  containerPort: {{ include "ddnsd.port" $listen.admin }}
{{- end }}
{{- with include "ddnsd.dnsListen" $root }}
- name: dns-udp
  containerPort: {{ include "ddnsd.port" . }}
  protocol: UDP
- name: dns-tcp
  containerPort: {{ include "ddnsd.port" . }}
{{- end }}
{{- end }}
{{- end -}}

{{/* The volume claim of embedded mode, as JSON; {} where there is none, or somebody else's. */}}
{{- define "ddnsd.stateClaim" -}}
{{- $values := .Values.persistence -}}
{{- $own := and (eq .Values.mode "embedded") $values.enabled (not $values.existingClaim) -}}
{{- ternary (pick $values "size" "storageClass" "accessModes" "annotations") dict $own | toJson -}}
{{- end -}}

{{/* The volume claim of a member of etcd, as JSON. */}}
{{- define "ddnsd.etcdClaim" -}}
{{- merge (pick .Values.etcd.persistence "size" "storageClass") (dict "accessModes" (list "ReadWriteOnce")) | toJson -}}
{{- end -}}

{{- define "ddnsd.replicas" -}}
{{- default 2 .Values.replicas -}}
{{- end -}}

{{/* Nothing where the StatefulSet's own claim has this name. */}}
{{- define "ddnsd.stateVolume" -}}
{{- if or (eq .Values.mode "cluster") (not .Values.persistence.enabled) -}}
- name: state
  emptyDir: {}
{{- else if .Values.persistence.existingClaim -}}
- name: state
  persistentVolumeClaim:
    claimName: {{ .Values.persistence.existingClaim | quote }}
{{- end }}
{{- end -}}

{{/* Takes the component's own values as a third, besides the root and its name. */}}
{{- define "ddnsd.placement" -}}
{{- $root := index . 0 -}}
{{- $own := index . 2 -}}
{{- $chosen := dict -}}
{{- range $key := list "nodeSelector" "tolerations" "affinity" "priorityClassName" "topologySpreadConstraints" -}}
{{- with get $own $key -}}
{{- $_ := set $chosen $key . -}}
{{- end -}}
{{- end -}}
{{- if and (eq $root.Values.mode "cluster") (not (hasKey $chosen "topologySpreadConstraints")) -}}
{{- $_ := set $chosen "topologySpreadConstraints" (include "ddnsd.spread" . | fromYamlArray) -}}
{{- end -}}
{{- with $chosen -}}
{{- toYaml . -}}
{{- end -}}
{{- end -}}

{{- define "ddnsd.spread" -}}
{{- range list "kubernetes.io/hostname" "topology.kubernetes.io/zone" }}
- topologyKey: {{ . }}
  maxSkew: 1
  whenUnsatisfiable: ScheduleAnyway
  labelSelector:
    matchLabels:
      {{- include "ddnsd.selectorLabels" $ | nindent 6 }}
  matchLabelKeys: [pod-template-hash]
{{- end }}
{{- end -}}
