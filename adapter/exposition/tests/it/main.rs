//! What pages mean: by table, by corpus, against a naive twin and against another parser.

mod corpus;
mod differential;
mod inputs;
mod naive;
mod properties;
mod render;
mod template;
