//! Pages kept in `corpus/`, and what is to be read from them.
//!
//! `X.txt` is a page of text and `X.om` one of OpenMetrics; `X.txt.expected` or `X.om.expected` holds the outcome. After a
//! deliberate change, `BLESS=1 cargo test -p podgauge-exposition corpus` writes the outcomes anew, for the diff to be read.

use std::{collections::BTreeSet, fs, path::Path};

use podgauge_exposition::{Format, Limits};

use crate::render::outcome;

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
