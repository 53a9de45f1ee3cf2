//! What holds for every text and every tree.

use std::thread;

use podgauge_promql::{Bounds, Config, EvalErrorKind, Labels, MemorySource, Query, STALE, Sample};
use proptest::prelude::*;

/// Pieces of which something like an expression is made: most of it is none, and some of it is.
const PIECES: [&str; 72] = [
    "m",
    "sum",
    "rate",
    "topk",
    "count_values",
    "label_replace",
    "histogram_quantile",
    "time",
    "by",
    "without",
    "on",
    "ignoring",
    "group_left",
    "group_right",
    "bool",
    "offset",
    "and",
    "or",
    "unless",
    "atan2",
    "start",
    "end",
    "inf",
    "nan",
    "(",
    ")",
    "{",
    "}",
    "[",
    "]",
    ",",
    ":",
    "@",
    "+",
    "-",
    "*",
    "/",
    "%",
    "^",
    "=",
    "==",
    "!=",
    "=~",
    "!~",
    "<",
    ">=",
    "1",
    "0x1f",
    "5m",
    "1e3",
    "1h30m",
    "\"a\"",
    "'b'",
    "`c`",
    "\"a|b\"",
    "\"(\"",
    "\"\\",
    " ",
    "\n",
    "#",
    "$",
    "ä",
    "\u{0}",
    "5",
    "[5m]",
    "[5m:1m]",
    "(m)",
    "by (a)",
    "on (a)",
    "{a=\"b\"}",
    "x",
    "_",
];

fn any_text() -> impl Strategy<Value = String> {
    let pieces =
        prop::collection::vec(prop::sample::select(&PIECES[..]), 0..24).prop_map(|pieces| pieces.concat());
    prop_oneof![pieces, any::<String>()]
}

/// Well-typed expressions, as text.
fn vector() -> impl Strategy<Value = String> {
    let name = prop::sample::select(vec![
        "m",
        "n_total",
        "{\"odd.name\"}",
        "{a=\"b\", __name__=~\"x|y\"}",
        "sum",
        "bool{}",
    ]);
    let shift = prop::sample::select(vec![
        "",
        " offset 5m",
        " @ 12.5",
        " @ start() offset -1d2h",
        " offset 90 @ end()",
    ]);
    let selector = (name, shift).prop_map(|(name, shift)| {
        // A word that means something else is written between quotes where it is a name.
        let name = if matches!(name, "bool{}") { "{\"bool\"}" } else { name };
        format!("{name}{shift}")
    });
    selector.prop_recursive(5, 24, 2, |inner| {
        let op = prop::sample::select(vec![
            "+",
            "-",
            "^",
            "% ignoring (a, b)",
            "* on (a) group_left (b)",
            "/ on () group_right ()",
            "== bool",
            ">",
            "and",
            "or on (a)",
            "unless ignoring (\"odd.label\")",
            "atan2",
        ]);
        let aggregation = prop::sample::select(vec![
            "sum by (a) (",
            "quantile without (a, \"b.c\") (0.5, ",
            "topk(3, ",
            "count_values(\"v\", ",
            "stddev(",
            "avg by () (",
        ]);
        let call = prop::sample::select(vec![
            "abs(",
            "round(0.1 * ",
            "sort_desc(",
            "-(",
            "+(",
            "(",
            "timestamp(",
            "clamp_min(vector(2 ^ -1) + ",
            "vector(1e300) or (",
        ]);
        let range =
            prop::sample::select(vec!["[5m:1m]", "[90s:]", "[1h:7s] offset 5m", "[1d2h3m4s5ms:1m] @ 0"]);
        let over = prop::sample::select(vec![
            "rate(",
            "max_over_time(",
            "absent_over_time(",
            "quantile_over_time(NaN, ",
        ]);
        prop_oneof![
            (inner.clone(), op, inner.clone()).prop_map(|(a, op, b)| format!("{a} {op} ({b})")),
            (aggregation, inner.clone()).prop_map(|(op, of)| format!("{op}{of})")),
            (call, inner.clone()).prop_map(|(call, of)| {
                if call == "clamp_min(vector(2 ^ -1) + " {
                    format!("{call}({of}), -Inf)")
                } else {
                    format!("{call}{of})")
                }
            }),
            (over, inner, range).prop_map(|(over, of, range)| format!("{over}({of}){range})")),
        ]
    })
}

