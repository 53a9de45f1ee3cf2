//! Runs every script of this folder: `*.test`, in upstream's format, see `podgauge_promql::promqltest`.

use std::{fs, path::Path};

use podgauge_promql::promqltest::{Options, run};

#[test]
fn every_script_passes() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests");
    let mut scripts: Vec<_> = fs::read_dir(&folder)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.extension().is_some_and(|extension| extension == "test"))
        .collect();
    scripts.sort();
    assert!(scripts.len() > 15, "the scripts are gone: {scripts:?}");
    let mut wrong = Vec::new();
    for path in scripts {
        let report = run(&fs::read_to_string(&path).unwrap(), &Options::default());
        assert!(report.passed + report.failures.len() > 0, "{} evaluates nothing", path.display());
        wrong.extend(report.failures.iter().map(|failure| format!("{}:{failure}", path.display())));
    }
    assert!(wrong.is_empty(), "{} evaluations are wrong:\n{}", wrong.len(), wrong.join("\n"));
}
