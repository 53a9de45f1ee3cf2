//! The runner finds what is wrong, and says where.

use super::{Messages, Options, run};

fn check(script: &str, passed: usize, failures: &[(usize, &str)]) {
    let report = run(script, &Options::default());
    assert_eq!(report.passed, passed, "{script}\n{:?}", report.failures);
    assert_eq!(report.failures.len(), failures.len(), "{script}\n{:?}", report.failures);
    for (failure, (line, message)) in report.failures.iter().zip(failures) {
        assert_eq!(failure.line, *line, "{failure}");
        assert!(failure.message.contains(message), "{failure} should contain {message:?}");
    }
}

#[test]
fn right_answers_pass() {
    check("load 1m\n m{a=\"b\"} 1 2 3\n\neval instant at 1m m\n m{a=\"b\"} 2\n", 1, &[]);
    check("eval instant at 0 1 + 1\n 2\n\neval instant at 0 \"x\"\n expect string \"x\"\n", 2, &[]);
    check("load 1m\n m 1 2 stale\n\neval range from 0 to 2m step 1m m\n m 1 2 _\n", 1, &[]);
    check(
        "load 1m\n m 1 2 _ 4\n\neval instant at 3m m[3m]\n expect range vector from 1m to 3m step 1m\n m 2 _ 4",
        1,
        &[],
    );
    check("load 1m\n m 1\n\nclear\n\neval instant at 0 m\n", 1, &[]);
    check("eval instant at 0 1 +\n expect fail\n\neval_fail instant at 0 1 +\n", 2, &[]);
    check("eval range from 0 to 2m step 1m time()\n {} 0 60 120\n", 1, &[]);
    check("eval instant at 0 quantile(2, vector(1))\n expect warn\n expect no_info\n {} Inf\n", 1, &[]);
}

#[test]
fn wrong_answers_are_found() {
    const LOAD: &str = "load 1m\n m{a=\"1\"} 1 2\n m{a=\"2\"} 3 4\n\n";
    let check = |eval: &str, message: &str| check(&format!("{LOAD}{eval}"), 0, &[(5, message)]);
    check("eval instant at 0 m\n m{a=\"1\"} 1", "which was not expected");
    check("eval instant at 0 m\n m{a=\"1\"} 1\n m{a=\"2\"} 3.1", "expected m{a=\"2\"} 3.1, got 3");
    check("eval instant at 0 m\n m{a=\"1\"} 1\n m{a=\"2\"} 3\n m{a=\"3\"} 3", "not among");
    check("eval instant at 0 sort_desc(m)\n expect ordered\n m{a=\"1\"} 1\n m{a=\"2\"} 3", "at its place");
    check("eval instant at 0 m\n 1", "another kind");
    check("eval instant at 0 m\n expect fail", "should have failed");
    check("eval instant at 0 m +\n", "failed: 1:4");
    check("eval instant at 0 m +\n expect fail msg: other", "other words");
    check("eval instant at 0 sum(m)\n expect warn\n {} 4", "expected a warning, but there is none");
    check("eval instant at 0 quantile(2, m)\n expect no_warn\n {} Inf", "expected no warning");
    check("eval instant at 0 quantile(2, m)\n expect warn msg: x\n {} Inf", "other words than");
    check(
        "eval range from 0 to 1m step 1m m{a=\"1\"}\n m{a=\"1\"} 1 3",
        "expected m{a=\"1\"} 3 at 60s, got 2",
    );
    check("eval range from 0 to 1m step 1m m{a=\"1\"}\n m{a=\"1\"} 1", "which was not expected");
    check(
        "eval range from 0 to 1m step 1m m{a=\"1\"}\n m{a=\"1\"} 1 2 3",
        "expected m{a=\"1\"} 3 at 120s, got _",
    );
    check("eval range from 0 to 1m step 1m m{a=\"1\"}\n", "got series");
    check("eval instant at 0 m[1m]\n m{a=\"1\"} 1\n", "expect range vector");
    check("eval instant at 0 1\n 2", "expected 2, got 1");
    check("eval instant at 0 \"x\"\n expect string \"y\"", "expected \"y\", got \"x\"");
}

#[test]
fn lines_that_cannot_be_read_end_the_script() {
    check("lod 1m\n", 0, &[(1, "is no command")]);
    check("load 1x\n", 0, &[(1, "30s or 5m")]);
    check("load 1m\n m 1 y\n", 0, &[(2, "is no value")]);
    check("load 1m\n m {{count:1}}\n", 0, &[(2, "native histograms")]);
    check("load_with_nhcb 1m\n", 0, &[(1, "load_with_nhcb is not supported")]);
    check("clear\nload 1m", 0, &[(2, "an empty line must follow clear")]);
    check("eval at 5m m\n", 0, &[(1, "write eval instant at 5m")]);
    check("eval instant at 0 m\n m 1 2\n", 0, &[(2, "an instant has one value")]);
    check("eval instant at 0 m\n expect nothing\n", 0, &[(2, "expect nothing is not known")]);
    check("eval instant at 0 m\n expect fail regex: (\n", 0, &[(2, "no regular expression")]);
    check("load 1m\n m 0x6000000\n", 0, &[(2, "more than 5000000 values")]);
}

#[test]
fn others_words_can_be_ignored() {
    let options = Options { messages: Messages::Ignore, ..Options::default() };
    let report = run("eval instant at 0 1 +\n expect fail msg: other words\n", &options);
    assert_eq!((report.passed, report.failures), (1, Vec::new()));
}
