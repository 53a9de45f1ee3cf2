//! The protocol's rules as dialogues: what a client sends, and what it then gets, as text.
//!
//! Frames are written in one line, `COMMAND name:value name:value |body`, and read back the same way with the
//! headers that differ from run to run left out.

use super::*;
use crate::broker::Config;
use crate::stomp::{Decoder, Limits};
use bytes::BytesMut;
use std::time::Duration;

struct Scene {
    core: Core,
}

impl Scene {
    fn new(change: impl FnOnce(&mut Config)) -> Self {
        let mut config = Config { heart_beat: Duration::ZERO, ..Config::default() };
        change(&mut config);
        Self { core: Core::new(config, 0xabc) }
    }

    fn connect(&mut self) -> SessionId {
        let id = self.core.open();
        assert_eq!(self.ask(id, "CONNECT accept-version:1.2"), ["CONNECTED"]);
        id
    }

    /// What the connection gets to read after it has sent these lines.
    fn ask(&mut self, id: SessionId, lines: &str) -> Vec<String> {
        for line in lines.lines().map(str::trim).filter(|line| !line.is_empty()) {
            self.core.handle(id, &frame(line), 5);
        }
        self.read(id)
    }

    fn read(&mut self, id: SessionId) -> Vec<String> {
        let mut decoder = Decoder::new(Limits::default());
        // A small budget, so that output comes in many pieces.
        loop {
            let mut bytes = BytesMut::new();
            self.core.output(id, 1, &mut bytes);
            if bytes.is_empty() {
                break;
            }
            decoder.buffer().extend_from_slice(&bytes);
        }
        std::iter::from_fn(|| decoder.next_frame().unwrap()).map(|frame| line(&frame)).collect()
    }

    fn closing(&self, id: SessionId) -> bool {
        self.core.sessions[&id].closing
    }
}

fn frame(line: &str) -> Frame {
    let (head, body) = line.split_once('|').unwrap_or((line, ""));
    let mut words = head.split_whitespace();
    let command = Command::parse(words.next().unwrap().as_bytes()).unwrap();
    words
        .map(|word| word.split_once(':').unwrap())
        .fold(Frame::new(command), |frame, (name, value)| frame.with(name, value))
        .body(body.to_owned())
}

fn line(frame: &Frame) -> String {
    const LEFT_OUT: [&str; 7] =
        ["destination", "message-id", "timestamp", "version", "server", "session", "heart-beat"];
    let headers = frame.headers.iter().filter(|(name, _)| !LEFT_OUT.contains(name));
    let head =
        headers.fold(frame.command.to_string(), |line, (name, value)| format!("{line} {name}:{value}"));
    match frame.body.is_empty() {
        true => head,
        false => format!("{head} |{}", String::from_utf8_lossy(&frame.body)),
    }
}

#[test]
fn a_message_goes_from_producer_to_consumer_with_its_headers() {
    let mut scene = Scene::new(|_| {});
    let (producer, consumer) = (scene.connect(), scene.connect());
    assert_eq!(scene.ask(consumer, "SUBSCRIBE id:s destination:/queue/q ack:client-individual"), [""; 0]);
    let sent = scene.ask(
        producer,
        "SEND destination:/queue/q persistent:true color:red message-id:forged ack:forged receipt:r |hello",
    );
    assert_eq!(sent, ["RECEIPT receipt-id:r"]);
    assert_eq!(scene.core.woken().into_iter().collect::<Vec<_>>(), [producer, consumer]);
    assert_eq!(scene.read(consumer), ["MESSAGE subscription:s persistent:true color:red ack:1 |hello"]);
    assert_eq!(scene.ask(consumer, "ACK id:1 receipt:a"), ["RECEIPT receipt-id:a"]);
    assert_eq!((scene.core.queues["q"].len(), scene.core.usage), (0, Default::default()));
}

