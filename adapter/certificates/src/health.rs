//! Whether there is a certificate to serve with, for probes.

use std::{
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::SystemTime,
};

/// Tells how it goes; cheap to clone.
#[derive(Clone, Debug, Default)]
pub struct Health(Arc<Mutex<Known>>);

#[derive(Debug, Default)]
struct Known {
    /// When what is served ends; `None` while nothing is.
    until: Option<SystemTime>,
    /// What went wrong last, until it goes well again.
    problem: Option<String>,
}

// === impl Health ===

impl Health {
    /// Nothing is wrong while a certificate is served that has not ended, whatever fails: there is a third of its life to
    /// mend it in.
    ///
    /// # Errors
    /// What is missing, and the last problem on the way to it.
    pub fn check(&self, now: SystemTime) -> Result<(), String> {
        let known = self.lock();
        let missing = match known.until {
            Some(until) if until > now => return Ok(()),
            Some(_) => "the serving certificate has ended",
            None => "there is no serving certificate yet",
        };
        match &known.problem {
            Some(problem) => Err(format!("{missing}: {problem}")),
            None => Err(missing.to_owned()),
        }
    }

    pub(crate) fn serves_until(&self, until: SystemTime) {
        self.lock().until = Some(until);
    }

    /// Takes notice of what the last round came to, and tells whether that is news.
    pub(crate) fn report(&self, problem: Option<String>) -> bool {
        let mut known = self.lock();
        let is_news = known.problem != problem;
        known.problem = problem;
        is_news
    }

    fn lock(&self) -> MutexGuard<'_, Known> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn says_what_is_missing_and_why() {
        let at = |seconds| SystemTime::UNIX_EPOCH + Duration::from_secs(seconds);
        let health = Health::default();
        assert_eq!(health.check(at(1)), Err("there is no serving certificate yet".to_owned()));
        assert!(health.report(Some("no role".to_owned())));
        assert!(!health.report(Some("no role".to_owned())));
        assert_eq!(health.check(at(1)), Err("there is no serving certificate yet: no role".to_owned()));
        health.serves_until(at(5));
        assert_eq!(health.check(at(4)), Ok(()));
        assert_eq!(health.check(at(5)), Err("the serving certificate has ended: no role".to_owned()));
        assert!(health.report(None));
        assert_eq!(health.check(at(5)), Err("the serving certificate has ended".to_owned()));
    }
}
