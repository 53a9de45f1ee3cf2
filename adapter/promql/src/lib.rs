//! PromQL over series in memory.
//!
//! [`Query::parse`] reads an expression, [`Query::instant`] and [`Query::range`] evaluate it over whatever implements
//! [`Source`], and [`Query::required_retention`] says how much history that takes. [`promqltest`] runs scripts of upstream's
//! test format.
//!
//! # Promises
//! - The answers are Prometheus' own, extrapolation of `rate`, look-back and staleness markers included. Where its versions
//!   differ, [`Dialect`] chooses; docs/promql.md lists what is supported and where anything is different.
//! - What is outside the supported set is refused when the expression is read, with its name, its place and what to write
//!   instead.
//! - No expression and no series makes it panic, use up the stack, or take more time or memory than [`Bounds`] allows: past
//!   a bound there is an error, never a part of an answer.
//! - The same expression, series and instant give the same answer in the same order.
//! - [`Point::sampled_ms`] says how old the numbers behind a value are.
//!
//! # Left to others
//! Clocks (instants are arguments), where series come from, how long they are kept, and the language around expressions.
//! Native histograms: pages in text do not have them.

mod ast;
mod config;
mod duration;
mod error;
mod eval;
mod function;
mod labels;
mod lexer;
mod matcher;
mod memory;
mod near;
mod notice;
mod number;
mod parser;
pub mod promqltest;
mod query;
mod re2;
mod reach;
mod source;
mod text;
mod value;

pub use self::{
    ast::{
        AggregateOp, Aggregation, At, Binary, BinaryOp, Cardinality, Expr, ExprKind, Matching, Number,
        Selector, Shift,
    },
    config::{Bounds, Config, Dialect},
    duration::parse_duration,
    error::{EvalError, EvalErrorKind, ParseError, Position, Span},
    function::Function,
    labels::{Labels, METRIC_NAME},
    matcher::{MatchOp, Matcher, all_match},
    memory::MemorySource,
    near::nearest,
    notice::{Notice, Severity},
    query::{Answer, Query},
    re2::Re2,
    reach::Reach,
    source::{Full, Request, Sink, Source},
    text::quote,
    value::{Point, STALE, Sample, Series, Type, Value, is_stale},
};
