//! How fast pages are read, in MB/s of page text on one core, beside prometheus-parse.
//!
//! `cargo bench -p podgauge-exposition` measures two generated pages; paths after `--` name further pages to measure.
//! Each figure is the median of runs, and in brackets what a tenth of them do not reach and what a tenth exceed. Lines that
//! begin with `figure` repeat a median for a program to read.
#![expect(clippy::print_stdout, reason = "the report is the purpose")]
#![expect(clippy::unwrap_used, reason = "a page that fails to parse has no speed")]

use std::{
    fmt::Write,
    hint::black_box,
    time::{Duration, Instant},
};

use podgauge_exposition::{Format, Limits, Page, Scanner, Template, Values};

/// As podgauge has it: parsing is allocating, too.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() {
    println!("| page | bytes | samples | scan | parse | read | prometheus-parse |");
    println!("|---|---|---|---|---|---|---|");
    measure("500 series", &workload(10));
    measure("1 MB", &workload(245));
    for path in std::env::args().skip(1).filter(|argument| !argument.starts_with("--")) {
        let name = path.rsplit('/').next().unwrap();
        measure(name, &String::from_utf8(std::fs::read(&path).unwrap()).unwrap());
    }
}

/// A page of text as a service writes it: for each of `routes` routes two counters, two gauges, a histogram with 20
/// buckets and their HELP and TYPE lines, and summaries. 50 series and 4 kB a route.
fn workload(routes: usize) -> String {
    let mut page = String::new();
    let mut numbers = 0x9E37_79B9_7F4A_7C15_u64;
    let mut next = |below: u64| {
        numbers ^= numbers << 13;
        numbers ^= numbers >> 7;
        numbers ^= numbers << 17;
        numbers % below
    };
    let paths: Vec<String> = (0..routes).map(|route| format!("/api/v1/resource{route}")).collect();
    let mut family = |name: &str, kind: &str, series: &mut dyn FnMut(&mut String, &str)| {
        writeln!(page, "# HELP {name} What the service says about its {name}.").unwrap();
        writeln!(page, "# TYPE {name} {kind}").unwrap();
        for path in &paths {
            series(&mut page, path);
        }
    };
    family("http_requests_total", "counter", &mut |page, path| {
        for (method, code) in
            [("GET", 200), ("GET", 404), ("POST", 201), ("POST", 500), ("PUT", 200), ("PUT", 409)]
        {
            let value = next(5_000_000);
            writeln!(
                page,
                "http_requests_total{{code=\"{code}\",method=\"{method}\",path=\"{path}\"}} {value}"
            )
            .unwrap();
        }
    });
    for name in ["http_request_duration_seconds", "http_response_size_bytes"] {
        family(name, "histogram", &mut |page, path| {
            let mut count = 0;
            for bound in
                ["0.005", "0.01", "0.025", "0.05", "0.1", "0.25", "0.5", "1", "2.5", "5", "10", "+Inf"]
            {
                count += next(10_000);
                writeln!(page, "{name}_bucket{{method=\"GET\",path=\"{path}\",le=\"{bound}\"}} {count}")
                    .unwrap();
            }
            let sum = next(1 << 52) as f64 / 1e9;
            writeln!(page, "{name}_sum{{method=\"GET\",path=\"{path}\"}} {sum}").unwrap();
            writeln!(page, "{name}_count{{method=\"GET\",path=\"{path}\"}} {count}").unwrap();
        });
    }
    for name in ["db_query_seconds", "cache_lookup_seconds"] {
        family(name, "summary", &mut |page, path| {
            for quantile in ["0.5", "0.9", "0.99"] {
                let value = next(1 << 40) as f64 / 1e12;
                writeln!(page, "{name}{{path=\"{path}\",quantile=\"{quantile}\"}} {value}").unwrap();
            }
            writeln!(page, "{name}_sum{{path=\"{path}\"}} {}", next(1 << 52) as f64 / 1e9).unwrap();
            writeln!(page, "{name}_count{{path=\"{path}\"}} {}", next(1 << 20)).unwrap();
        });
    }
    for name in ["process_resident_memory_bytes", "queue_messages", "worker_busy_ratio", "pool_connections"] {
        family(name, "gauge", &mut |page, path| {
            for state in ["active", "idle"] {
                writeln!(
                    page,
                    "{name}{{path=\"{path}\",state=\"{state}\"}} {}e+06",
                    next(1 << 30) as f64 / 1e6
                )
                .unwrap();
            }
        });
    }
    page
}

fn measure(name: &str, text: &str) {
    let bytes = text.as_bytes();
    let limits = Limits::default();
    let page = Page::parse(bytes, Format::Text, &limits).unwrap();
    let template = Template::of(bytes, &page, Format::Text).unwrap();

    let mut labels = Vec::new();
    let scan = speeds(bytes, || {
        labels = Vec::with_capacity(64);
        let mut scanner = Scanner::new(black_box(bytes), Format::Text, &limits);
        let mut lines = 0;
        while let Some(line) = scanner.next_line(&mut labels) {
            lines += usize::from(line.is_ok());
            labels.clear();
        }
        black_box(lines);
    });
    let parse = speeds(bytes, || {
        black_box(Page::parse(black_box(bytes), Format::Text, &limits).unwrap());
    });
    let mut values = Values::default();
    let read = speeds(bytes, || {
        assert!(template.read(black_box(bytes), &mut values));
    });
    let other = speeds(bytes, || {
        let lines = text.lines().map(|line| Ok(line.to_owned()));
        black_box(prometheus_parse::Scrape::parse(lines).unwrap());
    });
    println!(
        "| {name} | {} | {} | {} | {} | {} | {} |",
        bytes.len(),
        page.samples.len(),
        text_of(scan),
        text_of(parse),
        text_of(read),
        text_of(other)
    );
    for (figure, [_, median, _]) in [("parse", parse), ("read", read), ("prometheus-parse", other)] {
        println!("figure {figure}/{name} {median:.0}");
    }
}

fn text_of([low, median, high]: [f64; 3]) -> String {
    format!("{median:.0} ({low:.0} to {high:.0})")
}

/// MB of a page a second, over half a second of runs: what a tenth of them do not reach, the median, and what a tenth
/// exceed.
fn speeds(bytes: &[u8], mut run: impl FnMut()) -> [f64; 3] {
    let mut times = Vec::new();
    let start = Instant::now();
    while start.elapsed() < Duration::from_millis(500) || times.len() < 10 {
        let before = Instant::now();
        run();
        times.push(before.elapsed());
    }
    times.sort_unstable();
    [9, 5, 1].map(|tenths| bytes.len() as f64 / times[times.len() * tenths / 10].as_secs_f64() / 1e6)
}
