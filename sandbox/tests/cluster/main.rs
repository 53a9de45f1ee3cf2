//! A whole cluster: API server, controllers and a node whose pods are processes, met as its users meet it.
//!
//! Pods run the example `page_server`. Every cluster is checked at its end: no process of it is left.

#![allow(clippy::unwrap_used, reason = "helpers of tests fail by panicking, as the tests do")]

mod autoscaler;
mod deployments;
mod ending;
mod metrics_api;
mod pods;
mod services;
mod shop;
mod support;
