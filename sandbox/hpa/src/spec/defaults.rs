//! What the API server fills in (`pkg/apis/autoscaling/v2/defaults.go`).

use super::{
    Behavior, HorizontalPodAutoscaler, MetricSpec, MetricTarget, ResourceMetricSource, ScalingPolicy,
    ScalingRules,
};

/// Percent of the CPU request that an HPA without metrics aims at.
const DEFAULT_CPU_UTILIZATION: i32 = 80;

impl HorizontalPodAutoscaler {
    /// Fills in what was left out: one replica at least, 80 % CPU if there is no metric, and, only if there
    /// is a `behavior`, both of its directions.
    pub fn apply_defaults(&mut self) {
        self.spec.min_replicas.get_or_insert(1);
        if self.spec.metrics.is_empty() {
            self.spec.metrics.push(MetricSpec {
                kind: "Resource".into(),
                resource: Some(ResourceMetricSource {
                    name: "cpu".into(),
                    target: MetricTarget {
                        kind: "Utilization".into(),
                        average_utilization: Some(DEFAULT_CPU_UTILIZATION),
                        ..MetricTarget::default()
                    },
                }),
                ..MetricSpec::default()
            });
        }
        if let Some(behavior) = &mut self.spec.behavior {
            *behavior = behavior.defaulted();
        }
    }
}

impl Behavior {
    /// Both directions with everything filled in, except the window for scaling down: how long that is when
    /// nobody says is a setting of the controller, not of the API.
    #[must_use]
    pub fn defaulted(&self) -> Self {
        let up = ScalingRules {
            stabilization_window_seconds: Some(0),
            select_policy: Some("Max".into()),
            policies: Some(vec![policy("Pods", 4), policy("Percent", 100)]),
            tolerance: None,
        };
        let down = ScalingRules {
            stabilization_window_seconds: None,
            select_policy: Some("Max".into()),
            policies: Some(vec![policy("Percent", 100)]),
            tolerance: None,
        };
        Self {
            scale_up: Some(merged(self.scale_up.as_ref(), up)),
            scale_down: Some(merged(self.scale_down.as_ref(), down)),
        }
    }
}

fn policy(kind: &str, value: i32) -> ScalingPolicy {
    ScalingPolicy { kind: kind.into(), value, period_seconds: 15 }
}

fn merged(given: Option<&ScalingRules>, default: ScalingRules) -> ScalingRules {
    let Some(given) = given.cloned() else {
        return default;
    };
    ScalingRules {
        stabilization_window_seconds: given
            .stabilization_window_seconds
            .or(default.stabilization_window_seconds),
        select_policy: given.select_policy.or(default.select_policy),
        policies: given.policies.or(default.policies),
        tolerance: given.tolerance.or(default.tolerance),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn check(spec: Value, want: Value) {
        let mut hpa =
            HorizontalPodAutoscaler { spec: serde_json::from_value(spec).unwrap(), ..Default::default() };
        hpa.apply_defaults();
        let got = serde_json::to_value(&hpa.spec).unwrap();
        for (field, want) in want.as_object().unwrap() {
            assert_eq!(got.get(field).unwrap_or(&Value::Null), want, "{field}");
        }
        let once = hpa.clone();
        hpa.apply_defaults();
        assert_eq!(hpa, once, "applied twice");
    }

    #[test]
    fn fills_in_minimum_and_metric() {
        let cpu = json!([{"type": "Resource", "resource": {"name": "cpu", "target": {"type": "Utilization", "averageUtilization": 80}}}]);
        check(json!({"maxReplicas": 3}), json!({"minReplicas": 1, "metrics": cpu, "behavior": null}));
        check(json!({"minReplicas": 2, "maxReplicas": 3}), json!({"minReplicas": 2}));
    }

    #[test]
    fn fills_in_behavior_only_where_there_is_one() {
        let up = json!({
            "stabilizationWindowSeconds": 0, "selectPolicy": "Max",
            "policies": [{"type": "Pods", "value": 4, "periodSeconds": 15}, {"type": "Percent", "value": 100, "periodSeconds": 15}],
        });
        let down = json!({"selectPolicy": "Max", "policies": [{"type": "Percent", "value": 100, "periodSeconds": 15}]});
        check(json!({"behavior": {}}), json!({"behavior": {"scaleUp": up, "scaleDown": down}}));
        check(
            json!({"behavior": {"scaleDown": {"stabilizationWindowSeconds": 60, "selectPolicy": "Disabled", "tolerance": "0.05"}}}),
            json!({"behavior": {"scaleUp": up, "scaleDown": {
                "stabilizationWindowSeconds": 60, "selectPolicy": "Disabled", "tolerance": "50m",
                "policies": [{"type": "Percent", "value": 100, "periodSeconds": 15}],
            }}}),
        );
        check(
            json!({"behavior": {"scaleUp": {"policies": []}}}),
            json!({"behavior": {"scaleUp": {"stabilizationWindowSeconds": 0, "selectPolicy": "Max", "policies": []}, "scaleDown": down}}),
        );
    }
}
