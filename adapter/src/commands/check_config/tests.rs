//! Files as people check them.

use std::{
    fs,
    io::{Read as _, Write as _},
    net::TcpListener,
    thread,
};

use super::*;

const RULES: &str = r#"rules:
- seriesQuery: 'hits_total{pod!=""}'
  resources: {overrides: {namespace: {resource: namespace}, pod: {resource: pod}}}
  name: {matches: "(.*)_total", as: "${1}_per_second"}
  metricsQuery: sum(rate(<<.Series>>{<<.LabelMatchers>>}[2m])) by (<<.GroupBy>>)
- seriesQuery: waiting
  resources: {template: <<.Resource>>}
  metricsQuery: sum(<<.Series>>{<<.LabelMatchers>>}) by (<<.GroupBy>>)
- seriesQuery: none
  resources: {overrides: {tenant: {resource: namespace}}}
  metricsQuery: sum(<<.Series>>
externalRules:
- seriesQuery: waiting
  resources: {namespaced: false}
  name: {as: all_waiting}
  metricsQuery: sum(<<.Series>>)
"#;

const PAGE: &str =
    "# TYPE hits_total counter\nhits_total{code=\"200\"} 7\nwaiting 3\nwaiting{namespace=\"x\"} 4\n";

const SAID: &str = r#"RULES:11:21: rules[2].metricsQuery: WHY
2 of rules and 1 of externalRules work; errors: 1

PAGE: 3 series, as if scraped from pod default/pod-0
rules[0] (line 2): hits_total, 1 series -> hits_per_second
  namespaces/default: sum(rate(hits_total{namespace="default"}[2m])) by (namespace)
    nothing from one page alone: it looks back 120 s
  pods/pod-0: sum(rate(hits_total{namespace="default",pod="pod-0"}[2m])) by (pod)
    nothing from one page alone: it looks back 120 s
rules[1] (line 6): waiting, 2 series -> waiting
  namespaces/default: sum(waiting{namespace="default"}) by (namespace)
    {namespace="default"} = 7
  pods/pod-0: sum(waiting{namespace="default",pod="pod-0"}) by (pod)
    {pod="pod-0"} = 7
  jobs.batch/kubernetes-pods: sum(waiting{namespace="default",job="kubernetes-pods"}) by (job)
    {job="kubernetes-pods"} = 7
externalRules[0] (line 13): waiting, 2 series -> all_waiting
  external: sum(waiting)
    {} = 7
"#;

/// The largest file.
const LIMIT: usize = 1 << 16;

/// What is printed, and how it exits.
fn checked(file: &str, against: &str) -> (String, String) {
    let args = CheckConfigArgs {
        file: file.into(),
        against: (!against.is_empty()).then(|| against.to_owned()),
        namespace: "default".to_owned(),
        rules_source: Source::Scrape,
        limits: RulesLimits { rules_file_limit: LIMIT, rules_limit: 10 },
        pod: "pod-0".to_owned(),
        pod_labels: Vec::new(),
    };
    let (mut out, mut err) = (Vec::new(), Vec::new());
    let code = args.run_to(&mut out, &mut err);
    out.extend(err);
    (String::from_utf8(out).unwrap(), format!("{code:?}"))
}

fn code(code: u8) -> String {
    format!("{:?}", ExitCode::from(code))
}

#[test]
fn a_file_is_checked_and_tried_on_a_page() {
    let name =
        |what: &str| std::env::temp_dir().join(format!("podgauge-check-{}-{what}", std::process::id()));
    let (rules, page) = (name("rules"), name("page"));
    let (rules, page) = (rules.to_str().unwrap(), page.to_str().unwrap());
    fs::write(rules, RULES).unwrap();
    fs::write(page, PAGE).unwrap();
    let told = |said: &str, from: &str| {
        let said = said.replace(rules, "RULES").replace(from, "PAGE");
        let (first, rest) = said.split_once('\n').unwrap();
        let (place, _) = first.split_once("metricsQuery: ").unwrap();
        format!("{place}metricsQuery: WHY\n{rest}")
    };
    let (said, exit) = checked(rules, page);
    assert_eq!(told(&said, page), SAID);
    assert_eq!(exit, code(1));

    let pod = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}/metrics", pod.local_addr().unwrap());
    let serving = thread::spawn(move || {
        let (mut stream, _) = pod.accept().unwrap();
        let mut head = [0; 1024];
        let read = stream.read(&mut head).unwrap();
        write!(stream, "HTTP/1.1 200 OK\r\ncontent-length: {}\r\n\r\n{PAGE}", PAGE.len()).unwrap();
        String::from_utf8_lossy(&head[..read]).into_owned()
    });
    let (said, _) = checked(rules, &url);
    assert_eq!(told(&said, &url), SAID);
    assert!(serving.join().unwrap().starts_with("GET /metrics HTTP/1.1"));

    let (said, exit) = checked(rules, "https://example.com");
    assert!(said.contains("save it with curl"), "{said}");
    assert_eq!(exit, code(2));
    fs::write(rules, RULES.replace("sum(<<.Series>>\n", "sum(<<.Series>>)\n")).unwrap();
    assert_eq!(
        checked(rules, ""),
        ("3 of rules and 1 of externalRules work; errors: 0\n".to_owned(), code(0))
    );
    fs::write(rules, "#".repeat(LIMIT + 1)).unwrap();
    let (said, exit) = checked(rules, "");
    assert!(said.contains("more than the 65536 bytes of --rules-file-limit"), "{said}");
    assert_eq!(exit, code(2));
    fs::write(rules, format!("rules:{}", "\n- {}".repeat(11))).unwrap();
    assert!(checked(rules, "").0.contains("--rules-limit"));
    fs::remove_file(rules).unwrap();
    fs::remove_file(page).unwrap();
    assert_eq!(checked(rules, "").1, code(2));
}
