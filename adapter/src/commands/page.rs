//! A page to try rules on: from a file, or from a pod by plain HTTP.

use std::{
    fs::File,
    io::{self, Read as _},
    path::Path,
    time::Duration,
};

use http::{Request, StatusCode, Uri, header};
use http_body_util::{BodyExt as _, Empty, Limited};
use hyper::body::Bytes;
use hyper_util::rt::TokioIo;
use podgauge_exposition::Format;
use tokio::net::TcpStream;

/// A page as it was read.
#[derive(Debug)]
pub(super) struct Saved {
    pub(super) bytes: Vec<u8>,
    pub(super) format: Format,
    /// Host and port that it came from.
    pub(super) instance: Option<String>,
}

/// The largest page.
const BYTES: u64 = 16 * 1024 * 1024;

/// How long a pod may take to send it.
const PATIENCE: Duration = Duration::from_secs(10);

/// Reads a page from a URL, or from the file of this name.
///
/// # Errors
/// What happened, and what to do if that is not plain.
pub(super) fn read(from: &str) -> Result<Saved, String> {
    if from.starts_with("https://") {
        return Err("pages are fetched by plain HTTP alone; save it with curl, and give the file".to_owned());
    }
    if !from.starts_with("http://") {
        let bytes = read_file(Path::new(from), BYTES).map_err(|error| error.to_string())?;
        // What ends like OpenMetrics is that; only there does the difference matter.
        let is_open = bytes.trim_ascii_end().ends_with(b"# EOF");
        let format = if is_open { Format::OpenMetrics } else { Format::from_content_type(None) };
        return Ok(Saved { bytes, format, instance: None });
    }
    let uri: Uri = from.parse().map_err(|error| format!("not a URL: {error}"))?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let runtime = runtime.map_err(|error| error.to_string())?;
    let fetched = runtime.block_on(async { tokio::time::timeout(PATIENCE, fetch(&uri)).await });
    fetched.unwrap_or_else(|_| Err(format!("nothing came within {} s", PATIENCE.as_secs())))
}

/// Reads a file of at most `limit` bytes.
fn read_file(path: &Path, limit: u64) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    File::open(path)?.take(limit + 1).read_to_end(&mut bytes)?;
    if bytes.len() as u64 > limit {
        return Err(io::Error::other(format!("it has more than {limit} bytes")));
    }
    Ok(bytes)
}

async fn fetch(uri: &Uri) -> Result<Saved, String> {
    let host = uri.host().ok_or("the URL names no host")?;
    let instance = format!("{host}:{}", uri.port_u16().unwrap_or(80));
    let stream = TcpStream::connect(&instance).await.map_err(|error| error.to_string())?;
    let connected = hyper::client::conn::http1::handshake(TokioIo::new(stream)).await;
    let (mut sender, connection) = connected.map_err(|error| error.to_string())?;
    let driver = tokio::spawn(connection);
    let request = Request::get(uri.path_and_query().map_or("/", |path| path.as_str()))
        .header(header::HOST, &instance)
        .body(Empty::<Bytes>::new())
        .map_err(|error| error.to_string())?;
    let response = sender.send_request(request).await.map_err(|error| error.to_string())?;
    if response.status() != StatusCode::OK {
        return Err(format!("the answer was {}", response.status()));
    }
    let content_type = response.headers().get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok());
    let format = Format::from_content_type(content_type);
    let body = Limited::new(response.into_body(), usize::try_from(BYTES).unwrap_or(usize::MAX));
    let body = body.collect().await.map_err(|error| error.to_string())?;
    driver.abort();
    Ok(Saved { bytes: body.to_bytes().to_vec(), format, instance: Some(instance) })
}
