//! 10,000 pods of 500 series, while they come and go and are read.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use sandbox::{apiserver::Handle, client::Client};
use tokio::{
    runtime::Builder,
    task::spawn_blocking,
    time::{Instant, MissedTickBehavior, interval_at, sleep},
};

use crate::{
    INTERVAL, SERIES, cluster,
    farm::{self, Farm},
    podgauge::Podgauge,
    process, reads,
    spread::Spread,
};

const PODS: usize = 10_000;
/// Pods that go, and as many that come, in each second.
const CHURN: usize = 100;
/// Services, each with an autoscaler.
const SERVICES: u32 = 10;

/// What was seen of podgauge while it ran.
#[derive(Default)]
struct Seen {
    cores: Spread,
    cpu: Spread,
    memory: Spread,
    descriptors: Spread,
    good: f64,
    /// Scrapes that failed, by reason.
    failed: BTreeMap<String, f64>,
}

#[tokio::main(worker_threads = 2)]
pub(crate) async fn run(minutes: u32) {
    let farm = Farm::start();
    let cluster = Arc::new(cluster::start().await);
    (0..PODS).for_each(|n| cluster::add_pod(&cluster, n, PODS, farm.port));
    let podgauge = Podgauge::start(&cluster).await;
    podgauge.knows(PODS).await;
    sleep(2 * INTERVAL).await;
    let calm = process::memory(podgauge.id());

    let end = Instant::now() + Duration::from_secs(60) * minutes;
    let [autoscaler, prober] = [podgauge.client(&cluster), podgauge.client(&cluster)];
    let (churned, seen, ages, probes) = tokio::join!(
        churn(Arc::clone(&cluster), farm.port, end),
        watch(&podgauge, end),
        apart(async move { autoscalers(&autoscaler, end).await }),
        apart(async move { probe(&prober, end).await }),
    );
    let [few, many] = probes;
    println!(
        "{PODS} pods of {SERIES} series, {} bytes a page, each every {INTERVAL:?}, for {minutes} min, in which \
         {churned:.0} pods went and as many came each second, {SERVICES} autoscalers read 1,000 pods each every 15 s, and others read 100 and \
         1,000 pods at other times. Medians, and in brackets the least and the most of the intervals.\n",
        farm::page().len(),
    );
    println!("| what | seen |");
    println!("|---|---|");
    println!("| ready after the start, with all pods there | {:.1} s |", podgauge.ready_after.as_secs_f64());
    println!("| CPU, cores | {:.2} |", seen.cores);
    println!("| CPU a scrape, all else included, us | {} |", seen.cpu);
    let failed: Vec<String> = seen.failed.iter().map(|(why, count)| format!("{count:.0} ({why})")).collect();
    let failed = if failed.is_empty() { "none".to_owned() } else { failed.join(", ") };
    println!("| scrapes that went well, and that did not | {:.0}, {failed} |", seen.good);
    println!("| resident memory before pods came and went, MB | {calm:.0} |");
    println!("| resident memory, MB | {:.0} |", seen.memory);
    println!("figure memory-large {:.0}", seen.memory);
    println!("| resident memory at its peak, MB | {:.0} |", process::peak_memory(podgauge.id()));
    println!("| file descriptors | {:.0} |", seen.descriptors);
    for (what, took) in [("100 pods", &few), ("1,000 pods", &many)] {
        println!(
            "| reads of {what}, ms: median, 99 %, worst | {:.2}, {:.2}, {:.2} of {} |",
            took.median(),
            took.quantile(0.99),
            took.most(),
            took.len()
        );
    }
    // Rhythms take five rounds to be learned: a short run has no figure.
    if ages.len() > 0 {
        println!(
            "| age of values at the autoscalers' reads, s: median, 99 %, worst | {:.2}, {:.2}, {:.2} |",
            ages.median(),
            ages.quantile(0.99),
            ages.most()
        );
    }
}

/// Replaces the oldest pods until `end`, on a thread of its own: what the API server makes of it must not hold up readers.
/// How many it was in each second; fewer than wanted if the API server cannot keep up.
async fn churn(cluster: Arc<Handle>, port: u16, end: Instant) -> f64 {
    const STEPS: usize = 10;
    let step = Duration::from_secs(1) / u32::try_from(STEPS).unwrap_or(1);
    let replace = move || {
        let start = Instant::now();
        let mut oldest = 0;
        while Instant::now() < end {
            let next = Instant::now() + step;
            for n in oldest..oldest + CHURN / STEPS {
                cluster::remove_pod(&cluster, n);
                cluster::add_pod(&cluster, n + PODS, PODS, port);
            }
            oldest += CHURN / STEPS;
            std::thread::sleep(next.saturating_duration_since(Instant::now()));
        }
        oldest as f64 / start.elapsed().as_secs_f64()
    };
    spawn_blocking(replace).await.unwrap()
}

/// Runs a reader on a thread of its own, for the same reason: it is podgauge's answers that are timed.
async fn apart<T: Send + 'static>(reader: impl Future<Output = T> + Send + 'static) -> T {
    let run = || Builder::new_current_thread().enable_all().build().unwrap().block_on(reader);
    spawn_blocking(run).await.unwrap()
}

/// Looks at podgauge once in each interval.
async fn watch(podgauge: &Podgauge, end: Instant) -> Seen {
    let mut seen = Seen::default();
    let at_first = podgauge.scrapes().await;
    while Instant::now() + INTERVAL <= end {
        let (scrapes, start, before) = (podgauge.scrapes().await, Instant::now(), podgauge.cpu());
        sleep(INTERVAL).await;
        let cpu = (podgauge.cpu() - before).as_secs_f64();
        seen.cores.push(cpu / start.elapsed().as_secs_f64());
        let after = podgauge.scrapes().await;
        seen.cpu.push(cpu * 1e6 / (after.good - scrapes.good));
        seen.memory.push(process::memory(podgauge.id()));
        seen.descriptors.push(process::descriptors(podgauge.id()) as f64);
        seen.good = after.good - at_first.good;
        for (why, count) in after.failed {
            let count = count - at_first.failed.get(&why).unwrap_or(&0.0);
            if count > 0.0 {
                seen.failed.insert(why, count);
            }
        }
    }
    seen
}

/// One for each service, as controllers read: one after the other, at the same places in each interval. How old the values
/// were, from the fifth round on.
async fn autoscalers(client: &Client, end: Instant) -> Spread {
    let mut ages = Spread::default();
    let mut ticks = interval_at(Instant::now(), INTERVAL / SERVICES);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    for read in (0..).take_while(|_| Instant::now() < end) {
        ticks.tick().await;
        let path = reads::list(&format!("service=s{}", read % SERVICES));
        let (_, answer) = reads::timed(client, &path).await;
        if read >= 5 * SERVICES {
            reads::ages(&answer, &mut ages);
        }
    }
    ages
}

/// Reads 100 and 1,000 pods in turn, ten times a second: milliseconds each.
async fn probe(client: &Client, end: Instant) -> [Spread; 2] {
    let mut took = [Spread::default(), Spread::default()];
    for read in (0..).take_while(|_| Instant::now() < end) {
        let path =
            if read % 2 == 0 { reads::list("sample=true") } else { reads::list("service=s5,app=backend") };
        took[read % 2].push(reads::timed(client, &path).await.0);
        sleep(Duration::from_millis(100)).await;
    }
    took
}
