//! What the API server refuses (`pkg/apis/autoscaling/validation/validation.go`).
//!
//! Field paths and kinds of problems are upstream's; `Display` gives the sentence that a `Status` carries.

use std::fmt;

use super::{
    Behavior, HorizontalPodAutoscaler, MetricIdentifier, MetricSpec, MetricTarget, ObjectReference,
    ScalingPolicy, ScalingRules,
};
use crate::quantity::Quantity;

/// The longest stabilisation window, in seconds.
const MAX_STABILIZATION_WINDOW_SECONDS: i32 = 3600;
/// The longest period of a policy, in seconds.
const MAX_PERIOD_SECONDS: i32 = 1800;

/// Every problem of one object; never empty.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub struct Invalid {
    /// The object's name.
    pub name: String,
    /// The problems, in the order of the fields.
    pub errors: Vec<FieldError>,
}

/// A problem of one field.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FieldError {
    /// Where: `spec.metrics[0].pods.target.averageValue`.
    pub field: String,
    /// What kind of problem.
    pub problem: FieldProblem,
    /// What would be right; may be empty.
    pub detail: String,
}

/// The kinds of problems, with the value that is wrong, as JSON.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum FieldProblem {
    /// `FieldValueRequired`.
    Required,
    /// `FieldValueInvalid`.
    Invalid(String),
    /// `FieldValueNotSupported`.
    NotSupported(String),
    /// `FieldValueForbidden`.
    Forbidden,
}

// === impl HorizontalPodAutoscaler ===

impl HorizontalPodAutoscaler {
    /// Whether the API server would take this object, defaults applied.
    ///
    /// # Errors
    /// Every problem of the spec.
    pub fn validate(&self) -> Result<(), Invalid> {
        let mut errors = Errors::default();
        let spec = &self.spec;
        if let Some(min) = spec.min_replicas.filter(|min| *min < 1) {
            errors.invalid("spec.minReplicas", min, "must be greater than or equal to 1");
        }
        match spec.max_replicas {
            0 => errors.required("spec.maxReplicas", "must be set and greater than 0"),
            ..0 => {
                errors.invalid("spec.maxReplicas", spec.max_replicas, "must be greater than or equal to 1")
            }
            _ => {}
        }
        if spec.min_replicas.is_some_and(|min| spec.max_replicas < min) {
            errors.invalid(
                "spec.maxReplicas",
                spec.max_replicas,
                "must be greater than or equal to `minReplicas`",
            );
        }
        reference(&mut errors, "spec.scaleTargetRef", &spec.scale_target_ref);
        for (index, metric) in spec.metrics.iter().enumerate() {
            metric_spec(&mut errors, &format!("spec.metrics[{index}]"), metric);
        }
        behavior(&mut errors, spec.behavior.as_ref());
        match errors.0.is_empty() {
            true => Ok(()),
            false => Err(Invalid { name: self.metadata.name.clone(), errors: errors.0 }),
        }
    }
}

// === impl Invalid ===

impl fmt::Display for Invalid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "HorizontalPodAutoscaler.autoscaling {:?} is invalid: ", self.name)?;
        match self.errors.as_slice() {
            [only] => only.fmt(f),
            errors => {
                let errors: Vec<_> = errors.iter().map(ToString::to_string).collect();
                write!(f, "[{}]", errors.join(", "))
            }
        }
    }
}

// === impl FieldError ===

impl FieldError {
    /// The problem without the field: a `Status` cause's `message`.
    #[must_use]
    pub fn message(&self) -> String {
        let body = match &self.problem {
            FieldProblem::Required => "Required value".to_owned(),
            FieldProblem::Invalid(value) => format!("Invalid value: {value}"),
            FieldProblem::NotSupported(value) => format!("Unsupported value: {value}"),
            FieldProblem::Forbidden => "Forbidden".to_owned(),
        };
        if self.detail.is_empty() { body } else { format!("{body}: {}", self.detail) }
    }

    /// A `Status` cause's `reason`.
    #[must_use]
    pub fn reason(&self) -> &'static str {
        match self.problem {
            FieldProblem::Required => "FieldValueRequired",
            FieldProblem::Invalid(_) => "FieldValueInvalid",
            FieldProblem::NotSupported(_) => "FieldValueNotSupported",
            FieldProblem::Forbidden => "FieldValueForbidden",
        }
    }
}

impl fmt::Display for FieldError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.field, self.message())
    }
}

/// Collects problems.
#[derive(Default)]
struct Errors(Vec<FieldError>);

// === impl Errors ===

impl Errors {
    fn required(&mut self, field: &str, detail: &str) {
        self.add(field, FieldProblem::Required, detail);
    }

    fn forbidden(&mut self, field: &str, detail: &str) {
        self.add(field, FieldProblem::Forbidden, detail);
    }

    fn invalid(&mut self, field: &str, value: impl Into<serde_json::Value>, detail: &str) {
        self.add(field, FieldProblem::Invalid(value.into().to_string()), detail);
    }