#[test]
fn prefetch_bounds_what_a_consumer_has_in_hand() {
    let mut scene = Scene::new(|config| config.max_prefetch = 3);
    for (asked, given) in [("", 1), ("activemq.prefetchSize:2", 2), ("activemq.prefetchSize:99", 3)] {
        let id = scene.connect();
        scene.ask(id, &"SEND destination:/queue/q |m\n".repeat(9));
        let got =
            scene.ask(id, &format!("SUBSCRIBE id:s destination:/queue/q ack:client-individual {asked}"));
        assert_eq!(got.len(), given, "{asked}");
        scene.core.close(id);
    }
    let id = scene.connect();
    let all = scene.ask(id, "SUBSCRIBE id:s destination:/queue/q ack:auto");
    assert_eq!((all.len(), scene.core.queues["q"].len()), (27, 0), "automatic acknowledgement takes all");
    assert_eq!(scene.core.usage, Default::default());
}

#[test]
fn what_a_lost_connection_had_in_hand_goes_to_another_as_redelivered() {
    let mut scene = Scene::new(|_| {});
    let (first, second) = (scene.connect(), scene.connect());
    scene.ask(first, "SEND destination:/queue/q |m");
    let subscribe = "SUBSCRIBE id:s destination:/queue/q ack:client-individual";
    assert_eq!(scene.ask(first, subscribe), ["MESSAGE subscription:s ack:1 |m"]);
    assert_eq!(scene.ask(second, subscribe), [""; 0]);
    scene.core.close(first);
    assert_eq!(scene.read(second), ["MESSAGE subscription:s redelivered:true delivery-count:1 ack:1 |m"]);
    assert_eq!(scene.ask(second, "UNSUBSCRIBE id:s receipt:r"), ["RECEIPT receipt-id:r"]);
    assert_eq!(scene.core.queues["q"].in_flight(), 0);
    assert!(scene.ask(second, "ACK id:1")[0].starts_with("ERROR message:nothing to acknowledge"));
}

#[test]
fn a_message_that_was_never_written_goes_to_another() {
    let mut scene = Scene::new(|_| {});
    let (first, second) = (scene.connect(), scene.connect());
    let subscribe = frame("SUBSCRIBE id:s destination:/queue/q ack:auto activemq.prefetchSize:9");
    scene.core.handle(first, &subscribe, 0);
    scene.ask(second, "SEND destination:/queue/q |m");
    scene.core.close(first);
    scene.core.handle(second, &subscribe, 0);
    assert_eq!(scene.read(second), ["MESSAGE subscription:s |m"]);
}

#[test]
fn only_losing_a_connection_counts_against_a_message() {
    let mut scene = Scene::new(|_| {});
    let subscribe = "SUBSCRIBE id:s destination:/queue/q ack:client-individual";
    let mut got = scene.connect();
    scene.ask(got, "SEND destination:/queue/q delivery-count:9 |m");
    assert_eq!(scene.ask(got, subscribe), ["MESSAGE subscription:s ack:1 |m"]);
    let mut next = |end: &str, expected: &str| {
        scene.ask(got, end);
        scene.core.close(got);
        got = scene.connect();
        assert_eq!(scene.ask(got, subscribe), [format!("MESSAGE subscription:s {expected}ack:1 |m")]);
    };
    next("UNSUBSCRIBE id:s", "redelivered:true ");
    next("DISCONNECT", "redelivered:true ");
    next("", "redelivered:true delivery-count:1 ");
    next("DISCONNECT", "redelivered:true delivery-count:1 ");
    next("", "redelivered:true delivery-count:2 ");
}

