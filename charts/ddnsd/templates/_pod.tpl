{{/* The pods of ddnsd, the same in both modes but for their volume and their way out. */}}

{{/* The seconds that a pod gets to leave: to be noticed, to answer what it has accepted, and to hand over. */}}
{{- define "ddnsd.gracePeriod" -}}
{{- $config := include "ddnsd.config" . | fromJson -}}
{{- $delay := ternary .Values.drain.delay 0 (eq .Values.mode "cluster") -}}
{{- add $delay (dig "drain" "timeout" 10 $config | ceil) 10 -}}
{{- end -}}

{{- define "ddnsd.pod" -}}
{{- $config := include "ddnsd.config" . | fromJson -}}
metadata:
  labels:
    {{- include "ddnsd.labels" (list . "node") | nindent 4 }}
    {{- with .Values.podLabels }}
    {{- toYaml . | nindent 4 }}
    {{- end }}
  annotations:
    checksum/config: {{ include "ddnsd.restartingConfig" . | sha256sum }}
    {{- with .Values.podAnnotations }}
    {{- toYaml . | nindent 4 }}
    {{- end }}
spec:
  serviceAccountName: {{ include "ddnsd.serviceAccountName" . | quote }}
  automountServiceAccountToken: false
  enableServiceLinks: false
  {{- with include "ddnsd.imagePullSecrets" . }}
  {{- . | nindent 2 }}
  {{- end }}
  securityContext:
    {{- toYaml .Values.podSecurityContext | nindent 4 }}
  terminationGracePeriodSeconds: {{ include "ddnsd.gracePeriod" . }}
  containers:
    - name: ddnsd
      image: {{ include "ddnsd.image" (list . .Values.image .Chart.AppVersion) }}
      imagePullPolicy: {{ .Values.image.pullPolicy }}
      args:
        - serve
        - --config
        - /etc/ddnsd/config.yaml
        {{- with .Values.extraArgs }}
        {{- toYaml . | nindent 8 }}
        {{- end }}
      env:
        # For the command line: kubectl exec … -- ddnsd get hosts
        - name: DDNSD_SERVER
          value: http://127.0.0.1:{{ include "ddnsd.port" $config.listen.admin }}
        - name: DDNSD_ADMIN_TOKEN_FILE
          value: {{ include "ddnsd.adminTokenFile" . | quote }}
        {{- with .Values.extraEnv }}
        {{- toYaml . | nindent 8 }}
        {{- end }}
      ports:
        - name: http
          containerPort: {{ include "ddnsd.port" $config.listen.public }}
        - name: health
          containerPort: {{ include "ddnsd.port" $config.listen.health }}
        {{- if .Values.admin.service.enabled }}
        - name: admin
          containerPort: {{ include "ddnsd.port" $config.listen.admin }}
        {{- end }}
        {{- with include "ddnsd.dnsListen" . }}
        - name: dns-udp
          containerPort: {{ include "ddnsd.port" . }}
          protocol: UDP
        - name: dns-tcp
          containerPort: {{ include "ddnsd.port" . }}
        {{- end }}
      startupProbe:
        httpGet: {path: /healthz, port: health}
        {{- toYaml .Values.startupProbe | nindent 8 }}
      readinessProbe:
        httpGet: {path: /readyz, port: health}
        {{- toYaml .Values.readinessProbe | nindent 8 }}
      livenessProbe:
        httpGet: {path: /healthz, port: health}
        {{- toYaml .Values.livenessProbe | nindent 8 }}
      {{- if eq .Values.mode "cluster" }}
      lifecycle:
        preStop:
          exec:
            command: [ddnsd, drain, --delay, {{ .Values.drain.delay | quote }}]
      {{- end }}
      securityContext:
        {{- toYaml .Values.securityContext | nindent 8 }}
      {{- with .Values.resources }}
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
        {{- range $index, $secret := include "ddnsd.secrets" . | fromJsonArray }}
        - name: secret-{{ $index }}
          mountPath: /secrets/{{ $secret }}
          readOnly: true
        {{- end }}
        {{- with .Values.extraVolumeMounts }}
        {{- toYaml . | nindent 8 }}
        {{- end }}
  volumes:
    - name: config
      configMap:
        name: {{ include "ddnsd.fullname" . | quote }}
    {{- with include "ddnsd.stateVolume" . }}
    {{- . | nindent 4 }}
    {{- end }}
    {{- range $index, $secret := include "ddnsd.secrets" . | fromJsonArray }}
    - name: secret-{{ $index }}
      secret:
        secretName: {{ $secret | quote }}
        defaultMode: 0440
    {{- end }}
    {{- with .Values.extraVolumes }}
    {{- toYaml . | nindent 4 }}
    {{- end }}
  {{- with include "ddnsd.placement" . }}
  {{- . | nindent 2 }}
  {{- end }}
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

{{- define "ddnsd.placement" -}}
{{- $chosen := dict -}}
{{- range $key := list "nodeSelector" "tolerations" "affinity" "priorityClassName" "topologySpreadConstraints" -}}
{{- with index $.Values $key -}}
{{- $_ := set $chosen $key . -}}
{{- end -}}
{{- end -}}
{{- if and (eq .Values.mode "cluster") (not .Values.topologySpreadConstraints) -}}
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
      {{- include "ddnsd.selectorLabels" (list $ "node") | nindent 6 }}
  matchLabelKeys: [pod-template-hash]
{{- end }}
{{- end -}}
