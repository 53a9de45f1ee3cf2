//! The report of a run: one HTML page that needs no network and no script.
//!
//! The same record gives the same bytes. Everything that comes from the cluster is escaped.

mod plot;

use super::accounting::Account;
use super::plan::Progress;
use super::record::{Decision, Record, Sample};
use super::table::clock;
use std::fmt::{self, Display, Write as _};

const STYLE: &str = include_str!("report/style.css");

/// A text that is safe between tags and in quoted attributes.
struct Escaped<'a>(&'a str);

/// The page.
pub fn render(record: &Record) -> String {
    let progress = progress(record);
    let (verdict, class) = match &record.missing {
        None => ("The loop has closed.".to_owned(), "good"),
        Some(missing) => (format!("The loop has not closed: {missing}."), "bad"),
    };
    let mut page = format!(
        "<!doctype html>\n<html lang=\"en\">\n<meta charset=\"utf-8\">\n\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n\
         <meta name=\"color-scheme\" content=\"light dark\">\n\
         <title>podgauge: a run of the demo</title>\n<style>\n{STYLE}</style>\n<main>\n\
         <header>\n<p class=\"eyebrow\">podgauge &middot; a run of the demo</p>\n\
         <h1 class=\"{class}\">{}</h1>\n<p class=\"lead\">{}</p>\n</header>\n",
        Escaped(&verdict),
        lead(record),
    );
    page += &tiles(record, &progress);
    page += &plot::figure(record);
    page += &decisions(&record.decisions);
    page += &accounting(record);
    page += "</main>\n</html>\n";
    page
}

/// The part of the run that the page is about: from just before the order.
fn shown(record: &Record) -> impl Iterator<Item = &Sample> {
    record.samples.iter().filter(|sample| sample.at >= -3.0)
}

fn progress(record: &Record) -> Progress {
    let mut progress = Progress::default();
    for sample in record.samples.iter().filter(|sample| sample.at >= 0.0) {
        progress.observe(sample);
    }
    progress
}

fn lead(record: &Record) -> String {
    let pace = match record.pace {
        0 | 1 => "in real time".to_owned(),
        pace => format!(
            "{pace} times as fast as in a cluster: work, scrapes, the autoscaler's periods and its windows shrink together"
        ),
    };
    format!(
        "{} items were ordered at the shop on {}, {}. Each pod shows the length of the queue on its <code>/metrics</code> \
         page; podgauge reads it there and answers the autoscaler, which is told to keep ten orders for each worker. \
         The run went {pace}.",
        record.items,
        Escaped(&record.cluster),
        Escaped(&record.ordered_at)
    )
}

fn tiles(record: &Record, progress: &Progress) -> String {
    let mut ages: Vec<f64> = shown(record).filter_map(|sample| Some(sample.served?.age)).collect();
    ages.sort_by(f64::total_cmp);
    let age = match (ages.get(ages.len() / 2), ages.last()) {
        (Some(median), Some(most)) => {
            (format!("{median:.1} s"), format!("median age of the value; {most:.1} s at most"))
        }
        _ => ("none".to_owned(), "no value was ever served".to_owned()),
    };
    let seconds = |at: Option<f64>| at.map_or_else(|| "never".to_owned(), |at| format!("{at:.0} s"));
    let orders = match &record.account {
        Some(account) => {
            (format!("{} / {}", account.once, account.ordered), "items processed exactly once".to_owned())
        }
        None => ("unknown".to_owned(), "items processed exactly once".to_owned()),
    };
    let back = if progress.closed_at.is_some() { " &rarr; 1" } else { "" };
    let tiles = [
        (format!("1 &rarr; {}{back}", progress.most), "workers".to_owned()),
        orders,
        (seconds(progress.rose_at), "until more than one worker was ready".to_owned()),
        (seconds(progress.drained_at), "until the queue was empty".to_owned()),
        (seconds(progress.closed_at), "until one worker was left".to_owned()),
        age,
    ];
    let tiles: String =
        tiles.iter().map(|(value, label)| format!("<div><dd>{value}</dd><dt>{label}</dt></div>\n")).collect();
    format!("<dl class=\"tiles\">\n{tiles}</dl>\n")
}

