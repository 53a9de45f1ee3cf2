//! Why there is no value, in one line that says what to do next.
//!
//! The line is what `kubectl describe hpa` shows. It is short enough for an event, which Kubernetes cuts at
//! 1,024 bytes, and it names a few pods, not all.

use std::{collections::BTreeSet, fmt::Write as _, ops::ControlFlow, sync::Arc, time::Duration};

use podgauge_apiserver::Status;
use podgauge_store::{Failure, ObjectKind, Pod, Scrapeable, Target, Timestamp};

use crate::{names::each_answered, tally::Lack};

/// What was asked, for the message.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Subject<'a> {
    /// One pod by name.
    Pod { namespace: &'a str, name: &'a str },
    /// Pods by label selector and field selector, as sent.
    Pods { namespace: &'a str, labels: &'a str, fields: &'a str },
    /// A namespace.
    Namespace { name: &'a str },
    /// A node.
    Node { name: &'a str },
    /// The pods that an object selects.
    Owner { kind: &'a ObjectKind, namespace: &'a str, name: &'a str, selector: &'a str },
}

/// Everything that a message rests on.
pub(crate) struct Unavailable<'a> {
    pub subject: Subject<'a>,
    pub metric: &'a str,
    /// The metric selector, as sent.
    pub series: &'a str,
    /// The pods that were looked at, and what each lacks if it does.
    pub pods: &'a [(Arc<Pod>, Option<Lack>)],
    pub now: Timestamp,
    pub max_age: Duration,
    pub window: Duration,
}

const LONGEST_MESSAGE: usize = 900;
/// Names that are looked at for a likely meaning; a bound on work, far above what real pages have.
const MOST_CANDIDATES: usize = 5_000;
/// Pairs of letters that are compared for it.
const MOST_STEPS: usize = 2_000_000;
/// Bytes of a name that is looked at.
const LONGEST_NAME: usize = 200;
const SUGGESTIONS: usize = 3;

// === impl Unavailable ===

impl Unavailable<'_> {
    /// The 404.
    pub(crate) fn status(&self) -> Status {
        let mut message = String::with_capacity(256);
        // Writing to a String cannot fail.
        let _ = self.write(&mut message);
        if message.len() > LONGEST_MESSAGE {
            let cut = message.floor_char_boundary(LONGEST_MESSAGE);
            message.truncate(cut);
            message.push('…');
        }
        Status::not_found(message)
    }

    fn write(&self, out: &mut String) -> std::fmt::Result {
        write!(out, "no value of metric {:?} for ", self.metric)?;
        match self.subject {
            Subject::Pod { namespace, name } => write!(out, "pod {namespace}/{name}: ")?,
            Subject::Pods { namespace, labels, fields } => {
                write!(out, "pods in namespace {namespace:?}")?;
                if !labels.is_empty() {
                    write!(out, " with labels {labels:?}")?;
                }
                if !fields.is_empty() {
                    write!(out, " with fields {fields:?}")?;
                }
                out.write_str(": ")?;
            }
            Subject::Namespace { name } => write!(out, "namespace {name:?}: ")?,
            Subject::Node { name } => write!(out, "node {name:?}: ")?,
            Subject::Owner { kind, namespace, name, selector } => {
                write!(out, "{} {namespace}/{name}, which selects {selector:?}: ", kind.kind)?;
            }
        }
        if self.pods.is_empty() {
            return out.write_str(match self.subject {
                Subject::Pod { .. } => "there is no such pod",
                Subject::Pods { labels: "", fields: "", .. }
                | Subject::Namespace { .. }
                | Subject::Node { .. }
                | Subject::Owner { .. } => "it has no pods",
                Subject::Pods { .. } => "no pod matches; check the namespace and the labels",
            });
        }
        self.counts(out)?;
        self.lacks(out)?;
        self.suggestions(out)?;
        self.not_targets(out)?;
        self.last_error(out)
    }

    fn counts(&self, out: &mut String) -> std::fmt::Result {
        let matched = self.pods.len();
        let targets = self.pods.iter().filter(|(pod, _)| !pod.targets().is_empty()).count();
        let answered = self.pods.iter().filter(|(pod, _)| pod.targets().iter().any(answers)).count();
        let verb = if matched == 1 { "matches" } else { "match" };
        write!(out, "{} {verb}, {targets} scraped, {answered} answering", count(matched, "pod"))
    }

    fn lacks(&self, out: &mut String) -> std::fmt::Result {
        let lacks = || self.pods.iter().filter_map(|(pod, lack)| Some((pod, (*lack)?)));
        let most = lacks().map(|(_, lack)| lack).fold(Lack::NoPage, Lack::or);
        if self.pods.len() > lacks().count()
            && let Some((pod, _)) = lacks().find(|(_, lack)| *lack == most)
        {
            write!(out, "; without {} the value would be wrong", pod.key.name)?;
        }
        match most {
            Lack::NoPage => Ok(()),
            Lack::NoSuchName => out.write_str("; no page has this name"),
            Lack::NoSeriesSelected => write!(out, "; no series has the labels {:?}", self.series),
            Lack::NotANumber => out.write_str("; a value is NaN or infinite"),
            Lack::OneSample => out.write_str("; it was read once so far and a rate needs two samples"),
            Lack::NoObservation => {
                write!(
                    out,
                    "; nothing was observed in the last {} s, or the buckets cannot tell",
                    self.window.as_secs()
                )
            }
            Lack::Ahead => out.write_str(
                "; its newest sample is from the future: the clock was set back, and it will be read anew",
            ),
            Lack::Stale { age } => write!(
                out,
                "; its newest sample is {} s old, and older than {} s is not served (--metrics-max-age)",
                age.as_secs(),
                self.max_age.as_secs()
            ),
        }
    }

    /// Names on the pages of these pods that resemble the one asked for.
    fn suggestions(&self, out: &mut String) -> std::fmt::Result {
        if self.pods.iter().any(|(_, lack)| lack.is_none_or(|lack| lack > Lack::NoSuchName)) {
            return Ok(());
        }
        let mut near: BTreeSet<(usize, String)> = BTreeSet::new();
        let mut seen = BTreeSet::new();
        let mut search = Search::new(self.metric);
        for target in self.pods.iter().flat_map(|(pod, _)| pod.targets()) {
            let Some(layout) = target.page(|page| Arc::clone(page.layout())) else { continue };
            if !seen.insert(layout.id()) {
                continue;
            }
            let all = each_answered(&layout, |name| {
                if let Some(distance) = search.distance(name)? {
                    near.insert((distance, name.to_owned()));
                }
                if near.len() > SUGGESTIONS {
                    near.pop_last();
                }
                ControlFlow::Continue(())
            });
            if all.is_break() {
                break;
            }
        }
        for (n, (_, name)) in near.iter().enumerate() {
            write!(out, "{} {name:?}", if n == 0 { "; did you mean" } else { " or" })?;
        }
        if near.is_empty() { Ok(()) } else { out.write_char('?') }
    }

    fn not_targets(&self, out: &mut String) -> std::fmt::Result {
        let mut reasons = self.pods.iter().filter_map(|(pod, _)| match &pod.scrapeable {
            Scrapeable::No(why) => Some((&pod.key.name, why)),
            Scrapeable::Targets(_) => None,
        });
        let Some((name, why)) = reasons.next() else { return Ok(()) };
        write!(out, "; {name} is not scraped: {why}")?;
        match reasons.count() {
            0 => Ok(()),
            more => write!(out, " (and {more} more)"),
        }
    }

    fn last_error(&self, out: &mut String) -> std::fmt::Result {
        let failures = self.pods.iter().flat_map(|(pod, _)| pod.targets()).filter_map(|target| {
            let failure = target.status().failure?;
            Some((target, failure))
        });
        let last = failures.max_by_key(|(_, failure)| failure.at);
        if let Some((target, Failure { at, message, .. })) = last {
            let ago = self.now.since(at).as_secs();
            return write!(
                out,
                "; last error, {ago} s ago: {} {}: {message}",
                target.pod().name,
                target.endpoint()
            );
        }
        let untried = self.pods.iter().flat_map(|(pod, _)| pod.targets()).filter(|t| !t.was_tried()).count();
        match untried {
            0 => Ok(()),
            n => write!(out, "; {} not scraped yet, try again in a second", count(n, "target")),
        }
    }
}