fn series() -> MemorySource {
    let mut source = MemorySource::default();
    for (name, a) in
        [("m", "1"), ("m", "2"), ("n_total", "1"), ("sum", "b"), ("bool", "1"), ("odd.name", "b")]
    {
        let labels = Labels::new([("__name__", name), ("a", a), ("le", "0.5")]);
        for step in 0..40_i32 {
            let value = match step % 13 {
                12 => STALE,
                11 => f64::NAN,
                10 => f64::INFINITY,
                other => f64::from(other * 3 % 7) - 2.0,
            };
            source.push(&labels, Sample { t_ms: i64::from(step) * 15_000, value });
        }
    }
    source
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 600, ..ProptestConfig::default() })]

    #[test]
    fn no_text_makes_the_parser_panic(text in any_text()) {
        if let Err(error) = Query::parse(&text, &Config::default()) {
            prop_assert!(error.span.start <= text.len() && error.span.end <= text.len().max(error.span.start + 1));
            prop_assert!(!error.message.is_empty());
        }
    }

    #[test]
    fn what_is_written_reads_back_the_same(text in vector()) {
        // Whatever is well typed is read; what is not refused is written in one way only.
        let query = Query::parse(&text, &Config::default()).unwrap_or_else(|error| panic!("{text}: {error}"));
        let written = query.expr().to_string();
        let again = Query::parse(&written, &Config::default()).unwrap_or_else(|error| panic!("{written}: {error}"));
        prop_assert_eq!(query.expr(), again.expr(), "{} became {}", text, written);
        prop_assert_eq!(again.expr().to_string(), written);
    }

    #[test]
    fn what_parses_by_chance_reads_back_the_same(text in any_text()) {
        if let Ok(query) = Query::parse(&text, &Config::default()) {
            let written = query.expr().to_string();
            let again = Query::parse(&written, &Config::default()).unwrap_or_else(|error| panic!("{written}: {error}"));
            prop_assert_eq!(query.expr(), again.expr(), "{} became {}", text, written);
        }
    }

    #[test]
    fn evaluation_is_bounded_and_repeats_itself(text in vector(), at_ms in -1_000_000_i64..1_000_000, samples in 0_usize..3_000) {
        let bounds = Bounds { samples, ..Bounds::default() };
        let query = Query::parse(&text, &Config { bounds, ..Config::default() }).unwrap();
        let source = series();
        let first = query.instant(&source, at_ms);
        if let Err(error) = &first {
            prop_assert!(matches!(error.kind, EvalErrorKind::Bound | EvalErrorKind::Series), "{text}: {error}");
        }
        // NaN is unlike itself, so that the answers are compared as they are written.
        prop_assert_eq!(format!("{first:?}"), format!("{:?}", query.instant(&source, at_ms)));
    }
}

