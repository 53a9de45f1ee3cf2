//! One rule: every field compiled, in the order in which people write them.

use std::time::Duration;

use podgauge_promql::{ExprKind, MatchOp, Matcher, ParseError, Query, Re2, Reach, Type};

use super::{
    Report,
    fields::{Fields, Reported, Text},
};
use crate::{
    Config, GroupResource, Origin, Rule, Serves,
    resource::Mapping,
    rule::{Filter, SERIES},
    template::{self, Label, Template},
    yaml::{Place, Value},
};

/// The rule of these fields, unless something was reported.
pub(super) fn compile(
    fields: Fields<'_>,
    serves: Serves,
    config: &Config,
    report: &mut Report<'_>,
) -> Option<Rule> {
    let known = fields.check_known(
        &["seriesQuery", "seriesFilters", "resources", "name", "metricsQuery", "source"],
        report,
    );
    // Each field is looked at, whatever the others are like, so that one reading says all that is wrong.
    let series = series_query(&fields, report);
    let filters = series_filters(&fields, report);
    let resources = resources(&fields, serves, report);
    let name = name(&fields, report);
    let origin = origin(&fields, report);
    let query =
        metrics_query(&fields, serves, origin.as_ref().copied().unwrap_or(Origin::Prometheus), report);
    known?;
    let ((series_query, series), filters) = (series.ok()?, filters.ok()?);
    let (origin, (mapping, namespaced)) = (origin.ok()?, resources.ok()?);
    let ((matches, named), (template, mut reaches)) = (name.ok()?, query.ok()?);
    let window = reaches.iter().filter(|reach| !reach.newest_alone).map(|reach| reach.back).max();
    if origin == Origin::Prometheus {
        reaches.clear();
    }
    Some(Rule {
        place: report.place.clone(),
        line: fields.place.line,
        serves,
        origin,
        series_query,
        series,
        filters,
        mapping,
        namespaced,
        matches,
        named,
        name_bytes: config.name_bytes,
        template,
        promql: config.promql.clone(),
        reaches,
        window,
    })
}

/// `seriesQuery`, as it is written and as what it says.
fn series_query(fields: &Fields<'_>, report: &mut Report<'_>) -> Result<(String, Vec<Matcher>), Reported> {
    let example = "write a selector, such as http_requests_total{namespace!=\"\",pod!=\"\"}";
    let Some(Text { text, place }) = fields.text("seriesQuery", report)? else {
        report.error(fields.place, format!("seriesQuery is missing; {example}"));
        return Err(Reported);
    };
    report.within("seriesQuery", |report| {
        let query = Query::parse(text, &fields.config().promql).map_err(|error| {
            report.error(report.inside(place, text, error.span.start), error.message);
            Reported
        })?;
        match &query.expr().kind {
            ExprKind::Selector(selector) if selector.shift == podgauge_promql::Shift::default() => {
                let is_regex = |m: &&Matcher| matches!(m.op(), MatchOp::Regex | MatchOp::NotRegex);
                let regexes = selector.matchers.iter().filter(is_regex).count();
                let counted = report.count_regexes(regexes, place, fields.config());
                if counted { Ok((text.to_owned(), selector.matchers.clone())) } else { Err(Reported) }
            }
            _ => {
                report.error(place, format!("this is no plain selector of series; {example}"));
                Err(Reported)
            }
        }
    })
}

fn series_filters(fields: &Fields<'_>, report: &mut Report<'_>) -> Result<Vec<Filter>, Reported> {
    let Some(node) = fields.node("seriesFilters") else { return Ok(Vec::new()) };
    report.within("seriesFilters", |report| {
        let Value::List(list) = &node.value else {
            let message = format!(
                "this is {}; write a list: a line \"- isNot: ^container_\" for each",
                node.value.noun()
            );
            report.error(node.place, message);
            return Err(Reported);
        };
        if list.len() > fields.config().entries {
            let most = fields.config().entries;
            report.error(node.place, format!("there are {} filters, at most {most} are read", list.len()));
            return Err(Reported);
        }
        let mut filters = Vec::new();
        for (n, node) in list.iter().enumerate() {
            let filter = report.within(&format!("[{n}]"), |report| {
                let entry = Fields::of(node, fields.config(), report).ok_or(Reported)?;
                entry.check_known(&["is", "isNot"], report).ok_or(Reported)?;
                let (is, is_not) = (entry.text("is", report)?, entry.text("isNot", report)?);
                let (text, must_match) = match (is, is_not) {
                    (Some(is), None) => (is, true),
                    (None, Some(is_not)) => (is_not, false),
                    _ => {
                        report.error(
                            node.place,
                            "write either is: or isNot:, with a regular expression".to_owned(),
                        );
                        return Err(Reported);
                    }
                };
                let field = if must_match { "is" } else { "isNot" };
                let pattern = report.within(field, |report| regex(text, fields.config(), report))?;
                Ok(Filter { pattern, must_match })
            });
            filters.push(filter?);
        }
        Ok(filters)
    })
}

