//! A template and a full parse never disagree.

use podgauge_exposition::{Format, Limits, Page, Template, Values};
use proptest::{collection::vec, prelude::*, sample::select};

use crate::render;

/// What `template` reads, and what a full parse of the same bytes says to the same question.
fn read(template: &Template, bytes: &[u8]) -> Option<Values> {
    let mut values = Values::default();
    let matches = template.read(bytes, &mut values);
    assert!(matches || values == Values::default(), "what is left of a page that does not match");
    matches.then_some(values)
}

fn template(bytes: &[u8], format: Format) -> Option<Template> {
    let page = Page::parse(bytes, format, &Limits::default()).ok()?;
    Template::of(bytes, &page, format)
}

/// Samples without their numbers, and the numbers.
fn layout_and_values(bytes: &[u8], format: Format) -> Option<(Vec<String>, String)> {
    let page = Page::parse(bytes, format, &Limits::default()).ok().filter(|page| page.rejected.count == 0)?;
    let mut values = Values::default();
    page.values(&mut values);
    let mut bare = page.clone();
    for sample in &mut bare.samples {
        (sample.value, sample.timestamp_ms) = (0.0, None);
    }
    let layout = bare.samples.iter().map(|sample| render::sample(&bare, sample)).collect();
    Some((layout, format!("{values:?}")))
}

#[test]
fn what_makes_a_layout() {
    let base = "# HELP m Help.\n# TYPE m counter\nm{a=\"1\"} 5\nm{a=\"2\"} 1e3 17\n\nn NaN\n";
    let template = template(base.as_bytes(), Format::Text).expect("nothing is wrong with the page");
    assert_eq!(template.samples(), 3);
    assert_eq!(template.heap_bytes(), base.len() - "5".len() - "1e3 17".len() - "NaN".len() + 3 * 4);
    let same = [
        base.to_owned(),
        base.replace(" 5", " -0.25"),
        base.replace(" 17", ""),
        base.replace("1e3 17", "+Inf -1"),
        base.replace(" 5", " 5 123"),
        base.replace(" 5\n", " 5 \t\r\n"),
        base.replace(" 5\n", " 5 # {t=\"x\"} 1 2.5\n"),
    ];
    let different = [
        String::new(),
        base.replace(" 5", " x"),
        base.replace(" 5", " 1e999"),
        base.replace(" 5", " 5x"),
        base.replace(" 5", " "),
        base.replace(" 17", " 1.7"),
        base.replace(" 17", " 17 18"),
        base.replace(" 5\n", " 5 # {t=\"x} 1 2.5\n"),
        base.replace("counter", "gauge"),
        base.replace("Help.", "Help!"),
        base.replace("a=\"2\"", "a=\"1\""),
        base.replace("a=\"2\"", "a=\"3\""),
        base.replace("m{a=\"1\"} 5\n", ""),
        base.replace("\n\n", "\n"),
        base.trim_end().to_owned(),
        format!("{base}o 1\n"),
        format!("\u{feff}{base}"),
        base[..base.len() - 5].to_owned(),
    ];
    for page in same {
        assert!(read(&template, page.as_bytes()).is_some(), "{page:?}");
    }
    for page in different {
        assert_eq!(read(&template, page.as_bytes()), None, "{page:?}");
    }
}

#[test]
fn timestamps_are_one_per_sample_or_none_at_all() {
    let template = template(b"a 1\nb 2\nc 3\n", Format::Text).expect("nothing is wrong with the page");
    let cases: [(&str, &[Option<i64>]); 3] = [
        ("a 1\nb 2\nc 3\n", &[]),
        ("a 1\nb 2 7\nc 3\n", &[None, Some(7), None]),
        ("a 1 5\nb 2 6\nc 3 7\n", &[Some(5), Some(6), Some(7)]),
    ];
    for (page, expected) in cases {
        let values = read(&template, page.as_bytes()).expect("the layout is the same");
        assert_eq!(values.values, [1.0, 2.0, 3.0]);
        assert_eq!(values.timestamps_ms, expected, "{page}");
    }
}

#[test]
fn equal_layouts_make_equal_templates() {
    let of = |page: &str, format| template(page.as_bytes(), format);
    assert_eq!(of("a 1\nb 2 3\n", Format::Text), of("a 10 4\nb NaN\n", Format::Text));
    assert_ne!(of("a 1\nb 2\n", Format::Text), of("ab 1\n 2\n", Format::Text));
    assert_ne!(of("a 1\nb 2\n# EOF", Format::Text), of("a 1\nb 2\n# EOF", Format::OpenMetrics));
}