    fn not_supported(&mut self, field: &str, value: &str, supported: &[&str]) {
        let supported: Vec<_> = supported.iter().map(|value| format!("{value:?}")).collect();
        let detail = format!("supported values: {}", supported.join(", "));
        self.add(field, FieldProblem::NotSupported(format!("{value:?}")), &detail);
    }

    fn add(&mut self, field: &str, problem: FieldProblem, detail: &str) {
        self.0.push(FieldError { field: field.to_owned(), problem, detail: detail.to_owned() });
    }
}

fn reference(errors: &mut Errors, field: &str, reference: &ObjectReference) {
    for (name, value) in [("kind", &reference.kind), ("name", &reference.name)] {
        path_segment(errors, &format!("{field}.{name}"), value, "");
    }
    if reference.api_version.matches('/').count() > 1 {
        let field = format!("{field}.apiVersion");
        errors.invalid(
            &field,
            reference.api_version.as_str(),
            "must be a version or a group and a version, as in apps/v1",
        );
    }
}

/// What goes into a path as one segment.
fn path_segment(errors: &mut Errors, field: &str, value: &str, required: &str) {
    match value {
        "" => errors.required(field, required),
        "." | ".." => errors.invalid(field, value, &format!("may not be '{value}'")),
        _ => {
            for wrong in ['/', '%'].into_iter().filter(|wrong| value.contains(*wrong)) {
                errors.invalid(field, value, &format!("may not contain '{wrong}'"));
            }
        }
    }
}

fn metric_spec(errors: &mut Errors, field: &str, spec: &MetricSpec) {
    const KINDS: [&str; 5] = ["ContainerResource", "External", "Object", "Pods", "Resource"];
    let sources = [
        ("Object", "object", spec.object.is_some()),
        ("External", "external", spec.external.is_some()),
        ("Pods", "pods", spec.pods.is_some()),
        ("Resource", "resource", spec.resource.is_some()),
        ("ContainerResource", "containerResource", spec.container_resource.is_some()),
    ];
    let kind = format!("{field}.type");
    if spec.kind.is_empty() {
        errors.required(&kind, "must specify a metric source type");
    }
    if !KINDS.contains(&spec.kind.as_str()) {
        errors.not_supported(&kind, &spec.kind, &KINDS);
    }
    // Only the first source that is there is looked into.
    match sources.iter().find(|(.., present)| *present).map(|(kind, ..)| *kind) {
        Some("Object") => object(errors, field, spec),
        Some("External") => external(errors, field, spec),
        Some("Pods") => pods(errors, field, spec),
        Some("Resource") => resource(errors, field, spec),
        Some(_) => container_resource(errors, field, spec),
        None => {}
    }
    for (kind, name, present) in sources {
        if kind == spec.kind && !present {
            errors.required(
                &format!("{field}.{name}"),
                "must populate information for the given metric source",
            );
        }
        let alone = sources.iter().filter(|(.., present)| *present).count() == 1;
        if kind != spec.kind && present && !alone {
            errors.forbidden(&format!("{field}.{name}"), "must populate the given metric source only");
        }
    }
}

fn object(errors: &mut Errors, field: &str, spec: &MetricSpec) {
    let Some(source) = &spec.object else { return };
    let field = format!("{field}.object");
    reference(errors, &format!("{field}.describedObject"), &source.described_object);
    identifier(errors, &field, &source.metric);
    target(errors, &field, &source.target);
    if source.target.value.is_none() && source.target.average_value.is_none() {
        errors.required(
            &format!("{field}.target.averageValue"),
            "must set either a target value or averageValue",
        );
    }
}

fn external(errors: &mut Errors, field: &str, spec: &MetricSpec) {
    let Some(source) = &spec.external else { return };
    let field = format!("{field}.external");
    identifier(errors, &field, &source.metric);
    target(errors, &field, &source.target);
    match (&source.target.value, &source.target.average_value) {
        (None, None) => errors
            .required(&format!("{field}.target.averageValue"), "must set a target value or a target per pod"),
        (Some(_), Some(_)) => errors.forbidden(
            &format!("{field}.target.value"),
            "may not set both a target value and a target per pod",
        ),
        _ => {}
    }
}

fn pods(errors: &mut Errors, field: &str, spec: &MetricSpec) {
    let Some(source) = &spec.pods else { return };
    let field = format!("{field}.pods");
    identifier(errors, &field, &source.metric);
    target(errors, &field, &source.target);
    if source.target.average_value.is_none() {
        errors
            .required(&format!("{field}.target.averageValue"), "must specify a positive target averageValue");
    }
}

fn resource(errors: &mut Errors, field: &str, spec: &MetricSpec) {
    let Some(source) = &spec.resource else { return };
    let field = format!("{field}.resource");
    if source.name.is_empty() {
        errors.required(&format!("{field}.name"), "must specify a resource name");
    }
    resource_target(errors, &field, &source.target);
}

