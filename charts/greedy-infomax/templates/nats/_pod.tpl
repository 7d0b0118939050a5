{{/* Pod of NATS, shared by the Deployment (streams in memory) and the StatefulSet (streams in files). */}}

{{/* Label that distinguishes the pods of the Deployment from those of the StatefulSet, as YAML. */}}
{{- define "greedy-infomax.natsStore" -}}
greedyinfomax.dev/nats-store: {{ ternary "file" "memory" .Values.nats.fileStore.enabled }}
{{- end }}

{{/* Metadata and spec of the pod template. */}}
{{- define "greedy-infomax.natsPod" -}}
{{- $nats := .Values.nats }}
{{- $name := include "greedy-infomax.natsName" . }}
{{- $placed := ternary $nats (include "greedy-infomax.moving" $nats | fromYaml) $nats.fileStore.enabled -}}
metadata:
  annotations:
    # Restarts the server when its configuration changes.
    checksum/config: {{ include (print $.Template.BasePath "/nats/config.yaml") . | sha256sum }}
    {{- with $nats.podAnnotations }}
    {{- toYaml . | nindent 4 }}
    {{- end }}
  labels:
    {{- $labels := merge (include "greedy-infomax.labels" (list . "nats") | fromYaml) (include "greedy-infomax.natsStore" . | fromYaml) $nats.podLabels }}
    {{- toYaml $labels | nindent 4 }}
spec:
  automountServiceAccountToken: false
  enableServiceLinks: false
  {{- include "greedy-infomax.pullSecrets" . | nindent 2 }}
  securityContext:
    {{- toYaml $nats.podSecurityContext | nindent 4 }}
  {{- include "greedy-infomax.placement" $placed | nindent 2 }}
  # NATS ends at once on SIGTERM. Lame duck mode would move clients to other servers, but there are none.
  terminationGracePeriodSeconds: 30
  containers:
    - name: nats
      image: {{ $nats.image.repository }}{{ if $nats.image.digest }}@{{ $nats.image.digest }}{{ else }}:{{ $nats.image.tag }}{{ end }}
      imagePullPolicy: {{ .Values.imagePullPolicy }}
      args: [--config=/etc/nats/nats-server.conf]
      {{- with ($nats.resources.limits).memory }}
      env:
        # Makes the garbage collector work harder near the memory limit.
        - name: GOMEMLIMIT
          value: {{ div (mul (include "greedy-infomax.bytes" . | int64) 9) 10 | quote }}
      {{- end }}
      ports:
        - name: nats
          containerPort: 4222
        {{- if $nats.monitoring.enabled }}
        - name: monitor
          containerPort: 8222
        {{- end }}
      # The server listens for clients once JetStream has started. The monitoring port is closed by default.
      startupProbe:
        tcpSocket: { port: nats }
        periodSeconds: 2
        # The server reads its file store before it accepts clients, which takes minutes for a large store.
        failureThreshold: 150
      livenessProbe:
        tcpSocket: { port: nats }
        periodSeconds: 20
        timeoutSeconds: 5
      readinessProbe:
        tcpSocket: { port: nats }
        periodSeconds: 5
        timeoutSeconds: 5
      resources:
        {{- toYaml $nats.resources | nindent 8 }}
      securityContext:
        {{- toYaml $nats.containerSecurityContext | nindent 8 }}
      volumeMounts:
        - name: config
          mountPath: /etc/nats
          readOnly: true
        - name: data
          mountPath: /data
        {{- if .Values.tls.enabled }}
        - name: tls
          mountPath: /etc/nats-tls
          readOnly: true
        {{- end }}
  volumes:
    # One folder for both: the server resolves `include` relative to its configuration file.
    - name: config
      projected:
        defaultMode: 0440
        sources:
          - configMap:
              name: {{ $name }}
          {{- if $nats.auth.enabled }}
          - secret:
              name: {{ include "greedy-infomax.natsAuthSecret" . }}
              items:
                - key: auth.conf
                  path: auth.conf
          {{- end }}
    {{- if .Values.tls.enabled }}
    - name: tls
      secret:
        secretName: {{ include "greedy-infomax.natsTlsSecret" . }}
        defaultMode: 0440
    {{- end }}
    {{- if not $nats.fileStore.enabled }}
    - name: data
      emptyDir:
        sizeLimit: 1Gi
    {{- end }}
{{- end }}

{{/* Refuses changes of the claim template before the upgrade starts, because Kubernetes would refuse them halfway. */}}
{{- define "greedy-infomax.checkFileStore" -}}
{{- $store := .Values.nats.fileStore }}
{{- $name := include "greedy-infomax.natsName" . }}
{{- with lookup "apps/v1" "StatefulSet" .Release.Namespace $name }}
{{- $remedy := printf "delete it (kubectl --namespace %s delete statefulset %s; its claim stays), then upgrade" $.Release.Namespace $name }}
{{- $templates := .spec.volumeClaimTemplates | default list }}
{{- if not $templates }}
{{- fail (printf "StatefulSet %s has no volume, and Kubernetes allows none to be added: %s" $name $remedy) }}
{{- end }}
{{- $claim := (first $templates).spec }}
{{- $size := $claim.resources.requests.storage }}
{{- if ne (include "greedy-infomax.bytes" $size) (include "greedy-infomax.bytes" $store.size) }}
{{- fail (printf "nats.fileStore.size is %s and the StatefulSet has %s, which cannot change in place: expand the claim data-%s-0, then %s" $store.size $size $name $remedy) }}
{{- end }}
{{- if and $store.storageClassName (ne $store.storageClassName ($claim.storageClassName | default "")) }}
{{- fail (printf "nats.fileStore.storageClassName is %s and the StatefulSet has %q, which cannot change in place: delete StatefulSet and claim data-%s-0, then upgrade" $store.storageClassName ($claim.storageClassName | default "") $name) }}
{{- end }}
{{- end }}
{{- end }}
