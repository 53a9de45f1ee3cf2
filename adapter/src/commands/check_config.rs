//! `podgauge check-config FILE`: what is wrong with a configuration file, and what its rules yield.

use std::{
    collections::BTreeMap,
    io::{self, Write},
    path::PathBuf,
    process::ExitCode,
};

use podgauge_exposition::{Limits, Page, Values};
use podgauge_promql::{Labels, MemorySource, Sample, Value};
use podgauge_rules::{Ask, Config, GroupResource, Origin, Rule, RuleSet, Serves, Severity, TargetLabels};

use super::page;
use crate::{
    args::{RulesLimits, Source},
    clock, rules_file,
};

#[derive(Debug, clap::Args)]
pub(crate) struct CheckConfigArgs {
    /// The configuration file.
    #[arg(value_name = "FILE")]
    file: PathBuf,
    /// Where the series of rules come from that have no `source`, as podgauge's flag says.
    #[arg(long, value_name = "SOURCE", value_enum, default_value = "scrape")]
    rules_source: Source,
    #[command(flatten)]
    limits: RulesLimits,
    /// A pod's page, as http://10.0.0.1:8080/metrics or a file, to show what each rule yields of it.
    #[arg(long, value_name = "URL|FILE")]
    against: Option<String>,
    /// The namespace that the page's pod is in.
    #[arg(long, value_name = "NAMESPACE", default_value = "default")]
    namespace: String,
    /// The name of the page's pod.
    #[arg(long, value_name = "NAME", default_value = "pod-0")]
    pod: String,
    /// The labels of the page's pod, separated by commas.
    #[arg(long, value_name = "KEY=VALUE", value_delimiter = ',', value_parser = key_value)]
    pod_labels: Vec<(String, String)>,
}

// === impl CheckConfigArgs ===

impl CheckConfigArgs {
    pub(super) fn run(&self) -> ExitCode {
        self.run_to(&mut io::stdout().lock(), &mut io::stderr().lock())
    }

