//! Kubernetes' label selectors, as objects have them.

use podgauge_store::PodLabels;
use serde_json::Value;

/// Which labels are meant. Without requirements all are.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct LabelSelector(Vec<Requirement>);

#[derive(Clone, Debug, PartialEq, Eq)]
struct Requirement {
    key: Box<str>,
    operator: Operator,
    values: Vec<Box<str>>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Operator {
    In,
    NotIn,
    Exists,
    DoesNotExist,
}

// === impl LabelSelector ===

impl LabelSelector {
    /// Reads `matchLabels` and `matchExpressions`; nothing where it is not understood, because a part of it would mean too
    /// much.
    pub(super) fn read(selector: &Value) -> Option<Self> {
        let fields = selector.as_object()?;
        let mut requirements = Vec::new();
        for (field, value) in fields {
            match field.as_str() {
                "matchLabels" => {
                    for (key, value) in value.as_object()? {
                        let values = vec![value.as_str()?.into()];
                        requirements.push(Requirement {
                            key: key.as_str().into(),
                            operator: Operator::In,
                            values,
                        });
                    }
                }
                "matchExpressions" => {
                    for expression in value.as_array()? {
                        requirements.push(Requirement::read(expression)?);
                    }
                }
                _ => return None,
            }
        }
        Some(Self(requirements))
    }

    pub(super) fn matches(&self, labels: &PodLabels) -> bool {
        self.0.iter().all(|requirement| requirement.matches(labels.get(&requirement.key)))
    }
}

// === impl Requirement ===

impl Requirement {
    fn read(expression: &Value) -> Option<Self> {
        let operator = match expression["operator"].as_str()? {
            "In" => Operator::In,
            "NotIn" => Operator::NotIn,
            "Exists" => Operator::Exists,
            "DoesNotExist" => Operator::DoesNotExist,
            _ => return None,
        };
        let values = expression["values"].as_array().into_iter().flatten();
        let values = values.map(|value| value.as_str().map(Box::from)).collect::<Option<_>>()?;
        Some(Self { key: expression["key"].as_str()?.into(), operator, values })
    }

    fn matches(&self, value: Option<&str>) -> bool {
        let is_listed = |value: &str| self.values.iter().any(|listed| **listed == *value);
        match self.operator {
            Operator::In => value.is_some_and(is_listed),
            Operator::NotIn => !value.is_some_and(is_listed),
            Operator::Exists => value.is_some(),
            Operator::DoesNotExist => value.is_none(),
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn selectors_mean_what_kubernetes_means() {
        let check = |selector: Value, expected: Option<&[&str]>| {
            let pods = ["", "app=web", "app=web,tier=front", "app=api"];
            let read = LabelSelector::read(&selector);
            let matching: Option<Vec<&str>> = read.map(|selector| {
                let labels =
                    |text: &str| PodLabels::from_iter(text.split(',').filter_map(|l| l.split_once('=')));
                pods.into_iter().filter(|pod| selector.matches(&labels(pod))).collect()
            });
            assert_eq!(matching.as_deref(), expected, "{selector}");
        };
        let expression = |key: &str, operator: &str, values: &[&str]| json!({"matchExpressions": [{"key": key, "operator": operator, "values": values}]});
        check(json!({}), Some(&["", "app=web", "app=web,tier=front", "app=api"]));
        check(json!({"matchLabels": {"app": "web"}}), Some(&["app=web", "app=web,tier=front"]));
        check(json!({"matchLabels": {"app": "web", "tier": "front"}}), Some(&["app=web,tier=front"]));
        check(expression("app", "In", &["api", "x"]), Some(&["app=api"]));
        check(expression("app", "NotIn", &["web"]), Some(&["", "app=api"]));
        check(expression("tier", "Exists", &[]), Some(&["app=web,tier=front"]));
        check(expression("app", "DoesNotExist", &[]), Some(&[""]));
        for unknown in [
            expression("app", "Gt", &["1"]),
            json!(null),
            json!("app=web"),
            json!({"app": "web"}),
            json!({"matchLabels": {"app": 1}}),
            json!({"matchExpressions": [{"operator": "Exists"}]}),
        ] {
            check(unknown, None);
        }
    }
}
