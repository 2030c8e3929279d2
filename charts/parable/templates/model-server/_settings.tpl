{{/* Where things lie inside a pod. */}}
{{- define "parable.modelServer.keysFile" -}}
/etc/parable/keys/{{ .Values.modelServer.apiKeys.field }}
{{- end }}

{{/* services/model_server/settings.py, as JSON. What is null here takes the server's own default. */}}
{{- define "parable.modelServer.settings" -}}
{{- $server := .Values.modelServer -}}
{{- $settings := dict
  "host" "0.0.0.0"
  "port" 8000
  "metrics_port" 9000
  "store" (include "parable.store.address" .)
  "cache" "/cache"
  "cache_bytes" (int64 $server.cache.bytes)
  "engine" $server.engine
  "vllm" (include "parable.modelServer.group" $server.vllm | fromJson)
  "device" (ternary "cuda" "cpu" $server.gpu.enabled)
  "dtype" $server.dtype
  "keys_file" (include "parable.modelServer.keysFile" .)
  "cors_origins" $server.corsOrigins
  "interactive" (include "parable.modelServer.group" $server.queues.interactive | fromJson)
  "evaluation" (include "parable.modelServer.group" $server.queues.evaluation | fromJson)
  "jobs" (include "parable.modelServer.group" $server.jobs | fromJson)
  "max_body_bytes" $server.maxBodyBytes
  "body_seconds" $server.bodySeconds
  "max_connections" $server.maxConnections
  "keepalive_seconds" $server.keepaliveSeconds
  "drain_seconds" $server.drainSeconds
  "log_level" $server.logLevel
  "log_prompts" $server.logPrompts
-}}
{{- with $server.defaultModel }}{{- $_ := set $settings "model" . }}{{- end -}}
{{- with $server.memoryBytes }}{{- $_ := set $settings "memory_bytes" . }}{{- end -}}
{{- with $server.numThreads }}{{- $_ := set $settings "num_threads" . }}{{- end -}}
{{- with $server.otlpEndpoint }}{{- $_ := set $settings "otlp_endpoint" . }}{{- end -}}
{{- toPrettyJson $settings -}}
{{- end }}

{{/* A group of values, named as Python names them. */}}
{{- define "parable.modelServer.group" -}}
{{- $group := dict -}}
{{- range $name, $value := . -}}
{{- $_ := set $group (snakecase $name) $value -}}
{{- end -}}
{{- toJson $group -}}
{{- end }}

{{/* All the variables that the chart sets itself. */}}
{{- define "parable.modelServer.env" -}}
{{- include "parable.store.env" . }}
{{- end }}

{{- define "parable.modelServer.resources" -}}
{{- $resources := deepCopy .Values.modelServer.resources -}}
{{- if .Values.modelServer.gpu.enabled -}}
{{- $limits := merge (dict .Values.modelServer.gpu.resourceName 1) ($resources.limits | default dict) -}}
{{- $_ := set $resources "limits" $limits -}}
{{- end -}}
{{- toYaml $resources -}}
{{- end }}