/// Which labels name which objects, and whether the series belong to namespaces.
fn resources(
    fields: &Fields<'_>,
    serves: Serves,
    report: &mut Report<'_>,
) -> Result<(Mapping, bool), Reported> {
    let Some(node) = fields.node("resources") else {
        if serves == Serves::Custom {
            let message = "resources is missing; write template: <<.Resource>>, or overrides: with a label for each \
                           resource, so that it is known which objects the series are about";
            report.error(fields.place, message.to_owned());
            return Err(Reported);
        }
        return Ok((Mapping::default(), true));
    };
    report.within("resources", |report| {
        let config = fields.config();
        let resources = Fields::of(node, config, report).ok_or(Reported)?;
        resources.check_known(&["template", "overrides", "namespaced"], report).ok_or(Reported)?;
        let namespaced = resources.flag("namespaced", report)?.unwrap_or(true);
        if !namespaced && serves == Serves::Custom {
            let message = "namespaced: false means something in externalRules alone; here a resource says by itself \
                           whether it is in a namespace";
            report.within("namespaced", |report| report.note(node.place, message.to_owned()));
        }
        let template = match resources.text("template", report)?.filter(|template| !template.text.is_empty()) {
            None => None,
            Some(Text { text, place }) => Some(report.within("template", |report| {
                Label::parse(text).map_err(|error| {
                    report.error(report.inside(place, text, error.at), error.message);
                    Reported
                })
            })?),
        };
        let overrides = overrides(&resources, report)?;
        if template.is_none() && overrides.is_empty() && serves == Serves::Custom {
            let message = "there is neither a template nor an override; write template: <<.Resource>>, or overrides: \
                           with a label for each resource";
            report.error(node.place, message.to_owned());
            return Err(Reported);
        }
        Ok((Mapping::new(overrides, template, &config.resources), namespaced))
    })
}

fn overrides(
    resources: &Fields<'_>,
    report: &mut Report<'_>,
) -> Result<Vec<(String, GroupResource)>, Reported> {
    let Some(node) = resources.node("overrides") else { return Ok(Vec::new()) };
    report.within("overrides", |report| {
        let labels = Fields::of(node, resources.config(), report).ok_or(Reported)?;
        let mut overrides: Vec<(String, GroupResource)> = Vec::new();
        for (label, node) in labels.entries() {
            let resource = report.within(&label.text, |report| {
                if !template::is_label_name(&label.text) {
                    report.error(
                        label.place,
                        format!("no label can be called {:?}; use letters, digits and _", label.text),
                    );
                    return Err(Reported);
                }
                let entry = Fields::of(node, resources.config(), report).ok_or(Reported)?;
                entry.check_known(&["group", "resource"], report).ok_or(Reported)?;
                let group = entry.text("group", report)?.map_or("", |group| group.text);
                let Some(resource) = entry.text("resource", report)? else {
                    report.error(
                        node.place,
                        "resource is missing; write its singular or plural, such as resource: pod".to_owned(),
                    );
                    return Err(Reported);
                };
                GroupResource::named(group, resource.text).map_err(|message| {
                    report.error(resource.place, message);
                    Reported
                })
            })?;
            if let Some((other, _)) = overrides.iter().find(|(_, same)| *same == resource) {
                let message = format!(
                    "both {other} and {} name {resource}; queries group by the first of them",
                    label.text
                );
                report.note(label.place, message);
            }
            overrides.push((label.text.clone(), resource));
        }
        Ok(overrides)
    })
}

/// `name.matches` and `name.as`.
fn name(fields: &Fields<'_>, report: &mut Report<'_>) -> Result<(Option<Re2>, Option<String>), Reported> {
    let Some(node) = fields.node("name") else { return Ok((None, None)) };
    report.within("name", |report| {
        let name = Fields::of(node, fields.config(), report).ok_or(Reported)?;
        name.check_known(&["matches", "as"], report).ok_or(Reported)?;
        let matches = match name.text("matches", report)?.filter(|matches| !matches.text.is_empty()) {
            Some(text) => Some(report.within("matches", |report| regex(text, fields.config(), report))?),
            None => None,
        };
        let named = name.text("as", report)?.filter(|named| !named.text.is_empty());
        let groups = matches.as_ref().map_or(0, Re2::groups);
        let named = match (named, groups) {
            (Some(named), _) => Some(named.text.to_owned()),
            (None, 0) => None,
            (None, 1) => Some("$1".to_owned()),
            (None, _) => {
                let message = format!("matches has {groups} groups, so that as: must say which become the name; write as: \"${{1}}_${{2}}\" or the like");
                report.error(node.place, message);
                return Err(Reported);
            }
        };
        Ok((matches, named))
    })
}