#[test]
fn only_pages_in_order_make_templates() {
    for page in ["", "# HELP a b\n", "a 1\na 1\n", "a 1\n!\n"] {
        assert_eq!(template(page.as_bytes(), Format::Text), None, "{page:?}");
    }
    let limits = Limits { line_bytes: 70, ..Limits::default() };
    for (page, fits) in [("name 1\n", true), ("name_name 1\n", false)] {
        let parsed = Page::parse(page.as_bytes(), Format::Text, &limits).expect("the page is in order");
        assert_eq!(Template::of(page.as_bytes(), &parsed, Format::Text).is_some(), fits, "{page}");
    }
}

#[test]
fn lines_that_grow_too_long_are_left_to_the_parser() {
    let limits = Limits { line_bytes: 100, ..Limits::default() };
    let parsed = Page::parse(b"m 1\n", Format::Text, &limits).expect("the page is in order");
    let template = Template::of(b"m 1\n", &parsed, Format::Text).expect("there is room");
    for (digits, fits) in [(1, true), (64, true), (65, false), (99, false)] {
        let page = format!("m {}1\n", "0".repeat(digits - 1));
        assert_eq!(read(&template, page.as_bytes()).is_some(), fits, "{digits}");
    }
    for (blanks, fits) in [(1, true), (97, true), (98, false)] {
        let page = format!("m 1{}\n", " ".repeat(blanks));
        assert_eq!(read(&template, page.as_bytes()).is_some(), fits, "{blanks}");
    }
}

/// The lines of a page, each as the text before its number, and the number and tail; twice.
fn two_pages() -> impl Strategy<Value = (String, String)> {
    let number = "(0|[1-9][0-9]{0,6}(\\.[0-9]{1,5})?(e[+-]0?[0-9])?|NaN|[+-]Inf|-1)";
    let tail = "( [1-9][0-9]{0,8})?( # \\{t=\"[a-f]{0,6}\"\\} 0\\.5( 1\\.5)?)?[ ]?";
    let series = "[a-z]{1,3}(\\{[a-b]=\"([a-z }#,=é]|\\\\\\\\|\\\\\"){0,5}\"\\})?";
    let comment = select(vec!["# TYPE a counter\n", "# HELP a text 1 2\n", "\n", "# 17\n", ""]);
    let line = (comment, series, number, tail, number, tail);
    vec(line, 1..12).prop_map(|lines| {
        let (mut first, mut second) = (String::new(), String::new());
        for (index, (comment, series, number, tail, other_number, other_tail)) in
            lines.into_iter().enumerate()
        {
            // The index keeps the series apart.
            first += &format!("{comment}_{index}{series} {number}{tail}\n");
            second += &format!("{comment}_{index}{series} {other_number}{other_tail}\n");
        }
        (first + "# EOF\n", second + "# EOF\n")
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1_000))]

    #[test]
    fn reads_every_page_of_its_layout_as_a_parse_does(
        (first, second) in two_pages(),
        format in select(vec![Format::Text, Format::OpenMetrics]),
    ) {
        let template = template(first.as_bytes(), format).expect("nothing is wrong with the page");
        let values = read(&template, second.as_bytes()).map(|values| format!("{values:?}"));
        let parsed = layout_and_values(second.as_bytes(), format).map(|(_, values)| values);
        prop_assert!(values.is_some());
        prop_assert_eq!(values, parsed);
        prop_assert_eq!(Some(template), super::template::template(second.as_bytes(), format));
    }

    #[test]
    fn never_takes_another_page_for_its_own(
        (first, second) in two_pages(),
        edits in vec((any::<prop::sample::Index>(), select(b"\n\r \t#{}\",=\\019.eabN_\xff".to_vec()), 0..3_u8), 1..4),
        format in select(vec![Format::Text, Format::OpenMetrics]),
    ) {
        let template = template(first.as_bytes(), format).expect("nothing is wrong with the page");
        let mut bytes = second.into_bytes();
        for (at, byte, edit) in edits {
            let at = at.index(bytes.len());
            match edit {
                0 => bytes[at] = byte,
                1 => bytes.insert(at, byte),
                _ => drop(bytes.remove(at)),
            }
            if bytes.is_empty() {
                break;
            }
        }
        if let Some(values) = read(&template, &bytes) {
            let (layout, parsed) = layout_and_values(&bytes, format).expect("a page that matches has nothing wrong");
            prop_assert_eq!(format!("{values:?}"), parsed);
            prop_assert_eq!(Some(layout), layout_and_values(first.as_bytes(), format).map(|(layout, _)| layout));
        }
    }
}
