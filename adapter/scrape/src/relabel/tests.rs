use serde_json::json;

use super::*;

const BOUNDS: Bounds =
    Bounds { rules: 5, labels: 4, label_name_bytes: 16, label_value_bytes: 32, page_bytes: 1 << 20 };

/// `name{a="b"}` after the rules, or nothing; and what is wrong with the rules.
fn relabel(rules: &Value, labels: &[(&str, &str)]) -> (Option<String>, Vec<String>) {
    let mut problems = Vec::new();
    let relabeling = Relabeling::read(
        rules.as_array().unwrap(),
        &BOUNDS,
        &mut RegexRoom::new(1 << 16, 1 << 20),
        &mut problems,
    );
    let mut labels: Labels =
        labels.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
    let is_kept = relabeling.is_none_or(|relabeling| relabeling.apply(&mut labels, &mut 0));
    let shown = is_kept.then(|| {
        let name = labels.remove(NAME).unwrap();
        let labels: Vec<String> = labels.iter().map(|(name, value)| format!("{name}={value}")).collect();
        format!("{name}{{{}}}", labels.join(","))
    });
    (shown, problems)
}

const SERIES: [(&str, &str); 3] = [(NAME, "http_requests_total"), ("code", "200"), ("path", "/Cart")];

#[track_caller]
fn check(rules: &Value, expected: Option<&str>) {
    let (found, problems) = relabel(rules, &SERIES);
    assert_eq!(found.as_deref(), expected, "{rules}");
    assert_eq!(problems, <[&str; 0]>::default(), "{rules}");
}

#[test]
fn actions_do_what_prometheus_does() {
    let same = Some("http_requests_total{code=200,path=/Cart}");
    check(&json!([]), same);
    let keep = |regex: &str| json!([{"action": "keep", "sourceLabels": [NAME], "regex": regex}]);
    check(&keep("http_.*"), same);
    // Anchored at both ends.
    check(&keep("http"), None);
    check(
        &json!([{"action": "drop", "sourceLabels": [NAME, "code"], "regex": "http_requests_total;2.."}]),
        None,
    );
    check(
        &json!([{"action": "Drop", "sourceLabels": ["code", "missing"], "separator": "-", "regex": "200-"}]),
        None,
    );
    check(&json!([{"action": "drop", "sourceLabels": ["code"], "regex": "5.."}]), same);

    check(
        &json!([{"sourceLabels": ["code"], "targetLabel": "status"}]),
        Some("http_requests_total{code=200,path=/Cart,status=200}"),
    );
    check(
        &json!([{"sourceLabels": ["code"], "regex": "(.).*", "targetLabel": "class_$1", "replacement": "${1}xx"}]),
        Some("http_requests_total{class_2=2xx,code=200,path=/Cart}"),
    );
    check(
        &json!([{"targetLabel": "zone", "replacement": "a"}]),
        Some("http_requests_total{code=200,path=/Cart,zone=a}"),
    );
    check(&json!([{"targetLabel": "path", "replacement": ""}]), Some("http_requests_total{code=200}"));
    check(
        &json!([{"sourceLabels": ["code"], "regex": "5..", "targetLabel": "path", "replacement": ""}]),
        same,
    );
    check(&json!([{"sourceLabels": ["path"], "targetLabel": "$1"}]), same);
    check(
        &json!([{"sourceLabels": [NAME], "regex": "http_(.*)", "targetLabel": NAME, "replacement": "web_$1"}]),
        Some("web_requests_total{code=200,path=/Cart}"),
    );
    check(&json!([{"targetLabel": NAME, "replacement": ""}]), None);

    check(
        &json!([{"action": "lowercase", "sourceLabels": ["path"], "targetLabel": "path"}]),
        Some("http_requests_total{code=200,path=/cart}"),
    );
    check(
        &json!([{"action": "uppercase", "sourceLabels": ["path"], "targetLabel": "up"}]),
        Some("http_requests_total{code=200,path=/Cart,up=/CART}"),
    );
    check(
        &json!([{"action": "labelmap", "regex": "(co|pa)(.*)", "replacement": "x_$2"}]),
        Some("http_requests_total{code=200,path=/Cart,x_de=200,x_th=/Cart}"),
    );
    check(&json!([{"action": "labeldrop", "regex": "c.*|nothing"}]), Some("http_requests_total{path=/Cart}"));
    check(&json!([{"action": "labelkeep", "regex": "__name__|code"}]), Some("http_requests_total{code=200}"));
    check(&json!([{"action": "labelkeep", "regex": "code"}]), None);
    // In their order.
    check(
        &json!([{"action": "labeldrop", "regex": "code"}, {"action": "drop", "sourceLabels": ["code"], "regex": "200"}]),
        Some("http_requests_total{path=/Cart}"),
    );
}

