//! The smallest program that behaves like a service in a cluster; the tests' pods run it.
//!
//! It listens on `ADDRESS`:`PORT` (8080) and ends with 0 on SIGTERM. Variables: `EXIT_AT_START` (end at once with this
//! code), `IGNORE_SIGTERM`. Paths: `/metrics`; `/health` and `/livez`, which `/unready`, `/ready` and `/unwell` change;
//! `/who` (its `HOSTNAME`); `/env/NAME`; `/exit/CODE`.

use std::env;
use std::error::Error;
use std::io::Write as _;
use std::process::ExitCode;
use std::sync::atomic::{AtomicBool, Ordering};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::signal::unix::{SignalKind, signal};

static READY: AtomicBool = AtomicBool::new(true);
static WELL: AtomicBool = AtomicBool::new(true);

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<ExitCode, Box<dyn Error>> {
    if let Ok(code) = env::var("EXIT_AT_START") {
        say("ending at once");
        return Ok(ExitCode::from(code.parse::<u8>()?));
    }
    let mut terminate = signal(SignalKind::terminate())?;
    let address = env::var("ADDRESS").unwrap_or_else(|_| "127.0.0.1".to_owned());
    let port = env::var("PORT").unwrap_or_else(|_| "8080".to_owned());
    let listener = TcpListener::bind(format!("{address}:{port}")).await?;
    say("listening");
    loop {
        tokio::select! {
            _ = terminate.recv() => {
                say("SIGTERM");
                if env::var_os("IGNORE_SIGTERM").is_none() {
                    return Ok(ExitCode::SUCCESS);
                }
            }
            accepted = listener.accept() => {
                tokio::spawn(answer(accepted?.0));
            }
        }
    }
}

fn say(line: &str) {
    // Nobody is there to hear about an output that is closed.
    let _ = writeln!(std::io::stdout(), "{line}");
}

/// Reads one request and answers it; a connection that breaks needs no answer.
async fn answer(mut stream: TcpStream) {
    let mut head = [0; 4096];
    let Ok(read) = stream.read(&mut head).await else { return };
    let head = String::from_utf8_lossy(&head[..read]);
    let path = head.split(' ').nth(1).unwrap_or("/");
    let (code, body) = page(path);
    let length = body.len();
    let answer = format!("HTTP/1.1 {code} x\r\ncontent-length: {length}\r\nconnection: close\r\n\r\n{body}");
    let _ = stream.write_all(answer.as_bytes()).await;
}

fn page(path: &str) -> (u16, String) {
    let state = |flag: &AtomicBool| (if flag.load(Ordering::Relaxed) { 200 } else { 503 }, String::new());
    let set = |flag: &AtomicBool, value| {
        flag.store(value, Ordering::Relaxed);
        (200, String::new())
    };
    let variable = |name: &str| (200, env::var(name).unwrap_or_default());
    match path {
        "/metrics" => (200, "# TYPE messages gauge\nmessages 0\n".to_owned()),
        "/health" => state(&READY),
        "/livez" => state(&WELL),
        "/ready" => set(&READY, true),
        "/unready" => set(&READY, false),
        "/unwell" => set(&WELL, false),
        "/who" => variable("HOSTNAME"),
        _ => match path.split_once('/').and_then(|(_, rest)| rest.split_once('/')) {
            Some(("env", name)) => variable(name),
            Some(("exit", code)) => std::process::exit(code.parse().unwrap_or(1)),
            _ => (404, String::new()),
        },
    }
}
