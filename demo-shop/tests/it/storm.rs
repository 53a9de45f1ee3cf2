//! kill -9 of stores, workers and the broker at random moments under load, and then the books: every order that was
//! confirmed has been worked on, nothing that was worked off comes back, and only what was in hand is repeated.
//!
//! `STORM_SEED` repeats the choices of a run; when exactly they strike is up to the machine.

use crate::activemq::{ActiveMq, Statistics};
use crate::directory::Directory;
use crate::process::{Shop, command};
use crate::suite::Scene;
use crate::wait::{PATIENCE, until};
use demo_shop::random::Random;
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};
use tokio_util::sync::CancellationToken;

/// Items of every order, so that half an order is seen.
const ITEMS: usize = 8;

/// What each worker does at once.
const CONCURRENCY: [usize; 5] = [1, 1, 1, 2, 3];

/// A broker that can be killed and started again.
trait Broker {
    /// As the shop's setting.
    fn url(&self) -> String;
    fn kill(&mut self);
    fn restart(&mut self);
}

/// The embedded queue in a process of its own, on disk.
struct Embedded {
    shop: Shop,
    directory: Directory,
}

/// What happened to each item, by its id.
#[derive(Clone, Default)]
struct Books(Arc<Mutex<BTreeMap<String, Item>>>);

#[derive(Clone, Copy, Default)]
struct Item {
    begun: usize,
    worked_off: usize,
}

/// What buyers were told.
#[derive(Default)]
struct Told {
    confirmed: Vec<String>,
    /// Orders of which nobody can tell.
    unknown: usize,
}

// === impl Embedded ===

impl Embedded {
    fn start() -> Self {
        let directory = Directory::new("storm");
        let shop = Self::launch(&directory, "127.0.0.1:0");
        Self { shop, directory }
    }

    fn launch(directory: &Directory, listen: &str) -> Shop {
        Shop::start(&[
            ("STORE_ENABLED", "false"),
            ("WORKER_ENABLED", "false"),
            ("QUEUE_LISTEN", listen),
            ("QUEUE_DIRECTORY", directory.setting()),
        ])
    }
}

impl Broker for Embedded {
    fn url(&self) -> String {
        format!("stomp://{}", self.shop.queue.as_deref().expect("it has a queue"))
    }

    fn kill(&mut self) {
        self.shop.kill();
    }

    fn restart(&mut self) {
        let listen = self.shop.queue.clone().expect("it has a queue");
        self.shop = Self::launch(&self.directory, &listen);
    }
}

impl Broker for ActiveMq {
    fn url(&self) -> String {
        format!("stomp://127.0.0.1:{}", ActiveMq::url(self).port)
    }

    fn kill(&mut self) {
        ActiveMq::kill(self);
    }

    fn restart(&mut self) {
        ActiveMq::restart(self);
    }
}

// === impl Books ===

impl Books {
    /// Takes in a line of a worker's log.
    fn enter(&self, event: &Value) {
        let Some(id) = event["order"].as_str() else { return };
        let mut items = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        match event["message"].as_str() {
            Some("working") => items.entry(id.to_owned()).or_default().begun += 1,
            Some("worked off") => items.entry(id.to_owned()).or_default().worked_off += 1,
            _ => {}
        }
    }

    /// Compares with what buyers were told; `repeats` is how many items were in hand at most when something died.
    fn check(&self, told: &Told, repeats: usize) {
        let items = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        for order in &told.confirmed {
            for item in 1..=ITEMS {
                assert!(items.contains_key(&format!("{order}-{item}")), "{order}-{item} is lost");
            }
        }
        let orders: BTreeSet<_> =
            items.keys().filter_map(|id| id.rsplit_once('-')).map(|(order, _)| order).collect();
        assert_eq!(items.len(), orders.len() * ITEMS, "half an order");
        let unconfirmed = orders.len() - told.confirmed.len();
        assert!(unconfirmed <= told.unknown, "{unconfirmed} orders that nobody placed");
        let twice: Vec<_> = items.iter().filter(|(_, item)| item.worked_off > 1).map(|(id, _)| id).collect();
        assert!(twice.is_empty(), "worked off twice: {twice:?}");
        let repeated: usize = items.values().map(|item| item.begun - 1).sum();
        let unheard = items.values().filter(|item| item.worked_off == 0).count();
        eprintln!(
            "{} items, {repeated} repeats, {unheard} confirmations unheard of {repeats} possible",
            items.len()
        );
        assert!(
            repeated + unheard <= repeats,
            "{repeated} repeated and {unheard} unheard, {repeats} were in hand"
        );
    }
}

/// Places orders with one store after the other until told to stop; what was told.
async fn buy(
    stores: Arc<Mutex<Vec<String>>>,
    seed: u64,
    confirmed: Arc<AtomicUsize>,
    stop: CancellationToken,
) -> Told {
    let mut random = Random::new(seed);
    let mut told = Told::default();
    while !stop.is_cancelled() {
        let store = {
            let stores = stores.lock().unwrap_or_else(PoisonError::into_inner);
            stores[random.next_u64() as usize % stores.len()].clone()
        };
        match timeout(PATIENCE, order(&store)).await.expect("an answer") {
            Outcome::Confirmed(order) => {
                confirmed.fetch_add(1, Ordering::Relaxed);
                told.confirmed.push(order);
            }
            Outcome::Refused => {}
            Outcome::Unknown => told.unknown += 1,
        }
        sleep(Duration::from_millis(random.next_u64() % 150)).await;
    }
    told
}

enum Outcome {
    Confirmed(String),
    Refused,
    Unknown,
}

