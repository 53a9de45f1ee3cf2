//! A small shop whose worker is scaled on the length of its queue.
fn main() {}