#[test]
fn a_queue_that_makes_wait_takes_messages_as_room_comes() {
    let mut scene = Scene::new(|config| {
        config.max_messages = 2;
        config.when_full = WhenFull::Wait;
    });
    let (producer, consumer) = (scene.connect(), scene.connect());
    scene.ask(producer, &"SEND destination:/queue/q |m\n".repeat(2));
    let third = frame("SEND destination:/queue/q receipt:r |m");
    assert_eq!(scene.core.handle(producer, &third, 0), Handled::Later);
    assert_eq!(scene.read(producer), [""; 0], "no receipt yet");
    scene.core.woken();
    scene.ask(consumer, "SUBSCRIBE id:s destination:/queue/q ack:client-individual");
    scene.ask(consumer, "ACK id:1");
    assert!(scene.core.woken().contains(&producer), "there is room");
    assert_eq!(scene.core.handle(producer, &third, 0), Handled::Done);
    assert_eq!(scene.read(producer), ["RECEIPT receipt-id:r"]);
    // Room for this one could only come from itself.
    let mut scene = Scene::new(|config| {
        config.max_messages = 2;
        config.when_full = WhenFull::Wait;
    });
    let id = scene.connect();
    let send = "SEND destination:/queue/q transaction:t\n".repeat(3);
    let refused = ["ERROR message:the queue is full: 2 messages"];
    assert_eq!(scene.ask(id, &format!("BEGIN transaction:t\n{send}")), refused);
}

#[test]
fn nack_puts_a_message_aside_at_once() {
    let mut scene = Scene::new(|_| {});
    let id = scene.connect();
    scene.ask(id, "SEND destination:/queue/q |m\nSUBSCRIBE id:s destination:/queue/q ack:client-individual");
    assert_eq!(scene.ask(id, "NACK id:1 receipt:n"), ["RECEIPT receipt-id:n"]);
    assert_eq!((scene.core.queues["q"].len(), scene.core.queues[DEAD_LETTERS].len()), (0, 1));
    assert_eq!(scene.core.usage.messages, 1);
}

#[test]
fn a_transaction_is_all_or_nothing() {
    let mut scene = Scene::new(|_| {});
    let id = scene.connect();
    let send = "SEND destination:/queue/q transaction:t |m\n".repeat(3);
    scene.ask(id, &format!("BEGIN transaction:t\n{send}"));
    assert_eq!((scene.core.queues["q"].len(), scene.core.usage.messages), (0, 3));
    assert_eq!(scene.ask(id, "COMMIT transaction:t receipt:c"), ["RECEIPT receipt-id:c"]);
    assert_eq!(scene.core.queues["q"].len(), 3);
    scene.ask(id, &format!("BEGIN transaction:t\n{send}ABORT transaction:t"));
    assert_eq!((scene.core.queues["q"].len(), scene.core.usage.messages), (3, 3));
    scene.ask(id, &format!("BEGIN transaction:t\n{send}"));
    scene.core.close(id);
    assert_eq!((scene.core.queues["q"].len(), scene.core.usage.messages), (3, 3));
}

#[test]
fn browsing_shows_all_and_takes_nothing() {
    let mut scene = Scene::new(|_| {});
    let (consumer, browser) = (scene.connect(), scene.connect());
    scene.ask(consumer, &"SEND destination:/queue/q |m\n".repeat(3));
    scene.ask(consumer, "SUBSCRIBE id:s destination:/queue/q ack:client-individual");
    let message = "MESSAGE subscription:b |m";
    let all = [message, message, message, "MESSAGE browser:end subscription:b"];
    assert_eq!(scene.ask(browser, "SUBSCRIBE id:b destination:/queue/q browser:true"), all);
    assert_eq!(scene.ask(browser, "SEND destination:/queue/q |m"), [""; 0], "the end is the end");
    assert_eq!(scene.core.queues["q"].len(), 4);
    let empty = scene.ask(browser, "SUBSCRIBE id:c destination:/queue/none browser:true");
    assert_eq!(empty, ["MESSAGE browser:end subscription:c"]);
}

