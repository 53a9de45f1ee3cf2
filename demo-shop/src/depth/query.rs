//! The two questions about a queue's depth, over one connection.

use super::{Config, Details, Reading, statistics};
use crate::dial::Dialer;
use crate::stomp::connection::{Connection, ConnectionError};
use crate::stomp::{Command, Frame};

/// An open connection that asks about one queue.
pub(super) struct Session {
    connection: Connection,
    queue: String,
    /// To the answers. Only when something is asked, because a broker that lacks the libraries for them breaks a
    /// connection with such a subscription.
    subscribed: bool,
    /// Numbers questions, so that a late answer is not taken for that of a later question.
    questions: u64,
}

/// The subscription for answers. `/temp-queue/` is this connection's own and goes with it.
const ANSWERS: &str = "/temp-queue/depth";

/// How long the broker keeps a question that nobody answers. A broker without the plugin takes questions for
/// ordinary messages, and they should not pile up in it.
const QUESTION_LIFE_MS: u64 = 5 * 60 * 1000;

/// Messages that the broker may send ahead while browsing.
const BROWSE_PREFETCH: u32 = 500;

// === impl Session ===

impl Session {
    pub(super) async fn open(dialer: &Dialer, config: &Config) -> Result<Self, ConnectionError> {
        let connection = Connection::open(dialer, &config.connection).await?;
        Ok(Self { connection, queue: config.queue.clone(), subscribed: false, questions: 0 })
    }

    /// Keeps the heart-beats; returns after any stray frame. Cancel safe.
    pub(super) async fn idle(&mut self) -> Result<(), ConnectionError> {
        self.connection.recv().await.map(drop)
    }

    /// Asks the statistics plugin. Waits for ever when the broker has none or does not know the queue; the caller
    /// has the deadline, and may ask something else after it.
    pub(super) async fn statistics(&mut self, now_ms: u64) -> Result<Reading, ConnectionError> {
        if !self.subscribed {
            let answers = Frame::new(Command::Subscribe)
                .with("id", "depth")
                .with("destination", ANSWERS)
                .with("ack", "auto")
                .with("transformation", "jms-map-json");
            self.connection.send(&answers).await?;
            self.subscribed = true;
        }
        self.questions += 1;
        let question = format!("depth-{}", self.questions);
        let ask = Frame::new(Command::Send)
            .with("destination", format!("/queue/ActiveMQ.Statistics.Destination.{}", self.queue))
            .with("reply-to", ANSWERS)
            .with("correlation-id", &question)
            .with("persistent", "false")
            .with("expires", (now_ms + QUESTION_LIFE_MS).to_string());
        self.connection.send(&ask).await?;
        loop {
            let frame = self.connection.recv().await?;
            if frame.header("correlation-id") == Some(&question)
                && let Some(reading) = parse(&frame.body)
            {
                return Ok(reading);
            }
        }
    }

    /// Counts by browsing, which also makes the queue known to the broker if it was not.
    pub(super) async fn browse(&mut self, limit: u64) -> Result<Reading, ConnectionError> {
        self.questions += 1;
        let id = format!("browse-{}", self.questions);
        let subscribe = Frame::new(Command::Subscribe)
            .with("id", &id)
            .with("destination", format!("/queue/{}", self.queue))
            .with("ack", "auto")
            .with("browser", "true")
            .with("activemq.prefetchSize", BROWSE_PREFETCH.to_string());
        self.connection.send(&subscribe).await?;
        let mut reading = Reading::default();
        loop {
            let frame = self.connection.recv().await?;
            // Messages of an earlier browse that stopped at its limit may still be under way.
            if frame.command != Command::Message || frame.header("subscription") != Some(&id) {
                continue;
            }
            if frame.header("browser") == Some("end") {
                break;
            }
            reading.messages += 1;
            if reading.messages >= limit {
                reading.capped = true;
                break;
            }
        }
        // ActiveMQ counts a browser that reached the end as a consumer until it unsubscribes.
        self.connection.send(&Frame::new(Command::Unsubscribe).with("id", &id)).await?;
        Ok(reading)
    }
}

fn parse(body: &[u8]) -> Option<Reading> {
    let numbers = statistics::parse(body)?;
    let number = |name| numbers.get(name).copied();
    Some(Reading {
        messages: number("size")?,
        capped: false,
        details: Some(Details {
            in_flight: number("inflightCount")?,
            consumers: number("consumerCount")?,
            enqueued: number("enqueueCount")?,
            dequeued: number("dequeueCount")?,
        }),
    })
}
