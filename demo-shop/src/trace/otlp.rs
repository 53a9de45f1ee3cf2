//! Spans as OTLP's JSON (opentelemetry.io/docs/specs/otlp, "JSON Protobuf Encoding"): ids in hexadecimal, 64-bit
//! numbers as strings, enumerations as numbers.

use super::context::TraceContext;
use super::span::{Finished, Kind, Value};
use serde_json::{Value as Json, json};

/// Who the spans are of, as attributes of the resource.
pub(super) type Resource = Vec<(&'static str, String)>;

/// The body of a request for `/v1/traces`.
pub(super) fn request(resource: &Resource, spans: &[Finished]) -> Json {
    let resource: Vec<Json> =
        resource.iter().map(|(name, text)| attribute(name, &Value::Text(text.clone()))).collect();
    json!({"resourceSpans": [{
        "resource": {"attributes": resource},
        "scopeSpans": [{
            "scope": {"name": env!("CARGO_PKG_NAME"), "version": env!("CARGO_PKG_VERSION")},
            "spans": spans.iter().map(span).collect::<Vec<_>>(),
        }],
    }]})
}

/// How many spans an answer says that the collector did not take.
pub(super) fn rejected(answer: &[u8]) -> u64 {
    let answer: Json = serde_json::from_slice(answer).unwrap_or_default();
    let rejected = &answer["partialSuccess"]["rejectedSpans"];
    // A number by the book is a string here; some collectors write it as one all the same.
    rejected.as_u64().or_else(|| rejected.as_str()?.parse().ok()).unwrap_or(0)
}

fn span(finished: &Finished) -> Json {
    let TraceContext { trace, span, .. } = finished.context;
    let kind = match finished.kind {
        Kind::Server => 2,
        Kind::Producer => 4,
        Kind::Consumer => 5,
    };
    let attributes: Vec<Json> =
        finished.attributes.iter().map(|(name, value)| attribute(name, value)).collect();
    let mut json = json!({
        "traceId": trace.to_string(),
        "spanId": span.to_string(),
        "name": finished.name,
        "kind": kind,
        "startTimeUnixNano": finished.start_ns.to_string(),
        "endTimeUnixNano": finished.end_ns.to_string(),
        "attributes": attributes,
    });
    if let Some(parent) = finished.parent {
        json["parentSpanId"] = parent.to_string().into();
    }
    if let Some(error) = &finished.error {
        json["status"] = json!({"code": 2, "message": error});
    }
    json
}

fn attribute(name: &str, value: &Value) -> Json {
    let value = match value {
        Value::Text(text) => json!({"stringValue": text}),
        Value::Number(number) => json!({"intValue": number.to_string()}),
        Value::Flag(flag) => json!({"boolValue": flag}),
    };
    json!({"key": name, "value": value})
}

#[cfg(test)]
mod tests {
    use super::super::context::{SpanId, TraceId};
    use super::*;

    #[test]
    fn the_request_is_as_the_protocol_has_it() {
        let finished = Finished {
            context: TraceContext { trace: TraceId(0xabc), span: SpanId(0xd), sampled: true },
            parent: Some(SpanId(0xe)),
            name: "process order".into(),
            kind: Kind::Consumer,
            start_ns: 1_700_000_000_000_000_001,
            end_ns: 1_700_000_000_000_000_002,
            attributes: vec![
                ("a", Value::Number(u64::MAX)),
                ("b", Value::Flag(true)),
                ("c", "<\"x\">".into()),
            ],
            error: Some("lost".into()),
        };
        let expected = json!({"resourceSpans": [{
            "resource": {"attributes": [{"key": "service.name", "value": {"stringValue": "shop"}}]},
            "scopeSpans": [{
                "scope": {"name": "demo-shop", "version": "0.1.0"},
                "spans": [{
                    "traceId": "00000000000000000000000000000abc",
                    "spanId": "000000000000000d",
                    "parentSpanId": "000000000000000e",
                    "name": "process order",
                    "kind": 5,
                    "startTimeUnixNano": "1700000000000000001",
                    "endTimeUnixNano": "1700000000000000002",
                    "attributes": [
                        {"key": "a", "value": {"intValue": "18446744073709551615"}},
                        {"key": "b", "value": {"boolValue": true}},
                        {"key": "c", "value": {"stringValue": "<\"x\">"}},
                    ],
                    "status": {"code": 2, "message": "lost"},
                }],
            }],
        }]});
        assert_eq!(request(&vec![("service.name", "shop".into())], &[finished]), expected);
    }

    #[test]
    fn an_answer_may_say_that_some_were_not_taken() {
        let cases: [(&[u8], u64); 6] = [
            (b"{}", 0),
            (b"", 0),
            (b"{\"partialSuccess\":{}}", 0),
            (b"{\"partialSuccess\":{\"rejectedSpans\":\"3\"}}", 3),
            (b"{\"partialSuccess\":{\"rejectedSpans\":4}}", 4),
            (b"{\"partialSuccess\":{\"rejectedSpans\":-4}}", 0),
        ];
        for (answer, expected) in cases {
            assert_eq!(rejected(answer), expected, "{}", String::from_utf8_lossy(answer));
        }
    }
}
