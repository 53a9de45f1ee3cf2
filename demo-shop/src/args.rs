//! Flags and environment, read once. Every flag has a variable of the same name.
//!
//! No variable is named like those that Kubernetes sets for a Service (`QUEUE_PORT=tcp://...` for one named
//! `queue`); a pod with such a Service in its namespace would not start.

use crate::stomp::BrokerUrl;
use crate::stomp::connection;
use crate::stomp::url::Credentials;
use crate::trace::export::{self, Endpoint};
use crate::worker::Work;
use crate::{app, broker, depth, duration, orders, trace, web, worker};
use clap::error::ErrorKind;
use clap::{Parser, ValueEnum};
use std::convert::Infallible;
use std::io::{self, Write};
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;
use tracing_subscriber::EnvFilter;

const PARTS: &str = "Parts (what this process runs)";
const HTTP: &str = "HTTP";
const BROKER: &str = "Broker (where the orders are)";
const WORKER: &str = "Worker";
const QUEUE: &str = "Embedded queue";
const LOGS: &str = "Logs";
const TRACES: &str = "Traces (variables and meaning are OpenTelemetry's)";

/// A small shop whose worker is scaled on the length of its queue.
///
/// One binary runs any of three parts: the store, the worker and, when no ActiveMQ is given, the queue.
#[derive(Clone, Debug, Parser)]
#[command(name = "demo-shop", version, max_term_width = 100)]
pub struct Args {
    /// Serve the store: take orders at / and /submit.
    #[arg(long, env, value_parser = switch, action = clap::ArgAction::Set, default_value = "true", value_name = "BOOL", help_heading = PARTS)]
    store_enabled: bool,
    /// Work off orders.
    #[arg(long, env, value_parser = switch, action = clap::ArgAction::Set, default_value = "true", value_name = "BOOL", help_heading = PARTS)]
    worker_enabled: bool,
    /// Serve the embedded queue to this and other processes [default: true without a broker URL, false with one].
    #[arg(long, env, value_parser = optional_switch, value_name = "BOOL", help_heading = PARTS)]
    queue_enabled: Option<OptionalSwitch>,

    /// Address to serve HTTP on.
    #[arg(long, env, default_value_t = IpAddr::V4(Ipv4Addr::UNSPECIFIED), value_name = "IP", help_heading = HTTP)]
    address: IpAddr,
    /// Port to serve HTTP on; 0 picks a free one.
    #[arg(long, env, default_value_t = 8080, help_heading = HTTP)]
    port: u16,
    /// Name of this instance, shown in the admin panel.
    #[arg(long, env, default_value = "demo-shop", hide_env_values = true, help_heading = HTTP)]
    hostname: String,
    /// Most HTTP connections at once; more wait to be accepted.
    #[arg(long, env, default_value_t = 512, value_parser = clap::value_parser!(u32).range(1..=65536), value_name = "COUNT", help_heading = HTTP)]
    http_max_connections: u32,
    /// Most HTTP connections of one client at once; more are closed. Behind a proxy all visitors are one client.
    #[arg(long, env, default_value_t = 128, value_parser = clap::value_parser!(u32).range(1..=65536), value_name = "COUNT", help_heading = HTTP)]
    http_max_connections_each: u32,

    /// Orders that one client may place per minute, in the long run; 0 for no limit.
    #[arg(long, env, default_value_t = web::Rate::default().per_minute, value_parser = clap::value_parser!(u32).range(0..=1_000_000), value_name = "COUNT", help_heading = HTTP)]
    submit_rate: u32,
    /// Orders that one client may place at once.
    #[arg(long, env, default_value_t = web::Rate::default().burst, value_parser = clap::value_parser!(u32).range(1..=1_000_000), value_name = "COUNT", help_heading = HTTP)]
    submit_burst: u32,
    /// Clients that are told apart for that; the others share one allowance.
    #[arg(long, env, default_value_t = 10_000, value_parser = clap::value_parser!(u32).range(1..=1_000_000), value_name = "COUNT", help_heading = HTTP)]
    submit_clients: u32,
    /// Used forms that are remembered, so that a double click does not buy twice.
    #[arg(long, env, default_value_t = 10_000, value_parser = clap::value_parser!(u32).range(1..=1_000_000), value_name = "COUNT", help_heading = HTTP)]
    submit_tokens: u32,
    /// Browsers that may watch the admin panel live at once.
    #[arg(long, env, default_value_t = 64, value_parser = clap::value_parser!(u32).range(0..=65536), value_name = "COUNT", help_heading = HTTP)]
    admin_viewers: u32,

