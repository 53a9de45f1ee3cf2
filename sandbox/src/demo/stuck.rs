//! Containers that will not come up by themselves: which, and what they last said.

use super::DemoError;
use super::folder::shown;
use super::record::Trouble;
use super::watch::NAMESPACE;
use std::path::{Path, PathBuf};
use std::time::Duration;
use tokio::time::Instant;

/// How long a container may wait for what it lacks, which may be about to come.
const LACKS: Duration = Duration::from_secs(30);

/// The troubles that are waited out, each since when.
#[derive(Debug, Default)]
pub(super) struct Stuck(Vec<(Trouble, Instant)>);

// === impl Stuck ===

impl Stuck {
    /// The first of these troubles that waiting does not help: a container that ends again and again, or that has
    /// lacked something for long.
    pub(super) fn find(&mut self, troubles: &[Trouble], now: Instant) -> Option<Trouble> {
        self.0.retain(|(known, _)| troubles.contains(known));
        for trouble in troubles.iter().filter(|trouble| trouble.waits) {
            let since = match self.0.iter().find(|(known, _)| known == trouble) {
                Some((_, since)) => *since,
                None => {
                    self.0.push((trouble.clone(), now));
                    now
                }
            };
            if trouble.reason == "CrashLoopBackOff" || now.duration_since(since) >= LACKS {
                return Some(trouble.clone());
            }
        }
        None
    }
}

/// A container that does not come up: which, its last words, and where its log is.
pub(super) fn stuck_pod(trouble: &Trouble, logs: &Path) -> DemoError {
    let folder = log_of(trouble, logs);
    let words = last_words(&folder);
    let text = trouble.text();
    DemoError::Failed(match words {
        Some(words) => format!("pod {text}; it last wrote: {words}; its log: {}", shown(&folder)),
        None => format!("pod {text}; look with: kubectl describe pod {}", trouble.pod),
    })
}

pub(super) fn log_of(trouble: &Trouble, logs: &Path) -> PathBuf {
    logs.join(format!("{NAMESPACE}_{}", trouble.pod)).join(&trouble.container)
}

/// The last lines of the newest log in a folder that has any.
fn last_words(folder: &Path) -> Option<String> {
    const LINES: usize = 3;
    let mut logs: Vec<_> = std::fs::read_dir(folder).ok()?.flatten().map(|entry| entry.path()).collect();
    logs.sort();
    let texts = logs.iter().rev().filter_map(|path| std::fs::read_to_string(path).ok());
    let mut texts = texts.filter(|text| !text.trim().is_empty());
    let Some(text) = texts.next() else { return Some("nothing".to_owned()) };
    let lines: Vec<_> = text.trim().lines().rev().take(LINES).map(str::trim).collect();
    Some(lines.into_iter().rev().collect::<Vec<_>>().join(" | "))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_crash_loop_is_stuck_at_once_and_what_lacks_something_after_a_while() {
        let trouble = |pod: &str, reason: &str, waits: bool| Trouble {
            pod: pod.into(),
            container: "c".into(),
            reason: reason.into(),
            restarts: 2,
            waits,
        };
        let mut stuck = Stuck::default();
        let start = Instant::now();
        let mut check = |seconds: u64, troubles: &[Trouble], expected: Option<&str>| {
            let found = stuck.find(troubles, start + Duration::from_secs(seconds));
            assert_eq!(found.map(|trouble| trouble.pod).as_deref(), expected, "{seconds} {troubles:?}");
        };
        let lacks = trouble("a", "CreateContainerConfigError", true);
        check(0, &[lacks.clone(), trouble("b", "ended with code 1", false)], None);
        check(29, std::slice::from_ref(&lacks), None);
        check(30, std::slice::from_ref(&lacks), Some("a"));
        // It came up in between.
        check(31, &[], None);
        check(40, std::slice::from_ref(&lacks), None);
        check(41, &[lacks, trouble("c", "CrashLoopBackOff", true)], Some("c"));
    }
}
