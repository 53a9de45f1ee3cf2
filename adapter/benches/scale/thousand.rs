//! 1,000 pods of 500 series: what scraping them costs, how old values are, what reads take.

use std::time::Duration;

use sandbox::{apiserver::Handle, client::Client};
use tokio::time::{Instant, interval, sleep};

use crate::{
    INTERVAL, SERIES, bare, cluster,
    farm::{self, Farm},
    podgauge::Podgauge,
    process,
    prometheus::Prometheus,
    reads, served,
    spread::Spread,
};

const PODS: usize = 1_000;
/// Intervals that are measured.
const ROUNDS: usize = 5;
/// Reads of an autoscaler until its rhythm is known.
const LEARNING: u32 = 4;
/// Pods that come late, one after the other.
const NEWCOMERS: usize = 20;

pub(crate) fn run() {
    let farm = Farm::start();
    println!(
        "{PODS} pods of {SERIES} series, {} bytes a page, each every {INTERVAL:?}; medians, and in",
        farm::page().len()
    );
    println!("brackets the least and the most of {ROUNDS} intervals.\n");
    println!("| who | CPU a scrape, us | resident memory, MB |");
    println!("|---|---|---|");
    let rest = podgauge(&farm);
    let bare = bare::run(PODS, farm.port, ROUNDS);
    println!("| a bare socket: pages read and forgotten | {bare} | |");
    prometheus(&farm);
    println!("\n{rest}figure cpu-bare {bare}");
}

fn prometheus(farm: &Farm) {
    let Some(prometheus) = Prometheus::start(PODS, farm.port) else {
        println!("| Prometheus: not on the path | | |");
        return;
    };
    std::thread::sleep(3 * INTERVAL);
    let mut cpu = Spread::default();
    for _ in 0..ROUNDS {
        let before = process::cpu(prometheus.id());
        std::thread::sleep(INTERVAL);
        cpu.push((process::cpu(prometheus.id()) - before).as_secs_f64() * 1e6 / PODS as f64);
    }
    let memory = process::memory(prometheus.id());
    println!("| Prometheus {} | {cpu} | {memory:.0} |", prometheus.version);
    println!("figure cpu-prometheus {cpu}\nfigure memory-prometheus {memory:.0}");
}

/// Prints podgauge's row, and gives the rest of the report.
#[tokio::main(worker_threads = 2)]
async fn podgauge(farm: &Farm) -> String {
    let cluster = cluster::start().await;
    let podgauge = Podgauge::start(&cluster).await;
    sleep(Duration::from_secs(3)).await;
    let idle = process::memory(podgauge.id());
    (0..PODS).for_each(|n| cluster::add_pod(&cluster, n, PODS, farm.port));
    podgauge.knows(PODS).await;
    let client = podgauge.client(&cluster);

    // Without readers pods are spread over the interval; with one they are scraped right before it reads.
    sleep(2 * INTERVAL).await;
    let spread_out = cpu_of_rounds(&podgauge).await;
    println!("| podgauge, nobody reads | {spread_out} | {:.1} |", process::memory(podgauge.id()));
    println!("figure cpu-plain {spread_out}");
    let (ages, aligned) = tokio::join!(autoscaler(&client), async {
        sleep(LEARNING * INTERVAL + INTERVAL / 2).await;
        cpu_of_rounds(&podgauge).await
    });
    let memory = process::memory(podgauge.id());
    println!("| podgauge, an autoscaler reads all pods | {aligned} | {memory:.1} |");
    println!("figure cpu-read {aligned}\nfigure memory {memory:.1}");

    let newcomers = newcomers(&cluster, &client, farm).await;
    let mut rest = format!(
        "Ready {:.2} s after its start; {idle:.1} MB resident when idle. The age of values at an autoscaler's reads: median \
         {:.2} s, worst {:.2} s of {}. From a pod that is there and ready to its value: median {:.2} s, worst {:.2} s of {}.\n\n",
        podgauge.ready_after.as_secs_f64(),
        ages.median(),
        ages.most(),
        ages.len(),
        newcomers.median(),
        newcomers.most(),
        newcomers.len(),
    );
    let ready = podgauge.ready_after.as_secs_f64();
    println!("figure ages {:.2} s, {:.2} s", ages.median(), ages.most());
    println!("figure newcomers {:.2} s, {:.2} s", newcomers.median(), newcomers.most());
    println!("figure idle {idle:.1}\nfigure ready {ready:.2}");
    rest += &served::table(&podgauge, &cluster).await;
    rest
}

/// Reads as an autoscaler does, and says how old values were once it was expected.
async fn autoscaler(client: &Client) -> Spread {
    let mut ages = Spread::default();
    let mut ticks = interval(INTERVAL);
    for read in 0..LEARNING + u32::try_from(ROUNDS).unwrap_or(0) + 1 {
        ticks.tick().await;
        let (_, answer) = reads::timed(client, &reads::list("app=backend")).await;
        let mut here = Spread::default();
        assert_eq!(reads::ages(&answer, &mut here), PODS);
        if read >= LEARNING {
            ages.extend(here);
        }
    }
    ages
}

/// Microseconds of CPU for each scrape, of each interval.
async fn cpu_of_rounds(podgauge: &Podgauge) -> Spread {
    let mut cpu = Spread::default();
    for _ in 0..ROUNDS {
        // Looking at the counters costs something too, and is not what is measured.
        let (scrapes, before) = (podgauge.scrapes().await.good, podgauge.cpu());
        sleep(INTERVAL).await;
        let took = podgauge.cpu() - before;
        cpu.push(took.as_secs_f64() * 1e6 / (podgauge.scrapes().await.good - scrapes));
    }
    cpu
}

/// Adds pods one by one; the seconds until each has a value.
async fn newcomers(cluster: &Handle, client: &Client, farm: &Farm) -> Spread {
    let mut took = Spread::default();
    for n in PODS..PODS + NEWCOMERS {
        let path = reads::one(&cluster::pod_name(n));
        let start = Instant::now();
        cluster::add_pod(cluster, n, PODS, farm.port);
        while client.get(&path).await.unwrap().status() != 200 {
            sleep(Duration::from_millis(5)).await;
        }
        took.push(start.elapsed().as_secs_f64());
        cluster::remove_pod(cluster, n);
    }
    took
}
