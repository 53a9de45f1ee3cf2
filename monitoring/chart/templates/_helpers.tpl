{{- define "podgauge.selector" -}}
app.kubernetes.io/name: podgauge
{{- end }}

{{- define "podgauge.labels" -}}
app.kubernetes.io/name: podgauge
app.kubernetes.io/part-of: podgauge
app.kubernetes.io/instance: {{ .Release.Name }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ .Chart.Name }}-{{ .Chart.Version }}
{{- with .Values.commonLabels }}
{{ toYaml . }}
{{- end }}
{{- end }}

{{- define "podgauge.account" -}}
{{ .Values.serviceAccount.name | default .Values.fullnameOverride }}
{{- end }}