/// `source`.
fn origin(fields: &Fields<'_>, report: &mut Report<'_>) -> Result<Origin, Reported> {
    let config = fields.config();
    let source = fields.text("source", report)?;
    let (origin, place) = match source {
        None => (config.origin, fields.place),
        Some(Text { text: "scrape", place }) => (Origin::Scrape, place),
        Some(Text { text: "prometheus", place }) => (Origin::Prometheus, place),
        Some(Text { text, place }) => {
            let shown: String = text.chars().take(64).collect();
            let message = format!("there is no source {shown:?}; write scrape or prometheus");
            report.within("source", |report| report.error(place, message));
            return Err(Reported);
        }
    };
    if origin == Origin::Prometheus && !config.has_prometheus {
        let message =
            "there is no Prometheus to ask; start podgauge with --prometheus-url, or write source: scrape";
        report.within("source", |report| report.error(place, message.to_owned()));
        return Err(Reported);
    }
    Ok(origin)
}

/// The template, and what its queries look at, as far as they can be read here.
fn metrics_query(
    fields: &Fields<'_>,
    serves: Serves,
    origin: Origin,
    report: &mut Report<'_>,
) -> Result<(Template, Vec<Reach>), Reported> {
    let Some(Text { text, place }) = fields.text("metricsQuery", report)? else {
        let example = "sum(<<.Series>>{<<.LabelMatchers>>}) by (<<.GroupBy>>)";
        report.error(fields.place, format!("metricsQuery is missing; write a query, such as {example}"));
        return Err(Reported);
    };
    report.within("metricsQuery", |report| {
        let template = Template::parse(text).map_err(|error| {
            report.error(report.inside(place, text, error.at), error.message);
            Reported
        })?;
        let group_by = ["podgauge_any_label".to_owned()];
        let filled = template.fill(&template::Fields {
            series: SERIES,
            label_matchers: "podgauge_any_label=\"x\"",
            label_values: &[],
            group_by: &group_by,
            other_values: "x",
        });
        let query = match Query::parse(&filled.text, &fields.config().promql) {
            Ok(query) => query,
            Err(ParseError { span, message, .. }) => {
                let at = report.inside(place, text, filled.origin(span.start));
                // Prometheus' kin know more than PromQL, and are asked whatever is written here.
                if origin == Origin::Prometheus {
                    report.note(at, format!("{message}; Prometheus is asked all the same"));
                    return Ok((template, Vec::new()));
                }
                report.error(at, message);
                return Err(Reported);
            }
        };
        let may_be_scalar = serves == Serves::External;
        if !(query.value_type() == Type::Vector || may_be_scalar && query.value_type() == Type::Scalar) {
            let message = format!(
                "the query gives a {}, not an instant vector; give each series one value, with rate(...) or \
                 last_over_time(...) around a range, or vector(...) around a number",
                query.value_type().name()
            );
            report.error(place, message);
            return Err(Reported);
        }
        let reaches = query.required_retention();
        if origin == Origin::Prometheus {
            return Ok((template, reaches));
        }
        check_reaches(&reaches, place, text, |at| filled.origin(at), fields.config().history, report)?;
        Ok((template, reaches))
    })
}

/// No query may ask for more history than may be kept.
fn check_reaches(
    reaches: &[Reach],
    place: Place,
    text: &str,
    origin: impl Fn(usize) -> usize,
    most: Duration,
    report: &mut Report<'_>,
) -> Result<(), Reported> {
    for reach in reaches.iter().filter(|reach| !reach.newest_alone) {
        let at = report.inside(place, text, origin(reach.span.start));
        if reach.at_ms.is_some() {
            report.error(
                at,
                "@ with a fixed time asks for what was forgotten long ago; leave it out".to_owned(),
            );
            return Err(Reported);
        }
        if reach.back > most {
            let message = format!(
                "the query looks back {} s, and at most {} s are kept (--rules-history-limit); make the range shorter",
                reach.back.as_secs(),
                most.as_secs()
            );
            report.error(at, message);
            return Err(Reported);
        }
    }
    Ok(())
}

fn regex(text: Text<'_>, config: &Config, report: &mut Report<'_>) -> Result<Re2, Reported> {
    if !report.count_regexes(1, text.place, config) {
        return Err(Reported);
    }
    Re2::new(text.text, config.regex_bytes).map_err(|error| {
        report.error(text.place, format!("not a regular expression: {error}"));
        Reported
    })
}