    /// The broker as stomp://USER:PASSWORD@HOST:61613 (or tcp://), of which only HOST is needed; without it the embedded
    /// queue is used.
    #[arg(long, env, hide_env_values = true, value_parser = broker_url, value_name = "URL", help_heading = BROKER)]
    activemq_broker_url: Option<OptionalUrl>,
    /// User at the broker; the embedded queue lets in nobody else.
    #[arg(long, env, hide_env_values = true, default_value = "", hide_default_value = true, value_name = "NAME", help_heading = BROKER)]
    activemq_user: String,
    /// Password of that user. Prefer the variable: flags are seen in the process list.
    #[arg(long, env, hide_env_values = true, default_value = "", hide_default_value = true, value_name = "TEXT", help_heading = BROKER)]
    activemq_password: String,
    /// Queue that the orders go through.
    #[arg(long, env, default_value = "mainQueue", value_parser = queue_name, value_name = "NAME", help_heading = BROKER)]
    queue_name: String,
    /// How often heart-beats are offered and wished for; 0 for none, and 100ms at least.
    #[arg(long, env, default_value = "10s", value_parser = heart_beat, value_name = "TIME", help_heading = BROKER)]
    broker_heart_beat: Duration,
    /// Longest wait for the queue's length; /metrics leaves `messages` out after it.
    #[arg(long, env, default_value = "2s", value_parser = positive_duration, value_name = "TIME", help_heading = BROKER)]
    depth_timeout: Duration,
    /// Most messages counted one by one when the broker has no statistics plugin.
    #[arg(long, env, default_value_t = 10_000, value_parser = clap::value_parser!(u64).range(1..=1_000_000), value_name = "COUNT", help_heading = BROKER)]
    depth_browse_limit: u64,

    /// What working on an order is: waiting, or computing.
    #[arg(long, env, default_value = "wait", value_enum, value_name = "MODE", help_heading = WORKER)]
    work_mode: WorkMode,
    /// How long the worker works on one order; when it computes, how much processor time it uses.
    #[arg(long, env, default_value = "5s", value_parser = duration::parse, value_name = "TIME", help_heading = WORKER)]
    work_duration: Duration,
    /// How many orders the worker works on at once.
    #[arg(long, env, default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..=256), value_name = "COUNT", help_heading = WORKER)]
    worker_concurrency: u32,
    /// How often work on an order may fail before the order goes to the broker's dead-letter queue. Crashes of the
    /// worker count with the embedded queue; ActiveMQ does not tell them.
    #[arg(long, env, default_value_t = 5, value_parser = clap::value_parser!(u32).range(1..=1000), value_name = "COUNT", help_heading = WORKER)]
    worker_max_tries: u32,
    /// How long the orders in hand, and open requests, may take to finish after SIGTERM. Orders that do not
    /// finish go back to the queue.
    #[arg(long, env, default_value = "25s", value_parser = duration::parse, value_name = "TIME", help_heading = WORKER)]
    shutdown_grace: Duration,

    /// Address and port of the embedded queue; port 0 picks a free one.
    #[arg(long, env, default_value_t = broker::Config::default().listen, value_name = "IP:PORT", help_heading = QUEUE)]
    queue_listen: SocketAddr,
    /// Directory to keep messages in, across restarts and crashes; without it they are in memory alone.
    #[arg(long, env, value_parser = optional_path, value_name = "PATH", help_heading = QUEUE)]
    queue_directory: Option<OptionalPath>,
    /// What happens to a message beyond these limits: refuse it with an ERROR, or let its sender wait for the receipt.
    #[arg(long, env, default_value = "refuse", value_enum, value_name = "WHAT", help_heading = QUEUE)]
    queue_when_full: WhenFull,
    /// Most messages kept.
    #[arg(long, env, default_value_t = 200_000, value_parser = clap::value_parser!(u32).range(1..), value_name = "COUNT", help_heading = QUEUE)]
    queue_max_messages: u32,
    /// Most memory for messages, in MiB.
    #[arg(long, env, default_value_t = 256, value_parser = clap::value_parser!(u32).range(1..=1_048_576), value_name = "MIB", help_heading = QUEUE)]
    queue_max_mib: u32,
    /// Largest body of a message, in bytes.
    #[arg(long, env, default_value_t = 65_536, value_parser = clap::value_parser!(u32).range(1024..=1_048_576), value_name = "BYTES", help_heading = QUEUE)]
    queue_max_frame_bytes: u32,
    /// Most connections at once; more are turned away.
    #[arg(long, env, default_value_t = 256, value_parser = clap::value_parser!(u32).range(1..=65536), value_name = "COUNT", help_heading = QUEUE)]
    queue_max_connections: u32,

