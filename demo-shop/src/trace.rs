//! What happened to one order, from the click to the work, as a distributed trace.
//!
//! A web request is a span; so is handing its order to the broker; and so is a worker's work on each item, wherever
//! that worker is, because the messages carry W3C's `traceparent` ([`context`]). Log lines that are written inside
//! a span carry its ids, whether spans are exported or not. They are exported as OTLP over HTTP, in JSON, when
//! OTEL_EXPORTER_OTLP_ENDPOINT says where to ([`export`]).
//!
//! Tracing never holds up the work: a span is put into a bounded queue, and when there is no room it is dropped and
//! counted as `trace_spans_dropped_total`.
//!
//! A trace that comes in keeps its sampling decision; one that begins here is sampled.

pub mod context;
pub mod export;
mod otlp;
mod span;

pub use context::TraceContext;
pub use export::{Config, Task};
pub use span::{Kind, Span, Tracer};
