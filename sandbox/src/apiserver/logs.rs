//! `kubectl logs`: what a container has written, and what it goes on to write.
//!
//! The node says in which files that stands; without a node there are none. Lines carry no times, so that what asks for
//! times is refused.

use super::Core;
use super::call::Call;
use super::request_info::ResourcePath;
use super::resources::known;
use super::respond::{self, Answer, BoxError};
use super::status::Status;
use super::store::Key;
use bytes::Bytes;
use futures::stream;
use http::header::{CONTENT_TYPE, HeaderValue};
use http_body_util::{BodyExt as _, StreamBody};
use hyper::body::Frame;
use serde_json::Value;
use std::os::unix::fs::MetadataExt as _;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use tokio::fs::File;
use tokio::io::AsyncReadExt as _;

/// As much of a log as is sent at once, in bytes.
const CHUNK_BYTES: usize = 32 * 1024;

/// Knows where the node keeps what containers write.
pub(crate) trait LogFiles: Send + Sync + 'static {
    /// The files of one run of a container, the oldest first. The last is the one being written; any may be missing.
    fn files(&self, namespace: &str, pod: &str, container: &str, run: u64) -> Vec<PathBuf>;
}

/// Where logs come from, once a node is there.
#[derive(Default)]
pub(crate) struct Logs(Mutex<Option<Arc<dyn LogFiles>>>);

/// What a client wants of a log.
#[derive(Debug, PartialEq)]
struct Options {
    follow: bool,
    previous: bool,
    tail_lines: Option<usize>,
    limit_bytes: Option<usize>,
}

// === impl Logs ===

impl Logs {
    /// Takes the place of whoever was registered before.
    pub(crate) fn register(&self, files: impl LogFiles) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some(Arc::new(files));
    }

    fn files(&self, key: &Key, container: &str, run: u64) -> Vec<PathBuf> {
        let files = self.0.lock().unwrap_or_else(PoisonError::into_inner).clone();
        files.map(|files| files.files(&key.namespace, &key.name, container, run)).unwrap_or_default()
    }
}

/// Whether this is the log of a pod.
pub(crate) fn is_log(path: &ResourcePath) -> bool {
    path.group.is_empty()
        && path.version == "v1"
        && path.resource == "pods"
        && path.subresource == "log"
        && path.surplus == 0
        && !path.namespace.is_empty()
}

/// Answers the log of one container, to its end or, followed, to the container's.
pub(crate) async fn answer(core: &Arc<Core>, call: &Call, path: &ResourcePath) -> Result<Answer, Status> {
    let key = Key::new(path.namespace.as_str(), path.name.as_str());
    let pod = core.registry.get(known("", "pods"), &key)?;
    let options = Options::parse(call)?;
    let container = container_of(&pod, &key.name, call.parameter("container"))?;
    let run = run_of(&pod, &key.name, &container, options.previous)?;
    let files = core.logs.files(&key, &container, run);
    let (text, open) = read(&files, &options).await;
    let left = options.limit_bytes.map(|limit| limit.saturating_sub(text.len()));
    if !options.follow || options.previous || left == Some(0) {
        return Ok(respond::typed(200, "text/plain", text));
    }
    let uid = pod["metadata"]["uid"].clone();
    let follower =
        Follower { core: core.clone(), key, uid, container, run, files, open, left, text, ended: false };
    let frames = stream::unfold(follower, |mut follower| async move {
        let bytes = follower.next().await?;
        Some((Ok::<_, BoxError>(Frame::data(bytes)), follower))
    });
    let mut answer = Answer::new(StreamBody::new(frames).boxed_unsync());
    answer.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("text/plain"));
    Ok(answer)
}

// === impl Options ===

impl Options {
    fn parse(call: &Call) -> Result<Self, Status> {
        for parameter in ["sinceSeconds", "sinceTime", "timestamps"] {
            if call.parameter(parameter).is_some_and(|value| value != "false") {
                let message =
                    format!("{parameter} is not there: the sandbox keeps no times with the lines of a log");
                return Err(Status::bad_request(message));
            }
        }
        let number = |parameter: &str| {
            call.parameter(parameter).map(str::parse::<usize>).transpose().map_err(|_| {
                Status::bad_request(format!("{parameter}: Invalid value: must be greater than or equal to 0"))
            })
        };
        Ok(Self {
            follow: call.flag("follow"),
            previous: call.flag("previous"),
            tail_lines: number("tailLines")?,
            limit_bytes: number("limitBytes")?,
        })
    }
}

