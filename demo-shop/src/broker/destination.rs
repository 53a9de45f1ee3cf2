//! What a `destination` header may name.

/// A destination that the embedded queue knows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Destination<'a> {
    /// `/queue/NAME`.
    Queue(&'a str),
    /// `/queue/ActiveMQ.Statistics.Destination.NAME`: a question about the queue of that name.
    Statistics(&'a str),
    /// `/temp-queue/NAME`, which belongs to the connection.
    Answers(&'a str),
}

/// Longest name of a queue, in bytes.
const LONGEST: usize = 128;

const STATISTICS: &str = "ActiveMQ.Statistics.Destination.";

// === impl Destination ===

impl<'a> Destination<'a> {
    /// None for a topic, an unknown prefix, or a name with other characters than letters, digits, `.`, `_`, `-`:
    /// ActiveMQ gives a meaning to many of the others (wildcards, composites, options).
    pub(super) fn parse(text: &'a str) -> Option<Self> {
        if let Some(name) = text.strip_prefix("/temp-queue/") {
            return is_queue_name(name).then_some(Self::Answers(name));
        }
        let name = text.strip_prefix("/queue/")?;
        match name.strip_prefix(STATISTICS) {
            Some(name) => is_queue_name(name).then_some(Self::Statistics(name)),
            None => is_queue_name(name).then_some(Self::Queue(name)),
        }
    }
}

/// Whether a text can name a queue, here and on ActiveMQ.
pub(crate) fn is_queue_name(name: &str) -> bool {
    (1..=LONGEST).contains(&name.len())
        && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'_' | b'-'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn destinations_are_told_apart() {
        let long = format!("/queue/{}", "x".repeat(129));
        let cases = [
            ("/queue/mainQueue", Some(Destination::Queue("mainQueue"))),
            ("/queue/a.b-c_1", Some(Destination::Queue("a.b-c_1"))),
            ("/queue/ActiveMQ.DLQ", Some(Destination::Queue("ActiveMQ.DLQ"))),
            ("/queue/ActiveMQ.Statistics.Destination.q", Some(Destination::Statistics("q"))),
            ("/queue/ActiveMQ.Statistics.Destination.", None),
            ("/temp-queue/st", Some(Destination::Answers("st"))),
            ("/temp-queue/", None),
            ("/topic/x", None),
            ("mainQueue", None),
            ("/queue/", None),
            ("/queue/a,b", None),
            ("/queue/>", None),
            ("/queue/a?x=y", None),
            ("/queue/é", None),
            (&long, None),
        ];
        for (text, expected) in cases {
            assert_eq!(Destination::parse(text), expected, "{text}");
        }
    }
}
