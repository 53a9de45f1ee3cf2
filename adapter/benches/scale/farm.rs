//! Pods: one process that serves the same page to whoever asks, on any address of loopback.
//!
//! The page's gauge is the time at which it was served, so that whoever reads it elsewhere knows how old it is.

use std::{
    fmt::Write as _,
    io::{BufRead as _, BufReader},
    net::Ipv4Addr,
    process::{Child, Command, Stdio},
    sync::Arc,
    time::{SystemTime, UNIX_EPOCH},
};

use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{TcpListener, TcpStream},
};

use crate::SERIES;

/// What makes this program the farm.
pub(crate) const ARGUMENT: &str = "--farm";

/// The gauge that tells the time.
const GAUGE: &str = "messages";

/// The pods' process, ended when dropped.
pub(crate) struct Farm {
    child: Child,
    /// The port of all pods.
    pub(crate) port: u16,
}

impl Farm {
    pub(crate) fn start() -> Self {
        let mut child = Command::new(std::env::current_exe().unwrap())
            .arg(ARGUMENT)
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut port = String::new();
        BufReader::new(child.stdout.take().unwrap()).read_line(&mut port).unwrap();
        Self { child, port: port.trim().parse().unwrap() }
    }
}

impl Drop for Farm {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The address of the nth pod.
pub(crate) fn address(n: usize) -> Ipv4Addr {
    let part = |n: usize| u8::try_from(n).unwrap();
    Ipv4Addr::new(127, 1 + part(n / 62_500), part(n / 250 % 250), 1 + part(n % 250))
}

/// A page that looks like a service's.
pub(crate) fn page() -> String {
    let mut page = format!("# TYPE {GAUGE} gauge\n{GAUGE} {:013}\n# TYPE http_requests_total counter\n", 0);
    for n in 0..SERIES - 1 {
        let (method, code) = [("GET", 200), ("POST", 201), ("PUT", 409), ("GET", 404)][n % 4];
        let (path, value) = (n / 4, n * 7919);
        writeln!(
            page,
            "http_requests_total{{method=\"{method}\",path=\"/api/v1/resource{path:03}\",code=\"{code}\"}} {value}"
        )
        .unwrap();
    }
    page
}

/// Milliseconds since 1970.
pub(crate) fn now() -> u128 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_millis()
}

/// Serves until the process is ended; prints the port.
#[tokio::main(flavor = "current_thread")]
pub(crate) async fn run() {
    let page = page();
    let head =
        format!("HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: {}\r\n\r\n", page.len());
    let answer: Arc<str> = format!("{head}{page}").into();
    let listener = TcpListener::bind("0.0.0.0:0").await.unwrap();
    println!("{}", listener.local_addr().unwrap().port());
    loop {
        let (stream, _) = listener.accept().await.unwrap();
        tokio::spawn(serve(stream, Arc::clone(&answer)));
    }
}

async fn serve(mut stream: TcpStream, answer: Arc<str>) {
    let start = answer.find(&format!("\n{GAUGE} ")).unwrap() + GAUGE.len() + 2;
    let (before, after) = (&answer.as_bytes()[..start], &answer.as_bytes()[start + 13..]);
    let mut request = Vec::new();
    let mut sent = Vec::new();
    while stream.read_buf(&mut request).await.is_ok_and(|read| read > 0) {
        if request.ends_with(b"\r\n\r\n") {
            request.clear();
            for part in [before, format!("{:013}", now()).as_bytes(), after] {
                sent.extend_from_slice(part);
            }
            if stream.write_all(&sent).await.is_err() {
                return;
            }
            // Idle connections are many; what is sent is made anew.
            sent = Vec::new();
        }
    }
}
