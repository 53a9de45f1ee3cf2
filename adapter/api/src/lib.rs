//! The metrics APIs as functions of (request, store, now).
