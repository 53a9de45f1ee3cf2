//! Reads over TLS: how long they take, and what they cost podgauge.

use std::{fmt::Write as _, time::Duration};

use sandbox::apiserver::Handle;
use tokio::time::sleep;

use crate::{INTERVAL, SERIES, cluster, farm::Farm, podgauge::Podgauge, reads, spread::Spread};

/// Pods in the part of its own, as many as in `thousand`.
const PODS: usize = 1_000;
/// How long reads of one kind go on, so many times: what else the machine does comes and goes.
const SPAN: Duration = Duration::from_secs(1);
const SPANS: usize = 7;

/// What of a row the summary shows, and as what.
enum Figure {
    Median(&'static str),
    Late(&'static str),
    Cpu(&'static str),
    OfACore(&'static str),
}

#[tokio::main(worker_threads = 2)]
pub(crate) async fn run() {
    let farm = Farm::start();
    let cluster = cluster::start().await;
    (0..PODS).for_each(|n| cluster::add_pod(&cluster, n, PODS, farm.port));
    let podgauge = Podgauge::start(&cluster).await;
    podgauge.knows(PODS).await;
    sleep(INTERVAL).await;
    println!("{PODS} pods of {SERIES} series, scraped every {INTERVAL:?} meanwhile.\n");
    println!("{}", table(&podgauge, &cluster).await);
}

/// A row for each kind of read, and the figures of some.
///
/// CPU and waits are medians of [`SPANS`]. The clients share the processors with podgauge, its pods and the sandbox. So beside the time on the clock stands what
/// podgauge alone needed, and how long it was ready and had to wait for a processor: what the machine added.
pub(crate) async fn table(podgauge: &Podgauge, cluster: &Handle) -> String {
    let mut rows = "| reads over TLS | median, ms | 99 %, ms | podgauge's CPU a read, us | its wait for a processor a read, us \
                    | reads a second of one core |\n|---|---|---|---|---|---|\n"
        .to_owned();
    let direct = podgauge.client(cluster);
    let through = podgauge.aggregated(cluster).await;
    let one = reads::one(&cluster::pod_name(1));
    let [hundred, thousand] = ["service=s3", "app=backend"].map(reads::list);
    let metrics = "/apis/custom.metrics.k8s.io/v1beta2";
    for (what, client, path, readers, figure) in [
        ("one pod", &direct, &*one, 1, Figure::Late("p99-1")),
        ("one pod, through the sandbox's aggregator", &through, &*one, 1, Figure::Median("through-1")),
        ("100 pods", &direct, &*hundred, 1, Figure::Late("p99-100")),
        ("100 pods, eight readers at once", &direct, &*hundred, 8, Figure::OfACore("reads-100")),
        ("100 pods, through the sandbox's aggregator", &through, &*hundred, 1, Figure::Median("through-100")),
        ("1,000 pods", &direct, &*thousand, 1, Figure::Late("p99-1000")),
        (
            "1,000 pods, through the sandbox's aggregator",
            &through,
            &*thousand,
            1,
            Figure::Median("through-1000"),
        ),
        ("the list of metrics", &direct, metrics, 1, Figure::Cpu("discovery-cpu")),
    ] {
        reads::flood(client, path, Duration::from_millis(300)).await;
        let (mut took, mut cpu, mut waited) = (Spread::default(), Spread::default(), Spread::default());
        for _ in 0..SPANS {
            let before = (podgauge.cpu(), podgauge.waited());
            let reads = reads::crowd(client, path, SPAN, readers).await;
            let a_read = |span: Duration| span.as_secs_f64() * 1e6 / reads.len() as f64;
            cpu.push(a_read(podgauge.cpu() - before.0));
            waited.push(a_read(podgauge.waited() - before.1));
            took.extend(reads);
        }
        let (median, late) = (took.median(), took.quantile(0.99));
        let _ = writeln!(
            rows,
            "| {what} | {median:.2} | {late:.2} | {cpu:.0} | {:.0} | {:.0} |",
            waited.median(),
            1e6 / cpu.median()
        );
        match figure {
            Figure::Median(name) => println!("figure {name} {median:.2}"),
            Figure::Late(name) => println!("figure {name} {late:.2}"),
            Figure::Cpu(name) => println!("figure {name} {:.0}", cpu.median()),
            Figure::OfACore(name) => println!("figure {name} {:.0}", 1e6 / cpu.median()),
        }
    }
    rows
}