    /// How log lines look.
    #[arg(long, env, default_value = "text", value_enum, value_name = "FORMAT", help_heading = LOGS)]
    log_format: LogFormat,
    /// Which log lines are written: error, warn, info, debug, trace, or a filter such as demo_shop::worker=debug.
    #[arg(long, env, default_value = "info", value_parser = log_filter, value_name = "FILTER", help_heading = LOGS)]
    log_level: String,

    /// Collector of spans, as http://HOST:4318; /v1/traces is added. Without it spans are in the log alone, as ids.
    #[arg(long, env, value_parser = collector, value_name = "URL", help_heading = TRACES)]
    otel_exporter_otlp_endpoint: Option<OptionalEndpoint>,
    /// The same for traces alone, used as it is.
    #[arg(long, env, value_parser = traces_collector, value_name = "URL", help_heading = TRACES)]
    otel_exporter_otlp_traces_endpoint: Option<OptionalEndpoint>,
    /// Protocol of the collector. There is one.
    #[arg(long, env, default_value = "http/json", value_parser = protocol, value_name = "NAME", help_heading = TRACES)]
    otel_exporter_otlp_protocol: String,
    /// Headers of every export, as name=value,name=value.
    #[arg(long, env, hide_env_values = true, default_value = "", hide_default_value = true, value_name = "LIST", help_heading = TRACES)]
    otel_exporter_otlp_headers: String,
    /// Longest time for one export, in milliseconds.
    #[arg(long, env, default_value_t = 10_000, value_parser = clap::value_parser!(u64).range(1..=600_000), value_name = "MS", help_heading = TRACES)]
    otel_exporter_otlp_timeout: u64,
    /// Name of the service in traces.
    #[arg(long, env, default_value = "demo-shop", value_name = "NAME", help_heading = TRACES)]
    otel_service_name: String,
    /// true: export nothing, whatever the others say.
    #[arg(long, env, value_parser = switch, action = clap::ArgAction::Set, default_value = "false", value_name = "BOOL", help_heading = TRACES)]
    otel_sdk_disabled: bool,
    /// Most finished spans that wait to be exported; more are dropped.
    #[arg(long, env, default_value_t = 2048, value_parser = clap::value_parser!(u32).range(1..=1_000_000), value_name = "COUNT", help_heading = TRACES)]
    otel_bsp_max_queue_size: u32,
}

/// How log lines look.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum LogFormat {
    /// For people.
    Text,
    /// For machines.
    Json,
}

/// What the worker does for an order.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum WorkMode {
    /// As if somebody else were at it.
    Wait,
    /// Keeps a processor busy.
    Compute,
}

/// What the embedded queue does with a message that it has no room for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum WhenFull {
    /// An ERROR frame, and the connection ends.
    Refuse,
    /// No receipt until there is room.
    Wait,
}

/// A switch whose variable may be set to nothing.
#[derive(Clone, Copy, Debug)]
struct OptionalSwitch(Option<bool>);

/// A URL whose variable may be set to nothing, as manifests with a placeholder do.
#[derive(Clone, Debug)]
struct OptionalUrl(Option<BrokerUrl>);

/// A collector whose variable may be set to nothing.
#[derive(Clone, Debug)]
struct OptionalEndpoint(Option<Endpoint>);

/// A path whose variable may be set to nothing.
#[derive(Clone, Debug)]
struct OptionalPath(Option<PathBuf>);

// === impl Args ===

impl Args {
    /// Sends log lines to standard error from now on.
    pub fn start_logging(&self) {
        let filter = EnvFilter::new(&self.log_level);
        let lines = tracing_subscriber::fmt().with_env_filter(filter).with_writer(io::stderr);
        match self.log_format {
            LogFormat::Text => lines.with_ansi(io::IsTerminal::is_terminal(&io::stderr())).init(),
            LogFormat::Json => lines.json().flatten_event(true).with_span_list(false).init(),
        }
    }

