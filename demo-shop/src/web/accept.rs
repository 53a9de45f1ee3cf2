//! What the client would rather read.

/// The two forms of an answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Format {
    /// For people.
    Html,
    /// For programs.
    Json,
}

/// The form that an `Accept` header names, by quality, HTML first when equal; none when it names neither (as
/// `*/*`, which is what curl and most libraries send), so that each address has its own default.
pub(super) fn preferred(accept: Option<&str>) -> Option<Format> {
    let accept = accept?;
    let (html, json) = (quality(accept, "text/html"), quality(accept, "application/json"));
    match (html > 0.0 || json > 0.0, json > html) {
        (false, _) => None,
        (true, false) => Some(Format::Html),
        (true, true) => Some(Format::Json),
    }
}

/// The quality of exactly this media type, 0 when it is not named.
fn quality(accept: &str, media_type: &str) -> f32 {
    accept
        .split(',')
        .filter_map(|range| {
            let mut parts = range.split(';').map(str::trim);
            if !parts.next()?.eq_ignore_ascii_case(media_type) {
                return None;
            }
            let quality = parts.find_map(|part| part.strip_prefix("q=").or(part.strip_prefix("Q=")));
            Some(quality.map_or(1.0, |quality| quality.parse().unwrap_or(0.0)))
        })
        .fold(0.0, f32::max)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_named_form_of_the_higher_quality_is_preferred() {
        let cases = [
            (None, None),
            (Some(""), None),
            (Some("*/*"), None),
            (Some("text/*"), None),
            (Some("text/html,application/xhtml+xml,*/*;q=0.8"), Some(Format::Html)),
            (Some("application/json"), Some(Format::Json)),
            (Some("Application/JSON; charset=utf-8"), Some(Format::Json)),
            (Some("application/json, text/plain, */*"), Some(Format::Json)),
            (Some("text/html, application/json"), Some(Format::Html)),
            (Some("text/html;q=0.5, application/json;q=0.9"), Some(Format::Json)),
            (Some("text/html;q=0, application/json;q=0"), None),
            (Some("application/json;q=x"), None),
            (Some("text/html;q=nan"), None),
            (Some(";;,,=q"), None),
        ];
        for (accept, expected) in cases {
            assert_eq!(preferred(accept), expected, "{accept:?}");
        }
    }
}
