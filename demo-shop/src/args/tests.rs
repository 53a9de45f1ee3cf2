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
    let web = web::Config::new("mainQueue");
    assert_eq!(config.web.rate, web.rate);
    assert_eq!((config.web.tokens, config.web.viewers), (web.tokens, web.viewers));
    assert_eq!(config.web.max_connections, web.max_connections);
    let worker = config.worker.unwrap();
    assert_eq!((worker.work, worker.grace), (Work::Wait(Duration::from_secs(5)), Duration::from_secs(25)));
    let defaults = worker::Config::new("q", connection::Config::default());
    assert_eq!((worker.concurrency, worker.max_tries), (defaults.concurrency, defaults.max_tries));
    let BrokerAt::Here(broker) = config.broker else { panic!("no embedded queue") };
    let defaults = broker::Config::default();
    assert_eq!(broker.listen.to_string(), "127.0.0.1:61613");
    assert_eq!(broker.max_messages, defaults.max_messages);
    assert_eq!(broker.max_bytes, defaults.max_bytes);
    assert_eq!(broker.max_frame_bytes, defaults.max_frame_bytes);
    assert_eq!(broker.max_connections, defaults.max_connections);
    assert!(broker.credentials.is_none() && broker.directory.is_none());
    assert_eq!(broker.when_full, defaults.when_full);
}

#[test]
fn the_worker_works_as_the_flags_say() {
    let flags = "--work-mode=compute --work-duration=20ms --worker-concurrency=3 --worker-max-tries=7";
    let worker = config(flags).unwrap().worker.unwrap();
    assert_eq!(worker.work, Work::Compute(Duration::from_millis(20)));
    assert_eq!((worker.concurrency, worker.max_tries), (3, 7));
}

#[test]
fn the_queue_is_kept_where_the_flags_say() {
    let broker = |flags: &str| match config(flags).unwrap().broker {
        BrokerAt::Here(broker) => (broker.directory, broker.when_full),
        BrokerAt::Url(_) => panic!("no embedded queue"),
    };
    let kept = broker("--queue-directory=/var/lib/shop --queue-when-full=wait");
    assert_eq!(kept, (Some("/var/lib/shop".into()), broker::WhenFull::Wait));
    assert_eq!(broker("--queue-directory=").0, None, "a variable that is set to nothing");
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
fn the_collector_is_the_one_for_traces_or_else_the_one_for_all() {
    let endpoint = |flags: &str| config(flags).unwrap().trace.endpoint;
    let base = "--otel-exporter-otlp-endpoint=http://all:1";
    let both = format!("{base} --otel-exporter-otlp-traces-endpoint=http://traces/t");
    assert_eq!(endpoint(""), None);
    assert_eq!(endpoint("--otel-exporter-otlp-endpoint="), None);
    assert_eq!(endpoint(base), Endpoint::base("http://all:1").ok());
    assert_eq!(endpoint(&both), Endpoint::exact("http://traces/t").ok());
    assert_eq!(endpoint(&format!("{both} --otel-sdk-disabled=true")), None);
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
        ("--worker-concurrency=0", "0 is not in"),
        ("--work-mode=sleep", "invalid value 'sleep'"),
        ("--queue-when-full=explode", "invalid value 'explode'"),
        ("--queue-max-messages=0", "0 is not in"),
        ("--log-level=demo=loud", "expected error, warn"),
        ("--activemq-broker-url=http://queue", "starts with stomp:// or tcp://"),
        ("--otel-exporter-otlp-endpoint=https://c", "without TLS"),
        ("--otel-exporter-otlp-protocol=grpc", "expected http/json"),
        ("--otel-exporter-otlp-headers=x", "OTEL_EXPORTER_OTLP_HEADERS: expected name=value"),
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
