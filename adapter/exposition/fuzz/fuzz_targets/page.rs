//! Any bytes as a page. The first byte chooses the format; the rest is cut at the first 0xFF into two pages, of which the
//! second is read with the template of the first.
#![no_main]

use libfuzzer_sys::fuzz_target;
use podgauge_exposition::{Format, Limits, Page, Template, Values};

fuzz_target!(|input: &[u8]| {
    let Some((choice, pages)) = input.split_first() else { return };
    let format = if choice & 1 == 0 { Format::Text } else { Format::OpenMetrics };
    let mut pages = pages.splitn(2, |byte| *byte == 0xFF);
    let first = pages.next().unwrap_or_default();
    let second = pages.next().unwrap_or(first);

    let limits = Limits { labels: 8, label_value_bytes: 64, line_bytes: 512, ..Limits::default() };
    let Ok(page) = Page::parse(first, format, &limits) else { return };
    assert!(page.rejected.first.len() <= limits.kept_rejections);
    for sample in &page.samples {
        let labels = page.labels(sample);
        assert!(labels.len() <= limits.labels);
        assert!(labels.windows(2).all(|pair| pair[0].name < pair[1].name));
        assert!(sample.family < page.families.len());
        assert!(!sample.name.is_empty());
    }

    let Some(template) = Template::of(first, &page, format) else { return };
    let mut read = Values::default();
    if template.read(second, &mut read) {
        let again = Page::parse(second, format, &limits).expect("a page that matches is in order");
        assert_eq!(again.rejected.count, 0);
        let series = |page: &Page<'_>| -> Vec<String> {
            page.samples.iter().map(|one| format!("{} {:?} {:?}", one.name, page.labels(one), page.family(one))).collect()
        };
        assert_eq!(series(&again), series(&page));
        let mut parsed = Values::default();
        again.values(&mut parsed);
        assert_eq!(format!("{read:?}"), format!("{parsed:?}"));
    }
});
