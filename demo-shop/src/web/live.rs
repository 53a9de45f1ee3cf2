//! The panel's numbers as they change: sampled for the chart, and told to browsers as server-sent events.
//!
//! Two events, each JSON on one line: `numbers` has texts by key and whether the broker is connected, `chart` the
//! parts of the chart. Both are rendered once for all viewers. A viewer that reads slowly misses some and gets the
//! newest: nothing piles up for it but one event. There are only so many viewers ([`super::Config::viewers`]), and a
//! stream ends after [`super::Config::stream_life`], whereupon browsers come back by themselves.

use super::chart::Chart;
use super::history::History;
use super::routes::Context;
use super::view::View;
use bytes::Bytes;
use http_body_util::channel::{Channel, Sender};
use serde_json::{Value, json};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, watch};
use tokio::time::{Instant, MissedTickBehavior, interval, sleep_until, timeout};
use tokio_util::sync::CancellationToken;

/// The chart's past, and the events of now.
#[derive(Debug)]
pub(super) struct Live {
    history: Mutex<History>,
    events: watch::Sender<Events>,
    seats: Arc<Semaphore>,
    viewers: usize,
}

/// The newest event of each kind, as it goes over the wire.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Events {
    numbers: Bytes,
    chart: Bytes,
}

/// How often the numbers are looked at while somebody watches.
const PACE: Duration = Duration::from_secs(1);

/// How long a stream is silent at most, so that both ends notice when the other is gone.
const SILENCE: Duration = Duration::from_secs(15);

/// How soon a browser comes back after the end of a stream.
const HELLO: &[u8] = b"retry: 3000\n\n";

// === impl Live ===

impl Live {
    pub(super) fn new(viewers: usize) -> Self {
        let seats = Arc::new(Semaphore::new(viewers));
        Self { history: Mutex::default(), events: watch::Sender::default(), seats, viewers }
    }

    /// The chart now.
    pub(super) fn chart(&self) -> Chart {
        Chart::of(&self.lock().window(Instant::now()))
    }

    /// A new stream of events; none when there are too many.
    pub(super) fn watch(context: &Context, stop: &CancellationToken) -> Option<Channel<Bytes>> {
        let live = &context.live;
        let seat = Arc::clone(&live.seats).try_acquire_owned().ok()?;
        let (sender, body) = Channel::new(1);
        let stream = Stream {
            sender,
            events: live.events.subscribe(),
            end: Instant::now() + context.config.stream_life,
            patience: context.config.write_timeout,
            _seat: seat,
        };
        let stop = stop.clone();
        tokio::spawn(async move {
            tokio::select! {
                () = stop.cancelled() => {}
                _ = stream.run() => {}
            }
        });
        Some(body)
    }

    fn is_watched(&self) -> bool {
        self.seats.available_permits() < self.viewers
    }

    fn lock(&self) -> MutexGuard<'_, History> {
        self.history.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Samples until `stop`: for the chart at its pace, and for viewers every second while there are any.
pub(super) async fn run(context: &Context, stop: &CancellationToken) {
    let mut ticks = interval(PACE);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut due = Instant::now();
    loop {
        tokio::select! {
            () = stop.cancelled() => return,
            _ = ticks.tick() => {}
        }
        if Instant::now() >= due {
            let reading = context.shop.depth.read().await;
            let now = Instant::now();
            due = now + context.config.sample_every;
            context.live.lock().add(reading, now);
        }
        if context.live.is_watched() {
            let view = View::now(context).await;
            let events = Events { numbers: numbers(&view), chart: chart(&context.live.chart()) };
            context.live.events.send_replace(events);
        }
    }
}

fn numbers(view: &View) -> Bytes {
    let tiles = view.shop_tiles().into_iter().chain(view.own_tiles());
    let mut texts: serde_json::Map<String, Value> =
        tiles.map(|tile| (tile.key.to_owned(), tile.text.into())).collect();
    texts.insert("connection".into(), view.connection().into());
    event("numbers", &json!({"connected": view.connected(), "texts": texts}))
}

fn chart(chart: &Chart) -> Bytes {
    let [top, middle, bottom] = &chart.scale;
    let texts = json!({"top": top, "middle": middle, "bottom": bottom, "summary": chart.summary});
    event("chart", &json!({"texts": texts, "markup": {"lines": chart.lines, "rows": chart.rows}}))
}

/// JSON has no line breaks outside of strings, and inside they are escaped: so it is one line of data.
fn event(name: &str, data: &Value) -> Bytes {
    Bytes::from(format!("event: {name}\ndata: {data}\n\n"))
}

/// One viewer's stream.
struct Stream {
    sender: Sender<Bytes>,
    events: watch::Receiver<Events>,
    end: Instant,
    /// Longest wait for the viewer to read.
    patience: Duration,
    _seat: OwnedSemaphorePermit,
}

// === impl Stream ===

impl Stream {
    /// Sends what is new until the viewer is gone or time is up; none then.
    async fn run(mut self) -> Option<()> {
        self.send(Bytes::from_static(HELLO)).await?;
        let (mut sent, mut spoke) = (Events::default(), Instant::now());
        // What is there now may be from the time of the last viewer; new ones come within a second.
        self.events.mark_unchanged();
        loop {
            tokio::select! {
                () = sleep_until(self.end) => return None,
                changed = self.events.changed() => changed.ok()?,
                () = sleep_until(spoke + SILENCE) => {
                    self.send(Bytes::from_static(b":\n\n")).await?;
                    spoke = Instant::now();
                    continue;
                }
            }
            let newest = self.events.borrow_and_update().clone();
            for (newest, sent) in [(&newest.numbers, &sent.numbers), (&newest.chart, &sent.chart)] {
                if newest != sent {
                    self.send(newest.clone()).await?;
                    spoke = Instant::now();
                }
            }
            sent = newest;
        }
    }

    async fn send(&mut self, bytes: Bytes) -> Option<()> {
        timeout(self.patience, self.sender.send_data(bytes)).await.ok()?.ok()
    }
}
