//! The broker's address as people write it: `stomp://[user[:password]@]host[:port]`, or `tcp://` as other ActiveMQ
//! clients have it.

use percent_encoding::percent_decode_str;
use std::fmt;
use std::str::FromStr;
use thiserror::Error;

/// The port on which ActiveMQ, and the embedded queue, speak STOMP.
pub const DEFAULT_PORT: u16 = 61613;

/// Where a broker is and, if the URL says so, who we are there.
#[derive(Clone, PartialEq, Eq)]
pub struct BrokerUrl {
    /// Host name or IP address; an IPv6 address without its brackets.
    pub host: String,
    /// TCP port.
    pub port: u16,
    /// User and password.
    pub credentials: Option<Credentials>,
}

/// A user name and password. `Debug` never shows the password.
#[derive(Clone, PartialEq, Eq)]
pub struct Credentials {
    /// Sent as STOMP's `login`.
    pub user: String,
    /// Sent as STOMP's `passcode`.
    pub password: String,
}

/// Why a text is no broker URL. The messages never quote the URL, because it may hold a password.
#[derive(Clone, Copy, Debug, Error, PartialEq, Eq)]
pub enum UrlError {
    /// Neither `stomp://` nor `tcp://`.
    #[error("a broker URL starts with stomp:// or tcp://, as in stomp://activemq:61613")]
    Scheme,
    /// TLS or ActiveMQ's failover transport.
    #[error("only plain stomp:// or tcp:// to one host is supported, neither TLS nor failover")]
    Transport,
    /// No host.
    #[error("the broker URL names no host, expected stomp://host:61613")]
    Host,
    /// The port is no number between 1 and 65535.
    #[error("the broker URL's port is not a number from 1 to 65535")]
    Port,
    /// A path, query or fragment after the address.
    #[error("the broker URL has something after host and port; options are not supported")]
    Trailing,
    /// A line break or NUL in user or password; CONNECT cannot carry them.
    #[error("user and password cannot contain line breaks or NUL")]
    Credentials,
}

// === impl BrokerUrl ===

impl FromStr for BrokerUrl {
    type Err = UrlError;

    fn from_str(text: &str) -> Result<Self, UrlError> {
        let (scheme, rest) = text.trim().split_once(':').ok_or(UrlError::Scheme)?;
        match scheme.to_ascii_lowercase().as_str() {
            "stomp" | "tcp" => {}
            "failover" | "ssl" | "stomp+ssl" | "stomp+nio+ssl" | "nio+ssl" => {
                return Err(UrlError::Transport);
            }
            _ => return Err(UrlError::Scheme),
        }
        let rest = rest.strip_prefix("//").ok_or(UrlError::Scheme)?;
        let rest = rest.strip_suffix('/').unwrap_or(rest);
        if rest.contains(['/', '?', '#']) {
            return Err(UrlError::Trailing);
        }
        let (credentials, address) = match rest.rsplit_once('@') {
            Some((user, address)) => (Some(parse_credentials(user)?), address),
            None => (None, rest),
        };
        let (host, port) = parse_address(address)?;
        Ok(Self { host, port, credentials })
    }
}

/// Host and port; never the credentials.
impl fmt::Display for BrokerUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.host.contains(':') {
            true => write!(f, "stomp://[{}]:{}", self.host, self.port),
            false => write!(f, "stomp://{}:{}", self.host, self.port),
        }
    }
}

impl fmt::Debug for BrokerUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{self}")
    }
}

// === impl Credentials ===

impl Credentials {
    /// # Errors
    /// [`UrlError::Credentials`] when they cannot travel in a CONNECT frame.
    pub fn new(user: impl Into<String>, password: impl Into<String>) -> Result<Self, UrlError> {
        let (user, password) = (user.into(), password.into());
        match [&user, &password].iter().any(|text| text.contains(['\n', '\r', '\0'])) {
            true => Err(UrlError::Credentials),
            false => Ok(Self { user, password }),
        }
    }
}

