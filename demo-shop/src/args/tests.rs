use super::*;
use crate::app::BrokerAt;

/// The configuration of those flags, or the first line of what is wrong with them.
fn config(flags: &str) -> Result<app::Config, String> {
    let parsed = Args::try_parse_from(["demo-shop"].into_iter().chain(flags.split_whitespace()));
    let config = parsed.and_then(|args| args.config());
    config.map_err(|error| error.render().to_string().lines().next().unwrap_or_default().to_owned())
}

#[test]
fn the_documented_defaults_are_the_defaults() {
    let config = config("").unwrap();
    assert_eq!(config.web.listen.to_string(), "0.0.0.0:8080");
    assert_eq!(config.depth.queue, "mainQueue");
    assert!(config.store.is_some());
    let worker = config.worker.unwrap();
    assert_eq!((worker.work_duration, worker.grace), (Duration::from_secs(5), Duration::from_secs(25)));
    let BrokerAt::Here(broker) = config.broker else { panic!("no embedded queue") };
    let defaults = broker::Config::default();
    assert_eq!(broker.listen.to_string(), "127.0.0.1:61613");
    assert_eq!(broker.max_messages, defaults.max_messages);
    assert_eq!(broker.max_bytes, defaults.max_bytes);
    assert_eq!(broker.max_frame_bytes, defaults.max_frame_bytes);
    assert_eq!(broker.max_connections, defaults.max_connections);
    assert!(broker.credentials.is_none());
}

#[test]
fn which_parts_run() {
    // Store, worker, embedded queue.
    let cases = [
        ("", (true, true, true)),
        ("--activemq-broker-url stomp://queue:61613", (true, true, false)),
        ("--activemq-broker-url=", (true, true, true)),
        ("--activemq-broker-url=tcp://queue --queue-enabled=false", (true, true, false)),
        ("--activemq-broker-url=tcp://queue --queue-enabled=", (true, true, false)),
        ("--store-enabled false --worker-enabled no", (false, false, true)),
        ("--store-enabled=0 --activemq-broker-url=tcp://queue", (false, true, false)),
        ("--worker-enabled=OFF --queue-enabled=true", (true, false, true)),
    ];
    for (flags, expected) in cases {
        let config = config(flags).unwrap_or_else(|error| panic!("{flags}: {error}"));
        let queue = matches!(config.broker, BrokerAt::Here(_));
        assert_eq!((config.store.is_some(), config.worker.is_some(), queue), expected, "{flags}");
        assert_eq!((config.web.store, config.web.worker), (expected.0, expected.1), "{flags}");
    }
}

#[test]
fn credentials_come_from_the_url_or_the_flags() {
    let user = |flags: &str| {
        let config = config(flags).unwrap_or_else(|error| panic!("{flags}: {error}"));
        let credentials = config.depth.connection.credentials;
        credentials.map(|credentials| (credentials.user, credentials.password))
    };
    let pair = |user: &str, password: &str| Some((user.to_owned(), password.to_owned()));
    assert_eq!(user(""), None);
    assert_eq!(user("--activemq-broker-url=tcp://a:b@queue"), pair("a", "b"));
    assert_eq!(user("--activemq-user=c --activemq-password=d"), pair("c", "d"));
    let both = "--activemq-broker-url=tcp://a:b@queue --activemq-user=c --activemq-password=d";
    assert_eq!(user(both), pair("a", "b"));
    let BrokerAt::Here(broker) = config("--activemq-user=c --activemq-password=d").unwrap().broker else {
        panic!("no embedded queue")
    };
    assert_eq!(broker.credentials, Some(Credentials::new("c", "d").unwrap()));
}

#[test]
fn wrong_flags_say_what_is_wrong() {
    let cases = [
        ("--nope", "unexpected argument '--nope'"),
        ("--store-enabled=maybe", "expected true or false"),
        ("--port=70000", "'--port <PORT>'"),
        ("--work-duration=5", "expected a number with a unit"),
        ("--depth-timeout=0s", "expected more than 0"),
        ("--queue-name=a/b", "expected 1 to 128 letters"),
        ("--queue-listen=61613", "'--queue-listen <IP:PORT>'"),
        ("--queue-max-messages=0", "0 is not in"),
        ("--log-level=demo=loud", "expected error, warn"),
        ("--activemq-broker-url=http://queue", "starts with stomp:// or tcp://"),
        ("--activemq-password=x", "ACTIVEMQ_PASSWORD needs ACTIVEMQ_USER"),
        ("--queue-enabled=false", "must say where the broker is"),
        ("--queue-enabled=true --activemq-broker-url=tcp://queue", "exclude each other"),
        ("--store-enabled=no --worker-enabled=no --activemq-broker-url=tcp://queue", "nothing to do"),
    ];
    for (flags, expected) in cases {
        let error = config(flags).map(drop).unwrap_err();
        assert!(error.contains(expected), "{flags}: {error}");
    }
}
