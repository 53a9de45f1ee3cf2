//! Inputs that parsers are known to get wrong, and what they mean.

use std::fmt::Write;

use Format::{OpenMetrics, Text};
use podgauge_exposition::{Format, Limits, Page, PageError, Reason};

use crate::render::outcome;

fn check(format: Format, page: impl AsRef<[u8]>, expected: &[&str]) {
    let page = page.as_ref();
    let found = outcome(page, format, &Limits::default());
    assert_eq!(found, expected, "{format:?} {}", String::from_utf8_lossy(page));
}

#[test]
fn escapes() {
    check(
        Text,
        r#"m{p="C:\\DIR",e="say \"hi\"",n="a\nb"} 1"#,
        &[r#"m{e="say \"hi\"",n="a\nb",p="C:\\DIR"} 1 (m unknown Value)"#],
    );
    check(Text, r#"m{a="x\""} 1"#, &[r#"m{a="x\""} 1 (m unknown Value)"#]);
    check(Text, r#"m{a="x\\"} 1"#, &[r#"m{a="x\\"} 1 (m unknown Value)"#]);
    check(Text, r#"m{a="\d\é"} 1"#, &[r#"m{a="\\d\\é"} 1 (m unknown Value)"#]);
    check(Text, r#"m{a="x\"} 1"#, &["! line 1, byte 5: a double quote is not closed on its line"]);
    check(Text, r#"m{a="x\"#, &["! line 1, byte 5: a double quote is not closed on its line"]);
    check(
        Text,
        "m{a=\"x\ny\"} 1",
        &[
            "! line 1, byte 5: a double quote is not closed on its line",
            "! line 2, byte 2: the value is not a number",
        ],
    );
    check(Text, "# HELP m a \\n \\\\ \\q\nm 1", &["m 1 (m unknown Value)"]);
}

#[test]
fn punctuation_in_label_values() {
    check(Text, r#"m{a="x,y",b="z"} 1"#, &[r#"m{a="x,y",b="z"} 1 (m unknown Value)"#]);
    check(Text, r#"m{a="x=y",b="z"} 1"#, &[r#"m{a="x=y",b="z"} 1 (m unknown Value)"#]);
    check(Text, r#"m{a="/{id}/x"} 1"#, &[r#"m{a="/{id}/x"} 1 (m unknown Value)"#]);
    check(Text, r#"m{a="{"} 1"#, &[r#"m{a="{"} 1 (m unknown Value)"#]);
    check(Text, r#"m{a="} 2 # {"} 1"#, &[r#"m{a="} 2 # {"} 1 (m unknown Value)"#]);
    check(Text, "m{a=\"Köln ✓\"} 1", &[r#"m{a="Köln ✓"} 1 (m unknown Value)"#]);
    check(
        Text,
        "# TYPE h histogram\nh_bucket{path=\"a,b\",le=\"1\"} 1\nh_bucket{path=\"a,c\",le=\"1\"} 2",
        &[
            r#"h_bucket{le="1",path="a,b"} 1 (h histogram Bucket)"#,
            r#"h_bucket{le="1",path="a,c"} 2 (h histogram Bucket)"#,
        ],
    );
}

#[test]
fn braces_and_blanks() {
    check(Text, "m{} 1", &["m 1 (m unknown Value)"]);
    check(Text, "m{ } 1", &["m 1 (m unknown Value)"]);
    check(Text, r#"m{a="b",} 1"#, &[r#"m{a="b"} 1 (m unknown Value)"#]);
    check(Text, r#"m{ a = "b" , c = "d" , } 1"#, &[r#"m{a="b",c="d"} 1 (m unknown Value)"#]);
    check(Text, r#"m {a="b"} 1"#, &[r#"m{a="b"} 1 (m unknown Value)"#]);
    check(Text, "m\t{\ta\t=\t\"b\"\t}\t1\t5\t", &[r#"m{a="b"} 1 @5 (m unknown Value)"#]);
    check(Text, "   m 1", &["m 1 (m unknown Value)"]);
    check(Text, r#"m{a="b"}1"#, &[r#"m{a="b"} 1 (m unknown Value)"#]);
    check(Text, r#"m{a=""} 1"#, &[r#"m{a=""} 1 (m unknown Value)"#]);
    check(Text, r#"m{a="b""c"="d"} 1"#, &["! line 1, byte 8: a label must be followed by `,` or `}`"]);
    check(
        Text,
        r#"m{a="b",,c="d"} 1"#,
        &["! line 1, byte 9: a label name must start with a letter or `_`, or be quoted"],
    );
    check(Text, "m{,} 1", &["! line 1, byte 3: a label name must start with a letter or `_`, or be quoted"]);
    check(Text, r#"m{a:b="c"} 1"#, &["! line 1, byte 4: a label name must be followed by `=`"]);
    check(Text, r#"m{a} 1"#, &["! line 1, byte 4: a label name must be followed by `=`"]);
    check(Text, "m{a=b} 1", &["! line 1, byte 5: a label's value must be in double quotes"]);
    check(Text, "m{a='b'} 1", &["! line 1, byte 5: a label's value must be in double quotes"]);
    check(
        Text,
        r#"m{1a="b"} 1"#,
        &["! line 1, byte 3: a label name must start with a letter or `_`, or be quoted"],
    );
    check(Text, "m{", &["! line 1, byte 3: a label must be followed by `,` or `}`"]);
    check(
        Text,
        r#"m{__name__="x"} 1"#,
        &["! line 1, byte 3: the label `__name__` is reserved for the metric's name"],
    );
    check(Text, "m\u{a0}1", &["! line 1, byte 2: the value is not a number"]);
    check(Text, "m\x001", &["! line 1, byte 2: the value is not a number"]);
}

#[test]
fn names() {
    check(Text, r#"job:m:rate5m{a="b"} 1"#, &[r#"job:m:rate5m{a="b"} 1 (job:m:rate5m unknown Value)"#]);
    check(Text, "_ 1", &["_ 1 (_ unknown Value)"]);
    check(
        Text,
        "2m 1",
        &[
            "! line 1, byte 1: a metric name must start with a letter, `_` or `:`, or be quoted inside the braces",
        ],
    );
    check(Text, "a.b 1", &["! line 1, byte 2: the value is not a number"]);
    check(
        Text,
        r#"{"http.server.requests","k.x"="v"} 1"#,
        &[r#"http.server.requests{k.x="v"} 1 (http.server.requests unknown Value)"#],
    );
    check(Text, r#"m{"k.x"="v"} 1"#, &[r#"m{k.x="v"} 1 (m unknown Value)"#]);
    check(Text, "{a=\"b\"} 1", &["! line 1, byte 1: the series has no metric name"]);
    check(
        Text,
        "# TYPE \"http.server.requests\" counter\n{\"http.server.requests\"} 1",
        &["http.server.requests 1 (http.server.requests counter Total)"],
    );
    check(
        Text,
        "\"m\" 1",
        &[
            "! line 1, byte 1: a metric name must start with a letter, `_` or `:`, or be quoted inside the braces",
        ],
    );
}

#[test]
fn values() {
    let cases = [
        ("NaN", "NaN"),
        ("nan", "NaN"),
        ("+Inf", "inf"),
        ("-Inf", "-inf"),
        ("infinity", "inf"),
        ("1e+06", "1000000"),
        ("1E-3", "0.001"),
        (".5", "0.5"),
        ("+5", "5"),
        ("-0", "-0"),
        ("18446744073709551615", "18446744073709552000"),
    ];
    for (text, value) in cases {
        check(Text, format!("m {text}"), &[&format!("m {value} (m unknown Value)")]);
    }
    for text in ["0x1p-2", "1_000", "0b1", "1,5", "abc", "1#", "--1", "\"1\"", "1e"] {
        check(Text, format!("m {text}"), &["! line 1, byte 3: the value is not a number"]);
    }
    check(Text, "m 1e309", &["! line 1, byte 3: the value is too large for a 64-bit float"]);
    check(Text, "m", &["! line 1, byte 2: the series has no value"]);
    check(Text, "m{a=\"b\"}  ", &["! line 1, byte 11: the series has no value"]);
}

#[test]
fn timestamps() {
    check(Text, "m 1 1520879607789", &["m 1 @1520879607789 (m unknown Value)"]);
    check(Text, "m 1 -3982045", &["m 1 @-3982045 (m unknown Value)"]);
    check(OpenMetrics, "m 1 1520879607.789\n# EOF", &["m 1 @1520879607789 (m unknown Value)"]);
    check(OpenMetrics, "m 1 1.520879607789e+09\n# EOF", &["m 1 @1520879607789 (m unknown Value)"]);
    check(
        OpenMetrics,
        "m 17.0 1520879607.789 st@1520430000.123\n# EOF",
        &["m 17 @1520879607789 (m unknown Value)"],
    );
    check(OpenMetrics, "m 17.0 st@1520430000.123 # {a=\"b\"} 1\n# EOF", &["m 17 (m unknown Value)"]);
    let malformed = "the timestamp must be whole milliseconds (text) or seconds (OpenMetrics)";
    for tail in ["abc", "1520879607.789", "1x", "NaN"] {
        check(Text, format!("m 1 {tail}"), &[&format!("! line 1, byte 5: {malformed}")]);
    }
    check(OpenMetrics, "m 1 st@x\n# EOF", &[&format!("! line 1, byte 8: {malformed}")]);
    check(
        Text,
        "m 1 99999999999999999999",
        &["! line 1, byte 5: the timestamp does not fit into 64 bits of milliseconds"],
    );
    check(Text, "m 1 2 3", &["! line 1, byte 7: the line goes on after its last field"]);
}

#[test]
fn exemplars_are_checked_and_forgotten() {
    for format in [Text, OpenMetrics] {
        for tail in [
            "# {trace_id=\"x\"} 0.67",
            "# {trace_id=\"x\"} 0.67 1520879607.789",
            "# {} 1e3",
            "#\t{ a = \"}\" ,}\t1 ",
            "1 # {a=\"b\"} NaN",
        ] {
            let time = if tail.starts_with('1') { if format == Text { " @1" } else { " @1000" } } else { "" };
            check(format, format!("m 5 {tail}\n# EOF"), &[&format!("m 5{time} (m unknown Value)")]);
        }
        for (tail, fault) in [
            ("# note", "7: what follows `#` is not an exemplar"),
            ("#{} 1", "6: what follows `#` is not an exemplar"),
            ("#", "6: what follows `#` is not an exemplar"),
            ("# {\"a\"} 1", "7: what follows `#` is not an exemplar"),
            ("# {a=\"b\"}", "14: the series has no value"),
            ("# {a=\"b\"} 1 2 3", "19: the line goes on after its last field"),
        ] {
            check(format, format!("m 5 {tail}\n# EOF"), &[&format!("! line 1, byte {fault}")]);
        }
    }
}

#[test]
fn lines_and_comments() {
    check(Text, "a 1\nb 2", &["a 1 (a unknown Value)", "b 2 (b unknown Value)"]);
    check(Text, "a 1\r\n\r\nb 2\r\n", &["a 1 (a unknown Value)", "b 2 (b unknown Value)"]);
    check(Text, "\n \n#\n# HELP\n# HELP a\n#TYPE a x\n# TYPES\n# c\na 1", &["a 1 (a unknown Value)"]);
    check(Text, "\u{feff}a 1\n", &["a 1 (a unknown Value)"]);
    check(Text, "\u{feff}# TYPE a counter\na 1\n", &["a 1 (a counter Total)"]);
    check(Text, "", &[]);
    check(Text, "a 1\n# EOF\nb 2", &["a 1 (a unknown Value)", "b 2 (b unknown Value)"]);
    check(
        Text,
        b"a 1\nb{c=\"\xff\"} 2\nd 3",
        &["a 1 (a unknown Value)", "d 3 (d unknown Value)", "! line 2: the line is not UTF-8"],
    );
    check(
        Text,
        "a 1\n2b\nc 3\nd",
        &[
            "a 1 (a unknown Value)",
            "c 3 (c unknown Value)",
            "! line 2, byte 1: a metric name must start with a letter, `_` or `:`, or be quoted inside the braces",
            "! line 4, byte 2: the series has no value",
        ],
    );
    check(
        Text,
        "nh {count:24,sum:100,schema:0} 1",
        &["! line 1, byte 10: a label name must be followed by `=`"],
    );
}

#[test]
fn the_end_of_an_open_metrics_page() {
    check(OpenMetrics, "a 1\n# EOF", &["a 1 (a unknown Value)"]);
    check(OpenMetrics, "a 1\n# EOF\r\n\n \n", &["a 1 (a unknown Value)"]);
    let cut_off = "!! the page is cut off: OpenMetrics without `# EOF` at its end";
    for page in ["", "a 1\n", "a 1\n# EO", "a 1\n#EOF\n", "a 1 # EOF", "a 1\n# EOF here\n"] {
        check(OpenMetrics, page, &[cut_off]);
    }
    check(OpenMetrics, "a 1\n# EOF\n\nb 2", &["!! the page goes on after `# EOF`, on line 4"]);
    check(OpenMetrics, "# EOF\n# EOF", &["!! the page goes on after `# EOF`, on line 2"]);
}

#[test]
fn types_concern_the_whole_page() {
    check(Text, "# TYPE m gauge\n# TYPE m counter\nm 1", &["m 1 (m counter Total)"]);
    check(Text, "m 1\n# TYPE m counter", &["m 1 (m counter Total)"]);
    check(
        Text,
        "# TYPE a counter\n# TYPE b gauge\na{x=\"1\"} 1\nb 1\na{x=\"2\"} 2",
        &[r#"a{x="1"} 1 (a counter Total)"#, "b 1 (b gauge Value)", r#"a{x="2"} 2 (a counter Total)"#],
    );
    check(Text, "#\tTYPE   m \t COUNTER \nm 1", &["m 1 (m counter Total)"]);
    for line in [
        "# TYPE",
        "# TYPE m",
        "# TYPE m ",
        "# TYPE m bogus",
        "# TYPE m gauge x",
        "# TYPE 1m gauge",
        "# TYPE \"\" gauge",
    ] {
        let page = Page::parse(line.as_bytes(), Text, &Limits::default()).expect("text is never refused");
        assert_eq!(page.rejected.first.first().map(|one| one.reason), Some(Reason::Type), "{line}");
        assert_eq!(page.families, [], "{line}");
    }
    check(
        Text,
        "x_total 1\nx 2\nx_count 3\nh_bucket{le=\"1\"} 4",
        &[
            "x_total 1 (x_total unknown Total)",
            "x 2 (x unknown Value)",
            "x_count 3 (x_count unknown Value)",
            r#"h_bucket{le="1"} 4 (h_bucket unknown Value)"#,
        ],
    );
    check(
        Text,
        "# TYPE h histogram\nh_bucket{le=\"1\"} 2.5\nh_bucket{le=\"+Inf\"} NaN\nh_sum 1\nh_count 3\nh 7",
        &[
            r#"h_bucket{le="1"} 2.5 (h histogram Bucket)"#,
            r#"h_bucket{le="+Inf"} NaN (h histogram Bucket)"#,
            "h_sum 1 (h histogram Sum)",
            "h_count 3 (h histogram Count)",
            "h 7 (h histogram Value)",
        ],
    );
    // A bucket without a bound is no bucket, and does not spoil the others.
    check(
        Text,
        "# TYPE h histogram\nh_bucket 1\nx 1\nh_bucket{le=\"1\"} 2",
        &[
            "h_bucket 1 (h_bucket unknown Value)",
            "x 1 (x unknown Value)",
            r#"h_bucket{le="1"} 2 (h histogram Bucket)"#,
        ],
    );
}

#[test]
fn bounds_are_numbers() {
    let text = "# TYPE h histogram\nh_bucket{le=\"0.5\"} 1\nh_bucket{le=\"+Inf\"} 1\nh_bucket{le=\"x\"} 1\nh_sum{le=\"1\"} 1";
    let page = Page::parse(text.as_bytes(), Text, &Limits::default()).expect("text is never refused");
    let bounds: Vec<_> = page.samples.iter().map(|sample| page.bound(sample)).collect();
    assert_eq!(bounds, [Some(0.5), Some(f64::INFINITY), None, None]);
}

#[test]
fn a_series_counts_once() {
    check(
        Text,
        "m 1\nm 2\nm{} 3\n{\"m\"} 4",
        &[
            "m 1 (m unknown Value)",
            "! line 2: the series was already given on line 1, which counts",
            "! line 3: the series was already given on line 1, which counts",
            "! line 4: the series was already given on line 1, which counts",
        ],
    );
    check(
        Text,
        "m{a=\"1\",b=\"\\\\\"} 1\nx\nm{ \"b\"=\"\\\\\",a=\"1\",} 2\nm{a=\"1\"} 3",
        &[
            r#"m{a="1",b="\\"} 1 (m unknown Value)"#,
            r#"m{a="1"} 3 (m unknown Value)"#,
            "! line 2, byte 2: the series has no value",
            "! line 3: the series was already given on line 1, which counts",
        ],
    );
    check(Text, r#"m{a="1",b="2",a="1"} 1"#, &["! line 1: a label name occurs twice in the series"]);
    // An empty label is a label here, whatever a database makes of it.
    check(Text, "m{a=\"\"} 1\nm 2", &[r#"m{a=""} 1 (m unknown Value)"#, "m 2 (m unknown Value)"]);
}

#[test]
fn limits() {
    let limits = Limits {
        series: 3,
        labels: 2,
        label_name_bytes: 4,
        label_value_bytes: 5,
        line_bytes: 40,
        kept_rejections: 2,
    };
    let cases: [(&str, &[&str]); 10] = [
        ("m{a=\"1\",b=\"2\"} 1", &[r#"m{a="1",b="2"} 1 (m unknown Value)"#]),
        ("m{a=\"1\",b=\"2\",c=\"3\"} 1", &["! line 1, byte 15: the series has more than 2 labels"]),
        ("m{abcde=\"1\"} 1", &["! line 1, byte 3: a label's name is longer than 4 bytes"]),
        ("m{a=\"\\\\\\\\\\\\\\\\\\\\\"} 1", &[r#"m{a="\\\\\\\\\\"} 1 (m unknown Value)"#]),
        ("m{a=\"123456\"} 1", &["! line 1, byte 3: a label's value is longer than 5 bytes"]),
        ("m 00000000000000000000000000000000000001", &["m 1 (m unknown Value)"]),
        ("m 000000000000000000000000000000000000001", &["! line 1: the line is longer than 40 bytes"]),
        ("m 1 # {a=\"b\",c=\"d\",e=\"f\"} 1", &["! line 1, byte 20: the series has more than 2 labels"]),
        (
            "a\nb\nc\nd\n",
            &[
                "! line 1, byte 2: the series has no value",
                "! line 2, byte 2: the series has no value",
                "! 4 in all",
            ],
        ),
        ("a 1\nb 1\nc 1\nd 1\n", &["!! the page has more than 3 series"]),
    ];
    for (page, expected) in cases {
        assert_eq!(outcome(page.as_bytes(), Text, &limits), expected, "{page}");
    }
    let families = "# TYPE a gauge\n# TYPE b gauge\n# TYPE c gauge\n# TYPE a gauge\n";
    assert_eq!(outcome(families.as_bytes(), Text, &limits), [""; 0]);
    let one_more = format!("{families}# TYPE d gauge\n");
    assert_eq!(outcome(one_more.as_bytes(), Text, &limits), ["!! the page has more than 3 metric families"]);
}

/// What nobody writes by accident. Quadratic time would show here as a test that never ends.
#[test]
fn attacks_end_soon_and_cost_one_line() {
    let mut labels = String::from("m{");
    for label in 0..200_000 {
        write!(labels, "l{label}=\"v\",").expect("strings can be written to");
    }
    let long_limits = Limits { line_bytes: usize::MAX, label_value_bytes: usize::MAX, ..Limits::default() };
    let rejected = |page: &str, limits: &Limits| {
        let page = Page::parse(page.as_bytes(), Text, limits).expect("text is never refused");
        assert_eq!(page.samples.len(), 0);
        (page.rejected.count, page.rejected.first.len())
    };
    for limits in [Limits::default(), long_limits] {
        assert_eq!(rejected(&labels, &limits), (1, 1));
        assert_eq!(rejected(&"{".repeat(2_000_000), &limits), (1, 1));
        assert_eq!(rejected(&"m{a=\"".repeat(2_000_000), &limits), (1, 1));
        assert_eq!(rejected(&format!("m{{a=\"{}", "\\\"".repeat(2_000_000)), &limits), (1, 1));
        assert_eq!(rejected(&format!("m {}", "9".repeat(2_000_000)), &limits), (1, 1));
        assert_eq!(rejected(&format!("m 1 {}", "9".repeat(2_000_000)), &limits), (1, 1));
        assert_eq!(rejected(&"{\n".repeat(200_000), &limits), (200_000, 8));
        assert_eq!(rejected(&"\r\n #\t\n".repeat(200_000), &limits), (0, 0));
    }
    assert_eq!(rejected(&"9".repeat(10_000_000), &Limits::default()), (1, 1));
    let series: String = (0..50_001).map(|index| format!("m{{a=\"{index}\"}} 1\n")).collect();
    let error = Page::parse(series.as_bytes(), Text, &Limits::default()).err();
    assert_eq!(error, Some(PageError::TooManySeries { limit: 50_000 }));
    let twice = "m 1\n".repeat(50_000);
    let page = Page::parse(twice.as_bytes(), Text, &Limits::default()).expect("there are not too many");
    assert_eq!((page.samples.len(), page.rejected.count), (1, 49_999));
}
