//! Kubernetes custom metrics straight from the pods.
fn main() {}