/// Deep and long expressions need no more stack than a thread has, and are refused beyond the bound.
#[test]
fn depth_is_bounded() {
    let check = |text: String, fits: bool| {
        let run = move || {
            let result = Query::parse(&text, &Config::default());
            let query = match result {
                Ok(query) => query,
                Err(error) => return Err(error.message),
            };
            let written = query.expr().to_string();
            assert_eq!(
                Query::parse(&written, &Config::default()).map(|again| again.expr() == query.expr()),
                Ok(true)
            );
            query.instant(&series(), 60_000).map(drop).map_err(|error| error.message)
        };
        // Half of what tokio gives its threads.
        let outcome = thread::Builder::new().stack_size(1024 * 1024).spawn(run).unwrap().join().unwrap();
        match outcome {
            Ok(()) => assert!(fits),
            Err(message) => assert!(!fits && message.contains("more than 64 deep"), "{message}"),
        }
    };
    let nested = |depth: usize| format!("{}m{}", "sum(".repeat(depth), ")".repeat(depth));
    check(nested(63), true);
    check(nested(64), false);
    check(nested(30_000), false);
    check(format!("{}1", "1+".repeat(62)), true);
    check(format!("{}1", "1+".repeat(100_000)), false);
    check(format!("{}1", "2^".repeat(62)), true);
    check(format!("{}1", "2^".repeat(100_000)), false);
    check(format!("{}m", "-".repeat(62)), true);
    check(format!("{}m", "-".repeat(200_000)), false);
    check("(".repeat(200_000), false);
    let functions =
        |depth: usize| format!("{}m{}", "label_join(".repeat(depth), ", \"x\", \"\", \"a\")".repeat(depth));
    check(functions(62), true);
    let subqueries =
        |depth: usize| format!("{}m{}", "sum_over_time(".repeat(depth), "[1s:1s])".repeat(depth));
    check(subqueries(31), true);
}

/// Each bound names itself and what to do.
#[test]
fn bounds_are_enforced() {
    let check = |bounds: Bounds, text: &str, want: &str| {
        let config = Config { bounds, ..Config::default() };
        let outcome = match Query::parse(text, &config) {
            Ok(query) => {
                query.instant(&series(), 600_000).map(|answer| format!("{answer:?}")).map_err(|e| e.message)
            }
            Err(error) => Err(error.message),
        };
        let message = outcome.unwrap_err();
        assert!(message.contains(want), "{text}: {message}");
    };
    let bounds = Bounds::default;
    check(Bounds { expression_bytes: 3, ..bounds() }, "m + m", "has 5 bytes, more than the 3");
    check(Bounds { selectors: 2, ..bounds() }, "m + m + m", "more than 2 selectors");
    check(Bounds { list: 2, ..bounds() }, "sum by (a, b, c) (m)", "more than 2 entries");
    check(Bounds { list: 2, ..bounds() }, "m{a=\"\", b=\"\"}", "more than 2 entries");
    check(Bounds { list: 2, ..bounds() }, "clamp(m, 1, 2)", "more than 2 entries");
    check(Bounds { regexes: 1, ..bounds() }, "m{a=~\"x.\", b=~\"y.\"}", "more than 1 regular expressions");
    check(
        Bounds { regexes: 0, ..bounds() },
        "label_replace(m, \"a\", \"\", \"a\", \".\")",
        "more than 0 regular",
    );
    check(Bounds { regex_bytes: 100, ..bounds() }, "m{a=~\"x.+\"}", "more than 100 bytes of memory");
    check(Bounds { steps: 10, ..bounds() }, "sum_over_time(m[11s:1s])", "more than 10 steps");
    check(Bounds { samples: 10, ..bounds() }, "sum_over_time(m[10m])", "more than 10 samples");
    check(Bounds { samples: 100, ..bounds() }, "sum_over_time(vector(1)[200s:1s])", "more than 100 samples");
    check(Bounds { series: 1, ..bounds() }, "m", "more than 1 series");
    let two = r#"vector(1) or label_replace(vector(1), "x", "1", "", "")"#;
    check(Bounds { series: 1, ..bounds() }, two, "more than 1 series");
    check(
        Bounds { label_value_bytes: 3, ..bounds() },
        "label_join(m, \"x\", \"--\", \"a\", \"a\")",
        "more than 3 bytes",
    );
    // Lists of values are no regular expressions, however long: what matchers for many pods look like.
    let pods: Vec<String> = (0..5_000).map(|pod| format!("web-7d4f9-{pod}")).collect();
    let text = format!("m{{pod=~\"{}\"}}", pods.join("|"));
    let config = Config { bounds: Bounds { regexes: 0, ..bounds() }, ..Config::default() };
    assert!(Query::parse(&text, &config).is_ok());
}
