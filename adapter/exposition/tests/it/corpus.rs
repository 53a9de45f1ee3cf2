//! Pages kept in `corpus/`, and what is to be read from them; what the fuzzer found, against the twin.
//!
//! `X.txt` is a page of text and `X.om` one of OpenMetrics; `X.txt.expected` or `X.om.expected` holds the outcome. After a
//! deliberate change, `BLESS=1 cargo test -p podgauge-exposition corpus` writes the outcomes anew, for the diff to be read.

use std::{collections::BTreeSet, fs, path::Path};

use podgauge_exposition::{Format, Limits};

use crate::{naive, properties, render::outcome};

#[test]
fn corpus_outcomes() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("corpus");
    let names: BTreeSet<String> = fs::read_dir(&folder)
        .expect("the corpus is beside the tests")
        .map(|entry| entry.expect("the corpus can be listed").file_name().to_string_lossy().into_owned())
        .filter(|name| !name.ends_with(".expected"))
        .collect();
    assert!(names.len() >= 10, "the corpus is there: {names:?}");
    let limits = Limits { kept_rejections: 40, ..Limits::default() };
    for name in names {
        let format = if name.ends_with(".om") { Format::OpenMetrics } else { Format::Text };
        let page = fs::read(folder.join(&name)).expect("the page can be read");
        let found = outcome(&page, format, &limits).join("\n") + "\n";
        let golden = folder.join(format!("{name}.expected"));
        if std::env::var_os("BLESS").is_some() {
            fs::write(&golden, &found).expect("the outcome can be written");
        }
        let expected = fs::read_to_string(&golden).expect("every page has its outcome");
        assert_eq!(found, expected, "{name}");
    }
}

/// The inputs that took the fuzzer to every corner that it knows, laid out as `fuzz/fuzz_targets/page.rs` says.
#[test]
fn the_fuzzers_corpus_means_what_the_twin_says() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz/corpus/page");
    let mut inputs = 0;
    for entry in fs::read_dir(folder).expect("the fuzzer's corpus is there") {
        let path = entry.expect("the fuzzer's corpus can be listed").path();
        let input = fs::read(&path).expect("the input can be read");
        let Some((choice, pages)) = input.split_first() else { continue };
        let format = if choice & 1 == 0 { Format::Text } else { Format::OpenMetrics };
        for page in [pages].into_iter().chain(pages.splitn(2, |byte| *byte == 0xFF)) {
            properties::try_everything(page, format, &Limits::default());
            assert_eq!(properties::parse(page, format), naive::parse(page, format), "{path:?}");
        }
        inputs += 1;
    }
    assert!(inputs > 100, "only {inputs} inputs");
}
