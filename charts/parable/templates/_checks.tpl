{{/*
What the schema can't say: names that have no default, and values that must fit each other. All that is wrong is
told at once. (`helm lint` only remarks on it, so a chart can be linted without values.)
*/}}
{{- define "parable.checks" -}}
{{- $server := .Values.modelServer -}}
{{- $wrong := list -}}
{{- if not .Values.image.repository -}}
{{- $wrong = append $wrong "image.repository is empty: build the image from the Containerfile, push it, and name it." -}}
{{- end -}}
{{- if not .Values.objectStore.bucket -}}
{{- $wrong = append $wrong "objectStore.bucket is empty: name the bucket with the sealed checkpoints." -}}
{{- end -}}
{{- if not .Values.objectStore.existingSecret -}}
{{- $wrong = append $wrong (printf "objectStore.existingSecret is empty: make a Secret with the store's credentials and name it, for instance: kubectl create secret generic parable-store --namespace %s --from-literal=%s=... --from-literal=%s=..." .Release.Namespace .Values.objectStore.accessKeyField .Values.objectStore.secretKeyField) -}}
{{- end -}}
{{- if not $server.apiKeys.existingSecret -}}
{{- $wrong = append $wrong (printf "modelServer.apiKeys.existingSecret is empty: make a Secret with the file of API keys and name it, for instance: kubectl create secret generic parable-keys --namespace %s --from-file=%s" .Release.Namespace $server.apiKeys.field) -}}
{{- end -}}
{{- if and .Values.objectStore.secure (eq .Values.objectStore.endpoint "") .Values.objectStore.caBundle.existingConfigMap -}}
{{- $wrong = append $wrong "objectStore.caBundle is given and objectStore.endpoint is empty: Amazon's certificates need no bundle." -}}
{{- else if and (not .Values.objectStore.secure) .Values.objectStore.caBundle.existingConfigMap -}}
{{- $wrong = append $wrong "objectStore.caBundle is given and objectStore.secure is false: without TLS nothing would read it." -}}
{{- end -}}
{{- if and (not .Values.objectStore.secure) (eq .Values.objectStore.endpoint "") -}}
{{- $wrong = append $wrong "objectStore.secure is false and objectStore.endpoint is empty: Amazon's store speaks TLS only." -}}
{{- end -}}
{{- $end := addf $server.preStopSeconds $server.drainSeconds 10 -}}
{{- if gt $end (float64 $server.terminationGracePeriodSeconds) -}}
{{- $wrong = append $wrong (printf "modelServer.terminationGracePeriodSeconds is %v: the pod would be killed while it drains. With preStopSeconds %v, drainSeconds %v and 10 for closing, give it %v or more." $server.terminationGracePeriodSeconds $server.preStopSeconds $server.drainSeconds (ceil $end)) -}}
{{- end -}}
{{- if ge (float64 $server.cache.bytes) (include "parable.bytes" $server.cache.sizeLimit | float64) -}}
{{- $wrong = append $wrong (printf "modelServer.cache.bytes is %v, which is not less than sizeLimit, %v: the pod would be evicted before anything goes." (int64 $server.cache.bytes) $server.cache.sizeLimit) -}}
{{- end -}}
{{- if and $server.autoscaling.enabled (gt (int $server.autoscaling.minReplicas) (int $server.autoscaling.maxReplicas)) -}}
{{- $wrong = append $wrong (printf "modelServer.autoscaling.minReplicas is %v, above maxReplicas, which is %v." $server.autoscaling.minReplicas $server.autoscaling.maxReplicas) -}}
{{- end -}}
{{- if and $server.autoscaling.enabled (not (dig "requests" "cpu" "" $server.resources)) -}}
{{- $wrong = append $wrong "modelServer.autoscaling is enabled and resources.requests.cpu is not given: the target is a percentage of it." -}}
{{- end -}}
{{- if and (has $server.rollout.maxSurge (list 0 0.0 "0%")) (has $server.rollout.maxUnavailable (list 0 0.0 "0%")) -}}
{{- $wrong = append $wrong "modelServer.rollout.maxSurge and maxUnavailable are both 0: no pod could ever be replaced." -}}
{{- end -}}
{{- range $name := list "requests" "limits" -}}
{{- if and $server.gpu.enabled (hasKey (index $server.resources $name | default dict) $server.gpu.resourceName) -}}
{{- $wrong = append $wrong (printf "modelServer.resources.%s names %s, which gpu.enabled adds by itself: leave it out there." $name $server.gpu.resourceName) -}}
{{- end -}}
{{- end -}}
{{- if and (not $server.serviceAccount.create) $server.serviceAccount.annotations -}}
{{- $wrong = append $wrong "modelServer.serviceAccount.annotations are given and create is false: nothing would carry them." -}}
{{- end -}}
{{- if and $server.serviceMonitor.enabled (not (.Capabilities.APIVersions.Has "monitoring.coreos.com/v1/ServiceMonitor")) -}}
{{- $wrong = append $wrong "modelServer.serviceMonitor.enabled is true, and the cluster does not know monitoring.coreos.com/v1 ServiceMonitor: install the Prometheus Operator, or set it to false. (For `helm template` add --api-versions monitoring.coreos.com/v1/ServiceMonitor.)" -}}
{{- end -}}
{{- $own := list -}}
{{- range include "parable.modelServer.env" . | fromYamlArray -}}
{{- $own = append $own .name -}}
{{- end -}}
{{- range $server.extraEnv -}}
{{- if has .name $own -}}
{{- $wrong = append $wrong (printf "modelServer.extraEnv names %s, which the chart itself sets: use the value that is there for it." .name) -}}
{{- end -}}
{{- end -}}
{{- range $label, $_ := $server.podLabels -}}
{{- if hasPrefix "app.kubernetes.io/" $label -}}
{{- $wrong = append $wrong (printf "modelServer.podLabels names %s: the labels below app.kubernetes.io/ are the chart's own." $label) -}}
{{- end -}}
{{- end -}}
{{- if $wrong -}}
{{- fail (printf "\n\nThe values can't be installed as they are:\n- %s\n" (join "\n- " $wrong)) -}}
{{- end -}}
{{- end }}