#[test]
fn statistics_are_answered_as_the_plugin_does() {
    let mut scene = Scene::new(|_| {});
    let id = scene.connect();
    let ask =
        "SEND destination:/queue/ActiveMQ.Statistics.Destination.q reply-to:/temp-queue/a correlation-id:7";
    scene.ask(id, "SUBSCRIBE id:a destination:/temp-queue/a transformation:jms-map-json");
    assert_eq!(scene.ask(id, ask), [""; 0], "an unknown queue is not answered for");
    scene.ask(id, "SEND destination:/queue/q |m\nSEND destination:/queue/q |m");
    scene.ask(id, "SUBSCRIBE id:s destination:/queue/q ack:client-individual");
    let answer = scene.ask(id, ask);
    let expected = r#"MESSAGE subscription:a transformation:jms-map-json correlation-id:7 |{"map":{"entry":[{"string":["destinationName","queue://q"]},{"long":2,"string":"size"},{"long":1,"string":"inflightCount"},{"long":1,"string":"consumerCount"},{"long":2,"string":"enqueueCount"},{"long":0,"string":"dequeueCount"}]}}"#;
    assert_eq!(answer, [expected]);
}

#[test]
fn what_is_not_known_is_refused_and_ends_the_connection() {
    let cases = [
        ("MESSAGE", "MESSAGE is not for clients to send"),
        ("CONNECT accept-version:1.2", "already connected"),
        ("SEND |m", "SEND needs the header destination"),
        (
            "SEND destination:/topic/t |m",
            "destination /topic/t is not supported, only /queue/NAME and /temp-queue/NAME",
        ),
        ("SEND destination:/temp-queue/t |m", "sending to temporary queues is not supported"),
        ("SEND destination:/queue/q expires:5", "header expires is not supported"),
        ("SEND destination:/queue/q AMQ_SCHEDULED_DELAY:5", "header AMQ_SCHEDULED_DELAY is not supported"),
        ("SEND destination:/queue/q transaction:t", "no transaction t"),
        ("SEND destination:/queue/ActiveMQ.Statistics.Destination.q", "SEND needs the header reply-to"),
        (
            "SEND destination:/queue/ActiveMQ.Statistics.Destination.q reply-to:/temp-queue/x",
            "subscribe to /temp-queue/x before you ask",
        ),
        ("SUBSCRIBE destination:/queue/q", "SUBSCRIBE needs the header id"),
        ("SUBSCRIBE id:s", "SUBSCRIBE needs the header destination"),
        ("SUBSCRIBE id:s destination:/queue/q selector:x", "selectors are not supported"),
        (
            "SUBSCRIBE id:s destination:/queue/q ack:client",
            "ack:client is not supported, only auto and client-individual",
        ),
        (
            "SUBSCRIBE id:s destination:/queue/q activemq.prefetchSize:0",
            "activemq.prefetchSize 0 is not a number above 0",
        ),
        ("SUBSCRIBE id:s destination:/temp-queue/a", "answers come with transformation:jms-map-json only"),
        (
            "SUBSCRIBE id:s destination:/queue/q\nSUBSCRIBE id:s destination:/queue/q",
            "subscription s exists already",
        ),
        ("UNSUBSCRIBE id:s", "no subscription s"),
        ("ACK id:5", "nothing to acknowledge under id 5"),
        ("ACK id:x", "nothing to acknowledge under id x"),
        ("NACK id:5", "nothing to acknowledge under id 5"),
        ("ACK id:5 transaction:t", "acknowledging in a transaction is not supported"),
        ("BEGIN", "BEGIN needs the header transaction"),
        ("BEGIN transaction:t\nBEGIN transaction:t", "transaction t exists already"),
        ("COMMIT transaction:t", "no transaction t"),
        ("ABORT transaction:t", "no transaction t"),
    ];
    for (lines, message) in cases {
        let mut scene = Scene::new(|_| {});
        let id = scene.connect();
        assert_eq!(scene.ask(id, lines), [format!("ERROR message:{message}")], "{lines}");
        assert!(scene.closing(id), "{lines}");
        assert_eq!(
            scene.ask(id, "SEND destination:/queue/q receipt:r"),
            [""; 0],
            "{lines}: not heard any more"
        );
        assert_eq!(scene.core.usage.messages, 0, "{lines}");
    }
}

