{{/* Names. A release's name may be 53 letters long and an object's 63, so 10 are left for what follows. */}}
{{- define "parable.name" -}}
{{- .Values.nameOverride | default .Chart.Name -}}
{{- end }}

{{- define "parable.fullname" -}}
{{- $name := include "parable.name" . -}}
{{- if .Values.fullnameOverride -}}
{{- .Values.fullnameOverride -}}
{{- else if contains $name .Release.Name -}}
{{- .Release.Name -}}
{{- else -}}
{{- printf "%s-%s" .Release.Name $name | trunc 49 | trimSuffix "-" -}}
{{- end -}}
{{- end }}

{{- define "parable.modelServer.fullname" -}}
{{- printf "%s-server" (include "parable.fullname" .) -}}
{{- end }}

{{/* Labels of every object. */}}
{{- define "parable.labels" -}}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version | replace "+" "_" | quote }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service | quote }}
app.kubernetes.io/part-of: parable
{{- end }}

{{/* What selects the server's pods; it can never change within a release. */}}
{{- define "parable.modelServer.selectorLabels" -}}
app.kubernetes.io/name: {{ include "parable.name" . | quote }}
app.kubernetes.io/instance: {{ .Release.Name | quote }}
app.kubernetes.io/component: model-server
{{- end }}

{{- define "parable.modelServer.labels" -}}
{{ include "parable.labels" . }}
{{ include "parable.modelServer.selectorLabels" . }}
{{- end }}

{{- define "parable.modelServer.serviceAccountName" -}}
{{- $account := .Values.modelServer.serviceAccount -}}
{{- $account.name | default (ternary (include "parable.modelServer.fullname" .) "default" $account.create) -}}
{{- end }}

{{/* Whether there is ever more than one pod. */}}
{{- define "parable.modelServer.isReplicated" -}}
{{- $server := .Values.modelServer -}}
{{- if gt (int (ternary $server.autoscaling.minReplicas $server.replicas $server.autoscaling.enabled)) 1 -}}true{{- end -}}
{{- end }}

{{- define "parable.image" -}}
{{- $image := .Values.image -}}
{{- if $image.digest -}}
{{- printf "%s@%s" $image.repository $image.digest -}}
{{- else -}}
{{- printf "%s:%s" $image.repository ($image.tag | default .Chart.AppVersion) -}}
{{- end -}}
{{- end }}

{{/* The restricted standard of Pod Security, whole. */}}
{{- define "parable.podSecurityContext" -}}
runAsNonRoot: true
{{- with .Values.modelServer.podSecurity.runAsUser }}
runAsUser: {{ int64 . }}
{{- end }}
{{- with .Values.modelServer.podSecurity.runAsGroup }}
runAsGroup: {{ int64 . }}
{{- end }}
seccompProfile:
  type: RuntimeDefault
{{- end }}

{{- define "parable.containerSecurityContext" -}}
allowPrivilegeEscalation: false
readOnlyRootFilesystem: true
capabilities:
  drop: [ALL]
{{- end }}

{{/* A size such as 10Gi, in bytes. */}}
{{- define "parable.bytes" -}}
{{- $units := dict "" 1 "k" 1e3 "M" 1e6 "G" 1e9 "T" 1e12 "P" 1e15 "E" 1e18 -}}
{{- $powers := dict "Ki" 1024 "Mi" 1048576 "Gi" 1073741824 "Ti" 1099511627776 "Pi" 1125899906842624 "Ei" 1152921504606846976 -}}
{{- mulf (regexFind "^[0-9]+" . | float64) (get (merge $units $powers) (regexFind "[A-Za-z]*$" .) | float64) -}}
{{- end }}

{{/* The port of a URL or of host:port, by its end or by its scheme. */}}
{{- define "parable.port" -}}
{{- $host := regexReplaceAll "^[a-z]+://" .address "" | splitList "/" | first -}}
{{- $port := regexFind ":[0-9]+$" $host | trimPrefix ":" -}}
{{- $port | default (ternary "443" "80" .secure) -}}
{{- end }}
