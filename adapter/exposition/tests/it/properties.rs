//! Properties over generated pages and over arbitrary bytes.

use std::collections::BTreeMap;

use podgauge_exposition::{Format, Limits, Page, Template, Values};
use proptest::{collection::vec, prelude::*, sample::select};

use crate::naive;

/// A line made of the pieces that lines are made of, right or wrong.
pub(crate) fn line() -> impl Strategy<Value = String> {
    let piece = select(vec![
        "m",
        "x_total",
        "h_bucket",
        "h_sum",
        "h_count",
        "h",
        "s",
        "c",
        "c_total",
        "c_created",
        "g_info",
        "1x",
        ":r",
        "{",
        "}",
        "{a=\"b\"}",
        "{le=\"1\"}",
        "{quantile=\"0.5\"}",
        "{b=\"1\",a=\"2\"}",
        "{a=\"2\",b=\"1\"}",
        "{}",
        "{\"q.n\"}",
        "{\"q.n\",\"k.x\"=\"v\"}",
        "a",
        "b",
        "=",
        "\"",
        ",",
        "\\",
        "\\\"",
        "\\n",
        "\\x",
        "\"v\"",
        "é",
        "✓",
        " ",
        "  ",
        "\t",
        " 1",
        " 2",
        " 0.5",
        " -1e3",
        " NaN",
        " +Inf",
        " 1_0",
        " 0x1",
        " 1e999",
        " 1520879607789",
        " 1520879607.789",
        " 1.5e+09",
        " st@1.5",
        " # {t=\"1\"} 0.5",
        " # {t=\"1\"} 0.5 1.5",
        " #",
        "__name__",
        "\r",
        "\u{feff}",
        "\0",
    ]);
    let good = "[ \t]{0,2}(m|h_bucket|h_sum|s|x_total|c_total|c)[ ]?(\\{(a|b|le|quantile)[ ]?=\"(x|y|[0-9]|\\\\n|\\\\\\\\)\"(,(b|z)=\"[a-c]\")?,?\\})?[ \t](1|-2\\.5|NaN|\\+Inf|1e3)( [0-9]{1,4}(\\.[0-9]{1,5})?)?( # \\{\\} 1)?";
    let comment = select(vec![
        "# TYPE h histogram",
        "# TYPE s summary",
        "# TYPE c counter",
        "# TYPE x_total counter",
        "# TYPE m gauge",
        "#\tTYPE \"q.n\" untyped ",
        "# TYPE g info",
        "# TYPE h gaugehistogram",
        "# TYPE h_count gauge",
        "# TYPE m bogus",
        "# TYPE m",
        "# TYPE",
        "#TYPE m counter",
        "# HELP m what \\n it is",
        "# EOF",
        "#",
        "# UNIT m seconds",
        "",
        " ",
    ]);
    prop_oneof![4 => good, 3 => vec(piece, 0..9).prop_map(|pieces| pieces.concat()), 3 => comment.prop_map(str::to_owned)]
}

fn page() -> impl Strategy<Value = Vec<u8>> {
    let ends = select(vec!["\n", "\n", "\n", "\r\n"]);
    let last = select(vec!["", "\n", "# EOF", "# EOF\n", "# EOF\n\n"]);
    let text = (vec((line(), ends), 0..25), last).prop_map(|(lines, last)| {
        let text: String = lines.into_iter().map(|(line, end)| line + end).collect();
        (text + last).into_bytes()
    });
    // Sometimes a byte is not what it should be.
    (text, any::<prop::sample::Index>(), prop::option::weighted(0.2, any::<u8>())).prop_map(
        |(mut page, at, byte)| {
            if let (Some(byte), false) = (byte, page.is_empty()) {
                let at = at.index(page.len());
                page[at] = byte;
            }
            page
        },
    )
}

fn format() -> impl Strategy<Value = Format> {
    select(vec![Format::Text, Format::OpenMetrics])
}

/// What the real parser finds, in the twin's terms.
pub(crate) fn parse(bytes: &[u8], format: Format) -> Option<(Vec<naive::Sample>, Vec<u32>)> {
    let limits = Limits { kept_rejections: usize::MAX, ..Limits::default() };
    let page = Page::parse(bytes, format, &limits).ok()?;
    let samples = page
        .samples
        .iter()
        .map(|sample| {
            let (family, kind) = page.family(sample);
            let labels: BTreeMap<String, String> = page
                .labels(sample)
                .iter()
                .map(|label| (label.name.to_string(), label.value.to_string()))
                .collect();
            naive::Sample {
                name: sample.name.to_string(),
                labels,
                value: sample.value.to_bits(),
                timestamp_ms: sample.timestamp_ms,
                family: family.to_owned(),
                kind,
                role: sample.role,
            }
        })
        .collect();
    Some((samples, page.rejected.first.iter().map(|rejection| rejection.line).collect()))
}

/// Every public function that takes bytes, on bytes that nobody vouches for.
pub(crate) fn try_everything(bytes: &[u8], format: Format, limits: &Limits) {
    let Ok(page) = Page::parse(bytes, format, limits) else { return };
    assert!(page.samples.len() <= limits.series);
    assert!(page.rejected.first.len() <= limits.kept_rejections);
    assert!(page.rejected.first.len() as u64 <= page.rejected.count);
    for sample in &page.samples {
        let labels = page.labels(sample);
        assert!(labels.len() <= limits.labels);
        assert!(labels.windows(2).all(|pair| pair[0].name < pair[1].name));
        assert!(sample.family < page.families.len());
        assert!(bytes.windows(sample.series.len()).any(|window| window == sample.series));
    }
    if let Some(template) = Template::of(bytes, &page, format) {
        let (mut read, mut parsed) = (Values::default(), Values::default());
        page.values(&mut parsed);
        if template.read(bytes, &mut read) {
            assert_eq!(format!("{read:?}"), format!("{parsed:?}"));
        } else {
            // Only where a line is nearly as long as it may be, or a number is absurdly long.
            let has_long_word = bytes.split(|byte| b" \t\r\n".contains(byte)).any(|word| word.len() > 64);
            assert!(limits.line_bytes < 200 || has_long_word);
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1_500))]

    #[test]
    fn the_naive_twin_agrees(bytes in page(), format in format()) {
        prop_assert_eq!(parse(&bytes, format), naive::parse(&bytes, format), "{:?}", String::from_utf8_lossy(&bytes));
    }

    #[test]
    fn the_naive_twin_agrees_on_any_line(line in "\\PC{0,40}", format in format()) {
        let bytes = format!("{line}\n# EOF\n").into_bytes();
        prop_assert_eq!(parse(&bytes, format), naive::parse(&bytes, format), "{}", line);
    }

    #[test]
    fn arbitrary_bytes_are_survived(bytes in vec(any::<u8>(), 0..400), format in format()) {
        try_everything(&bytes, format, &Limits::default());
    }

    #[test]
    fn small_limits_hold(bytes in page(), format in format(), small in 0_usize..6, line_bytes in 0_usize..120) {
        let limits = Limits {
            series: small * 4,
            labels: small / 2,
            label_name_bytes: small,
            label_value_bytes: small,
            line_bytes,
            kept_rejections: small / 2,
        };
        try_everything(&bytes, format, &limits);
    }
}