#[test]
fn an_error_names_the_receipt_that_will_not_come() {
    let mut scene = Scene::new(|_| {});
    let id = scene.connect();
    assert_eq!(
        scene.ask(id, "ABORT transaction:t receipt:r"),
        ["ERROR message:no transaction t receipt-id:r"]
    );
}

#[test]
fn limits_are_kept() {
    let full = |lines: &str, change: fn(&mut Config)| {
        let mut scene = Scene::new(change);
        let id = scene.connect();
        let got = scene.ask(id, lines);
        got.last().cloned().unwrap_or_default()
    };
    let send = |count| "SEND destination:/queue/q |m\n".repeat(count);
    assert_eq!(full(&send(2), |c| c.max_messages = 2), "");
    assert_eq!(full(&send(3), |c| c.max_messages = 2), "ERROR message:the queue is full: 2 messages");
    assert_eq!(full(&send(4), |c| c.max_bytes = 1000), "ERROR message:the queue is full: 1000 bytes");
    let in_transaction =
        "BEGIN transaction:t\n".to_owned() + &"SEND destination:/queue/q transaction:t\n".repeat(3);
    assert_eq!(full(&in_transaction, |c| c.max_messages = 2), "ERROR message:the queue is full: 2 messages");
    let queues =
        "SEND destination:/queue/a\nSUBSCRIBE id:1 destination:/queue/b\nSUBSCRIBE id:2 destination:/queue/c";
    assert_eq!(full(queues, |c| c.max_queues = 2), "ERROR message:more than 2 queues");
    assert_eq!(full(queues, |c| c.max_subscriptions = 1), "ERROR message:more than 1 subscriptions");
    let begin = "BEGIN transaction:a\nBEGIN transaction:b";
    assert_eq!(full(begin, |c| c.max_subscriptions = 1), "ERROR message:more than 1 open transactions");
}

#[test]
fn room_comes_back_when_messages_go() {
    let mut scene = Scene::new(|config| config.max_messages = 1);
    let id = scene.connect();
    for ack in 1..4 {
        scene.ask(id, "SEND destination:/queue/q |m");
        if ack == 1 {
            scene.ask(id, "SUBSCRIBE id:s destination:/queue/q ack:client-individual");
        }
        assert_eq!(scene.ask(id, &format!("ACK id:{ack} receipt:r")), ["RECEIPT receipt-id:r"]);
    }
}

#[test]
fn only_those_who_are_let_in_get_in() {
    let credentials = crate::stomp::url::Credentials::new("shop", "secret").unwrap();
    let cases = [
        ("CONNECT accept-version:1.2 login:shop passcode:secret", "CONNECTED"),
        ("STOMP accept-version:1.0,1.1,1.2 login:shop passcode:secret", "CONNECTED"),
        (
            "CONNECT accept-version:1.2 login:shop passcode:wrong",
            "ERROR message:user name or password is wrong",
        ),
        ("CONNECT accept-version:1.2", "ERROR message:user name or password is wrong"),
        ("CONNECT accept-version:1.1", "ERROR message:supported protocol versions are 1.2"),
        ("CONNECT", "ERROR message:supported protocol versions are 1.2"),
        ("SEND destination:/queue/q", "ERROR message:the first frame must be CONNECT or STOMP"),
    ];
    for (line, expected) in cases {
        let mut scene = Scene::new(|config| config.credentials = Some(credentials.clone()));
        let id = scene.core.open();
        assert_eq!(scene.ask(id, line), [expected], "{line}");
    }
    let mut scene = Scene::new(|_| {});
    let id = scene.core.open();
    assert_eq!(
        scene.ask(id, "CONNECT accept-version:1.2 heart-beat:x"),
        ["ERROR message:malformed heart-beat header"]
    );
}

#[test]
fn disconnect_is_confirmed_and_ends_the_connection() {
    let mut scene = Scene::new(|_| {});
    let id = scene.connect();
    assert_eq!(scene.ask(id, "DISCONNECT receipt:bye"), ["RECEIPT receipt-id:bye"]);
    assert!(scene.closing(id));
}
