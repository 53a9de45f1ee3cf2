use std::cell::RefCell;

use proptest::prelude::*;

use super::*;
use crate::relabel::{Bounds, RegexRoom};

/// A store's interning, without a store.
#[derive(Default)]
struct Layouts(RefCell<Vec<Arc<Layout>>>);

impl Layouts {
    fn intern(&self, layout: Layout) -> Arc<Layout> {
        let mut layouts = self.0.borrow_mut();
        if let Some(same) = layouts.iter().find(|known| ***known == layout) {
            return Arc::clone(same);
        }
        layouts.push(Arc::new(layout));
        layouts[layouts.len() - 1].clone()
    }
}

struct Stage {
    layouts: Layouts,
    shapes: Shapes,
    values: Values,
}

impl Default for Stage {
    fn default() -> Self {
        Self::with_room(1 << 20)
    }
}

impl Stage {
    fn with_room(bytes: usize) -> Self {
        Self { layouts: Layouts::default(), shapes: Shapes::new(bytes), values: Values::default() }
    }

    fn read(&mut self, memory: &mut Memory, page: &str) -> Reading {
        self.read_as(memory, page, Format::Text)
    }

    fn read_as(&mut self, memory: &mut Memory, page: &str, format: Format) -> Reading {
        let layouts = &self.layouts;
        let intern = |layout| layouts.intern(layout);
        read(page.as_bytes(), format, &Limits::default(), memory, &self.shapes, &mut self.values, intern)
            .unwrap()
    }

    fn known(&self) -> usize {
        self.shapes.map.lock().unwrap().by_layout.values().map(Vec::len).sum()
    }
}

const PAGE: &str = "# TYPE a counter\na_total{x=\"1\"} 1\na_total{x=\"2\"} 2\nb 3\n";

#[test]
fn a_shape_is_kept_when_it_was_seen_twice() {
    let mut stage = Stage::default();
    let mut memory = Memory::default();
    let first = stage.read(&mut memory, PAGE);
    assert!(memory.shape.is_none());
    let second = stage.read(&mut memory, PAGE);
    assert!(memory.shape.is_some());
    let third = stage.read(&mut memory, &PAGE.replace(" 3\n", " 4.5\n"));
    assert_eq!([second.layout_use, third.layout_use], [LayoutUse::Found, LayoutUse::Known]);
    assert!(Arc::ptr_eq(&first.layout, &second.layout) && Arc::ptr_eq(&second.layout, &third.layout));
    assert_eq!(stage.values.values, [1.0, 2.0, 4.5]);
}

#[test]
fn pages_that_never_look_the_same_leave_nothing() {
    let mut stage = Stage::default();
    let mut memory = Memory::default();
    for n in 0..100 {
        stage.read(&mut memory, &format!("build{{id=\"{n}\"}} 1\n"));
    }
    assert!(memory.shape.is_none());
    assert_eq!(stage.known(), 0);
}

#[test]
fn templates_take_no_more_than_their_room() {
    const ROOM: usize = 10_000;
    let mut stage = Stage::with_room(ROOM);
    let mut memories: Vec<Memory> = (0..1000).map(|_| Memory::default()).collect();
    // One layout, and a spelling for each target.
    let page = |n: usize| format!("# {n}\n{PAGE}");
    for _ in 0..2 {
        for (n, memory) in memories.iter_mut().enumerate() {
            stage.read(memory, &page(n));
        }
    }
    let kept = memories.iter().filter(|memory| memory.shape.is_some()).count();
    let held = stage.shapes.bytes.load(Ordering::Relaxed);
    assert!((ROOM / 100..ROOM / 20).contains(&kept), "{kept}");
    assert!((ROOM - 100..=ROOM).contains(&held), "{held}");
    // Who has no room is read all the same.
    let last = stage.read(&mut memories[999], &page(999).replace(" 3\n", " 4.5\n"));
    assert_eq!(last.layout_use, LayoutUse::Found);
    assert_eq!(stage.values.values, [1.0, 2.0, 4.5]);
    drop(memories);
    assert_eq!(stage.shapes.bytes.load(Ordering::Relaxed), 0);
}

