//! Why there is no value, in one line that says what to do next.
//!
//! The line is what `kubectl describe hpa` shows. It is short enough for an event, which Kubernetes cuts at
//! 1,024 bytes, and it names a few pods, not all.

use std::{collections::BTreeSet, fmt::Write as _, sync::Arc, time::Duration};

use podgauge_apiserver::Status;
use podgauge_store::{Failure, Pod, Scrapeable, Target, Timestamp};

use crate::{names::each_answered, tally::Lack};

/// What was asked, for the message.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Subject<'a> {
    /// One pod by name.
    Pod { namespace: &'a str, name: &'a str },
    /// Pods by label selector, as sent.
    Pods { namespace: &'a str, selector: &'a str },
    /// A namespace.
    Namespace { name: &'a str },
}

/// Everything that a message rests on.
pub(crate) struct Unavailable<'a> {
    pub subject: Subject<'a>,
    pub metric: &'a str,
    /// The metric selector, as sent.
    pub series: &'a str,
    /// The pods that were looked at, and what each lacks.
    pub pods: &'a [(Arc<Pod>, Lack)],
    pub now: Timestamp,
    pub max_age: Duration,
    pub window: Duration,
}

const LONGEST_MESSAGE: usize = 900;
/// Names that are compared with the one asked for; a bound on work, far above what real pages have.
const MOST_CANDIDATES: usize = 5_000;
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
            Subject::Pods { namespace, selector: "" } => write!(out, "pods in namespace {namespace:?}: ")?,
            Subject::Pods { namespace, selector } => {
                write!(out, "pods in namespace {namespace:?} with labels {selector:?}: ")?;
            }
            Subject::Namespace { name } => write!(out, "namespace {name:?}: ")?,
        }
        if self.pods.is_empty() {
            return out.write_str(match self.subject {
                Subject::Pod { .. } => "there is no such pod",
                Subject::Pods { selector: "", .. } | Subject::Namespace { .. } => "it has no pods",
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
        let most = self.pods.iter().map(|(_, lack)| *lack).fold(Lack::NoPage, Lack::or);
        match most {
            Lack::NoPage => Ok(()),
            Lack::NoSuchName => out.write_str("; no page has this name"),
            Lack::NoSeriesSelected => write!(out, "; no series has the labels {:?}", self.series),
            Lack::NotANumber => out.write_str("; its value is NaN or infinite"),
            Lack::OneSample => out.write_str("; it was read once so far and a rate needs two samples"),
            Lack::NoObservation => {
                write!(out, "; nothing was observed in the last {} s", self.window.as_secs())
            }
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
        if self.pods.iter().any(|(_, lack)| *lack > Lack::NoSuchName) {
            return Ok(());
        }
        let mut near: BTreeSet<(usize, String)> = BTreeSet::new();
        let mut seen = BTreeSet::new();
        let mut candidates = 0;
        for target in self.pods.iter().flat_map(|(pod, _)| pod.targets()) {
            let Some(layout) = target.page(|page| Arc::clone(page.layout())) else { continue };
            if candidates >= MOST_CANDIDATES || !seen.insert(layout.id()) {
                continue;
            }
            each_answered(&layout, |name| {
                candidates += 1;
                if let Some(distance) = resemblance(self.metric, name)
                    && candidates <= MOST_CANDIDATES
                {
                    near.insert((distance, name.to_owned()));
                }
                if near.len() > SUGGESTIONS {
                    near.pop_last();
                }
            });
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

/// How far `name` is from what was asked: `None` if it is no likely meaning.
///
/// Nearer than a quarter of the letters (one at least) in single-letter edits, or one contained in the other.
fn resemblance(asked: &str, name: &str) -> Option<usize> {
    let (asked, name) = (asked.to_lowercase(), name.to_lowercase());
    let longest = asked.chars().count().max(name.chars().count());
    if longest > 200 {
        return None;
    }
    let edits = edits(&asked, &name);
    let contained = asked.len() >= 4 && name.len() >= 4 && (name.contains(&asked) || asked.contains(&name));
    (edits <= (longest / 4).max(1) || contained).then_some(edits)
}

/// Levenshtein's distance.
fn edits(a: &str, b: &str) -> usize {
    let b: Vec<char> = b.chars().collect();
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, from) in a.chars().enumerate() {
        let mut diagonal = i;
        let mut left = i + 1;
        for (to, above) in b.iter().zip(row.iter_mut().skip(1)) {
            let replace = diagonal + usize::from(from != *to);
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
        let check = |a, b, want| assert_eq!(edits(a, b), want, "{a} {b}");
        check("", "", 0);
        check("", "abc", 3);
        check("abc", "", 3);
        check("kitten", "sitting", 3);
        check("messages", "mesages", 1);
        check("flaw", "lawn", 2);
    }

    #[test]
    fn suggests_what_was_likely_meant() {
        let check =
            |asked, name, want| assert_eq!(resemblance(asked, name).is_some(), want, "{asked} {name}");
        check("mesages", "messages", true);
        check("Messages", "messages", true);
        check("http_requests", "http_requests_per_second", true);
        check("orders", "go_goroutines", false);
        check("up", "ups", true);
        check("up", "cpu", false);
        check("a", "b", true);
        check("x", "process_cpu_seconds_total", false);
    }
}
