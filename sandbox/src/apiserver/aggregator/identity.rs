//! The headers in which the front proxy tells a backend who is asking.

use crate::apiserver::user::User;
use http::header::{HeaderMap, HeaderName, HeaderValue};

/// Puts `user` into the headers, after removing whatever identity the client claimed there.
pub(crate) fn set(headers: &mut HeaderMap, user: &User) {
    let claimed: Vec<HeaderName> =
        headers.keys().filter(|name| name.as_str().starts_with("x-remote-")).cloned().collect();
    for name in claimed {
        headers.remove(name);
    }
    append(headers, "x-remote-user", &user.name);
    if !user.uid.is_empty() {
        append(headers, "x-remote-uid", &user.uid);
    }
    for group in &user.groups {
        append(headers, "x-remote-group", group);
    }
    for (key, values) in &user.extra {
        for value in values {
            append(headers, &format!("x-remote-extra-{}", escape_key(key)), value);
        }
    }
}

fn append(headers: &mut HeaderMap, name: &str, value: &str) {
    // A value that no header can carry is left out: the backend then sees less, never more.
    if let (Ok(name), Ok(value)) = (name.parse::<HeaderName>(), HeaderValue::from_bytes(value.as_bytes())) {
        headers.append(name, value);
    }
}

/// Percent-encodes what is no legal byte of a header name, and `%` itself.
fn escape_key(key: &str) -> String {
    let legal = |byte: &u8| byte.is_ascii_alphanumeric() || b"!#$&'*+-.^_`|~".contains(byte);
    key.bytes()
        .map(|byte| if legal(&byte) { char::from(byte).to_string() } else { format!("%{byte:02x}") })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn claims_go_and_the_user_comes() {
        let mut headers = HeaderMap::new();
        headers.insert("x-remote-user", HeaderValue::from_static("root"));
        headers.insert("x-remote-extra-a", HeaderValue::from_static("b"));
        headers.insert("accept", HeaderValue::from_static("*/*"));
        let mut user = User::new("jane", &["a", "b"]);
        user.uid = "7".into();
        user.extra.insert("authentication.kubernetes.io/credential-id".into(), vec!["JTI=1".into()]);
        user.extra.insert("50%".into(), vec!["x".into(), "y".into()]);
        set(&mut headers, &user);
        let mut found: Vec<String> =
            headers.iter().map(|(name, value)| format!("{name}: {}", value.to_str().unwrap())).collect();
        found.sort();
        let expected = [
            "accept: */*",
            "x-remote-extra-50%25: x",
            "x-remote-extra-50%25: y",
            "x-remote-extra-authentication.kubernetes.io%2fcredential-id: JTI=1",
            "x-remote-group: a",
            "x-remote-group: b",
            "x-remote-uid: 7",
            "x-remote-user: jane",
        ];
        assert_eq!(found, expected);
    }
}