async fn order(store: &str) -> Outcome {
    let Ok(mut stream) = TcpStream::connect(store).await else { return Outcome::Refused };
    let form = format!("quantity={ITEMS}");
    let request = format!(
        "POST /submit HTTP/1.1\r\nHost: shop\r\nAccept: application/json\r\nConnection: close\r\n\
         Content-Type: application/x-www-form-urlencoded\r\nContent-Length: {}\r\n\r\n{form}",
        form.len()
    );
    let mut answer = String::new();
    let exchanged = async {
        stream.write_all(request.as_bytes()).await?;
        stream.read_to_string(&mut answer).await
    };
    if exchanged.await.is_err() {
        return Outcome::Unknown;
    }
    match answer.get(9..12) {
        Some("200") => {
            let (_, body) = answer.split_once("\r\n\r\n").expect("a body");
            let body: Value = serde_json::from_str(body).expect("JSON");
            Outcome::Confirmed(body["order"].as_str().expect("an order").to_owned())
        }
        Some("503" | "429") => Outcome::Refused,
        _ => Outcome::Unknown,
    }
}

/// Two stores, five workers, four buyers, and one death after the other.
async fn storm(mut broker: impl Broker, deaths: usize, broker_dies_of: u64) {
    let seed = std::env::var("STORM_SEED").ok().and_then(|seed| seed.parse().ok());
    let seed = seed.unwrap_or_else(|| Random::from_entropy().next_u64());
    eprintln!("STORM_SEED={seed}");
    let mut random = Random::new(seed);
    let url = broker.url();
    // No connection ends because somebody was slow: that would be a death that nobody counts.
    let steady = ("BROKER_HEART_BEAT", "5m");
    let store = || {
        let settings =
            [("WORKER_ENABLED", "false"), ("SUBMIT_RATE", "0"), ("ACTIVEMQ_BROKER_URL", &url), steady];
        Shop::start(&settings)
    };
    let books = Books::default();
    let worker = |concurrency: usize| {
        let (books, concurrency) = (books.clone(), concurrency.to_string());
        let settings = [
            ("STORE_ENABLED", "false"),
            ("WORK_DURATION", "3ms"),
            ("WORKER_CONCURRENCY", &concurrency),
            // No order is to be put aside, however unlucky it is.
            ("WORKER_MAX_TRIES", "1000"),
            ("LOG_LEVEL", "info,demo_shop::worker=debug"),
            ("ACTIVEMQ_BROKER_URL", &url),
            steady,
        ];
        Shop::start_watched(command(), &settings, move |event| books.enter(event))
    };
    let mut stores = [store(), store()];
    let mut workers = CONCURRENCY.map(worker);
    let addresses = Arc::new(Mutex::new(stores.iter().map(|store| store.http.clone()).collect::<Vec<_>>()));
    let stop = CancellationToken::new();
    let confirmed = Arc::new(AtomicUsize::new(0));
    let mut buyers = JoinSet::new();
    for _ in 0..4 {
        let confirmed = Arc::clone(&confirmed);
        buyers.spawn(buy(Arc::clone(&addresses), random.next_u64(), confirmed, stop.clone()));
    }
    // Each death comes in the middle of business: some orders and a moment after the one before.
    let strike = async |random: &mut Random| {
        let enough = confirmed.load(Ordering::Relaxed) + 1 + random.next_u64() as usize % 8;
        let business = async || (confirmed.load(Ordering::Relaxed) >= enough).then_some(());
        until("business", business).await;
        sleep(Duration::from_millis(random.next_u64() % 100)).await;
    };
    let mut repeats = 0;
    for _ in 0..deaths {
        strike(&mut random).await;
        match random.next_u64() % broker_dies_of {
            0 => {
                broker.kill();
                repeats += CONCURRENCY.iter().sum::<usize>();
                sleep(Duration::from_millis(random.next_u64() % 200)).await;
                broker.restart();
            }
            number if number % 3 == 0 => {
                let at = random.next_u64() as usize % stores.len();
                stores[at].kill();
                stores[at] = store();
                addresses.lock().unwrap_or_else(PoisonError::into_inner)[at].clone_from(&stores[at].http);
            }
            _ => {
                let at = random.next_u64() as usize % workers.len();
                workers[at].kill();
                repeats += CONCURRENCY[at];
                workers[at] = worker(CONCURRENCY[at]);
            }
        }
    }
    // Once more with all of them alive, so that nobody is stuck.
    strike(&mut random).await;
    stop.cancel();
    let mut told = Told::default();
    for mut one in buyers.join_all().await {
        told.confirmed.append(&mut one.confirmed);
        told.unknown += one.unknown;
    }
    eprintln!("{} orders confirmed, {} unknown", told.confirmed.len(), told.unknown);
    for shop in stores.iter().chain(&workers) {
        shop.until_ready().await;
    }
    let (depth, _guard) = Scene::new(&url.parse().unwrap(), "mainQueue").depth(|_| {});
    until("an empty queue", async || depth.read().await.filter(|reading| reading.messages == 0)).await;
    // Their logs end with them, and are read to the end.
    for worker in &mut workers {
        assert!(worker.terminate().await.success());
    }
    until("the last lines of the logs", async || (Arc::strong_count(&books.0) == 1).then_some(())).await;
    books.check(&told, repeats);
}

#[tokio::test(flavor = "multi_thread")]
async fn kill_minus_nine_loses_no_order_of_the_embedded_queue() {
    storm(Embedded::start(), 16, 4).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn kill_minus_nine_loses_no_order_of_activemq() {
    let Some(broker) = ActiveMq::start(Statistics::Whole) else { return };
    storm(broker, 7, 6).await;
}
