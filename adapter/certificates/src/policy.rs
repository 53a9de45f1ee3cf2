//! What to do next, as a function of what the cluster holds, what this replica remembers, and the time.
//!
//! Two rules keep every served certificate verifiable at every instant, with any number of replicas and no leader:
//!
//! 1. A certificate is served only once its CA is in the `caBundle` of every APIService; by a replica that serves another
//!    one, only once it has seen it there for the propagation delay, so that every API server has seen it too.
//! 2. A CA leaves a `caBundle` only when it has ended, or when the certificate that replaced it is a third of its life old,
//!    which is when the replaced one, renewed at two thirds of its own, ends. And a replica that has just begun to serve
//!    something else takes nothing out: others may be about to follow it.
//!
//! The second rule needs the APIServices to be read before the Secret: then a CA that is in a bundle and not in the
//! Secret is one that was replaced, never one that another replica has just made.

use std::time::{Duration, SystemTime};

use tokio::time::Instant;

use crate::{bundle::Bundle, generation::Generation, state::State};

/// What the cluster holds, APIServices read first.
#[derive(Clone, Debug)]
pub(crate) struct View {
    /// Those APIServices that are there and lead to our Service.
    pub(crate) services: Vec<Service>,
    /// What of the Secret can be used.
    pub(crate) state: State,
}

/// An APIService of ours.
#[derive(Clone, Debug)]
pub(crate) struct Service {
    pub(crate) name: String,
    pub(crate) version: String,
    pub(crate) bundle: Bundle,
    /// Whether it holds more than its bundle says (rubbish, or a flag that turns verification off).
    pub(crate) is_untidy: bool,
}

/// What a replica remembers.
#[derive(Debug, Default)]
pub(crate) struct Memory {
    /// What it serves, and since when.
    serving: Option<(Generation, Instant)>,
    /// The CAs of what is in the Secret, as far as they are in every bundle, and since when they have been, each time that
    /// this replica looked.
    seen: Vec<(Bundle, Instant)>,
}

/// The time, both ways.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Now {
    /// What certificates are measured with.
    pub(crate) wall: SystemTime,
    /// What waiting is measured with.
    pub(crate) clock: Instant,
}

/// What the settings say.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Rules {
    /// How long a certificate lives.
    pub(crate) lifetime: Duration,
    /// How long its CA is known before it replaces another.
    pub(crate) delay: Duration,
}

/// The one thing to do next.
#[derive(Debug, PartialEq)]
pub(crate) enum Step {
    /// Serve this from now on.
    Serve(Generation),
    /// Change the Secret.
    Write(Change),
    /// Write these bundles.
    Publish(Vec<Publication>),
    /// Nothing.
    Rest,
}

/// A change of the Secret.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Change {
    /// Nobody serves: make a certificate and serve it as soon as its CA is published.
    Start,
    /// Make the next certificate; it waits until its CA is known.
    Stage,
    /// Put back what this replica serves, and make the next one unless there is one.
    Restore,
    /// Serve the next certificate.
    Promote,
}

/// A bundle to write.
#[derive(Debug, PartialEq)]
pub(crate) struct Publication {
    pub(crate) service: String,
    pub(crate) version: String,
    pub(crate) bundle: Bundle,
}

/// What to do next. With `may_write` false, the Secret cannot be written now.
pub(crate) fn decide(view: &View, memory: &Memory, rules: Rules, now: Now, may_write: bool) -> Step {
    let (state, delay) = (&view.state, rules.delay);
    if let Some(serving) = &state.serving
        && memory.serving() != Some(serving)
        && view.trusts(&serving.ca)
        && (memory.held(now.wall).is_none() || memory.has_seen(serving, delay, now.clock))
    {
        return Step::Serve(serving.clone());
    }
    if may_write && let Some(change) = change(view, memory, rules, now) {
        return Step::Write(change);
    }
    let is_settled = memory.serving.as_ref().is_some_and(|(serving, since)| {
        let is_old = state.serving.as_ref() == Some(serving) && !serving.is_young(now.wall);
        is_old && now.clock.saturating_duration_since(*since) >= delay
    });
    let publication = |service| publication(service, state, memory, is_settled, now.wall);
    let publications: Vec<_> = view.services.iter().filter_map(publication).collect();
    if publications.is_empty() { Step::Rest } else { Step::Publish(publications) }
}

