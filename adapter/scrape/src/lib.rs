//! Discovers pods, fetches their pages, keeps the store fresh.
