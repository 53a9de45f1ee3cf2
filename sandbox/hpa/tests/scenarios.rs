//! Plays every scenario under `scenarios/`.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails")]

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use sandbox_hpa::scenario::{Scenario, from_yaml, run};
use sandbox_hpa::spec::HorizontalPodAutoscaler;

/// Fewer than this means that files were lost.
const AT_LEAST: usize = 145;

fn files() -> Vec<PathBuf> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("scenarios");
    let entries = std::fs::read_dir(&folder).unwrap_or_else(|error| panic!("{}: {error}", folder.display()));
    let mut files: Vec<_> = entries.map(|entry| entry.unwrap().path()).collect();
    files.retain(|file| file.extension().is_some_and(|extension| extension == "yaml"));
    files.sort();
    files
}

fn scenarios() -> Vec<Scenario> {
    let read = |file: PathBuf| {
        let text = std::fs::read_to_string(&file).unwrap();
        from_yaml(&text).unwrap_or_else(|error| panic!("{}: {error}", file.display()))
    };
    files().into_iter().flat_map(read).collect()
}

#[test]
fn every_scenario_comes_out_as_expected() {
    let scenarios = scenarios();
    let mut mismatches = Vec::new();
    for scenario in &scenarios {
        let result = run(scenario);
        println!("{} {} ({})", if result.is_ok() { "ok  " } else { "FAIL" }, scenario.name, scenario.rule);
        mismatches.extend(result.err());
    }
    let report: Vec<_> = mismatches.iter().map(ToString::to_string).collect();
    assert!(
        mismatches.is_empty(),
        "{} of {} differ:\n{}",
        mismatches.len(),
        scenarios.len(),
        report.join("\n")
    );
    assert!(scenarios.len() >= AT_LEAST, "only {} scenarios", scenarios.len());
}

#[test]
fn names_are_unique() {
    let mut names = BTreeSet::new();
    for scenario in scenarios() {
        assert!(names.insert(scenario.name.clone()), "{} is there twice", scenario.name);
    }
}

/// The demo's scenario is about the file that the demo applies.
#[test]
fn the_demo_plays_the_autoscaler_of_this_repository() {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../hpa.yaml");
    let text = std::fs::read_to_string(&file).unwrap_or_else(|error| panic!("{}: {error}", file.display()));
    let mut applied: HorizontalPodAutoscaler = serde_saphyr::from_str(&text).unwrap();
    applied.apply_defaults();
    assert_eq!(applied.validate(), Ok(()));
    let demo = scenarios().into_iter().find(|scenario| scenario.name == "demo").unwrap();
    let mut played = HorizontalPodAutoscaler { spec: demo.hpa, ..HorizontalPodAutoscaler::default() };
    played.apply_defaults();
    assert_eq!(played.spec, applied.spec);
}

/// A scenario is data: it survives being written as JSON, for whoever plays it elsewhere.
#[test]
fn scenarios_can_be_written_as_json() {
    for scenario in scenarios() {
        let json = serde_json::to_string(&scenario).unwrap();
        let read: Scenario =
            serde_json::from_str(&json).unwrap_or_else(|error| panic!("{}: {error}", scenario.name));
        assert_eq!(run(&read), Ok(()));
    }
}

#[test]
fn a_difference_is_told_in_full() {
    let scenario = r#"
name: wrong
rule: calcPlainMetricReplicas
about: Expects what does not happen.
hpa:
  maxReplicas: 9
  metrics: [{type: Pods, pods: {metric: {name: m}, target: {type: AverageValue, averageValue: 10}}}]
steps:
  - at: 0
    scale: {replicas: 2}
    pods: 2
    metrics: {m: {pods: {p0: 20, p1: 20}}}
    expect: {replicas: 3, conditions: {ScalingActive: "False FailedGetPodsMetric"}}
"#;
    let [scenario] = from_yaml(scenario).unwrap().try_into().unwrap();
    let told = run(&scenario).unwrap_err().to_string();
    for part in [
        "wrong at 0 s",
        "replicas: expected 3, got 4",
        "ScalingActive: expected False FailedGetPodsMetric, got True ValidMetricFound",
        "events: expected , got SuccessfulRescale",
        "New size: 4; reason: pods metric m above target",
    ] {
        assert!(told.contains(part), "{part:?} is not in:\n{told}");
    }
}

#[test]
fn what_cannot_be_played_is_refused() {
    let check = |text: &str, want: &str| {
        let told = match from_yaml(text) {
            Err(error) => error,
            Ok(scenarios) => run(&scenarios[0]).unwrap_err().to_string(),
        };
        assert!(told.contains(want), "{want:?} is not in {told}");
    };
    let head = "name: n\nrule: r\nabout: a\n";
    check(
        &format!("{head}hpa: {{maxReplicas: 0}}\nsteps: [{{at: 0, expect: {{replicas: 0}}}}]"),
        "spec.maxReplicas",
    );
    check(&format!("{head}hpa: {{maxReplicas: 1}}\nsteps: []"), "no steps");
    check(&format!("{head}hpa: {{maxReplicas: 1}}\nstep: []"), "step");
    let step = "{at: 0, expect: {replicas: 0}}";
    check(&format!("{head}hpa: {{maxReplicas: 1}}\nsteps: [{step}, {step}]"), "is not after");
}