fn container_resource(errors: &mut Errors, field: &str, spec: &MetricSpec) {
    let Some(source) = &spec.container_resource else { return };
    let field = format!("{field}.containerResource");
    if source.name.is_empty() {
        errors.required(&format!("{field}.name"), "must specify a resource name");
    }
    if source.container.is_empty() {
        errors.required(&format!("{field}.container"), "must specify a container");
    }
    resource_target(errors, &field, &source.target);
}

fn resource_target(errors: &mut Errors, field: &str, of: &MetricTarget) {
    target(errors, field, of);
    match (of.average_utilization, &of.average_value) {
        (None, None) => errors.required(
            &format!("{field}.target.averageUtilization"),
            "must set a target value or a target utilization",
        ),
        (Some(_), Some(_)) => errors.forbidden(
            &format!("{field}.target.averageValue"),
            "may not set both a target value and a target utilization",
        ),
        _ => {}
    }
}

fn identifier(errors: &mut Errors, field: &str, metric: &MetricIdentifier) {
    path_segment(errors, &format!("{field}.metric.name"), &metric.name, "must specify a metric name");
}

fn target(errors: &mut Errors, field: &str, target: &MetricTarget) {
    let field = format!("{field}.target");
    if target.kind.is_empty() {
        errors.required(&format!("{field}.type"), "must specify a metric target type");
    }
    if !["Utilization", "Value", "AverageValue"].contains(&target.kind.as_str()) {
        errors.invalid(
            &format!("{field}.type"),
            target.kind.as_str(),
            "must be either Utilization, Value, or AverageValue",
        );
    }
    for (name, quantity) in [("value", &target.value), ("averageValue", &target.average_value)] {
        if let Some(quantity) = quantity.as_ref().filter(|quantity| quantity.sign() != 1) {
            errors.invalid(&format!("{field}.{name}"), quantity.to_string(), "must be positive");
        }
    }
    if let Some(percent) = target.average_utilization.filter(|percent| *percent < 1) {
        errors.invalid(&format!("{field}.averageUtilization"), percent, "must be greater than 0");
    }
}

fn behavior(errors: &mut Errors, behavior: Option<&Behavior>) {
    let Some(behavior) = behavior else { return };
    for (name, rules) in [("scaleUp", &behavior.scale_up), ("scaleDown", &behavior.scale_down)] {
        if let Some(rules) = rules {
            scaling_rules(errors, &format!("spec.behavior.{name}"), rules);
        }
    }
}

fn scaling_rules(errors: &mut Errors, field: &str, rules: &ScalingRules) {
    let window = format!("{field}.stabilizationWindowSeconds");
    match rules.stabilization_window_seconds {
        Some(seconds @ ..0) => errors.invalid(&window, seconds, "must be greater than or equal to zero"),
        Some(seconds) if seconds > MAX_STABILIZATION_WINDOW_SECONDS => {
            errors.invalid(
                &window,
                seconds,
                &format!("must be less than or equal to {MAX_STABILIZATION_WINDOW_SECONDS}"),
            );
        }
        _ => {}
    }
    const SELECT: [&str; 3] = ["Disabled", "Max", "Min"];
    if let Some(select) = rules.select_policy.as_deref().filter(|select| !SELECT.contains(select)) {
        errors.not_supported(&format!("{field}.selectPolicy"), select, &SELECT);
    }
    let policies = rules.policies.as_deref().unwrap_or_default();
    if policies.is_empty() {
        errors.required(&format!("{field}.policies"), "must specify at least one Policy");
    }
    for (index, policy) in policies.iter().enumerate() {
        scaling_policy(errors, &format!("{field}.policies[{index}]"), policy);
    }
    if let Some(tolerance) = rules.tolerance.as_ref().filter(|tolerance| Quantity::sign(tolerance) < 0) {
        errors.invalid(
            &format!("{field}.tolerance"),
            tolerance.to_string(),
            "must be greater than or equal to 0",
        );
    }
}

fn scaling_policy(errors: &mut Errors, field: &str, policy: &ScalingPolicy) {
    const KINDS: [&str; 2] = ["Percent", "Pods"];
    if !KINDS.contains(&policy.kind.as_str()) {
        errors.not_supported(&format!("{field}.type"), &policy.kind, &KINDS);
    }
    if policy.value <= 0 {
        errors.invalid(&format!("{field}.value"), policy.value, "must be greater than zero");
    }
    if policy.period_seconds <= 0 {
        errors.invalid(&format!("{field}.periodSeconds"), policy.period_seconds, "must be greater than zero");
    }
    if policy.period_seconds > MAX_PERIOD_SECONDS {
        let detail = format!("must be less than or equal to {MAX_PERIOD_SECONDS}");
        errors.invalid(&format!("{field}.periodSeconds"), policy.period_seconds, &detail);
    }
}

#[cfg(test)]
mod tests;
