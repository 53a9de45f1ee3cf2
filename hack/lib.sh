# shellcheck shell=bash disable=SC2034
# What the scripts of the verbs share. Sourced, never run.

readonly PODGAUGE_NAMESPACE=podgauge
readonly DEMO_NAMESPACE=default
readonly API_GROUP=custom.metrics.k8s.io
# Both versions: they are registered, checked and removed together.
readonly API_SERVICES=("v1beta1.$API_GROUP" "v1beta2.$API_GROUP")
# Registered by monitoring/components/external-metrics alone.
readonly EXTERNAL_API_SERVICE=v1beta1.external.metrics.k8s.io
readonly DEMO_LABEL=app.kubernetes.io/part-of=demo-shop
readonly REGISTRATION_LABEL=app.kubernetes.io/component

step() { printf '==> %s\n' "$*"; }

die() {
  printf '%s: %s\n' "${0##*/}" "$*" >&2
  exit 1
}

# need PROGRAM...: stops unless each of them is on the PATH.
need() {
  local program
  for program; do
    command -v "$program" >/dev/null || die "needs $program, which is not on the PATH"
  done
}

# need_number NAME LEAST MOST: stops unless the variable NAME holds a whole number within bounds.
need_number() {
  local value=${!1}
  if [[ ! $value =~ ^[0-9]{1,9}$ ]] || ((10#$value < $2 || 10#$value > $3)); then
    die "$1=$value: expected a whole number from $2 to $3"
  fi
}

# Stops unless a cluster answers; says which one, because all that follows happens there.
need_cluster() {
  need kubectl
  local answer
  answer=$(kubectl get --raw /version --request-timeout=10s 2>&1) ||
    die "no cluster answers; set KUBECONFIG or choose one with \`kubectl config use-context\`. kubectl says:
$answer"
  step "cluster: $(kubectl config view --minify -o 'jsonpath={.contexts[0].name} at {.clusters[0].cluster.server}')"
}

# owner APISERVICE: namespace/name of the Service behind it; nothing if there is no such APIService.
owner() {
  kubectl get apiservice "$1" --ignore-not-found -o 'jsonpath={.spec.service.namespace}/{.spec.service.name}'
}

# render DIRECTORY [IMAGE]: the manifests. IMAGE_PREFIX and IMAGE_TAG, when set, say where IMAGE is instead of them.
render() {
  local manifests
  manifests=$(kubectl kustomize "$1") || die "$1 does not render"
  if [[ -n ${2:-} && -n ${IMAGE_PREFIX:-}${IMAGE_TAG:-} ]]; then
    sed -E "s|^([ -]+image: ).*/$2:.*|\1${IMAGE_PREFIX:-localhost}/$2:${IMAGE_TAG:-1}|" <<<"$manifests"
  else
    printf '%s\n' "$manifests"
  fi
}

# Sets SHOP_URL, unless it is set, to where the shop's frontend answers: its port on a node, as far as nodes can be
# reached from here, or else a port forwarded by kubectl until leave_shop.
find_shop() {
  if [[ -n ${SHOP_URL:-} ]]; then
    SHOP_URL=${SHOP_URL%/}
    shop_answers || die "no shop answers at SHOP_URL=$SHOP_URL"
    return
  fi
  local address port
  address=$(kubectl get nodes -o 'jsonpath={.items[0].status.addresses[?(@.type=="InternalIP")].address}')
  address=${address%% *}
  port=$(kubectl -n "$DEMO_NAMESPACE" get service frontend --ignore-not-found -o 'jsonpath={.spec.ports[0].nodePort}')
  [[ -n $port ]] || die "there is no Service frontend in $DEMO_NAMESPACE; install the shop with: kubectl apply -k demo-shop/deploy"
  [[ $address == *:* ]] && address="[$address]"
  SHOP_URL=http://$address:$port
  shop_answers || forward_shop
}

shop_answers() { curl -fsS --max-time 3 -o /dev/null "$SHOP_URL/livez" 2>/dev/null; }

forward_shop() {
  local log
  log=$(mktemp)
  kubectl -n "$DEMO_NAMESPACE" port-forward service/frontend :http >"$log" 2>&1 &
  FORWARD_PID=$!
  local port=
  for _ in {1..50}; do
    port=$(sed -nE 's/^Forwarding from 127\.0\.0\.1:([0-9]+) .*/\1/p' "$log")
    [[ -n $port ]] && break
    kill -0 "$FORWARD_PID" 2>/dev/null || break
    sleep 0.2
  done
  SHOP_URL=http://127.0.0.1:${port:-0}
  shop_answers || die "the shop's frontend cannot be reached; set SHOP_URL. kubectl port-forward says:
$(cat "$log"; rm -f "$log")"
  rm -f "$log"
}

leave_shop() { [[ -z ${FORWARD_PID:-} ]] || kill "$FORWARD_PID" 2>/dev/null || true; }

# Orders that wait, as the shop's own page says; nothing when it does not know.
waiting() { curl -fsS --max-time 5 "$SHOP_URL/metrics" 2>/dev/null | sed -nE 's/^messages ([0-9]+)$/\1/p'; }
