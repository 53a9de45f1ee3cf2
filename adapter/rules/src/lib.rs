//! prometheus-adapter's configuration file, as it is: read, checked, and turned into queries.
//!
//! ```text
//! text ── yaml ──> rules as written, with line and column
//!   load ── every field compiled ──> RuleSet: rules that work, and Problems that say what does not
//!     Rule::selects, metric_name, resources ── what a series is called, and which objects it describes
//!     Rule::query ── template and matchers ──> PromQL
//! ```
//!
//! # Promises
//! - A rule that cannot work costs itself alone, and the [`Problem`] says where it stands and what to write instead.
//! - Nothing in a file makes it panic or take more than [`Config`] allows.
//! - The meaning is that of prometheus-adapter 0.12 (`pkg/config`, `pkg/naming`); docs/rules.md lists where it differs.
//!
//! # Left to others
//! The file and its changes, where series come from, the evaluation of queries, and the APIs that serve their results.

mod config;
mod load;
mod problem;
mod query;
mod resource;
mod rule;
mod target;
mod template;
mod yaml;

pub use self::{
    config::Config,
    load::load,
    problem::{Problem, Severity},
    query::{Ask, Condition, Operator},
    resource::{GroupResource, Kind},
    rule::{Origin, Rule, RuleSet, Serves},
    target::TargetLabels,
};
