//! Answers as they come, and what is made of them.

use super::*;

fn check_points(code: u16, body: &str, want: &str) {
    let said = match points(StatusCode::from_u16(code).unwrap(), body.as_bytes()) {
        Ok(points) => points
            .iter()
            .map(|point| format!("{} = {} at {}", point.labels, point.value, point.sampled_ms))
            .collect::<Vec<_>>()
            .join("; "),
        Err(error) => format!("{}: {error}", error.class()),
    };
    assert_eq!(said, want, "{code} {body}");
}

#[test]
fn values_are_read() {
    let check = |data: &str, want: &str| {
        check_points(200, &format!(r#"{{"status":"success","data":{data},"warnings":["w"]}}"#), want);
    };
    check(r#"{"resultType":"vector","result":[]}"#, "");
    check(
        r#"{"resultType":"vector","result":[
            {"metric":{"__name__":"m","pod":"a"},"value":[1700000000.123,"1.5"]},
            {"metric":{"pod":"b"},"value":[1700000000,"NaN"]},
            {"metric":{},"value":[1700000000,"+Inf"]},
            {"metric":{"pod":"c"},"value":[1700000000,"many"]},
            {"metric":{"pod":"d"},"histogram":[1700000000,{"count":"1"}]}]}"#,
        r#"m{pod="a"} = 1.5 at 1700000000123; {pod="b"} = NaN at 1700000000000; {} = inf at 1700000000000"#,
    );
    check(r#"{"result":[1700000000.5,"42"],"resultType":"scalar"}"#, "{} = 42 at 1700000000500");
    let refused = |kind: &str| {
        format!(
            "refused: Prometheus refuses it: the query gives a {kind}, and not an instant vector or a scalar"
        )
    };
    check(r#"{"resultType":"string","result":[1,"1"]}"#, &refused("string"));
    check(r#"{"resultType":"matrix","result":[{"metric":{},"values":[[1,"1"]]}]}"#, &refused("matrix"));
}

#[test]
fn what_is_no_answer_says_so() {
    let cannot = |why: &str| format!("garbage: Prometheus' answer cannot be used: {why}");
    check_points(200, "", &cannot("it is no JSON from line 1 column 0 on"));
    check_points(200, "<html>Sign in</html>", &cannot("it is no JSON from line 1 column 1 on"));
    check_points(
        200,
        "[]",
        &cannot("invalid length 0, expected struct Envelope with 5 elements at line 1 column 2"),
    );
    check_points(200, r#"{"status":"success"}"#, &cannot("it has no data"));
    check_points(200, r#"{"status":"error","error":"a\nb"}"#, &cannot("it failed: a b"));
    let partial = r#"{"status":"success","isPartial":true,"data":{"resultType":"vector","result":[]}}"#;
    check_points(200, partial, &cannot("it is partial, since some storage nodes did not answer"));
    let deep = format!(r#"{{"more":{}"#, "[".repeat(100_000));
    let said = points(StatusCode::OK, deep.as_bytes()).unwrap_err().to_string();
    assert!(said.contains("it is no JSON from line 1"), "{said}");
    let many = format!(
        r#"{{"status":"success","data":{{"resultType":"vector","result":[{}0]}}}}"#,
        "0,".repeat(ELEMENTS)
    );
    let many = points(StatusCode::OK, many.as_bytes()).unwrap_err();
    assert_eq!(many.to_string(), "Prometheus' answer has more than 100000 series; make the query narrower");
    assert!(!many.is_outage());
}

#[test]
fn errors_are_about_the_query_or_not() {
    let bad = r#"{"status":"error","errorType":"bad_data","error":"parse error: unexpected end"}"#;
    check_points(400, bad, "refused: Prometheus refuses it: bad_data: parse error: unexpected end");
    check_points(422, bad, "refused: Prometheus refuses it: bad_data: parse error: unexpected end");
    check_points(503, bad, "status: Prometheus answers HTTP 503: parse error: unexpected end");
    // A proxy says these, without an envelope.
    for code in [413, 414, 431] {
        let refused =
            format!("refused: Prometheus refuses it: it answers HTTP {code}, as the query is too long");
        check_points(code, "<html>", &refused);
    }
    check_points(400, "no", "status: Prometheus answers HTTP 400");
    check_points(500, "", "status: Prometheus answers HTTP 500");
    for (code, hint) in [
        (302, "redirects are not followed, so give --prometheus-url the address that it leads to"),
        (401, "see --prometheus-token-file, --prometheus-auth-config and --prometheus-header"),
        (404, "see the path of --prometheus-url, to which /api/v1/query is added"),
        (405, "see --prometheus-verb"),
    ] {
        check_points(code, "<html>", &format!("status: Prometheus answers HTTP {code}; {hint}"));
    }
}

#[test]
fn series_are_names_and_labels() {
    let body = br#"{"status":"success","data":[
        {"__name__":"up","job":"a","pod":"x"}, {"__name__":"up","job":"b","node":"n"},
        {"job":"c"}, {"__name__":"down"}]}"#;
    let found = names(StatusCode::OK, body).unwrap();
    let found: Vec<String> = found
        .into_iter()
        .map(|(name, labels)| format!("{name}: {}", labels.into_iter().collect::<Vec<_>>().join(" ")))
        .collect();
    assert_eq!(found, ["down: ", "up: job node pod"]);
    assert!(matches!(
        names(StatusCode::OK, br#"{"status":"success","data":{}}"#),
        Err(QueryError::Garbage(_))
    ));
}
