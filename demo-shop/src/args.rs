//! Flags and environment, read once. Every flag has a variable of the same name.
//!
//! No variable is named like those that Kubernetes sets for a Service (`QUEUE_PORT=tcp://...` for one named
//! `queue`); a pod with such a Service in its namespace would not start.

use crate::stomp::BrokerUrl;
use crate::stomp::connection;
use crate::stomp::url::Credentials;
use crate::{app, broker, depth, duration, orders, web, worker};
use clap::error::ErrorKind;
use clap::{Parser, ValueEnum};
use std::io::{self, Write};
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::process::ExitCode;
use std::time::Duration;
use tracing_subscriber::EnvFilter;

const PARTS: &str = "Parts (what this process runs)";
const HTTP: &str = "HTTP";
const BROKER: &str = "Broker (where the orders are)";
const WORKER: &str = "Worker";
const QUEUE: &str = "Embedded queue";
const LOGS: &str = "Logs";

/// A small shop whose worker is scaled on the length of its queue.
///
/// One binary runs any of three parts: the store, the worker and, when no ActiveMQ is given, the queue.
#[derive(Clone, Debug, Parser)]
#[command(name = "demo-shop", version, max_term_width = 100)]
pub struct Args {
    /// Serve the store: take orders at / and /submit.
    #[arg(long, env, value_parser = switch, action = clap::ArgAction::Set, default_value = "true", value_name = "BOOL", help_heading = PARTS)]
    store_enabled: bool,
    /// Work off orders, one at a time.
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
    /// How often heart-beats are offered and wished for; 0 for none.
    #[arg(long, env, default_value = "10s", value_parser = duration::parse, value_name = "TIME", help_heading = BROKER)]
    broker_heart_beat: Duration,
    /// Longest wait for the queue's length; /metrics leaves `messages` out after it.
    #[arg(long, env, default_value = "2s", value_parser = positive_duration, value_name = "TIME", help_heading = BROKER)]
    depth_timeout: Duration,
    /// Most messages counted one by one when the broker has no statistics plugin.
    #[arg(long, env, default_value_t = 10_000, value_parser = clap::value_parser!(u64).range(1..=1_000_000), value_name = "COUNT", help_heading = BROKER)]
    depth_browse_limit: u64,

    /// How long the worker works on one order.
    #[arg(long, env, default_value = "5s", value_parser = duration::parse, value_name = "TIME", help_heading = WORKER)]
    work_duration: Duration,
    /// How long the order in hand, and open requests, may take to finish after SIGTERM. An order that does not
    /// finish goes back to the queue.
    #[arg(long, env, default_value = "25s", value_parser = duration::parse, value_name = "TIME", help_heading = WORKER)]
    shutdown_grace: Duration,

    /// Address and port of the embedded queue; port 0 picks a free one.
    #[arg(long, env, default_value_t = broker::Config::default().listen, value_name = "IP:PORT", help_heading = QUEUE)]
    queue_listen: SocketAddr,
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
}

/// How log lines look.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum LogFormat {
    /// For people.
    Text,
    /// For machines.
    Json,
}

/// A switch whose variable may be set to nothing.
#[derive(Clone, Copy, Debug)]
struct OptionalSwitch(Option<bool>);

/// A URL whose variable may be set to nothing, as manifests with a placeholder do.
#[derive(Clone, Debug)]
struct OptionalUrl(Option<BrokerUrl>);

// === impl Args ===

impl Args {
    /// Sends log lines to standard error from now on.
    pub fn start_logging(&self) {
        let filter = EnvFilter::new(&self.log_level);
        let lines = tracing_subscriber::fmt().with_env_filter(filter).with_writer(io::stderr);
        match self.log_format {
            LogFormat::Text => lines.with_ansi(io::IsTerminal::is_terminal(&io::stderr())).init(),
            LogFormat::Json => lines.json().flatten_event(true).init(),
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
                store: self.store_enabled,
                worker: self.worker_enabled,
                ..web::Config::new(&self.queue_name)
            },
            store: self.store_enabled.then(|| orders::Config::new(&self.queue_name, connection.clone())),
            worker: self.worker_enabled.then(|| worker::Config {
                work_duration: self.work_duration,
                grace: self.shutdown_grace,
                ..worker::Config::new(&self.queue_name, connection.clone())
            }),
            depth: depth::Config {
                timeout: self.depth_timeout,
                browse_limit: self.depth_browse_limit,
                ..depth::Config::new(&self.queue_name, connection)
            },
            broker: match url {
                Some(url) => app::BrokerAt::Url(url),
                None => app::BrokerAt::Here(broker::Config {
                    listen: self.queue_listen,
                    credentials,
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
    let line = text.lines().next().unwrap_or("wrong flags");
    let line = line.strip_prefix("error: ").unwrap_or(line);
    // Nobody is left to tell when standard error is closed.
    let _ = writeln!(io::stderr(), "demo-shop: {line} (try --help)");
    ExitCode::from(2)
}

fn conflict(message: impl ToString) -> clap::Error {
    clap::Error::raw(ErrorKind::ArgumentConflict, message.to_string())
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

fn broker_url(text: &str) -> Result<OptionalUrl, String> {
    match text.trim().is_empty() {
        true => Ok(OptionalUrl(None)),
        false => text
            .parse()
            .map(|url| OptionalUrl(Some(url)))
            .map_err(|error: crate::stomp::url::UrlError| error.to_string()),
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
