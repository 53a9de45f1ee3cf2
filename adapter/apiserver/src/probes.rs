//! `/livez`, `/readyz` and `/healthz`: checks by name, in upstream's words.
//!
//! A check answers from memory. Its reason is shown to whoever is known; an anonymous caller learns
//! only which check fails.

use std::{fmt, sync::Arc};

use http::StatusCode;

use crate::{
    api::Query,
    respond::{self, Reply},
};

const TEXT: &str = "text/plain; charset=utf-8";

/// A named condition.
#[derive(Clone)]
pub struct Check {
    name: &'static str,
    run: Arc<dyn Fn() -> Result<(), String> + Send + Sync>,
}

/// The conditions of a program: of being alive, and of being ready.
#[derive(Clone, Debug, Default)]
pub struct Probes {
    /// `/livez` and `/healthz`: when one fails, a restart may help.
    pub live: Vec<Check>,
    /// `/readyz`: when one fails, other replicas should answer.
    pub ready: Vec<Check>,
}

// === impl Check ===

impl Check {
    /// A condition that fails with a reason; it must not wait.
    pub fn new(name: &'static str, run: impl Fn() -> Result<(), String> + Send + Sync + 'static) -> Self {
        Self { name, run: Arc::new(run) }
    }
}

impl fmt::Debug for Check {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Check({})", self.name)
    }
}

// === impl Probes ===

impl Probes {
    /// Answers `/<probe>` or `/<probe>/<check>`; `None` when there is no such check.
    pub(crate) fn answer(
        &self,
        probe: &str,
        check: Option<&str>,
        query: &Query,
        may_see_reasons: bool,
    ) -> Option<Reply> {
        let checks = if probe == "readyz" { &self.ready } else { &self.live };
        let ping = Check::new("ping", || Ok(()));
        let all = std::iter::once(&ping).chain(checks);
        let chosen: Vec<&Check> = all.filter(|c| check.is_none_or(|name| name == c.name)).collect();
        if chosen.is_empty() {
            return None;
        }
        let mut lines = String::new();
        let mut is_ok = true;
        for check in chosen {
            match (check.run)() {
                Ok(()) => lines.push_str(&format!("[+]{} ok\n", check.name)),
                Err(reason) => {
                    is_ok = false;
                    tracing::debug!(probe, check = check.name, reason, "check failed");
                    let reason = if may_see_reasons { reason.as_str() } else { "reason withheld" };
                    lines.push_str(&format!("[-]{} failed: {reason}\n", check.name));
                }
            }
        }
        let is_verbose = query.0.iter().any(|(key, _)| key == "verbose");
        Some(match (is_ok, is_verbose) {
            (true, false) => respond::text(StatusCode::OK, TEXT, "ok".to_owned()),
            (true, true) => respond::text(StatusCode::OK, TEXT, lines + probe + " check passed\n"),
            (false, _) => {
                respond::text(StatusCode::INTERNAL_SERVER_ERROR, TEXT, lines + probe + " check failed\n")
            }
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn answers() {
        let probes = Probes {
            live: vec![Check::new("loop", || Ok(()))],
            ready: vec![Check::new("synced", || Err("no pods yet".to_owned())), Check::new("up", || Ok(()))],
        };
        for (path, known, expected) in [
            ("livez", true, Some((200, "ok"))),
            ("healthz?verbose", true, Some((200, "[+]ping ok\n[+]loop ok\nhealthz check passed\n"))),
            ("livez/ping", true, Some((200, "ok"))),
            ("livez/loop", true, Some((200, "ok"))),
            ("livez/synced", true, None),
            (
                "readyz",
                true,
                Some((500, "[+]ping ok\n[-]synced failed: no pods yet\n[+]up ok\nreadyz check failed\n")),
            ),
            (
                "readyz",
                false,
                Some((500, "[+]ping ok\n[-]synced failed: reason withheld\n[+]up ok\nreadyz check failed\n")),
            ),
            ("readyz/up", true, Some((200, "ok"))),
            ("readyz/synced", false, Some((500, "[-]synced failed: reason withheld\nreadyz check failed\n"))),
        ] {
            let (path, query) = path.split_once('?').unwrap_or((path, ""));
            let (probe, check) = path.split_once('/').map_or((path, None), |(p, c)| (p, Some(c)));
            let query = Query(vec![(query.to_owned(), String::new())]);
            let found = probes.answer(probe, check, &query, known);
            let found = found.map(|reply| (reply.status().as_u16(), reply.into_body()));
            let expected = expected.map(|(code, body)| (code, bytes::Bytes::from(body)));
            assert_eq!(found, expected, "{path}");
        }
    }
}
