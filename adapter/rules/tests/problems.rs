//! What is wrong with a file is placed and explained, and costs no more than its rule.

use std::time::Duration;

use podgauge_rules::{Config, load};
use proptest::prelude::*;

/// The places of the rules that work, and all problems.
fn reading(text: &str) -> (Vec<String>, Vec<String>) {
    let config = Config { rules: 5, entries: 8, history: Duration::from_secs(600), ..Config::default() };
    match load(text, &config) {
        Ok((set, problems)) => {
            let places = set.custom.iter().chain(&set.external).map(|rule| rule.place.clone());
            (places.collect(), problems.iter().map(ToString::to_string).collect())
        }
        Err(problem) => (Vec::new(), vec![problem.to_string()]),
    }
}

#[test]
fn a_bad_rule_costs_itself_alone() {
    let text = "
rules:
- seriesQuery: 'good{pod!=\"\"}'
  resources: {template: <<.Resource>>}
  metricsQuery: sum(<<.Series>>{<<.LabelMatchers>>}) by (<<.GroupBy>>)
- seriesQuery: 'bad{pod!=\"\"}'
  resources: {template: <<.Resource>>}
  metricsQuery: sum(<<.Series>>{<<.LabelMatchers>>} by (<<.GroupBy>>)
- seriesQuery: 'good{pod!=\"\"}'
  resources: {template: <<.Resource>>}
  metricsQuery: <<.Series>>{<<.LabelMatchers>>}
";
    let (rules, problems) = reading(text);
    assert_eq!(rules, ["rules[0]", "rules[2]"]);
    assert_eq!(problems.len(), 1, "{problems:?}");
    assert!(problems[0].starts_with("8:53: rules[1].metricsQuery: "), "{problems:?}");
}

#[test]
fn problems_are_placed_and_explained() {
    let mut bad = Vec::new();
    let mut check = |fields: &str, want: &[&str]| {
        let good =
            "seriesQuery: a{pod!=\"\"}\n  resources: {template: <<.Resource>>}\n  metricsQuery: <<.Series>>";
        // A field that is given takes the place of the good one.
        let name = |line: &str| line.trim_start().split(':').next().unwrap_or_default().to_owned();
        let rest: Vec<&str> = good.lines().filter(|line| name(line) != name(fields)).collect();
        let text = format!("rules:\n- {fields}\n  {}\n", rest.join("\n").trim_start());
        let (rules, problems) = reading(&text);
        let costs = problems.iter().any(|problem| !problem.contains("note:"));
        let counted = rules.is_empty() == costs && problems.len() == want.len();
        bad.extend((!counted).then(|| format!("{text}{problems:?}")));
        for (problem, want) in problems.iter().zip(want) {
            let (place, words) = want.split_once(' ').unwrap();
            let holds = problem.starts_with(place) && problem.contains(words);
            bad.extend((!holds).then(|| format!("{problem}\n  want: {want}")));
        }
    };
    check("seriesQuery: ''", &["2: rules[0].seriesQuery: "]);
    check("seriesQuery: '{a=~\".*\"}'", &["2:17: match every series"]);
    check("seriesQuery: sum(a)", &["2:16: no plain selector"]);
    check("seriesQuery: a[5m]", &["2:16: no plain selector"]);
    check("seriesQuery: [a]", &["2:16: this is a list; write a text"]);
    check("seriesQuery: 'a{b=~\"(\"}'", &["2: not a regular expression"]);
    check("source: promethoos", &["2:11: there is no source \"promethoos\"; write scrape or prometheus"]);
    check("source: [prometheus]", &["2:11: this is a list"]);
    check("seriesFilters: [{is: a, isNot: b}]", &["2: either is: or isNot:"]);
    check("seriesFilters: [{is: 'a('}]", &["2:24: not a regular expression: unclosed group"]);
    check("seriesFilters: [{was: a}]", &["2:20: no field \"was\""]);
    check("resources: {}", &["2:14: neither a template nor an override"]);
    check("resources: {template: kube_<<.Resource>>-}", &["2: which no label can be called"]);
    check("resources: {template: <<.Kind>>}", &["2: <<.Kind>> is not supported"]);
    check("resources: {overrides: {pod: {}}}", &["2: resource is missing"]);
    check(
        "resources: {overrides: {pod: {resource: pod}, pod_name: {resource: pods}}}",
        &["2: note: rules[0]"],
    );
    check(
        "resources: {overrides: {ingress: {group: extensions, resource: ingress}}}",
        &["2: is gone from Kubernetes"],
    );
    check("resources: {template: <<.Resource>>, namespaced: 'yes'}", &["2: write true or false"]);
    check("name: {matches: '(a)(b)'}", &["2: matches has 2 groups"]);
    check("name: {matches: '(a{1000}){1000}{1000}'}", &["2: needs more than"]);
    check("name: {match: a}", &["2: did you mean \"matches\"?"]);
    check("metricsQuery: sum(<<.Series>>{<<.LabelMatchers})", &["2:33: is not closed"]);
    check("metricsQuery: <<.Series>>[5m]", &["2:17: not an instant vector"]);
    check("metricsQuery: '1'", &["2:17: gives a scalar"]);
    check("metricsQuery: |\n    sum(\n      rat(<<.Series>>[1m]))", &["4:7: rat"]);
    check("metricsQuery: rate(<<.Series>>[11m])", &["2:22: looks back 660 s, and at most 600 s"]);
    check("metricsQuery: info(<<.Series>>)", &["2:17: info"]);
    check("metricQuery: x", &["2:3: did you mean \"metricsQuery\"?"]);
    check("interval: 5m", &["2:3: no field \"interval\""]);
    assert!(bad.is_empty(), "{}", bad.join("\n"));
}

#[test]
fn files_that_are_none_are_refused_whole() {
    let check = |text: &str, want: &str| {
        let (rules, problems) = reading(text);
        assert!(rules.is_empty());
        assert!(problems.first().is_some_and(|problem| problem.contains(want)), "{text}: {problems:?}");
    };
    check("", "the file has no rules");
    check("- a", "the file is a list");
    check("rules: a", "write a list");
    check("rulez: []", "did you mean \"rules\"?");
    check("apiVersion: v1\nkind: ConfigMap", "this is a Kubernetes object");
    check("rules: [", "not YAML");
    check("a: &a [*a]", "not YAML");
    check(&format!("rules: {}{}", "[".repeat(100), "]".repeat(100)), "not YAML");
    check(&"#".repeat((1 << 20) + 1), "at most 1048576");
    check(&format!("rules: [{}]", "{},".repeat(6)), "seriesQuery is missing");
    assert!(
        reading(&format!("rules: [{}]", "{},".repeat(6)))
            .1
            .iter()
            .any(|p| p.contains("more than the 5 rules"))
    );
    check("resourceRules: {cpu: {}}", "keep metrics-server");
}

#[test]
fn regular_expressions_are_bounded_all_together() {
    let config = Config { regexes: 3, ..Config::default() };
    let rule = "- seriesQuery: 'a{b=~\"x.*\"}'\n  seriesFilters: [{is: a}]\n  resources: {template: <<.Resource>>}\n  \
                metricsQuery: sum(<<.Series>>)\n";
    let (set, problems) = load(&format!("rules:\n{rule}{rule}"), &config).unwrap();
    assert_eq!(set.custom.len(), 1);
    assert_eq!(problems.len(), 1);
    assert!(
        problems[0].to_string().starts_with("7:24: rules[1].seriesFilters[0].is: all rules together"),
        "{problems:?}"
    );
    // Each of them is small on its own as well.
    let (set, problems) =
        load(&format!("rules:\n{}", rule.replace("is: a", "is: '(a{500}){50}'")), &config).unwrap();
    assert!(set.custom.is_empty() && problems[0].message.contains("more than 131072 bytes"), "{problems:?}");
}

proptest! {
    #[test]
    fn no_text_makes_it_panic(text in "\\PC{0,80}", query in "[a-z<>{}\\[\\]().:\"$|~=! 0-9]{0,60}") {
        let _ = load(&text, &Config::default());
        let rule = format!("rules:\n- seriesQuery: '{query}'\n  name: {{matches: '{query}', as: '{query}'}}\n  \
                            resources: {{template: '{query}'}}\n  metricsQuery: '{query}'\n");
        let _ = load(&rule, &Config::default());
    }
}

#[test]
fn what_prometheus_is_asked_is_its_own_business() {
    let rule = |source: &str, query: &str| {
        format!(
            "rules:
- seriesQuery: 'a{{pod!=\"\"}}'
  resources: {{template: <<.Resource>>}}
  {source}
  metricsQuery: {query}
"
        )
    };
    let check = |config: &Config, source: &str, query: &str, works: usize, want: &[&str]| {
        let (set, problems) = load(&rule(source, query), config).unwrap();
        let problems: Vec<String> = problems.iter().map(ToString::to_string).collect();
        assert_eq!(set.custom.len(), works, "{problems:?}");
        assert_eq!(problems.len(), want.len(), "{problems:?}");
        assert!(problems.iter().zip(want).all(|(problem, want)| problem.contains(want)), "{problems:?}");
        assert_eq!(set.history("a"), Duration::ZERO);
        set.custom.first().and_then(podgauge_rules::Rule::window)
    };
    let long = "sum(rate(<<.Series>>{<<.LabelMatchers>>}[2d])) by (<<.GroupBy>>)";
    let (own, more) = (Config::default(), "quantiles_over_time(<<.Series>>[5m])");
    let days = Some(Duration::from_secs(2 * 86_400));
    assert_eq!(check(&own, "source: prometheus", long, 1, &[]), days);
    check(&own, "source: scrape", long, 0, &["--rules-history-limit"]);
    check(&own, "source: prometheus", more, 1, &["note: rules[0].metricsQuery: "]);
    check(&own, "source: prometheus", "<<.Series>>{<<.LabelMatchers", 0, &["rules[0].metricsQuery: "]);
    let default = Config { origin: podgauge_rules::Origin::Prometheus, ..Config::default() };
    assert_eq!(check(&default, "seriesFilters: []", long, 1, &[]), days);
    check(&default, "source: scrape", long, 0, &["--rules-history-limit"]);
    let none = Config { has_prometheus: false, ..Config::default() };
    check(&none, "source: prometheus", long, 0, &["4:11: rules[0].source: there is no Prometheus to ask"]);
}