#[test]
fn a_page_of_comments_is_not_kept() {
    let mut stage = Stage::default();
    let mut memory = Memory::default();
    let page = format!("# {}\n{PAGE}", "x".repeat(50_000));
    for _ in 0..3 {
        assert_eq!(stage.read(&mut memory, &page).layout.len(), 3);
    }
    assert!(memory.shape.is_none());
    assert_eq!(stage.shapes.bytes.load(Ordering::Relaxed), 0);
}

#[test]
fn shapes_go_with_the_last_target_that_uses_them() {
    let mut stage = Stage::default();
    for n in 0..1000 {
        let mut memory = Memory::default();
        let page = format!("build{{id=\"{n}\"}} 1\n");
        stage.read(&mut memory, &page);
        stage.read(&mut memory, &page);
        assert!(memory.shape.is_some());
        // The target is gone here, and its layout, once the store lets go of it.
        drop(memory);
        stage.layouts.0.borrow_mut().clear();
    }
    assert!(stage.known() <= 70, "{} shapes of targets that are gone", stage.known());
}

#[test]
fn what_changes_the_meaning_changes_the_layout() {
    let changes = [
        ("another type", PAGE.replace("a counter", "a gauge").replace("a_total{", "a{"), Format::Text),
        ("another label", PAGE.replace("x=\"2\"", "x=\"3\""), Format::Text),
        ("another name", PAGE.replace("b 3", "c 3"), Format::Text),
        (
            "another order",
            "b 3\n# TYPE a counter\na_total{x=\"1\"} 1\na_total{x=\"2\"} 2\n".to_owned(),
            Format::Text,
        ),
        ("a series less", PAGE.replace("b 3\n", ""), Format::Text),
        ("a series more", format!("{PAGE}c 4\n"), Format::Text),
    ];
    for (what, page, format) in changes {
        let mut stage = Stage::default();
        let mut memory = Memory::default();
        stage.read(&mut memory, PAGE);
        let before = stage.read(&mut memory, PAGE).layout;
        let after = stage.read_as(&mut memory, &page, format).layout;
        assert!(!Arc::ptr_eq(&before, &after) && *before != *after, "{what}");
    }
    let mut stage = Stage::default();
    let mut memory = Memory::default();
    let untyped = stage.read(&mut memory, "x 1\n").layout;
    let counter = stage.read(&mut memory, "# TYPE x counter\nx 1\n").layout;
    assert_eq!(untyped.name("x").map(|name| name.kind), Some(Kind::Gauge));
    assert_eq!(counter.name("x").map(|name| name.kind), Some(Kind::Counter));
}

#[test]
fn what_changes_the_spelling_does_not() {
    let mut stage = Stage::default();
    let mut memory = Memory::default();
    stage.read(&mut memory, PAGE);
    let before = stage.read(&mut memory, PAGE).layout;
    for page in [
        format!("# HELP b Some help.\n{PAGE}"),
        PAGE.replace("{x=\"2\"}", "{ x=\"2\", }"),
        PAGE.replace('\n', "\r\n"),
        format!("{PAGE}}}}}\n"),
    ] {
        let after = stage.read(&mut memory, &page);
        assert!(Arc::ptr_eq(&before, &after.layout), "{page}");
        assert_eq!(after.layout_use, LayoutUse::Found);
        assert_eq!(stage.values.values, [1.0, 2.0, 3.0]);
    }
}

#[test]
fn a_format_is_part_of_a_shape() {
    let page = "a 1 1700000000\n# EOF\n";
    let mut stage = Stage::default();
    let mut memory = Memory::default();
    stage.read(&mut memory, page);
    stage.read(&mut memory, page);
    assert_eq!(stage.values.timestamps_ms, [Some(1_700_000_000)]);
    let reading = stage.read_as(&mut memory, page, Format::OpenMetrics);
    assert_eq!(reading.layout_use, LayoutUse::Found);
    assert_eq!(stage.values.timestamps_ms, [Some(1_700_000_000_000)]);
}

