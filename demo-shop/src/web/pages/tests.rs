use super::super::history::{Point, Window};
use super::super::view::Own;
use super::*;
use std::collections::HashMap;
use std::time::Duration;

const CSS: &str = include_str!("../assets/shop.css");

/// The colours of the light and the dark theme by name, as red, green, blue and opacity from 0 to 1.
fn themes() -> [HashMap<&'static str, [f64; 4]>; 2] {
    let (light, dark) = CSS.split_once("@media (prefers-color-scheme: dark)").unwrap();
    let read = |text: &'static str| {
        let block = text.split_once(":root {").unwrap().1.split_once('}').unwrap().0;
        let lines = block.lines().filter_map(|line| line.trim().strip_prefix("--")?.strip_suffix(';'));
        lines.map(|line| line.split_once(": ").unwrap()).map(|(name, hex)| (name, colour(hex))).collect()
    };
    [read(light), read(dark)]
}

fn colour(hex: &str) -> [f64; 4] {
    let digits = hex.strip_prefix('#').unwrap();
    let channel = |at| {
        digits.get(at..at + 2).map_or(1.0, |two| f64::from(u8::from_str_radix(two, 16).unwrap()) / 255.0)
    };
    [channel(0), channel(2), channel(4), channel(6)]
}

/// WCAG 2.2's contrast ratio, from 1 to 21.
fn contrast(above: [f64; 4], below: [f64; 4]) -> f64 {
    let luminance = |[red, green, blue, _]: [f64; 4]| {
        let linear =
            |part: f64| if part <= 0.04045 { part / 12.92 } else { ((part + 0.055) / 1.055).powf(2.4) };
        0.2126 * linear(red) + 0.7152 * linear(green) + 0.0722 * linear(blue)
    };
    let (one, two) = (luminance(above) + 0.05, luminance(below) + 0.05);
    one.max(two) / one.min(two)
}

#[test]
fn contrast_is_that_of_the_guidelines() {
    let ratio = |above: &str, below: &str| (contrast(colour(above), colour(below)) * 100.0).round() / 100.0;
    assert_eq!((ratio("#000000", "#ffffff"), ratio("#777777", "#ffffff")), (21.0, 4.48));
}

#[test]
fn every_pair_of_colours_can_be_told_apart_in_both_themes() {
    // What, on what, at least.
    let text = [
        ("ink", "ground"),
        ("ink", "label"),
        ("ink", "sunken"),
        ("soft", "ground"),
        ("soft", "label"),
        ("soft", "sunken"),
        ("brand", "ground"),
        ("brand", "label"),
        ("brand-strong", "ground"),
        ("brand-strong", "label"),
        ("on-brand", "brand"),
        ("on-brand", "brand-strong"),
        ("bad", "ground"),
        ("bad", "label"),
        ("bad", "bad-ground"),
        ("pending", "label"),
        ("completed", "label"),
    ];
    let shapes = [
        ("field", "label"),
        ("good", "ground"),
        ("brand", "sunken"),
        ("rule", "ground"),
        ("edge", "label"),
        ("edge", "sunken"),
    ];
    for (theme, colours) in ["light", "dark"].into_iter().zip(themes()) {
        let pairs = text.map(|pair| (pair, 4.5)).into_iter().chain(shapes.map(|pair| (pair, 3.0)));
        for ((above, below), least) in pairs {
            // The dark theme's rules part labels that their ground parts already.
            if (theme, above) == ("dark", "rule") {
                continue;
            }
            let ratio = contrast(colours[above], colours[below]);
            assert!(ratio >= least, "{theme}: {above} on {below} is {ratio:.2}, less than {least}");
        }
    }
}

#[test]
fn every_colour_has_its_counterpart_and_none_stands_outside_the_themes() {
    let [light, dark] = themes();
    let names = |theme: &HashMap<&'static str, _>| {
        let mut names: Vec<_> = theme.keys().copied().collect();
        names.sort_unstable();
        names
    };
    assert_eq!(names(&light), names(&dark));
    let rules = CSS.rsplit_once("*, ::before, ::after { box-sizing").unwrap().1;
    assert!(!rules.contains(": #"), "a colour that no theme changes");
}

fn view() -> View {
    let odd = "<img src=x onerror=alert(1)>\"'&{{queue}}";
    View {
        store: true,
        worker: true,
        hostname: odd.into(),
        queue: odd.into(),
        broker: odd.into(),
        complaints: vec![odd.into()],
        depth: None,
        put_aside: None,
        own: Own::default(),
    }
}

/// Every page, filled with what visitors, brokers and settings could say at worst.
fn pages() -> Vec<String> {
    let odd = view().queue;
    let token = Token::parse("0123456789abcdef").unwrap();
    let notice = Notice { text: odd.clone(), typed: Some(odd.clone()) };
    let point = Point { age: Duration::ZERO, pending: Some(u64::MAX), completed: None };
    vec![
        store(&token, None, false),
        store(&token, Some(&notice), true),
        admin(&view(), &Chart::of(&Window { points: vec![point], completed: None }), true),
        admin(&view(), &Chart::default(), false),
        confirmation("ab-1", 1, true),
        message(&odd, &odd),
    ]
}

#[test]
fn nothing_that_others_say_becomes_markup() {
    for page in pages() {
        assert!(!page.contains("<img src=x"), "{page}");
        assert!(!page.contains("\"'&"), "{page}");
    }
}

#[test]
fn pages_keep_to_the_content_security_policy() {
    for page in pages() {
        for banned in ["style=", "<style", "onclick", "javascript:", "http://", "https://"] {
            assert!(!page.contains(banned), "{banned}: {page}");
        }
        assert_eq!(
            page.matches("<script").count(),
            page.matches("<script src=\"/assets/shop.js\" defer></script>").count()
        );
    }
}

#[test]
fn every_place_of_every_template_is_filled() {
    for page in pages() {
        let own = page.replace("{{queue}}", "");
        assert!(!own.contains("{{") && !own.contains("}}"), "{page}");
        assert!(!page.contains("=\"\"><path"), "{page}");
    }
}

#[test]
fn pages_have_one_first_heading_and_a_name_for_everything() {
    for page in pages() {
        assert_eq!(page.matches("<h1").count(), 1, "{page}");
        assert!(page.contains("<html lang=\"en\">") && page.contains("<main id=\"main\""), "{page}");
        let labels = ["for=\"quantity\"", "<legend"].map(|part| page.contains(part));
        assert_eq!(labels, [page.contains("<form"); 2], "{page}");
    }
}
