//! Replicas on a made-up cluster, over virtual years.
//!
//! The very loop of [`keeper`](crate::keeper) runs here, with a clock that jumps from one timer to the next, requests that
//! take their time in both directions (so that replicas interleave anywhere), answers that get lost, and an API server
//! that is away, forbids, or is meddled with. After each change, and again and again between them, the world is asked one
//! question: is what each replica serves accepted, by the API server's own rules, with the `caBundle` that it has, and
//! with those that it had a moment ago, which some API server of a cluster may still go by?

mod scenarios;
mod world;
