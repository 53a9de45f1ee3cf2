//! Selectors that were parsed before: autoscalers send the same few texts for ever.
//!
//! What is remembered is bounded in number and length. When it is full all of it is forgotten, which costs each of those
//! in use one more parse; whoever makes up selectors makes others pay no more than that.

use std::{
    collections::HashMap,
    sync::{Arc, PoisonError, RwLock},
};

use podgauge_apiserver::{Query, Selector, Status, selector::SelectorError};

/// Parsed selectors by their text.
#[derive(Debug, Default)]
pub(crate) struct Selectors(RwLock<HashMap<Box<str>, Arc<Selector>>>);

/// Selectors that are remembered.
const KEPT: usize = 1024;
/// The longest text that is remembered, in bytes.
const KEPT_BYTES: usize = 512;

// === impl Selectors ===

impl Selectors {
    /// What a request has in `parameter`: all there is without one.
    ///
    /// # Errors
    /// It is no selector; the client is told why.
    pub(crate) fn of(&self, query: &Query, parameter: &str) -> Result<Arc<Selector>, Status> {
        let text = query.value(parameter).unwrap_or_default();
        self.parse(text)
            .map_err(|error| Status::bad_request(format!("invalid {parameter} {text:?}: {error}")))
    }

    /// Parses a selector, or remembers what it was parsed to.
    ///
    /// # Errors
    /// As [`Selector::parse`] has them.
    pub(crate) fn parse(&self, text: &str) -> Result<Arc<Selector>, SelectorError> {
        // Nothing here can panic while it holds the lock and leave half of something.
        if let Some(known) = self.0.read().unwrap_or_else(PoisonError::into_inner).get(text) {
            return Ok(Arc::clone(known));
        }
        let parsed = Arc::new(Selector::parse(text)?);
        if text.len() <= KEPT_BYTES {
            let mut kept = self.0.write().unwrap_or_else(PoisonError::into_inner);
            if kept.len() >= KEPT {
                kept.clear();
            }
            kept.insert(text.into(), Arc::clone(&parsed));
        }
        Ok(parsed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn len(selectors: &Selectors) -> usize {
        selectors.0.read().unwrap().len()
    }

    #[test]
    fn what_was_parsed_is_remembered_and_right() {
        let selectors = Selectors::default();
        let long = format!("a={}", "b".repeat(60));
        for text in ["", "app=backend", "app in (a,b),!c", &long] {
            let first = selectors.parse(text).unwrap();
            assert_eq!(*first, Selector::parse(text).unwrap());
            assert!(Arc::ptr_eq(&first, &selectors.parse(text).unwrap()), "{text}");
        }
        assert_eq!(selectors.parse("app=").unwrap(), selectors.parse("app=").unwrap());
        assert_eq!(selectors.parse("a b"), Selector::parse("a b").map(Arc::new));
        assert_eq!(len(&selectors), 5, "what is wrong is not remembered");
    }

    #[test]
    fn no_client_can_make_it_grow() {
        let selectors = Selectors::default();
        for n in 0..3 * KEPT {
            selectors.parse(&format!("app={n}")).unwrap();
            assert!(len(&selectors) <= KEPT);
        }
        let before = len(&selectors);
        let values: Vec<String> = (0..200).map(|n| n.to_string()).collect();
        selectors.parse(&format!("app in ({})", values.join(","))).unwrap();
        assert_eq!(len(&selectors), before, "long ones are parsed each time");
    }
}