fn decisions(decisions: &[Decision]) -> String {
    let mut rows = String::new();
    for (number, decision) in (1..).zip(decisions) {
        let class = if decision.warning { "warning" } else { "normal" };
        // Writing to a String cannot fail.
        let _ = writeln!(
            rows,
            "<tr class=\"{class}\"><td class=\"number\"><b>{number}</b></td><td class=\"time\">{}</td><td>{}</td><td>{}</td></tr>",
            clock(decision.at),
            Escaped(&decision.reason),
            Escaped(&decision.message)
        );
    }
    if rows.is_empty() {
        rows = "<tr><td colspan=\"4\">It recorded no event.</td></tr>\n".to_owned();
    }
    format!(
        "<section>\n<h2>What the autoscaler decided</h2>\n<p>The events that it recorded about itself, by when they were \
         first seen. The numbers are those in the plot.</p>\n<table>\n<thead><tr><th></th><th>time</th><th>reason</th>\
         <th>message</th></tr></thead>\n<tbody>\n{rows}</tbody>\n</table>\n</section>\n"
    )
}

fn accounting(record: &Record) -> String {
    let Some(account) = &record.account else {
        return "<section>\n<h2>What became of the orders</h2>\n<p>They were not counted: the run ended before.</p>\n\
                </section>\n"
            .to_owned();
    };
    let Account { ordered, once, lost, repeated, redelivered, others, workers, interrupted } = account;
    let list = |items: &[String]| match items {
        [] => String::new(),
        items => {
            let shown: Vec<_> = items.iter().take(20).map(|item| Escaped(item).to_string()).collect();
            let more = if items.len() > 20 { ", ..." } else { "" };
            format!("<br><code>{}{more}</code>", shown.join(", "))
        }
    };
    let mut rows = String::new();
    for (count, what, class) in [
        (*ordered, "items ordered and confirmed by the shop".to_owned(), ""),
        (*once, "processed exactly once".to_owned(), if once == ordered { "good" } else { "" }),
        (
            lost.len() as u64,
            format!("lost: in no worker's log{}", list(lost)),
            if lost.is_empty() { "" } else { "bad" },
        ),
        (
            repeated.len() as u64,
            format!("processed more than once without a reason{}", list(repeated)),
            if repeated.is_empty() { "" } else { "bad" },
        ),
        (
            redelivered.len() as u64,
            format!("processed more than once because a worker&rsquo;s end was forced{}", list(redelivered)),
            "",
        ),
        (*others, "items of other orders in the same logs, not judged".to_owned(), ""),
        (*workers, "workers whose logs were read".to_owned(), ""),
        (*interrupted, "of their runs were ended by force or lost the queue".to_owned(), ""),
    ] {
        let _ = writeln!(rows, "<tr class=\"{class}\"><td class=\"count\">{count}</td><td>{what}</td></tr>");
    }
    format!(
        "<section>\n<h2>What became of the orders</h2>\n<p>The shop names an order when it confirms it; its items carry that \
         name and a number. An item counts as processed when a worker&rsquo;s log says <code>worked off</code> with its name, \
         which it says after the queue has confirmed. A second time is let pass only where the log says \
         <code>redelivered=true</code> and some worker&rsquo;s end was forced.</p>\n<table class=\"accounts\">\n<tbody>\n{rows}\
         </tbody>\n</table>\n</section>\n"
    )
}

// === impl Escaped ===

impl Display for Escaped<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.chars().try_for_each(|char| match char {
            '&' => f.write_str("&amp;"),
            '<' => f.write_str("&lt;"),
            '>' => f.write_str("&gt;"),
            '"' => f.write_str("&quot;"),
            '\'' => f.write_str("&#39;"),
            other => f.write_char(other),
        })
    }
}

#[cfg(test)]
mod tests;