/// Whether the last scrape of a target was good.
fn answers(target: &Arc<Target>) -> bool {
    let status = target.status();
    status.last_success.is_some() && status.failure.is_none()
}

fn count(n: usize, noun: &str) -> String {
    format!("{n} {noun}{}", if n == 1 { "" } else { "s" })
}

/// Looks for names that resemble the one asked for, with an end: whoever may read metrics may also serve pages, and
/// neither may buy more than a few milliseconds with a request.
struct Search {
    asked: Vec<char>,
    names_left: usize,
    steps_left: usize,
}

// === impl Search ===

impl Search {
    fn new(asked: &str) -> Self {
        let asked = asked.chars().take(LONGEST_NAME + 1).flat_map(char::to_lowercase).collect();
        Self { asked, names_left: MOST_CANDIDATES, steps_left: MOST_STEPS }
    }

    /// How far `name` is from what was asked, if it is a likely meaning: nearer than a quarter of the letters (one at
    /// least) in single-letter edits, or one contained in the other. Breaks off when enough has been looked at.
    fn distance(&mut self, name: &str) -> ControlFlow<(), Option<usize>> {
        let Some(names_left) = self.names_left.checked_sub(1) else { return ControlFlow::Break(()) };
        self.names_left = names_left;
        if self.asked.len() > LONGEST_NAME || name.len() > LONGEST_NAME {
            return ControlFlow::Continue(None);
        }
        let name: Vec<char> = name.chars().flat_map(char::to_lowercase).collect();
        let (shorter, longer) =
            if name.len() < self.asked.len() { (&name, &self.asked) } else { (&self.asked, &name) };
        let most = (longer.len() / 4).max(1);
        let is_contained =
            shorter.len() >= 4 && longer.windows(shorter.len()).any(|part| part == shorter.as_slice());
        if !is_contained && longer.len() - shorter.len() > most {
            return ControlFlow::Continue(None);
        }
        let Some(steps_left) = self.steps_left.checked_sub(shorter.len() * longer.len()) else {
            return ControlFlow::Break(());
        };
        self.steps_left = steps_left;
        let edits = edits(&self.asked, &name);
        ControlFlow::Continue((edits <= most || is_contained).then_some(edits))
    }
}