    /// What the flags mean together.
    ///
    /// # Errors
    /// Flags that contradict each other.
    pub fn config(&self) -> Result<app::Config, clap::Error> {
        let url = self.activemq_broker_url.clone().and_then(|url| url.0);
        let queue_enabled = self.queue_enabled.and_then(|switch| switch.0).unwrap_or(url.is_none());
        if queue_enabled && url.is_some() {
            return Err(conflict("QUEUE_ENABLED and ACTIVEMQ_BROKER_URL exclude each other: drop one"));
        }
        if !queue_enabled && url.is_none() {
            return Err(conflict(
                "without the embedded queue ACTIVEMQ_BROKER_URL must say where the broker is",
            ));
        }
        if !self.store_enabled && !self.worker_enabled && !queue_enabled {
            return Err(conflict("nothing to do: enable the store, the worker or the queue"));
        }
        let credentials = self.credentials(url.as_ref())?;
        let connection = connection::Config {
            credentials: credentials.clone(),
            heart_beat: self.broker_heart_beat,
            ..connection::Config::default()
        };
        Ok(app::Config {
            web: web::Config {
                listen: SocketAddr::new(self.address, self.port),
                hostname: self.hostname.clone(),
                max_connections: self.http_max_connections as usize,
                max_connections_each: self.http_max_connections_each as usize,
                store: self.store_enabled,
                worker: self.worker_enabled,
                rate: web::Rate {
                    per_minute: self.submit_rate,
                    burst: self.submit_burst,
                    clients: self.submit_clients as usize,
                },
                tokens: self.submit_tokens as usize,
                viewers: self.admin_viewers as usize,
                ..web::Config::new(&self.queue_name)
            },
            store: self.store_enabled.then(|| orders::Config::new(&self.queue_name, connection.clone())),
            worker: self.worker_enabled.then(|| worker::Config {
                work: match self.work_mode {
                    WorkMode::Wait => Work::Wait(self.work_duration),
                    WorkMode::Compute => Work::Compute(self.work_duration),
                },
                concurrency: self.worker_concurrency,
                max_tries: self.worker_max_tries,
                grace: self.shutdown_grace,
                ..worker::Config::new(&self.queue_name, connection.clone())
            }),
            depth: depth::Config {
                timeout: self.depth_timeout,
                browse_limit: self.depth_browse_limit,
                ..depth::Config::new(&self.queue_name, connection.clone())
            },
            put_aside: depth::Config {
                timeout: self.depth_timeout,
                browse_limit: self.depth_browse_limit,
                ..depth::Config::new("ActiveMQ.DLQ", connection)
            },
            trace: self.trace()?,
            broker: match url {
                Some(url) => app::BrokerAt::Url(url),
                None => app::BrokerAt::Here(broker::Config {
                    listen: self.queue_listen,
                    credentials,
                    directory: self.queue_directory.clone().and_then(|path| path.0),
                    when_full: match self.queue_when_full {
                        WhenFull::Refuse => broker::WhenFull::Refuse,
                        WhenFull::Wait => broker::WhenFull::Wait,
                    },
                    max_messages: self.queue_max_messages as usize,
                    max_bytes: (self.queue_max_mib as usize) << 20,
                    max_frame_bytes: self.queue_max_frame_bytes as usize,
                    max_connections: self.queue_max_connections as usize,
                    heart_beat: self.broker_heart_beat,
                    ..broker::Config::default()
                }),
            },
            grace: self.shutdown_grace,
        })
    }

    fn trace(&self) -> Result<trace::Config, clap::Error> {
        let endpoints = [&self.otel_exporter_otlp_traces_endpoint, &self.otel_exporter_otlp_endpoint];
        let endpoint = endpoints.into_iter().flatten().find_map(|endpoint| endpoint.0.clone());
        let headers = export::headers(&self.otel_exporter_otlp_headers)
            .map_err(|error| conflict(format!("OTEL_EXPORTER_OTLP_HEADERS: {error}")))?;
        Ok(trace::Config {
            endpoint: endpoint.filter(|_| !self.otel_sdk_disabled),
            service: self.otel_service_name.clone(),
            instance: self.hostname.clone(),
            headers,
            timeout: Duration::from_millis(self.otel_exporter_otlp_timeout),
            queue: self.otel_bsp_max_queue_size as usize,
            ..trace::Config::default()
        })
    }

    /// Those of the URL, or else those of the flags.
    fn credentials(&self, url: Option<&BrokerUrl>) -> Result<Option<Credentials>, clap::Error> {
        if let Some(credentials) = url.and_then(|url| url.credentials.clone()) {
            return Ok(Some(credentials));
        }
        if self.activemq_user.is_empty() {
            return match self.activemq_password.is_empty() {
                true => Ok(None),
                false => Err(conflict("ACTIVEMQ_PASSWORD needs ACTIVEMQ_USER")),
            };
        }
        Credentials::new(&self.activemq_user, &self.activemq_password).map(Some).map_err(conflict)
    }
}

