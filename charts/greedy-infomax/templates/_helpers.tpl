{{/* Names, labels and parts shared by several templates. */}}

{{- define "greedy-infomax.name" -}}
{{- default .Chart.Name .Values.nameOverride | trunc 63 | trimSuffix "-" }}
{{- end }}

{{/* At most 40 characters: the longest suffix must still fit a DNS label. */}}
{{- define "greedy-infomax.fullname" -}}
{{- if .Values.fullnameOverride }}
{{- .Values.fullnameOverride | trunc 40 | trimSuffix "-" }}
{{- else }}
{{- $name := include "greedy-infomax.name" . }}
{{- if contains $name .Release.Name }}
{{- .Release.Name | trunc 40 | trimSuffix "-" }}
{{- else }}
{{- printf "%s-%s" .Release.Name $name | trunc 40 | trimSuffix "-" }}
{{- end }}
{{- end }}
{{- end }}

{{- define "greedy-infomax.operatorName" -}}
{{ include "greedy-infomax.fullname" . }}-operator
{{- end }}

{{- define "greedy-infomax.natsName" -}}
{{ include "greedy-infomax.fullname" . }}-nats
{{- end }}

{{/* Takes a list: the root and the component. */}}
{{- define "greedy-infomax.selectorLabels" -}}
{{- $root := index . 0 -}}
app.kubernetes.io/name: {{ include "greedy-infomax.name" $root }}
app.kubernetes.io/instance: {{ $root.Release.Name }}
app.kubernetes.io/component: {{ index . 1 }}
{{- end }}

{{/* Takes a list: the root and the component. */}}
{{- define "greedy-infomax.labels" -}}
{{- $root := index . 0 -}}
{{ include "greedy-infomax.selectorLabels" . }}
app.kubernetes.io/part-of: greedy-infomax
app.kubernetes.io/managed-by: {{ $root.Release.Service }}
app.kubernetes.io/version: {{ $root.Chart.AppVersion | quote }}
helm.sh/chart: {{ printf "%s-%s" $root.Chart.Name $root.Chart.Version | replace "+" "_" }}
{{- range $key, $value := omit $root.Values.commonLabels "app.kubernetes.io/name" "app.kubernetes.io/instance" "app.kubernetes.io/component" "app.kubernetes.io/part-of" "app.kubernetes.io/managed-by" "app.kubernetes.io/version" "helm.sh/chart" }}
{{ $key }}: {{ $value | quote }}
{{- end }}
{{- end }}

{{/* Takes a list: the root and an image of the project. */}}
{{- define "greedy-infomax.image" -}}
{{- $root := index . 0 -}}
{{- $image := index . 1 -}}
{{- $repository := ternary $image.repository (printf "%s/%s" (trimSuffix "/" $root.Values.registry) $image.repository) (empty $root.Values.registry) -}}
{{- if $image.digest -}}
{{ $repository }}@{{ $image.digest }}
{{- else -}}
{{ $repository }}:{{ default $root.Chart.AppVersion $image.tag }}
{{- end }}
{{- end }}

{{- define "greedy-infomax.pullSecrets" -}}
{{- with .Values.imagePullSecrets }}
imagePullSecrets:
  {{- range . }}
  - name: {{ . }}
  {{- end }}
{{- end }}
{{- end }}

{{/* Takes the values of a component. Returns the placement of its pods. */}}
{{- define "greedy-infomax.placement" -}}
{{- with .nodeSelector }}
nodeSelector:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .tolerations }}
tolerations:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .affinity }}
affinity:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .priorityClassName }}
priorityClassName: {{ . }}
{{- end }}
{{- end }}

{{/* Takes a list: the root and the component. Returns labels and annotations of a hook's pod, with annotations last. */}}
{{- define "greedy-infomax.hookMetadata" -}}
{{- $root := index . 0 -}}
labels:
  {{- merge (include "greedy-infomax.labels" . | fromYaml) $root.Values.hooks.podLabels | toYaml | nindent 2 }}
annotations:
  kubectl.kubernetes.io/default-container: {{ index . 1 }}
  {{- with $root.Values.hooks.podAnnotations }}
  {{- toYaml . | nindent 2 }}
  {{- end }}
{{- end }}

{{- define "greedy-infomax.hookContainer" -}}
resources:
  {{- toYaml .Values.hooks.resources | nindent 2 }}
securityContext:
  {{- toYaml .Values.operator.containerSecurityContext | nindent 2 }}
{{- end }}

{{/*
Takes the values of a component; returns them as YAML with tolerations under which its pods move from a lost node
after moveAfterSeconds, instead of after the 300 s that Kubernetes sets. Tolerations of the values win.
*/}}
{{- define "greedy-infomax.moving" -}}
{{- $tolerations := .tolerations }}
{{- $seconds := int .moveAfterSeconds }}
{{- range $key := list "node.kubernetes.io/not-ready" "node.kubernetes.io/unreachable" }}
{{- $given := false }}
{{- range $.tolerations }}{{ if eq (.key | default "") $key }}{{ $given = true }}{{ end }}{{ end }}
{{- if not $given }}
{{- $tolerations = append $tolerations (dict "key" $key "operator" "Exists" "effect" "NoExecute" "tolerationSeconds" $seconds) }}
{{- end }}
{{- end }}
{{- toYaml (merge (dict "tolerations" $tolerations) .) }}
{{- end }}

{{- define "greedy-infomax.serviceAccount" -}}
{{- if .Values.operator.serviceAccount.create -}}
{{ default (include "greedy-infomax.operatorName" .) .Values.operator.serviceAccount.name }}
{{- else -}}
{{ default "default" .Values.operator.serviceAccount.name }}
{{- end }}
{{- end }}

{{/* Returns a Kubernetes quantity of memory in bytes. */}}
{{- define "greedy-infomax.bytes" -}}
{{- $units := dict "" 1 "k" 1e3 "M" 1e6 "G" 1e9 "T" 1e12 "Ki" 1024 "Mi" 1048576 "Gi" 1073741824 "Ti" 1099511627776 -}}
{{- $text := ternary . (int64 . | toString) (kindIs "string" .) -}}
{{- $unit := regexFind "[A-Za-z]*$" $text -}}
{{- if not (hasKey $units $unit) }}{{ fail (printf "%q is not a quantity of memory such as 6Gi" $text) }}{{ end -}}
{{- mulf (trimSuffix $unit $text | float64) (get $units $unit) | int64 -}}
{{- end }}

{{/* Defaults of all runs as JSON, for the operator. */}}
{{- define "greedy-infomax.runDefaults" -}}
{{- $defaults := dict "podSecurityContext" .Values.runs.podSecurityContext "backoffLimit" .Values.runs.backoffLimit -}}
{{- range list "podTemplate" "resources" "evaluationResources" "cleanupResources" -}}
{{- $value := get $.Values.runs . -}}
{{- if $value }}{{ $_ := set $defaults . $value }}{{ end -}}
{{- end -}}
{{- toJson $defaults -}}
{{- end }}