#[test]
fn what_cannot_be_kept_is_left_out_and_named() {
    let check = |rule: Value, expected: &str| {
        let (found, problems) = relabel(&json!([rule]), &SERIES);
        assert_eq!(found.as_deref(), Some("http_requests_total{code=200,path=/Cart}"), "{rule}");
        assert_eq!(problems, [format!("metricRelabelings[0] is left out: {expected}")]);
    };
    check(
        json!({"action": "hashmod", "modulus": 2, "targetLabel": "x"}),
        "podgauge does not do its action \"hashmod\"",
    );
    check(json!({"action": "drop", "source_labels": ["code"]}), "podgauge does not know \"source_labels\"");
    check(json!({"sourceLabels": ["code"]}), "it has no targetLabel");
    check(
        json!({"action": "keep", "sourceLabels": ["namespace"], "regex": "shop"}),
        "it looks at \"namespace\", which is on no page: Prometheus adds it, and podgauge does not",
    );
    check(json!({"action": "drop", "regex": "a("}), "its regex \"a(\": unclosed group");
    let (_, problems) = relabel(&json!([{"action": "drop", "regex": "(a{1000}){1000}"}]), &SERIES);
    assert!(problems.first().unwrap().contains("memory"), "{problems:?}");
    let many = vec![json!({"action": "labeldrop", "regex": "nothing"}); 6];
    let (_, problems) = relabel(&many.into(), &SERIES);
    assert_eq!(problems, ["it has 6 metricRelabelings, more than 5; those beyond are left out"]);
}

/// In between as well: each rule may double what the one before it made.
#[test]
fn what_rules_make_on_the_way_is_bounded() {
    let double =
        |prefix: &str| json!({"action": "labelmap", "regex": "(.*)", "replacement": format!("{prefix}$1")});
    let keep = json!({"action": "labelkeep", "regex": "__name__|code"});
    assert_eq!(relabel(&json!([double("a"), keep]), &SERIES).0.unwrap(), "http_requests_total{code=200}");
    assert_eq!(relabel(&json!([double("a"), double("b"), keep]), &SERIES).0, None);

    // Of a series that takes more to look at than a label's value may have, nothing is kept.
    let long =
        |action: &str| json!([{"action": action, "sourceLabels": [NAME, NAME], "targetLabel": "x"}, keep]);
    for action in ["replace", "lowercase", "uppercase", "keep", "drop"] {
        assert_eq!(relabel(&long(action), &SERIES).0, None, "{action}");
    }
    // Of 32 bytes, which are 48 in the other case.
    let odd = [(NAME, "m"), ("x", "ȺȺȺȺȺȺȺȺȺȺȺȺȺȺȺȺ")];
    let lower = json!([{"action": "lowercase", "sourceLabels": ["x"], "targetLabel": "y"}]);
    assert_eq!(relabel(&lower, &odd).0.unwrap(), "m{x=ȺȺȺȺȺȺȺȺȺȺȺȺȺȺȺȺ}");
    let (_, problems) = relabel(&json!([{"action": "drop", "sourceLabels": vec!["code"; 5]}]), &SERIES);
    assert_eq!(problems, ["metricRelabelings[0] is left out: it looks at 5 labels, more than 4"]);
    let (_, problems) = relabel(&json!([{"action": "drop", "separator": ";".repeat(33)}]), &SERIES);
    assert_eq!(problems, ["metricRelabelings[0] is left out: its separator is longer than 32 bytes"]);
}

#[test]
fn what_rules_make_is_bounded() {
    let long = json!([{"targetLabel": "x", "replacement": "x".repeat(33)}]);
    assert_eq!(relabel(&long, &SERIES).0.unwrap(), "http_requests_total{code=200,path=/Cart}");
    let name = json!([{"targetLabel": "x".repeat(17), "replacement": "1"}]);
    assert_eq!(relabel(&name, &SERIES).0, None);
    let labels: Vec<Value> =
        ["a", "b", "c"].map(|name| json!({"targetLabel": name, "replacement": "1"})).into();
    assert_eq!(relabel(&labels.into(), &SERIES).0, None);
}
