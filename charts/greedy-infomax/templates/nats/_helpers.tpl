{{/* How the operator and the install check reach NATS: the same for a built-in and an external one. */}}

{{- define "greedy-infomax.natsUrl" -}}
{{- if .Values.nats.external.url -}}
{{ .Values.nats.external.url }}
{{- else -}}
nats://{{ include "greedy-infomax.natsName" . }}.{{ .Release.Namespace }}.svc:4222
{{- end }}
{{- end }}

{{- define "greedy-infomax.natsAuthSecret" -}}
{{ default (printf "%s-auth" (include "greedy-infomax.natsName" .)) .Values.nats.auth.existingSecret }}
{{- end }}

{{- define "greedy-infomax.natsTlsSecret" -}}
{{ default (printf "%s-tls" (include "greedy-infomax.natsName" .)) .Values.tls.secretName }}
{{- end }}

{{/* The Secrets with operator.creds, signing.seed and ca.crt as YAML: {creds, signingKey, ca}; those not in use are empty. */}}
{{- define "greedy-infomax.natsSecrets" -}}
{{- if .Values.nats.external.url -}}
creds: {{ .Values.nats.external.credsSecret | quote }}
signingKey: {{ .Values.nats.external.signingKeySecret | quote }}
ca: {{ .Values.nats.external.caSecret | quote }}
{{- else -}}
{{- $auth := ternary (include "greedy-infomax.natsAuthSecret" .) "" .Values.nats.auth.enabled -}}
creds: {{ $auth | quote }}
signingKey: {{ $auth | quote }}
ca: {{ ternary (include "greedy-infomax.natsTlsSecret" .) "" .Values.tls.enabled | quote }}
{{- end }}
{{- end }}

{{/* Takes a list: the root and whether the signing key is wanted. Arguments of a program that connects to NATS. */}}
{{- define "greedy-infomax.natsArgs" -}}
{{- $root := index . 0 -}}
{{- $secrets := include "greedy-infomax.natsSecrets" $root | fromYaml -}}
- --nats={{ include "greedy-infomax.natsUrl" $root }}
{{- if $secrets.creds }}
- --nats-creds=/etc/greedy-infomax/nats/operator.creds
{{- end }}
{{- if and $secrets.signingKey (index . 1) }}
- --nats-signing-key=/etc/greedy-infomax/nats/signing.seed
{{- end }}
{{- if $secrets.ca }}
- --nats-ca=/etc/greedy-infomax/nats/ca.crt
{{- end }}
{{- end }}

{{- define "greedy-infomax.natsMount" -}}
{{- $secrets := include "greedy-infomax.natsSecrets" . | fromYaml -}}
{{- if or $secrets.creds $secrets.signingKey $secrets.ca }}
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
{{- $keys := list (list "creds" "operator.creds") (list "ca" "ca.crt") -}}
{{- if index . 1 }}{{ $keys = append $keys (list "signingKey" "signing.seed") }}{{ end -}}
{{- if or $secrets.creds $secrets.signingKey $secrets.ca }}
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
