//! Who sends how often, as agreed in the handshake.
//!
//! Each side says how often it can send and how often it wants to hear; the slower of offer and wish counts, and
//! a zero on either side means never.

use std::time::Duration;

/// The `heart-beat` header: what its sender offers and wishes. Zero is "not at all".
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct HeartBeat {
    /// The sender promises to send something at least this often.
    pub send: Duration,
    /// The sender wishes to hear something at least this often.
    pub receive: Duration,
}

/// What two sides agreed on, from one side's view.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Agreement {
    /// We send something after at most this much silence of our own. It is half of what was promised, because
    /// ActiveMQ closes a connection that is late by a millisecond.
    pub send: Option<Duration>,
    /// We give the peer up after this much silence. It is three times what was promised: ActiveMQ, when idle,
    /// sends up to twice the interval apart.
    pub give_up: Option<Duration>,
}

// === impl HeartBeat ===

impl HeartBeat {
    /// The same interval in both directions.
    pub fn both(interval: Duration) -> Self {
        Self { send: interval, receive: interval }
    }

    /// Reads a header's value, two numbers of milliseconds; an absent header means none.
    pub fn parse(value: Option<&str>) -> Option<Self> {
        let Some(value) = value else { return Some(Self::default()) };
        let (send, receive) = value.split_once(',')?;
        let milliseconds = |text: &str| Some(Duration::from_millis(text.trim().parse::<u32>().ok()?.into()));
        Some(Self { send: milliseconds(send)?, receive: milliseconds(receive)? })
    }

    /// The header's value.
    pub fn header(self) -> String {
        format!("{},{}", self.send.as_millis(), self.receive.as_millis())
    }

    /// What this side does when the peer's header is `peer`.
    pub fn agree(self, peer: Self) -> Agreement {
        let slower = |offer: Duration, wish: Duration| {
            (!offer.is_zero() && !wish.is_zero()).then(|| Duration::max(offer, wish))
        };
        Agreement {
            send: slower(self.send, peer.receive).map(|interval| interval / 2),
            give_up: slower(peer.send, self.receive).map(|interval| interval * 3),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn headers_are_read_and_written() {
        let ms = Duration::from_millis;
        let cases = [
            (None, Some((0, 0))),
            (Some("0,0"), Some((0, 0))),
            (Some("500,10000"), Some((500, 10_000))),
            (Some(""), None),
            (Some("5"), None),
            (Some("-1,0"), None),
            (Some("5,x"), None),
            (Some("4294967296,0"), None),
        ];
        for (header, expected) in cases {
            let expected = expected.map(|(send, receive)| HeartBeat { send: ms(send), receive: ms(receive) });
            assert_eq!(HeartBeat::parse(header), expected, "{header:?}");
        }
        assert_eq!(HeartBeat { send: ms(500), receive: ms(0) }.header(), "500,0");
    }

    #[test]
    fn the_slower_of_offer_and_wish_counts() {
        let ms = Duration::from_millis;
        let beat = |send, receive| HeartBeat { send: ms(send), receive: ms(receive) };
        let cases = [
            (beat(0, 0), beat(100, 100), (None, None)),
            (beat(100, 100), beat(0, 0), (None, None)),
            (beat(100, 200), beat(300, 400), (Some(ms(200)), Some(ms(900)))),
            (beat(500, 600), beat(100, 50), (Some(ms(250)), Some(ms(1800)))),
            (beat(100, 0), beat(100, 100), (Some(ms(50)), None)),
        ];
        for (ours, theirs, (send, give_up)) in cases {
            assert_eq!(ours.agree(theirs), Agreement { send, give_up }, "{ours:?} {theirs:?}");
        }
    }
}
