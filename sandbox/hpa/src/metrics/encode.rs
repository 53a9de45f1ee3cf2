//! Paths and queries, escaped as Go's `net/url` does.

use std::fmt::Write as _;

/// `/apis/` and the segments.
///
/// # Errors
/// For a segment that the client refuses to send: `.`, `..`, nothing, or one with `/` or `%`.
pub(super) fn path(segments: &[&str]) -> Result<String, String> {
    let mut path = "/apis".to_owned();
    for segment in segments {
        if matches!(*segment, "" | "." | "..") || segment.contains(['/', '%']) {
            return Err(format!("{segment:?} cannot be a segment of a request's path"));
        }
        path.push('/');
        // `*` is not among them: it is sent as `%2A`.
        escape(&mut path, segment, b"-_.~$&+,:;=@");
    }
    Ok(path)
}

/// The parameters that are not empty, form-encoded in the given order, which is that of their names.
pub(super) fn query(parameters: &[(&str, String)]) -> String {
    let mut query = String::new();
    for (name, value) in parameters.iter().filter(|(_, value)| !value.is_empty()) {
        if !query.is_empty() {
            query.push('&');
        }
        query.push_str(name);
        query.push('=');
        for (index, word) in value.split(' ').enumerate() {
            if index > 0 {
                query.push('+');
            }
            escape(&mut query, word, b"-_.~");
        }
    }
    query
}

fn escape(into: &mut String, text: &str, bare: &[u8]) {
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || bare.contains(&byte) {
            into.push(char::from(byte));
        } else {
            // Writing to a string cannot fail.
            let _ = write!(into, "%{byte:02X}");
        }
    }
}