/// Pages of a few lines out of a few names, types and labels, so that neighbours resemble each other.
fn page() -> impl Strategy<Value = String> {
    let line = prop_oneof![
        6 => ("[ab](_total|_sum|_count|_bucket)?", prop::option::of("[xy]=\"[12]\""), -3i8..3).prop_map(
            |(name, labels, value)| format!("{name}{{{}}} {value}\n", labels.unwrap_or_default())
        ),
        2 => ("[ab]", prop::sample::select(vec!["counter", "gauge", "histogram", "summary"]))
            .prop_map(|(name, kind)| format!("# TYPE {name} {kind}\n")),
        1 => Just("# a comment\n".to_owned()),
        1 => Just("a{ 1\n".to_owned()),
    ];
    prop::collection::vec(line, 1..6).prop_map(|lines| lines.concat())
}

proptest! {
    /// Whatever was read before, a page reads as if it were the first.
    #[test]
    fn memory_makes_no_difference(pages in prop::collection::vec(page(), 1..4), order in prop::collection::vec(any::<prop::sample::Index>(), 1..30)) {
        let mut stage = Stage::default();
        let mut memories = [Memory::default(), Memory::default()];
        for (n, index) in order.iter().enumerate() {
            let page = index.get(&pages);
            let mut fresh = Stage::default();
            let go = |stage: &mut Stage, memory: &mut Memory| {
                let layouts = &stage.layouts;
                let intern = |layout| layouts.intern(layout);
                read(page.as_bytes(), Format::Text, &Limits::default(), memory, &stage.shapes, &mut stage.values, intern)
            };
            let expected = go(&mut fresh, &mut Memory::default());
            let found = go(&mut stage, &mut memories[n % 2]);
            match (expected, found) {
                (Ok(expected), Ok(found)) => {
                    prop_assert!(*expected.layout == *found.layout);
                    prop_assert_eq!(expected.rejected, found.rejected);
                    prop_assert_eq!(&fresh.values, &stage.values);
                }
                (Err(expected), Err(found)) => prop_assert_eq!(expected, found),
                (expected, found) => prop_assert!(false, "{:?} became {:?}", expected, found),
            }
        }
    }
}

/// A target whose page is read by these rules.
fn memory_of(rules: &serde_json::Value) -> Memory {
    let bounds = crate::Config::default().monitor_settings().relabeling;
    let mut problems = Vec::new();
    let relabeling = Relabeling::read(
        rules.as_array().unwrap(),
        &bounds,
        &mut RegexRoom::new(1 << 20, 1 << 20),
        &mut problems,
    );
    assert_eq!(problems, <[&str; 0]>::default());
    Memory::new(Some(Arc::new(Terms::new(&rules.to_string(), None, None, relabeling))))
}

fn spelled(layout: &Layout) -> Vec<String> {
    let spell = |id| {
        let series = layout.series(id)?;
        let labels: Vec<String> =
            series.labels.iter().map(|(name, value)| format!("{name}={value}")).collect();
        Some(format!("{}{{{}}}", series.name, labels.join(",")))
    };
    (0..).map_while(spell).collect()
}

#[test]
fn rules_are_kept_when_a_shape_is_read_again() {
    let mut stage = Stage::default();
    let page = "# TYPE a counter\na_total{x=\"1\"} 1 1000\nb{x=\"2\"} 2\na_total{x=\"3\"} 3 3000\nc 4\n";
    let rules = serde_json::json!([
        {"action": "drop", "sourceLabels": ["__name__"], "regex": "b"},
        {"action": "labelmap", "regex": "x", "replacement": "y"},
        {"action": "labeldrop", "regex": "x"},
    ]);
    let mut memory = memory_of(&rules);
    for (round, layout_use) in [LayoutUse::Found, LayoutUse::Found, LayoutUse::Known].into_iter().enumerate()
    {
        let reading = stage.read(&mut memory, &page.replace(" 4\n", &format!(" {round}\n")));
        assert_eq!(reading.layout_use, layout_use);
        assert_eq!(spelled(&reading.layout), ["a_total{y=1}", "a_total{y=3}", "c{}"]);
        assert_eq!(reading.layout.name("a_total").unwrap().kind, Kind::Counter);
        assert_eq!(stage.values.values, [1.0, 3.0, round as f64]);
        assert_eq!(stage.values.timestamps_ms, [Some(1000), Some(3000), None]);
    }
    // Another target of the same rules has the shape at once, and one without rules has its own.
    let reading = stage.read(&mut memory_of(&rules), page);
    assert_eq!((reading.layout_use, reading.layout.len()), (LayoutUse::Found, 3));
    assert_eq!(stage.read(&mut Memory::default(), page).layout.len(), 4);
}