/// Which container is meant: the one named, or the only one.
fn container_of(pod: &Value, name: &str, asked: Option<&str>) -> Result<String, Status> {
    let containers = pod["spec"]["containers"].as_array().map(Vec::as_slice).unwrap_or_default();
    let names: Vec<&str> = containers.iter().filter_map(|container| container["name"].as_str()).collect();
    match (asked, names.as_slice()) {
        (Some(asked), names) if names.contains(&asked) => Ok(asked.to_owned()),
        (Some(asked), _) => {
            Err(Status::bad_request(format!("container {asked} is not valid for pod {name}")))
        }
        (None, [only]) => Ok((*only).to_owned()),
        (None, names) => {
            let names = names.join(" ");
            let message =
                format!("a container name must be specified for pod {name}, choose one of: [{names}]");
            Err(Status::bad_request(message))
        }
    }
}

/// Which run of the container is meant, counted from 0.
fn run_of(pod: &Value, name: &str, container: &str, previous: bool) -> Result<u64, Status> {
    if pod["spec"]["nodeName"].as_str().is_none_or(str::is_empty) {
        return Err(Status::bad_request(format!("pod {name} does not have a host assigned")));
    }
    let status = container_status(pod, container);
    let restarts = status["restartCount"].as_u64().unwrap_or(0);
    if previous {
        return restarts.checked_sub(1).ok_or_else(|| {
            Status::bad_request(format!(
                "previous terminated container {container:?} in pod {name:?} not found"
            ))
        });
    }
    let waiting = &status["state"]["waiting"]["reason"];
    if restarts == 0
        && status["lastState"]["terminated"].is_null()
        && (status.is_null() || !waiting.is_null())
    {
        let reason = waiting.as_str().unwrap_or("ContainerCreating");
        let message = format!("container {container:?} in pod {name:?} is waiting to start: {reason}");
        return Err(Status::bad_request(message));
    }
    Ok(restarts)
}

fn container_status<'a>(pod: &'a Value, container: &str) -> &'a Value {
    let statuses = pod["status"]["containerStatuses"].as_array().map(Vec::as_slice).unwrap_or_default();
    statuses.iter().find(|status| status["name"] == container).unwrap_or(&Value::Null)
}

/// What stands in the files now, as far as it was asked for, and the last of them where reading ended.
async fn read(files: &[PathBuf], options: &Options) -> (Vec<u8>, Option<File>) {
    // The node bounds the size of these files.
    let (mut text, mut last) = (Vec::new(), None);
    for (index, path) in files.iter().enumerate() {
        // A file that is not there has not been written yet, or is no longer kept.
        let Ok(mut file) = File::open(path).await else { continue };
        if let Err(error) = file.read_to_end(&mut text).await {
            tracing::warn!(%error, path = %path.display(), "cannot read a log");
        }
        last = (index + 1 == files.len()).then_some(file);
    }
    if let Some(lines) = options.tail_lines {
        text.drain(..tail_start(&text, lines));
    }
    text.truncate(options.limit_bytes.unwrap_or(usize::MAX));
    (text, last)
}

/// Where the last `lines` lines begin.
fn tail_start(text: &[u8], lines: usize) -> usize {
    let body = text.strip_suffix(b"\n").unwrap_or(text);
    if lines == 0 {
        return text.len();
    }
    let breaks = body.iter().enumerate().rev().filter(|(_, byte)| **byte == b'\n');
    breaks.map(|(index, _)| index + 1).nth(lines - 1).unwrap_or(0)
}

/// One client that follows one run of a container.
struct Follower {
    core: Arc<Core>,
    key: Key,
    uid: Value,
    container: String,
    run: u64,
    files: Vec<PathBuf>,
    /// The file being read, at where reading has come to.
    open: Option<File>,
    /// How many bytes the client takes still.
    left: Option<usize>,
    /// What has been read and not sent.
    text: Vec<u8>,
    ended: bool,
}

// === impl Follower ===

