{{- define "parable.modelServer.testLabels" -}}
app.kubernetes.io/name: {{ include "parable.name" . | quote }}
app.kubernetes.io/instance: {{ .Release.Name | quote }}
app.kubernetes.io/component: model-server-test
{{- end }}
