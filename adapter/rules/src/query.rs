//! From a rule and what is asked of it to a query: prometheus-adapter's `pkg/naming/metrics_query.go`.

use podgauge_promql::{Query, quote};

use crate::{
    GroupResource, Rule,
    template::{Fields, is_label_name},
};

/// What is asked of a rule.
#[derive(Clone, Copy, Debug)]
pub struct Ask<'a> {
    /// The name of the series.
    pub series: &'a str,
    /// Of which objects: their resource and names; `None` for an external metric.
    pub objects: Option<(&'a GroupResource, &'a [&'a str])>,
    /// The namespace that the series must be of, if any.
    pub namespace: Option<&'a str>,
    /// What the metric selector says.
    pub conditions: &'a [Condition],
}

/// A requirement of a metric selector.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Condition {
    /// The label.
    pub label: String,
    /// What must hold.
    pub operator: Operator,
    /// Of which values; none for those that need none.
    pub values: Vec<String>,
}

/// What a [`Condition`] asks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Operator {
    /// `=`
    Equal,
    /// `!=`
    NotEqual,
    /// `in`: as everywhere in rules, the values are regular expressions in effect.
    In,
    /// `notin`
    NotIn,
    /// There is such a label.
    Exists,
    /// There is none.
    DoesNotExist,
}

pub(crate) fn query(rule: &Rule, ask: &Ask<'_>) -> Result<Query, String> {
    let text = text(rule, ask)?;
    Query::parse(&text, &rule.promql).map_err(|error| format!("its query {text:?} cannot be read: {error}"))
}

pub(crate) fn text(rule: &Rule, ask: &Ask<'_>) -> Result<String, String> {
    let mut matchers = Vec::new();
    let mut values = Vec::new();
    let mut group_by = Vec::new();
    if let Some(namespace) = ask.namespace {
        let label = label(rule, &GroupResource::namespaces())?;
        matchers.push(format!("{}={}", name(&label), quote(namespace)));
        values.push((label, namespace.to_owned()));
    }
    if let Some((resource, names)) = ask.objects {
        let label = label(rule, resource)?;
        let joined = names.join("|");
        let operator = if names.len() == 1 { "=" } else { "=~" };
        matchers.push(format!("{}{operator}{}", name(&label), quote(&joined)));
        values.push((label.clone(), joined));
        group_by.push(label);
    }
    for Condition { label, operator, values: wanted } in ask.conditions {
        let joined = wanted.join("|");
        let (sign, value) = match operator {
            Operator::Equal => ("=", &*joined),
            Operator::NotEqual => ("!=", &*joined),
            Operator::In => ("=~", &*joined),
            Operator::NotIn => ("!~", &*joined),
            Operator::Exists => ("!=", ""),
            Operator::DoesNotExist => ("=", ""),
        };
        matchers.push(format!("{}{sign}{}", name(label), quote(value)));
        values.push((label.clone(), joined));
    }
    // These are put in as they are, wherever the rule has them. Names come from pods and from whoever asks, who must not
    // be able to end a text or a matcher there and go on with a query of their own.
    let used = values.iter().filter(|(label, _)| rule.template.has_values_of(label));
    let raw = used.map(|(_, value)| value.as_str()).chain([ask.series]);
    if let Some(odd) = raw.into_iter().find(|raw| !is_plain(raw)) {
        return Err(format!("{odd:?} has characters that cannot stand in its query"));
    }
    let fields = Fields {
        series: ask.series,
        label_matchers: &matchers.join(","),
        label_values: &values,
        group_by: &group_by,
        other_values: "",
    };
    Ok(rule.template.fill(&fields).text)
}

fn label(rule: &Rule, resource: &GroupResource) -> Result<String, String> {
    rule.label(resource).ok_or_else(|| {
        format!("it maps no label to {resource}; add one to resources.overrides, or a resources.template")
    })
}

/// A label's name as an expression has it.
fn name(label: &str) -> String {
    if is_label_name(label) { label.to_owned() } else { quote(label) }
}

/// Whether a text means nothing but itself, or a regular expression of names, wherever it stands in a query.
fn is_plain(text: &str) -> bool {
    text.chars().all(|char| char.is_alphanumeric() || "-_.:/@|*+^$".contains(char))
}