/// Levenshtein's distance.
fn edits(a: &[char], b: &[char]) -> usize {
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, from) in a.iter().enumerate() {
        let mut diagonal = i;
        let mut left = i + 1;
        for (to, above) in b.iter().zip(row.iter_mut().skip(1)) {
            let replace = diagonal + usize::from(from != to);
            diagonal = *above;
            left = replace.min(left + 1).min(*above + 1);
            *above = left;
        }
        if let Some(first) = row.first_mut() {
            *first = i + 1;
        }
    }
    row.last().copied().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_edits() {
        let check = |a: &str, b: &str, want| {
            let [a, b] = [a, b].map(|text| text.chars().collect::<Vec<_>>());
            assert_eq!(edits(&a, &b), want, "{a:?} {b:?}");
        };
        check("", "", 0);
        check("", "abc", 3);
        check("abc", "", 3);
        check("kitten", "sitting", 3);
        check("messages", "mesages", 1);
        check("flaw", "lawn", 2);
    }

    #[test]
    fn suggests_what_was_likely_meant() {
        let check = |asked, name, want| {
            let distance = Search::new(asked).distance(name).map_break(drop);
            assert_eq!(matches!(distance, ControlFlow::Continue(Some(_))), want, "{asked} {name}");
        };
        check("mesages", "messages", true);
        check("Messages", "messages", true);
        check("http_requests", "http_requests_per_second", true);
        check("orders", "go_goroutines", false);
        check("up", "ups", true);
        check("up", "cpu", false);
        check("a", "b", true);
        check("x", "process_cpu_seconds_total", false);
    }

    #[test]
    fn a_search_ends() {
        let mut search = Search::new(&"b".repeat(190));
        let looked_at =
            (0..1_000_000).take_while(|n| search.distance(&format!("{n:0197}")).is_continue()).count();
        assert!(looked_at < 100, "{looked_at} long names, each 37,000 steps");
        let mut search = Search::new("b");
        let looked_at =
            (0..1_000_000).take_while(|n| search.distance(&format!("{n:0190}")).is_continue()).count();
        assert_eq!(looked_at, MOST_CANDIDATES);
    }
}
