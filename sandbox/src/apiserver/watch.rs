//! Watches: a stream of changes that starts where the client says.
//!
//! Three starts, as upstream has them: from a version (only what came after), from nowhere or "0" (first what is there,
//! as ADDED), and `sendInitialEvents=true` (the same, closed by a bookmark that says so). A start that history no longer
//! reaches is an ERROR event with a 410 `Status`.

use super::Core;
use super::call::Call;
use super::faults::Cut;
use super::read::{self, Selection};
use super::representation::Representation;
use super::resources::Resource;
use super::respond::{Answer, BoxError};
use super::status::Status;
use super::store::Event;
use bytes::Bytes;
use futures::stream;
use http::header::{CONTENT_TYPE, HeaderValue};
use http_body_util::{BodyExt as _, StreamBody};
use hyper::body::Frame;
use serde_json::{Value, json};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::watch;
use tokio::time::{Instant, Interval, MissedTickBehavior};

/// Opens a watch.
pub(crate) fn start(
    core: &Arc<Core>,
    resource: &'static Resource,
    namespace: &str,
    call: &Call,
) -> Result<Answer, Status> {
    let shape = Representation::negotiate(&call.headers, &call.query)?;
    let selection = Selection::parse(resource, namespace, call)?;
    let bookmarks = call.flag("allowWatchBookmarks");
    let version = read::version(call)?.unwrap_or(0);
    let initial_events = initial_events(call, version)?;
    let mut bookmark_ticks = tokio::time::interval(core.config.bookmark_interval);
    bookmark_ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    bookmark_ticks.reset();
    let mut watch = Watch {
        core: core.clone(),
        resource,
        selection,
        shape,
        bookmarks,
        position: version,
        ready: Vec::new(),
        ended: false,
        changes: core.registry.store.changes(),
        cuts: core.faults.cuts(),
        bookmark_ticks,
        deadline: Instant::now() + timeout(core, call)?,
    };
    if initial_events {
        watch.send_present();
        if bookmarks && call.flag("sendInitialEvents") {
            watch.send_bookmark(true);
        }
    } else if let Err(gone) = core.registry.store.check_resumable(resource, version) {
        watch.send_expired(gone.oldest);
    }
    let frames = stream::unfold(watch, |mut watch| async move {
        let frame = watch.next().await?;
        Some((frame.map(Frame::data), watch))
    });
    let mut answer = Answer::new(StreamBody::new(frames).boxed_unsync());
    answer.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    Ok(answer)
}

/// Whether the watch starts with what is there already.
fn initial_events(call: &Call, version: u64) -> Result<bool, Status> {
    match call.parameter("sendInitialEvents") {
        None => Ok(version == 0),
        Some(_) if call.parameter("resourceVersionMatch") != Some("NotOlderThan") => {
            let message = "resourceVersionMatch: Forbidden: sendInitialEvents requires setting resourceVersionMatch to \
                 NotOlderThan";
            Err(Status::with_code(422, message))
        }
        Some(_) => Ok(call.flag("sendInitialEvents")),
    }
}

fn timeout(core: &Core, call: &Call) -> Result<Duration, Status> {
    match call.parameter("timeoutSeconds").map(str::parse) {
        None | Some(Ok(0)) => Ok(core.config.watch_timeout),
        Some(Ok(seconds)) => Ok(Duration::from_secs(seconds).min(core.config.watch_timeout)),
        Some(Err(_)) => Err(Status::bad_request("timeoutSeconds must be a non-negative integer")),
    }
}

/// The state of one watch between two frames.
struct Watch {
    core: Arc<Core>,
    resource: &'static Resource,
    selection: Selection,
    shape: Representation,
    bookmarks: bool,
    /// Everything up to this revision has been looked at.
    position: u64,
    /// Encoded events that have not been sent.
    ready: Vec<u8>,
    ended: bool,
    changes: watch::Receiver<u64>,
    cuts: watch::Receiver<Cut>,
    bookmark_ticks: Interval,
    deadline: Instant,
}

