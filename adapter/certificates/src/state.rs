//! What the Secret holds.
//!
//! | key | holds |
//! |---|---|
//! | `tls.crt`, `tls.key`, `ca.crt` | the certificate that is served, its key, its CA |
//! | `next-tls.crt`, `next-tls.key`, `next-ca.crt` | the one after it, while its CA is being made known |
//!
//! Keys of other names are left alone. There is no CA's key: see [`generation`](crate::generation).

use std::{collections::BTreeMap, time::SystemTime};

use crate::generation::Generation;

/// A Secret's `data`, decoded.
pub(crate) type Data = BTreeMap<String, Vec<u8>>;

/// What of the Secret can be used.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct State {
    /// What every replica serves.
    pub(crate) serving: Option<Generation>,
    /// What they will serve when its CA is known everywhere.
    pub(crate) next: Option<Generation>,
}

/// The keys of one generation: certificate, private key, CA.
type Keys = [&'static str; 3];
const SERVING: Keys = ["tls.crt", "tls.key", "ca.crt"];
const NEXT: Keys = ["next-tls.crt", "next-tls.key", "next-ca.crt"];

// === impl State ===

impl State {
    /// What of `data` could be served as `name` at `now`, and what is wrong with the rest.
    pub(crate) fn read(data: &Data, name: &str, now: SystemTime) -> (Self, Vec<String>) {
        let mut complaints = Vec::new();
        let mut read = |keys: Keys| {
            let [certificate, key, ca] = keys.map(|key| data.get(key).map_or(&[][..], Vec::as_slice));
            if certificate.is_empty() && key.is_empty() && ca.is_empty() {
                return None;
            }
            let read = Generation::read(ca, certificate, key, name, now);
            read.map_err(|error| complaints.push(format!("{}: {error}", keys.join(", ")))).ok()
        };
        let state = Self { serving: read(SERVING), next: read(NEXT) };
        (state, complaints)
    }

    /// Without what has ended by `now`.
    pub(crate) fn at(&self, now: SystemTime) -> Self {
        let good = |generation: &Option<Generation>| generation.clone().filter(|g| g.not_after > now);
        Self { serving: good(&self.serving), next: good(&self.next) }
    }

    /// What each key of ours is to hold; `None` for those that are to go.
    pub(crate) fn data(&self) -> BTreeMap<&'static str, Option<Vec<u8>>> {
        let entries = |keys: Keys, generation: Option<&Generation>| {
            let [certificate, key, ca] = keys;
            [
                (certificate, generation.map(|g| g.certificate.clone())),
                (key, generation.map(|g| g.key.clone())),
                (ca, generation.map(|g| g.ca.to_pem().into_bytes())),
            ]
        };
        entries(SERVING, self.serving.as_ref()).into_iter().chain(entries(NEXT, self.next.as_ref())).collect()
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn halves_stand_for_themselves() {
        let now = SystemTime::UNIX_EPOCH + Duration::from_secs(1_800_000_000);
        let make = || Generation::make(&["a.b.svc".to_owned()], Duration::from_secs(3600), now).unwrap();
        let state = State { serving: Some(make()), next: Some(make()) };
        let whole: Data =
            state.data().into_iter().map(|(key, value)| (key.to_owned(), value.unwrap())).collect();
        assert_eq!(State::read(&whole, "a.b.svc", now), (state.clone(), Vec::new()));
        assert_eq!(State::read(&Data::new(), "a.b.svc", now), (State::default(), Vec::new()));

        let check = |change: fn(&mut Data), want: &State, complaint: &str| {
            let mut data = whole.clone();
            change(&mut data);
            let (read, complaints) = State::read(&data, "a.b.svc", now);
            assert_eq!(&read, want);
            assert_eq!(complaints.concat(), complaint);
        };
        let next_alone = State { serving: None, ..state.clone() };
        let serving_alone = State { next: None, ..state.clone() };
        check(
            |data| drop(data.remove("tls.key")),
            &next_alone,
            "tls.crt, tls.key, ca.crt: there is no private key in it that can be read",
        );
        check(
            |data| drop(data.insert("next-ca.crt".to_owned(), b"rubbish".to_vec())),
            &serving_alone,
            "next-tls.crt, next-tls.key, next-ca.crt: there is no CA in it that can be read",
        );
        check(|data| data.retain(|key, _| !key.starts_with("next")), &serving_alone, "");
        check(|data| drop(data.insert("mine".to_owned(), b"x".to_vec())), &state, "");
    }
}
