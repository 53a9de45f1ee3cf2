//! An error with everything that led to it, for libraries whose errors only name their outermost layer.

use std::{error::Error, fmt::Write as _};

/// The error and its causes, outermost first; what a text already says is not said again.
#[must_use]
pub fn causes(error: &(dyn Error + 'static)) -> String {
    let mut text = error.to_string();
    let mut next = error.source();
    while let Some(cause) = next {
        let said = cause.to_string();
        if !text.contains(&said) {
            // Writing to a string does not fail.
            let _ = write!(text, ": {said}");
        }
        next = cause.source();
    }
    text
}

#[cfg(test)]
mod tests {
    use std::io;

    use super::*;

    #[derive(Debug, thiserror::Error)]
    #[error("{0}")]
    struct Layer(&'static str, #[source] Box<dyn Error + Send + Sync>);

    #[test]
    fn outermost_first_and_each_once() {
        let refused = io::Error::from_raw_os_error(111);
        let connect = Layer("client error (Connect)", Layer("tcp connect error", refused.into()).into());
        let error = Layer("ServiceError: client error (Connect)", connect.into());
        assert_eq!(
            causes(&error),
            "ServiceError: client error (Connect): tcp connect error: Connection refused (os error 111)"
        );
    }
}