// === impl Watch ===

impl Watch {
    /// The next frame; `None` when the watch is over, an error when it is to break off.
    async fn next(&mut self) -> Option<Result<Bytes, BoxError>> {
        loop {
            if !self.ready.is_empty() {
                return Some(Ok(std::mem::take(&mut self.ready).into()));
            }
            if self.ended {
                return None;
            }
            self.send_news();
            if !self.ready.is_empty() || self.ended {
                continue;
            }
            tokio::select! {
                _ = self.changes.changed() => {}
                _ = self.bookmark_ticks.tick() => if self.bookmarks { self.send_bookmark(false) },
                () = tokio::time::sleep_until(self.deadline) => {
                    // Lets the client resume from as late as possible.
                    if self.bookmarks { self.send_bookmark(false) }
                    self.ended = true;
                }
                () = self.core.stop.cancelled() => self.ended = true,
                cut = self.cuts.changed() => if cut.is_ok() {
                    match *self.cuts.borrow_and_update() {
                        Cut::End => self.ended = true,
                        Cut::Reset => {
                            self.ended = true;
                            return Some(Err("the watch was cut by an injected fault".into()));
                        }
                    }
                },
            }
        }
    }

    /// Sends what happened since the last look.
    fn send_news(&mut self) {
        match self.core.registry.store.events(self.resource, self.position) {
            Ok((events, upto)) => {
                for event in &events {
                    if let Some((kind, object)) = translate(&self.selection, event) {
                        self.send(kind, &object);
                    }
                }
                // A client may be ahead of us for a moment only if it invented its version.
                self.position = self.position.max(upto);
            }
            Err(gone) => {
                self.send_expired(gone.oldest);
            }
        }
    }

    fn send_present(&mut self) {
        let snapshot = self.core.registry.store.list(self.resource);
        for (key, object) in &snapshot.objects {
            if self.selection.matches(key, object) {
                self.send("ADDED", object);
            }
        }
        self.position = snapshot.revision;
    }

    fn send_expired(&mut self, oldest: u64) {
        let status = Status::expired(self.position, oldest);
        self.send_raw("ERROR", &status.to_json());
        self.ended = true;
    }

    fn send_bookmark(&mut self, ends_initial_events: bool) {
        let mut metadata = json!({"resourceVersion": self.position.to_string(), "creationTimestamp": null});
        if ends_initial_events {
            metadata["annotations"] = json!({"k8s.io/initial-events-end": "true"});
        }
        let object = json!({"kind": self.resource.kind, "apiVersion": self.resource.api_version(), "metadata": metadata});
        self.send("BOOKMARK", &object);
    }

    fn send(&mut self, kind: &str, object: &Value) {
        let object = self.shape.object(self.resource, object, self.core.registry.clock.now());
        self.send_raw(kind, &object);
    }

    fn send_raw(&mut self, kind: &str, object: &Value) {
        self.ready.extend_from_slice(json!({"type": kind, "object": object}).to_string().as_bytes());
        self.ready.push(b'\n');
    }
}

/// What an event is to a client that sees only its selection: objects enter and leave it.
fn translate(selection: &Selection, event: &Event) -> Option<(&'static str, Arc<Value>)> {
    let was = event.previous.as_ref().filter(|previous| selection.matches(&event.key, previous));
    let is = !event.deleted && selection.matches(&event.key, &event.object);
    match (was, is) {
        (None, false) => None,
        (None, true) => Some(("ADDED", event.object.clone())),
        (Some(_), true) => Some(("MODIFIED", event.object.clone())),
        (Some(_), false) if event.deleted => Some(("DELETED", event.object.clone())),
        (Some(previous), false) => {
            // The last state that the client could see, under the version at which it left.
            let mut last = Value::clone(previous);
            last["metadata"]["resourceVersion"] = event.revision.to_string().into();
            Some(("DELETED", Arc::new(last)))
        }
    }
}
