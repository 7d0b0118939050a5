{{- define "greedy-infomax.dnsEgress" -}}
# Allows all addresses, because a DNS cache on the node is not a pod.
- ports:
    - { port: 53, protocol: UDP }
    - { port: 53, protocol: TCP }
{{- end }}

{{- define "greedy-infomax.apiServerEgress" -}}
- ports:
    {{- range .Values.networkPolicies.apiServerPorts }}
    - { port: {{ . }}, protocol: TCP }
    {{- end }}
  {{- with .Values.networkPolicies.apiServerPeers }}
  to:
    {{- toYaml . | nindent 4 }}
  {{- end }}
{{- end }}

{{/* Allows the built-in NATS, or else the port of the external server. */}}
{{- define "greedy-infomax.natsEgress" -}}
{{- if .Values.nats.external.url -}}
- ports:
    - { port: {{ regexFind ":[0-9]+$" (trimSuffix "/" .Values.nats.external.url) | trimPrefix ":" | default "4222" }}, protocol: TCP }
{{- else -}}
- ports:
    - { port: 4222, protocol: TCP }
  to:
    - namespaceSelector:
        matchLabels:
          kubernetes.io/metadata.name: {{ .Release.Namespace }}
      podSelector:
        matchLabels:
          {{- include "greedy-infomax.selectorLabels" (list . "nats") | nindent 10 }}
{{- end }}
{{- end }}