#[test]
fn rules_that_leave_the_same_series_of_different_samples_do_not_share() {
    let mut stage = Stage::default();
    let page = "a{x=\"1\"} 1\na{x=\"2\"} 2\n";
    let keep = |x: &str| serde_json::json!([{"action": "keep", "sourceLabels": ["x"], "regex": x}, {"action": "labeldrop", "regex": "x"}]);
    let mut memories = [memory_of(&keep("1")), memory_of(&keep("2"))];
    for _ in 0..3 {
        for (memory, value) in memories.iter_mut().zip([1.0, 2.0]) {
            let reading = stage.read(memory, page);
            assert_eq!(spelled(&reading.layout), ["a{}"]);
            assert_eq!(stage.values.values, [value]);
        }
    }
    assert_eq!(stage.known(), 2);
}

#[test]
fn series_that_rules_make_equal_are_counted_and_the_first_is_kept() {
    let mut stage = Stage::default();
    let mut memory = memory_of(&serde_json::json!([{"action": "labeldrop", "regex": "x"}]));
    for _ in 0..3 {
        let reading = stage.read(&mut memory, PAGE);
        assert_eq!(spelled(&reading.layout), ["a_total{}", "b{}"]);
        assert_eq!(stage.values.values, [1.0, 3.0]);
        assert_eq!((reading.rejected, reading.first_rejected.as_deref()), (1, Some(EQUAL)));
    }
}

#[test]
fn a_page_of_which_little_is_left_is_read_the_cheap_way_too() {
    let mut stage = Stage::default();
    let page: String =
        (0..1000).map(|n| format!("series_{n}{{path=\"/a/path/of/some/length\"}} 1\n")).collect();
    let mut memory = memory_of(
        &serde_json::json!([{"action": "keep", "sourceLabels": ["__name__"], "regex": "series_7"}]),
    );
    let uses: Vec<LayoutUse> = (0..3).map(|_| stage.read(&mut memory, &page).layout_use).collect();
    assert_eq!(uses, [LayoutUse::Found, LayoutUse::Found, LayoutUse::Known]);
    assert_eq!(stage.values.values, [1.0]);
}

#[test]
fn rules_cannot_blow_a_page_up() {
    let bounds = Bounds { page_bytes: 1 << 20, ..crate::Config::default().monitor_settings().relabeling };
    let page: String = (0..1_000).map(|n| format!("series_{n} 1\n")).collect();
    let check = |rules: serde_json::Value, message: &str| {
        let relabeling = Relabeling::read(
            rules.as_array().unwrap(),
            &bounds,
            &mut RegexRoom::new(1 << 20, 1 << 20),
            &mut Vec::new(),
        );
        let mut memory = Memory::new(Some(Arc::new(Terms::new("", None, None, relabeling))));
        let stage = Stage::default();
        let read = read(
            page.as_bytes(),
            Format::Text,
            &Limits::default(),
            &mut memory,
            &stage.shapes,
            &mut Values::default(),
            |layout| stage.layouts.intern(layout),
        );
        assert_eq!(read.unwrap_err().message, message);
    };
    let long = serde_json::json!({"targetLabel": "x", "replacement": "x".repeat(4_000)});
    let look = serde_json::json!({"action": "drop", "sourceLabels": ["x"], "regex": "x+"});
    let message = "metricRelabelings make more than 1 MiB of it (--scrape-body-limit)";
    check(serde_json::json!([long]), message);
    let message =
        "metricRelabelings look at more text than each of them at the whole page; name fewer sourceLabels";
    check(serde_json::json!([long, look]), message);
}
