//! Spans: what was done, when, and as part of what.

use super::context::{SpanId, TraceContext, TraceId};
use crate::clock::{self, Clock};
use crate::metrics::Metrics;
use crate::random::Random;
use std::borrow::Cow;
use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};
use tokio::sync::mpsc;
use tokio::time::Instant;

/// Begins spans, and hands finished ones to whoever exports them. Cheap to clone.
#[derive(Clone)]
pub struct Tracer {
    finished: Option<mpsc::Sender<Finished>>,
    metrics: Metrics,
    clock: Clock,
    random: Arc<Mutex<Random>>,
}

/// Something that is being done. It ends when this is dropped.
#[derive(Debug)]
pub struct Span {
    context: TraceContext,
    parent: Option<SpanId>,
    name: Cow<'static, str>,
    kind: Kind,
    started: Instant,
    /// Milliseconds since 1970.
    started_ms: u64,
    attributes: Vec<(&'static str, Value)>,
    error: Option<String>,
    tracer: Tracer,
}

/// What part a span has in the exchange that it is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Answers a request.
    Server,
    /// Puts messages into a queue.
    Producer,
    /// Works on a message from a queue.
    Consumer,
}

/// A span that has ended.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Finished {
    pub(super) context: TraceContext,
    pub(super) parent: Option<SpanId>,
    pub(super) name: Cow<'static, str>,
    pub(super) kind: Kind,
    /// Nanoseconds since 1970.
    pub(super) start_ns: u64,
    pub(super) end_ns: u64,
    pub(super) attributes: Vec<(&'static str, Value)>,
    /// Why it failed, if it did.
    pub(super) error: Option<String>,
}

/// An attribute's value.
#[derive(Clone, Debug, PartialEq)]
pub enum Value {
    /// Words.
    Text(String),
    /// A count.
    Number(u64),
    /// Yes or no.
    Flag(bool),
}

/// Bytes of an attribute's text; what is longer is cut.
const TEXT_BYTES: usize = 256;

// === impl Tracer ===

impl Tracer {
    pub(super) fn new(finished: Option<mpsc::Sender<Finished>>, metrics: Metrics, clock: Clock) -> Self {
        Self { finished, metrics, clock, random: Arc::new(Mutex::new(Random::from_entropy())) }
    }

    /// Begins a span as part of `parent`, or of a trace of its own.
    pub fn begin(
        &self,
        name: impl Into<Cow<'static, str>>,
        kind: Kind,
        parent: Option<TraceContext>,
    ) -> Span {
        let (trace, span) = {
            let mut random = self.random.lock().unwrap_or_else(PoisonError::into_inner);
            let mut id = || random.next_u64().max(1);
            (TraceId(u128::from(id()) << 64 | u128::from(id())), SpanId(id()))
        };
        let (trace, sampled) = parent.map_or((trace, true), |parent| (parent.trace, parent.sampled));
        Span {
            context: TraceContext { trace, span, sampled },
            parent: parent.map(|parent| parent.span),
            name: name.into(),
            kind,
            started: Instant::now(),
            started_ms: (self.clock)(),
            attributes: Vec::new(),
            error: None,
            tracer: self.clone(),
        }
    }

    /// Milliseconds since 1970, by the clock that spans are timed with.
    pub fn now_ms(&self) -> u64 {
        (self.clock)()
    }
}

impl Default for Tracer {
    /// Gives ids to log lines and messages, and exports nothing.
    fn default() -> Self {
        Self::new(None, Metrics::default(), clock::system)
    }
}

impl fmt::Debug for Tracer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Tracer").field("exports", &self.finished.is_some()).finish_non_exhaustive()
    }
}

// === impl Span ===

impl Span {
    /// What is to be part of this span refers to it by this.
    pub fn context(&self) -> TraceContext {
        self.context
    }

    /// For [`tracing::Instrument`]: log lines inside carry the ids. It is there at every level of logging.
    pub fn log(&self) -> tracing::Span {
        let TraceContext { trace, span, .. } = self.context;
        tracing::error_span!("trace", trace_id = %trace, span_id = %span)
    }

    /// Says more about it. The names are OpenTelemetry's semantic conventions where those have one.
    pub fn set(&mut self, name: &'static str, value: impl Into<Value>) {
        self.attributes.push((name, value.into()));
    }

