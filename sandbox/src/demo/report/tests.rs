//! Reports of a run that was recorded, and of what may happen to one.

use super::*;

fn recorded() -> Record {
    let text = include_str!("../../../testdata/demo-run.json");
    serde_json::from_str(text).expect("the record is one of ours")
}

/// The page's tags, each closed by its own: what a browser would have to guess about otherwise.
fn assert_balanced(page: &str) {
    const VOID: [&str; 5] = ["br", "circle", "line", "meta", "path"];
    let mut open = Vec::new();
    for part in page.split('<').skip(1) {
        let (tag, _) = part.split_once('>').expect("a tag ends");
        let name = tag.trim_start_matches('/').split([' ', '/']).next().unwrap_or_default();
        if tag.starts_with('/') {
            assert_eq!(open.pop(), Some(name), "before: ...{}", &part[..part.len().min(80)]);
        } else if !tag.starts_with('!') && !tag.ends_with('/') && !VOID.contains(&name) {
            open.push(name);
        }
    }
    assert_eq!(open, Vec::<&str>::new());
}

#[test]
fn a_recorded_run_is_shown_whole() {
    let record = recorded();
    let page = render(&record);
    assert_eq!(page, render(&record), "the same record gives the same bytes");
    assert_balanced(&page);
    for expected in [
        "<h1 class=\"good\">The loop has closed.</h1>",
        "<dd>1 &rarr; 10 &rarr; 1</dd>",
        "<dd>100 / 100</dd>",
        "5 times as fast as in a cluster",
        "<td>SuccessfulRescale</td><td>New size: 10; reason: pods metric messages above target</td>",
        "<td class=\"count\">100</td><td>processed exactly once</td>",
        // The scales: a line at the top of each panel.
        ">100</text>",
        ">10</text>",
        ">40 s</text>",
        "ScaleDownStabilized</text>",
    ] {
        assert!(page.contains(expected), "{expected} is not in the page");
    }
    assert_eq!(page.matches("<circle ").count(), record.decisions.len());
    assert_eq!(page.matches("<path class=\"line ").count(), 4, "queue, served, ready, wanted");
}

#[test]
fn it_needs_no_network_and_no_script() {
    let page = render(&recorded());
    for word in ["http", "//", "src=", "href", "url(", "@import", "<script", "<link"] {
        assert!(!page.contains(word), "{word} is in the page");
    }
}

#[test]
fn what_went_wrong_is_said() {
    let mut record = recorded();
    record.missing = Some("2 lost (a-1, ...)".into());
    let account = record.account.as_mut().expect("it was counted");
    (account.once, account.lost) = (98, vec!["a-1".into(), "a-2".into()]);
    record.samples.retain(|sample| sample.at < 30.0);
    let page = render(&record);
    assert_balanced(&page);
    for expected in [
        "<h1 class=\"bad\">The loop has not closed: 2 lost (a-1, ...).</h1>",
        "<dd>1 &rarr; 10</dd>",
        "<dd>never</dd>",
        "<tr class=\"bad\"><td class=\"count\">2</td><td>lost: in no worker's log<br><code>a-1, a-2</code></td></tr>",
    ] {
        assert!(page.contains(expected), "{expected} is not in the page");
    }
}

#[test]
fn nothing_seen_is_no_reason_to_fail() {
    let page = render(&Record::default());
    assert_balanced(&page);
    assert!(page.contains("Nothing was seen.") && page.contains("They were not counted"), "{page}");
    let one = Record { samples: vec![Sample::default()], ..Record::default() };
    let page = render(&one);
    assert_balanced(&page);
    assert!(!page.contains("NaN") && !page.contains("inf"), "{page}");
}

#[test]
fn what_the_cluster_says_is_text() {
    let mut record = recorded();
    record.cluster = "<img>".into();
    record.missing = Some("a & b".into());
    record.decisions[0].message = "</td><b title='x'>\"".into();
    record.samples[9].autoscaler.reasons = "<i>".into();
    let page = render(&record);
    assert_balanced(&page);
    for expected in ["&lt;img&gt;", "a &amp; b", "&lt;/td&gt;&lt;b title=&#39;x&#39;&gt;&quot;", "&lt;i&gt;"]
    {
        assert!(page.contains(expected), "{expected} is not in the page");
    }
}
