{{/* The object store, as the store's client reads it. */}}
{{- define "parable.store.address" -}}
s3://{{ .Values.objectStore.bucket }}{{ with .Values.objectStore.prefix }}/{{ . }}{{ end }}
{{- end }}

{{- define "parable.store.env" -}}
{{- $store := .Values.objectStore -}}
{{- with $store.endpoint }}
- name: PARABLE_S3_ENDPOINT
  value: {{ printf "%s://%s" (ternary "https" "http" $store.secure) . | quote }}
{{- end }}
- name: AWS_REGION
  value: {{ $store.region | quote }}
- name: AWS_ACCESS_KEY_ID
  valueFrom:
    secretKeyRef:
      name: {{ $store.existingSecret | quote }}
      key: {{ $store.accessKeyField | quote }}
- name: AWS_SECRET_ACCESS_KEY
  valueFrom:
    secretKeyRef:
      name: {{ $store.existingSecret | quote }}
      key: {{ $store.secretKeyField | quote }}
{{- if $store.caBundle.existingConfigMap }}
- name: SSL_CERT_FILE
  value: {{ printf "/etc/parable/ca/%s" $store.caBundle.field | quote }}
{{- end }}
{{- end }}