/// Says in one line what is wrong with the flags (exit code 2), or prints what `--help` and `--version` ask for.
pub fn usage_error(error: &clap::Error) -> ExitCode {
    if matches!(error.kind(), ErrorKind::DisplayHelp | ErrorKind::DisplayVersion) {
        // A reader that closed the pipe has seen enough.
        let _ = write!(io::stdout(), "{}", error.render());
        return ExitCode::SUCCESS;
    }
    let text = error.render().to_string();
    let mut lines = text.lines();
    let line = lines.next().unwrap_or("wrong flags");
    let line = line.strip_prefix("error: ").unwrap_or(line);
    let values = lines.map(str::trim).find(|line| line.starts_with("[possible values"));
    let line = [Some(line), values].into_iter().flatten().collect::<Vec<_>>().join(" ");
    // Nobody is left to tell when standard error is closed.
    let _ = writeln!(io::stderr(), "demo-shop: {line} (try --help)");
    ExitCode::from(2)
}

fn conflict(message: impl ToString) -> clap::Error {
    clap::Error::raw(ErrorKind::ArgumentConflict, message.to_string())
}

/// A heart-beat that is quicker than networks and schedulers are steady would end connections that are well.
fn heart_beat(text: &str) -> Result<Duration, String> {
    const QUICKEST: Duration = Duration::from_millis(100);
    match duration::parse(text) {
        Ok(interval) if interval > Duration::ZERO && interval < QUICKEST => {
            Err("expected 0 for none, or 100ms and more".into())
        }
        parsed => parsed.map_err(|error| error.to_string()),
    }
}

fn switch(text: &str) -> Result<bool, String> {
    match text.trim().to_ascii_lowercase().as_str() {
        "true" | "yes" | "on" | "1" => Ok(true),
        "false" | "no" | "off" | "0" => Ok(false),
        _ => Err("expected true or false".into()),
    }
}

fn optional_switch(text: &str) -> Result<OptionalSwitch, String> {
    match text.trim().is_empty() {
        true => Ok(OptionalSwitch(None)),
        false => switch(text).map(|on| OptionalSwitch(Some(on))),
    }
}

fn optional_path(text: &str) -> Result<OptionalPath, Infallible> {
    Ok(OptionalPath((!text.is_empty()).then(|| PathBuf::from(text))))
}

fn broker_url(text: &str) -> Result<OptionalUrl, String> {
    match text.trim().is_empty() {
        true => Ok(OptionalUrl(None)),
        false => text
            .parse()
            .map(|url| OptionalUrl(Some(url)))
            .map_err(|error: crate::stomp::url::UrlError| error.to_string()),
    }
}

fn collector(text: &str) -> Result<OptionalEndpoint, String> {
    optional_endpoint(text, Endpoint::base)
}

fn traces_collector(text: &str) -> Result<OptionalEndpoint, String> {
    optional_endpoint(text, Endpoint::exact)
}

fn protocol(text: &str) -> Result<String, String> {
    match text.trim() {
        "" | "http/json" => Ok("http/json".to_owned()),
        _ => Err("expected http/json, which collectors take on port 4318".into()),
    }
}

fn optional_endpoint(
    text: &str,
    read: fn(&str) -> Result<Endpoint, export::EndpointError>,
) -> Result<OptionalEndpoint, String> {
    match text.trim() {
        "" => Ok(OptionalEndpoint(None)),
        url => read(url).map(|endpoint| OptionalEndpoint(Some(endpoint))).map_err(|error| error.to_string()),
    }
}

fn queue_name(text: &str) -> Result<String, String> {
    match broker::is_queue_name(text) {
        true => Ok(text.to_owned()),
        false => Err("expected 1 to 128 letters, digits, dots, dashes or underscores".into()),
    }
}

fn positive_duration(text: &str) -> Result<Duration, String> {
    match duration::parse(text) {
        Ok(Duration::ZERO) => Err("expected more than 0".into()),
        Ok(duration) => Ok(duration),
        Err(error) => Err(error.to_string()),
    }
}

fn log_filter(text: &str) -> Result<String, String> {
    match EnvFilter::try_new(text) {
        Ok(_) => Ok(text.to_owned()),
        Err(_) => Err("expected error, warn, info, debug, trace or a filter".into()),
    }
}

#[cfg(test)]
mod tests;