impl Follower {
    /// The next piece; `None` when the container has ended and all of it has been read.
    async fn next(&mut self) -> Option<Bytes> {
        loop {
            if !self.text.is_empty() {
                return Some(std::mem::take(&mut self.text).into());
            }
            if self.ended || self.left == Some(0) {
                return None;
            }
            // Looked at before reading: what is written last is read after the end is known.
            let over = self.is_over();
            self.read_more().await;
            if self.text.is_empty() {
                if over {
                    self.ended = true;
                    continue;
                }
                tokio::select! {
                    () = tokio::time::sleep(self.core.config.log_poll_interval) => {}
                    () = self.core.stop.cancelled() => self.ended = true,
                }
            }
        }
    }

    fn is_over(&self) -> bool {
        let Some(pod) = self.core.registry.store.get(known("", "pods"), &self.key) else { return true };
        let status = container_status(&pod, &self.container);
        pod["metadata"]["uid"] != self.uid
            || status["restartCount"].as_u64().unwrap_or(0) != self.run
            || status["state"]["running"].is_null()
    }

    async fn read_more(&mut self) {
        let Some(path) = self.files.last() else { return };
        if self.open.is_none() {
            self.open = File::open(path).await.ok();
        }
        let Some(file) = &mut self.open else { return };
        let mut buffer = vec![0; CHUNK_BYTES.min(self.left.unwrap_or(CHUNK_BYTES))];
        let read = file.read(&mut buffer).await.unwrap_or(0);
        if read > 0 {
            buffer.truncate(read);
            self.left = self.left.map(|left| left.saturating_sub(read));
            self.text = buffer;
            return;
        }
        // All of this file is read; a full one makes way for a new one.
        let number = |metadata: std::fs::Metadata| (metadata.dev(), metadata.ino());
        let (ours, theirs) = (file.metadata().await.map(number), tokio::fs::metadata(path).await.map(number));
        if let (Ok(ours), Ok(theirs)) = (ours, theirs)
            && ours != theirs
        {
            self.open = None;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn the_tail_of_a_log_begins_with_a_line() {
        let check = |text: &str, lines: usize, expected: &str| {
            assert_eq!(&text[tail_start(text.as_bytes(), lines)..], expected, "{text:?} {lines}");
        };
        check("", 3, "");
        check("a\nb\nc\n", 0, "");
        check("a\nb\nc\n", 1, "c\n");
        check("a\nb\nc\n", 2, "b\nc\n");
        check("a\nb\nc\n", 3, "a\nb\nc\n");
        check("a\nb\nc\n", 9, "a\nb\nc\n");
        check("a\nb\nc", 1, "c");
    }

    #[test]
    fn which_run_is_shown_depends_on_the_state() {
        let check = |status: Value, previous: bool, expected: Result<u64, &str>| {
            let pod = json!({"spec": {"nodeName": "n"}, "status": {"containerStatuses": [status]}});
            let found = run_of(&pod, "p", "c", previous).map_err(|status| status.message);
            assert_eq!(found, expected.map_err(str::to_owned), "{pod}");
        };
        check(json!({"name": "c", "restartCount": 0, "state": {"running": {}}}), false, Ok(0));
        check(
            json!({"name": "c", "restartCount": 2, "state": {"waiting": {"reason": "CrashLoopBackOff"}}}),
            false,
            Ok(2),
        );
        check(json!({"name": "c", "restartCount": 2, "state": {"running": {}}}), true, Ok(1));
        let none = "previous terminated container \"c\" in pod \"p\" not found";
        check(json!({"name": "c", "restartCount": 0, "state": {"running": {}}}), true, Err(none));
        let waiting = "container \"c\" in pod \"p\" is waiting to start: ErrImagePull";
        check(
            json!({"name": "c", "restartCount": 0, "state": {"waiting": {"reason": "ErrImagePull"}}}),
            false,
            Err(waiting),
        );
        let waiting = "container \"c\" in pod \"p\" is waiting to start: ContainerCreating";
        check(json!({"name": "other"}), false, Err(waiting));
        let homeless = json!({"spec": {}});
        assert_eq!(
            run_of(&homeless, "p", "c", false).unwrap_err().message,
            "pod p does not have a host assigned"
        );
    }
}