    /// It failed, and why.
    pub fn fail(&mut self, reason: impl fmt::Display) {
        self.error = Some(cut(reason.to_string()));
    }

    /// Keeps a trace that begins here to the log: probes and scrapes would bury everything else.
    pub fn keep_quiet(&mut self) {
        if self.parent.is_none() {
            self.context.sampled = false;
        }
    }
}

impl Drop for Span {
    fn drop(&mut self) {
        let Some(finished) = self.tracer.finished.as_ref().filter(|_| self.context.sampled) else { return };
        let start_ns = self.started_ms.saturating_mul(1_000_000);
        let elapsed = u64::try_from(self.started.elapsed().as_nanos()).unwrap_or(u64::MAX);
        let span = Finished {
            context: self.context,
            parent: self.parent,
            name: std::mem::take(&mut self.name),
            kind: self.kind,
            start_ns,
            end_ns: start_ns.saturating_add(elapsed),
            attributes: std::mem::take(&mut self.attributes),
            error: self.error.take(),
        };
        if finished.try_send(span).is_err() {
            self.tracer.metrics.spans_dropped.add(1);
        }
    }
}

// === impl Value ===

impl From<&str> for Value {
    fn from(text: &str) -> Self {
        Self::Text(cut(text.to_owned()))
    }
}

impl From<u64> for Value {
    fn from(number: u64) -> Self {
        Self::Number(number)
    }
}

impl From<bool> for Value {
    fn from(flag: bool) -> Self {
        Self::Flag(flag)
    }
}

fn cut(mut text: String) -> String {
    text.truncate(text.floor_char_boundary(TEXT_BYTES));
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    #[tokio::test(start_paused = true)]
    async fn a_span_ends_when_it_is_dropped_and_its_children_are_of_its_trace() {
        let (sender, mut finished) = mpsc::channel(8);
        let tracer = Tracer::new(Some(sender), Metrics::default(), || 1000);
        let mut outer = tracer.begin("outer", Kind::Server, None);
        let inner = tracer.begin("inner", Kind::Producer, Some(outer.context()));
        tokio::time::sleep(Duration::from_millis(5)).await;
        let outer_context = outer.context();
        outer.set("n", 7);
        outer.fail("é".repeat(200));
        drop((inner, outer));
        let (inner, outer) = (finished.recv().await.unwrap(), finished.recv().await.unwrap());
        assert_eq!((&*inner.name, inner.parent), ("inner", Some(outer_context.span)));
        assert_eq!((&*outer.name, outer.parent, outer.context), ("outer", None, outer_context));
        assert_eq!(inner.context.trace, outer.context.trace);
        assert_ne!(inner.context.span, outer.context.span);
        assert_eq!((outer.start_ns, outer.end_ns), (1_000_000_000, 1_005_000_000));
        assert_eq!(outer.attributes, [("n", Value::Number(7))]);
        assert_eq!(outer.error.unwrap().len(), 256);
    }

    #[tokio::test]
    async fn what_there_is_no_room_for_is_dropped_and_counted() {
        let (sender, _finished) = mpsc::channel(1);
        let metrics = Metrics::default();
        let tracer = Tracer::new(Some(sender), metrics.clone(), || 0);
        for _ in 0..3 {
            tracer.begin("span", Kind::Server, None);
        }
        assert_eq!(metrics.spans_dropped.get(), 2);
    }

    #[tokio::test]
    async fn a_decision_that_comes_in_is_kept() {
        let (sender, mut finished) = mpsc::channel(8);
        let tracer = Tracer::new(Some(sender), Metrics::default(), || 0);
        let parent = |sampled| TraceContext { trace: TraceId(1), span: SpanId(2), sampled };
        assert_eq!(tracer.begin("no", Kind::Server, Some(parent(false))).context().trace, TraceId(1));
        tracer.begin("quiet", Kind::Server, None).keep_quiet();
        let mut asked = tracer.begin("asked for", Kind::Server, Some(parent(true)));
        asked.keep_quiet();
        drop(asked);
        drop(tracer);
        assert_eq!(finished.recv().await.unwrap().name, "asked for");
        assert_eq!(finished.recv().await, None);
    }
}