fn change(view: &View, memory: &Memory, rules: Rules, now: Now) -> Option<Change> {
    let Rules { lifetime, delay } = rules;
    let State { serving, next } = &view.state;
    match (serving, next) {
        (None, _) if memory.held(now.wall).is_some() => Some(Change::Restore),
        // Somebody who cannot be asked may be serving with one of these CAs.
        (None, Some(next)) if view.trusts_others(next, now.wall) => {
            memory.has_seen(next, delay, now.clock).then_some(Change::Promote)
        }
        (None, Some(_)) => Some(Change::Promote),
        (None, None) if view.trusts_anybody(now.wall) => Some(Change::Stage),
        (None, None) => Some(Change::Start),
        (Some(serving), None) => serving.is_due(lifetime, now.wall).then_some(Change::Stage),
        (Some(_), Some(next)) if next.is_due(lifetime, now.wall) => Some(Change::Stage),
        (Some(_), Some(next)) => memory.has_seen(next, delay, now.clock).then_some(Change::Promote),
    }
}

fn publication(
    service: &Service,
    state: &State,
    memory: &Memory,
    is_settled: bool,
    now: SystemTime,
) -> Option<Publication> {
    let wanted = [state.serving.as_ref(), state.next.as_ref(), memory.serving()];
    let mut bundle = Bundle::default();
    for generation in wanted.into_iter().flatten().filter(|generation| generation.not_after > now) {
        bundle.add_all(&generation.ca);
    }
    if bundle.is_empty() {
        // Nothing can be served, so that nothing is known better than what is there.
        return None;
    }
    if !is_settled {
        service.bundle.iter().filter(|ca| ca.not_after > now).for_each(|ca| bundle.add(ca));
    }
    let is_same = bundle.contains_all(&service.bundle) && service.bundle.contains_all(&bundle);
    (!is_same || service.is_untidy).then(|| Publication {
        service: service.name.clone(),
        version: service.version.clone(),
        bundle,
    })
}

// === impl View ===

impl View {
    /// Whether every APIService trusts `ca`; those that are not there stand in nobody's way.
    fn trusts(&self, ca: &Bundle) -> bool {
        self.services.iter().all(|service| service.bundle.contains_all(ca))
    }

    fn trusts_others(&self, than: &Generation, now: SystemTime) -> bool {
        self.trusted(now).any(|ca| !than.ca.contains(ca))
    }

    fn trusts_anybody(&self, now: SystemTime) -> bool {
        self.trusted(now).next().is_some()
    }

    fn trusted(&self, now: SystemTime) -> impl Iterator<Item = &crate::bundle::Ca> {
        self.services.iter().flat_map(|service| service.bundle.iter()).filter(move |ca| ca.not_after > now)
    }
}

// === impl Memory ===

impl Memory {
    /// Takes notice of what was seen; to be called with every view.
    pub(crate) fn note(&mut self, view: &View, now: Instant) {
        let State { serving, next } = &view.state;
        let trusted = [serving, next].into_iter().flatten().filter(|generation| view.trusts(&generation.ca));
        let since =
            |ca: &Bundle| self.seen.iter().find(|(seen, _)| seen == ca).map_or(now, |(_, since)| *since);
        self.seen = trusted.map(|generation| (generation.ca.clone(), since(&generation.ca))).collect();
    }

    /// To be called when `generation` is served from now on.
    pub(crate) fn serve(&mut self, generation: Generation, now: Instant) {
        self.serving = Some((generation, now));
    }

    fn serving(&self) -> Option<&Generation> {
        self.serving.as_ref().map(|(serving, _)| serving)
    }

    /// What is served and has not ended.
    pub(crate) fn held(&self, now: SystemTime) -> Option<&Generation> {
        self.serving().filter(|serving| serving.not_after > now)
    }

    /// Whether the CA has been in every bundle for `delay`.
    fn has_seen(&self, generation: &Generation, delay: Duration, now: Instant) -> bool {
        let seen = self.seen.iter().find(|(ca, _)| *ca == generation.ca);
        seen.is_some_and(|(_, since)| now.saturating_duration_since(*since) >= delay)
    }
}

// === impl Change ===

impl Change {
    /// The state after this change of `state`; `make` makes a generation.
    ///
    /// # Errors
    /// Those of `make`.
    pub(crate) fn apply<E>(
        self,
        state: &State,
        held: Option<&Generation>,
        make: impl FnOnce() -> Result<Generation, E>,
    ) -> Result<State, E> {
        let State { serving, next } = state.clone();
        Ok(match self {
            Self::Start => State { serving: Some(make()?), next: None },
            Self::Stage => State { serving, next: Some(make()?) },
            Self::Restore => State { serving: held.cloned(), next: Some(next.map_or_else(make, Ok)?) },
            Self::Promote => State { serving: next, next: None },
        })
    }

    /// The name in logs and metrics.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Start => "start",
            Self::Stage => "stage",
            Self::Restore => "restore",
            Self::Promote => "promote",
        }
    }
}

#[cfg(test)]
mod tests;