impl fmt::Debug for Credentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Credentials").field("user", &self.user).finish_non_exhaustive()
    }
}

fn parse_credentials(text: &str) -> Result<Credentials, UrlError> {
    let (user, password) = text.split_once(':').unwrap_or((text, ""));
    let plain = |text| percent_decode_str(text).decode_utf8().map_err(|_| UrlError::Credentials);
    Credentials::new(plain(user)?, plain(password)?)
}

fn parse_address(address: &str) -> Result<(String, u16), UrlError> {
    let (host, port) = match address.strip_prefix('[') {
        Some(rest) => {
            let (host, port) = rest.split_once(']').ok_or(UrlError::Host)?;
            (host, if port.is_empty() { None } else { Some(port.strip_prefix(':').ok_or(UrlError::Port)?) })
        }
        None => match address.split_once(':') {
            Some((host, port)) => (host, Some(port)),
            None => (address, None),
        },
    };
    if host.is_empty() || host.contains(|char: char| char.is_whitespace() || char.is_control()) {
        return Err(UrlError::Host);
    }
    let port = port.map_or(Ok(DEFAULT_PORT), |port| port.parse().map_err(|_| UrlError::Port))?;
    if port == 0 {
        return Err(UrlError::Port);
    }
    Ok((host.to_owned(), port))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_read() {
        let check = |text: &str, host: &str, port: u16, credentials: Option<(&str, &str)>| {
            let url: BrokerUrl = text.parse().unwrap_or_else(|error| panic!("{text}: {error}"));
            let credentials = credentials.map(|(user, password)| Credentials::new(user, password).unwrap());
            assert_eq!(url, BrokerUrl { host: host.into(), port, credentials }, "{text}");
        };
        check("stomp://queue:61613", "queue", 61613, None);
        check("stomp://queue", "queue", 61613, None);
        check("tcp://queue.default.svc:1234/", "queue.default.svc", 1234, None);
        check("STOMP://127.0.0.1:9", "127.0.0.1", 9, None);
        check("stomp://[::1]:61613", "::1", 61613, None);
        check("stomp://[::1]", "::1", 61613, None);
        check("stomp://shop:s%40crt%3A@queue", "queue", 61613, Some(("shop", "s@crt:")));
        check("stomp://shop@queue", "queue", 61613, Some(("shop", "")));
    }

    #[test]
    fn what_is_no_address_says_why() {
        let cases = [
            ("", UrlError::Scheme),
            ("queue:61613", UrlError::Scheme),
            ("http://queue", UrlError::Scheme),
            ("stomp:queue", UrlError::Scheme),
            ("failover:(tcp://a:1,tcp://b:1)", UrlError::Transport),
            ("stomp+ssl://queue", UrlError::Transport),
            ("stomp://", UrlError::Host),
            ("stomp://:61613", UrlError::Host),
            ("stomp://[::1", UrlError::Host),
            ("stomp://a b", UrlError::Host),
            ("stomp://queue:", UrlError::Port),
            ("stomp://queue:0", UrlError::Port),
            ("stomp://queue:65536", UrlError::Port),
            ("stomp://::1", UrlError::Host),
            ("tcp://queue:61616?wireFormat.x=1", UrlError::Trailing),
            ("stomp://queue/path", UrlError::Trailing),
            ("stomp://a:%0a@queue", UrlError::Credentials),
        ];
        for (text, error) in cases {
            assert_eq!(text.parse::<BrokerUrl>(), Err(error), "{text}");
        }
    }

    #[test]
    fn passwords_are_never_shown() {
        let url: BrokerUrl = "stomp://shop:secret@queue".parse().unwrap();
        assert_eq!(format!("{url} {url:?}"), "stomp://queue:61613 stomp://queue:61613");
        assert!(!format!("{:?}", url.credentials).contains("secret"));
    }
}