    fn run_to(&self, out: &mut impl Write, err: &mut impl Write) -> ExitCode {
        // Whoever closed the streams has seen enough, so that a failed write is no failure.
        let mut config = Config { origin: self.rules_source.into(), ..Config::default() };
        self.limits.apply(&mut config);
        let file = self.file.display();
        let text = match rules_file::read(&self.file, &config) {
            Ok(text) => text,
            Err(error) => {
                let _ = writeln!(err, "podgauge: {file}: {error}");
                return ExitCode::from(2);
            }
        };
        let (rules, problems) = match podgauge_rules::load(&text, &config) {
            Ok(loaded) => loaded,
            Err(problem) => {
                let _ = writeln!(out, "{file}:{problem}");
                return ExitCode::FAILURE;
            }
        };
        for problem in &problems {
            let _ = writeln!(out, "{file}:{problem}");
        }
        let errors = problems.iter().filter(|problem| problem.severity == Severity::Error).count();
        let (custom, external) = (rules.custom.len(), rules.external.len());
        let _ = writeln!(out, "{custom} of rules and {external} of externalRules work; errors: {errors}");
        if let Some(from) = &self.against
            && let Err(error) = self.try_on(from, &rules, out)
        {
            let _ = writeln!(err, "podgauge: {from}: {error}");
            return ExitCode::from(2);
        }
        if errors == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE }
    }

    /// Shows what each rule makes of a page.
    fn try_on(&self, from: &str, rules: &RuleSet, out: &mut impl Write) -> Result<(), String> {
        let saved = page::read(from)?;
        let page =
            Page::parse(&saved.bytes, saved.format, &Limits::default()).map_err(|error| error.to_string())?;
        let instance = saved.instance.as_deref().unwrap_or("10.0.0.1:8080");
        let own = self.pod_labels.iter().map(|(key, value)| (key.as_str(), value.as_str()));
        let target = TargetLabels::new(&self.namespace, &self.pod, None, instance, own);
        let mut values = Values::default();
        page.values(&mut values);
        let now = clock::now().millis();
        let mut source = MemorySource::default();
        let mut series = Vec::new();
        for (sample, value) in page.samples.iter().zip(&values.values) {
            let labels = page.labels(sample).iter().map(|label| (label.name.as_ref(), label.value.as_ref()));
            let labels = target.series(&sample.name, labels);
            source.push(&labels, Sample { t_ms: now, value: *value });
            series.push(labels);
        }
        let (count, pod) = (series.len(), format!("{}/{}", self.namespace, self.pod));
        let _ = writeln!(out, "\n{from}: {count} series, as if scraped from pod {pod}");
        for rule in rules.custom.iter().chain(&rules.external) {
            self.show(rule, &series, &source, now, out);
        }
        Ok(())
    }

    fn show(&self, rule: &Rule, series: &[Labels], source: &MemorySource, now: i64, out: &mut impl Write) {
        let (place, line) = (&rule.place, rule.line);
        if rule.origin() == Origin::Prometheus {
            let _ = writeln!(out, "{place} (line {line}): asks Prometheus, and not this page");
            return;
        }
        let mut taken: BTreeMap<&str, Vec<&Labels>> = BTreeMap::new();
        for labels in series.iter().filter(|labels| rule.selects(labels)) {
            taken.entry(labels.metric_name()).or_default().push(labels);
        }
        if taken.is_empty() {
            let _ = writeln!(out, "{place} (line {line}): takes no series of this page");
        }
        for (name, labels) in taken {
            let Some(metric) = rule.metric_name(name) else {
                let _ = writeln!(
                    out,
                    "{place} (line {line}): {name} -> no name at all; see name.matches and name.as"
                );
                continue;
            };
            let count = labels.len();
            let _ = writeln!(out, "{place} (line {line}): {name}, {count} series -> {metric}");
            let namespace = rule.is_namespaced().then_some(&*self.namespace);
            if rule.serves() == Serves::External {
                let ask = Ask { series: name, objects: None, namespace, conditions: &[] };
                self.answer("external", rule, &ask, source, now, out);
                continue;
            }
            let mut objects: BTreeMap<&GroupResource, &str> = BTreeMap::new();
            for (label, value) in labels.iter().flat_map(|labels| labels.iter()) {
                if let Some(resource) = rule.resource(label) {
                    objects.entry(resource).or_insert(value);
                }
            }
            if objects.is_empty() {
                let _ = writeln!(out, "  no label of it names an object; see resources");
            }
            for (resource, object) in objects {
                let names = [object];
                let namespace = Some(&*self.namespace).filter(|_| !resource.is_rooted());
                let ask = Ask { series: name, objects: Some((resource, &names)), namespace, conditions: &[] };
                self.answer(&format!("{resource}/{object}"), rule, &ask, source, now, out);
            }
        }
    }

    fn answer(
        &self,
        what: &str,
        rule: &Rule,
        ask: &Ask<'_>,
        source: &MemorySource,
        now: i64,
        out: &mut impl Write,
    ) {
        let query = match rule.query(ask) {
            Ok(query) => query,
            Err(why) => {
                let _ = writeln!(out, "  {what}: {why}");
                return;
            }
        };
        let answer = match query.instant(source, now).map(|answer| answer.value) {
            Err(error) => format!("cannot be evaluated: {error}"),
            Ok(Value::Scalar(number)) => format!("= {number}"),
            Ok(Value::Vector(points)) if !points.is_empty() => {
                let points = points.iter().map(|point| format!("{} = {}", point.labels, point.value));
                points.collect::<Vec<_>>().join(", ")
            }
            Ok(_) => match rule.window() {
                Some(window) => format!("nothing from one page alone: it looks back {} s", window.as_secs()),
                None => "nothing".to_owned(),
            },
        };
        let _ = writeln!(out, "  {what}: {}", query.text().trim());
        let _ = writeln!(out, "    {answer}");
    }
}

fn key_value(text: &str) -> Result<(String, String), String> {
    let (key, value) = text.split_once('=').ok_or("write a label as key=value")?;
    Ok((key.to_owned(), value.to_owned()))
}

#[cfg(test)]
mod tests;
