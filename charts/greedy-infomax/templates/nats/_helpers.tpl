{{/* Connection of the operator and the install check to NATS, for a built-in and an external server. */}}

{{- define "greedy-infomax.natsUrl" -}}
{{- if .Values.nats.external.url -}}
{{ .Values.nats.external.url }}
{{- else -}}
nats://{{ include "greedy-infomax.natsName" . }}.{{ .Release.Namespace }}.svc:4222
{{- end }}
{{- end }}

{{- define "greedy-infomax.natsAuthSecret" -}}
{{ default (printf "%s-keys" (include "greedy-infomax.natsName" .)) .Values.nats.auth.existingSecret }}
{{- end }}

{{- define "greedy-infomax.natsTlsSecret" -}}
{{ default (printf "%s-tls" (include "greedy-infomax.natsName" .)) .Values.tls.secretName }}
{{- end }}

{{/*
The Secrets with system.creds and operator.seed (an account for each namespace) or operator.creds and signing.seed
(one account of an external server), and ca.crt, as YAML: {keys, creds, signingKey, ca}; those not in use are empty.
*/}}
{{- define "greedy-infomax.natsSecrets" -}}
{{- if .Values.nats.external.url -}}
{{- with .Values.nats.external }}
{{- if and .keysSecret (or .credsSecret .signingKeySecret) }}
{{- fail "nats.external.keysSecret excludes credsSecret and signingKeySecret: choose an account for each namespace, or one for all" }}
{{- end }}
keys: {{ .keysSecret | quote }}
creds: {{ .credsSecret | quote }}
signingKey: {{ .signingKeySecret | quote }}
ca: {{ .caSecret | quote }}
{{- end }}
{{- else -}}
keys: {{ ternary (include "greedy-infomax.natsAuthSecret" .) "" .Values.nats.auth.enabled | quote }}
creds: ""
signingKey: ""
ca: {{ ternary (include "greedy-infomax.natsTlsSecret" .) "" .Values.tls.enabled | quote }}
{{- end }}
{{- end }}

{{/* Limits of each namespace's account, as value of the operator's flag. */}}
{{- define "greedy-infomax.natsLimits" -}}
{{- $accounts := .Values.nats.accounts -}}
{{- $disk := int64 (include "greedy-infomax.bytes" $accounts.disk) -}}
{{- if and (not .Values.nats.external.url) (not .Values.nats.fileStore.enabled) }}{{ $disk = 0 }}{{ end -}}
{{- dict
  "memoryBytes" (int64 (include "greedy-infomax.bytes" $accounts.memory))
  "diskBytes" $disk
  "streams" (int64 $accounts.streams)
  "consumers" (int64 $accounts.consumers)
  "connections" (int64 $accounts.connections)
  "subscriptions" (int64 $accounts.subscriptions)
  | toJson -}}
{{- end }}

{{/* Takes a list: the root and whether the signing key is wanted. Arguments of a program that connects to NATS. */}}
{{- define "greedy-infomax.natsArgs" -}}
{{- $root := index . 0 -}}
{{- $secrets := include "greedy-infomax.natsSecrets" $root | fromYaml -}}
- --nats={{ include "greedy-infomax.natsUrl" $root }}
{{- if $secrets.keys }}
- --nats-creds=/etc/greedy-infomax/nats/system.creds
- --nats-operator-key=/etc/greedy-infomax/nats/operator.seed
{{- else if $secrets.creds }}
- --nats-creds=/etc/greedy-infomax/nats/operator.creds
{{- end }}
{{- if and $secrets.signingKey (index . 1) }}
- --nats-signing-key=/etc/greedy-infomax/nats/signing.seed
{{- end }}
{{- if and $secrets.keys (index . 1) }}
- --nats-account-limits={{ include "greedy-infomax.natsLimits" $root }}
{{- end }}
{{- if and (or $secrets.keys $secrets.signingKey) (index . 1) }}
- --nats-credentials-lifetime={{ int64 $root.Values.nats.accounts.credentialsLifetimeSeconds }}
{{- end }}
{{- if $secrets.ca }}
- --nats-ca=/etc/greedy-infomax/nats/ca.crt
{{- end }}
{{- end }}

{{- define "greedy-infomax.natsMount" -}}
{{- $secrets := include "greedy-infomax.natsSecrets" . | fromYaml -}}
{{- if or $secrets.keys $secrets.creds $secrets.signingKey $secrets.ca }}
volumeMounts:
  - name: nats
    mountPath: /etc/greedy-infomax/nats
    readOnly: true
{{- end }}
{{- end }}

{{/* Takes a list: the root and whether the signing key is wanted. */}}
{{- define "greedy-infomax.natsVolume" -}}
{{- $root := index . 0 -}}
{{- $secrets := include "greedy-infomax.natsSecrets" $root | fromYaml -}}
{{- $keys := list (list "keys" "system.creds") (list "keys" "operator.seed") (list "creds" "operator.creds") (list "ca" "ca.crt") -}}
{{- if index . 1 }}{{ $keys = append $keys (list "signingKey" "signing.seed") }}{{ end -}}
{{- if or $secrets.keys $secrets.creds $secrets.signingKey $secrets.ca }}
volumes:
  - name: nats
    projected:
      defaultMode: 0440
      sources:
        {{- range $keys }}
        {{- $secret := get $secrets (index . 0) }}
        {{- if $secret }}
        - secret:
            name: {{ $secret }}
            items:
              - key: {{ index . 1 }}
                path: {{ index . 1 }}
        {{- end }}
        {{- end }}
{{- end }}
{{- end }}

{{/* Labels that the kubelet's metrics have for the container of the built-in NATS, as a PromQL selector. */}}
{{- define "greedy-infomax.natsContainer" -}}
{namespace="{{ .Release.Namespace }}", pod=~"{{ include "greedy-infomax.natsName" . }}-.+", container="nats"}
{{- end }}
