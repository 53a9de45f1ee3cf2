//! What rhythm is worth: scrapes and reads over half an hour of virtual time, under three policies.
//!
//! - **plain**: each pod at its place in the interval, whatever is read;
//! - **aligned**: what podgauge does;
//! - **read-through**: a read scrapes, and waits for it.
//!
//! Virtual time and a fixed seed make every figure exact and the same everywhere. The table is printed by
//! `cargo test -p podgauge-rhythm --test simulation table -- --nocapture`.

mod readers;
mod world;

use readers::{Reader, Scenario, scenarios};
use world::{Outcome, Policy, run};

const POLICIES: [Policy; 3] = [Policy::Plain, Policy::Aligned { per_interval: 1 }, Policy::ReadThrough];

fn outcome(name: &str, policy: Policy) -> Outcome {
    let scenario = scenarios().into_iter().find(|scenario| scenario.name == name).expect("a scenario");
    run(&scenario, policy)
}

#[test]
fn table() {
    println!(
        "| readers | policy | age at the read: median | 90 % | 99 % | worst | scrapes a pod and minute | read waits: median | worst | change to the read that shows it: median | worst |"
    );
    println!("|---|---|---|---|---|---|---|---|---|---|---|");
    for scenario in scenarios() {
        for policy in POLICIES.into_iter().chain(scenario.more_policies.iter().copied()) {
            let outcome = run(&scenario, policy);
            assert!(outcome.reads > 30, "{}: too few reads to speak of", scenario.name);
            println!("| {} | {policy} | {outcome} |", scenario.name);
        }
    }
}

/// The promise of the whole: a value is a second old when the autoscaler reads it, for the price of an old one.
#[test]
fn a_steady_autoscaler_reads_fresh_values_for_the_same_scrapes() {
    for name in [
        "one autoscaler, 15 s",
        "one autoscaler, 1,000 pods",
        "one autoscaler, exact to the grid",
        "one autoscaler, and a script that asks all the time",
    ] {
        let (plain, aligned) =
            (outcome(name, Policy::Plain), outcome(name, Policy::Aligned { per_interval: 1 }));
        assert!(aligned.age(0.5) <= 1.0, "{name}: {aligned}");
        assert!(aligned.age(1.0) <= 2.0, "{name}: {aligned}");
        assert!(
            aligned.scrapes_a_minute <= plain.scrapes_a_minute * 1.001,
            "{name}: {aligned}, plain {plain}"
        );
        assert!(plain.age(0.5) > 5.0, "{name}: there was nothing to win: {plain}");
        // The autoscaler's own period of 15 s, and nothing more.
        assert!(aligned.delay(0.5) <= 8.0 && aligned.delay(1.0) <= 16.0, "{name}: {aligned}");
    }
}

/// An API server may ask another replica each time; none of them hears of the reads that went to the others.
#[test]
fn a_rhythm_is_kept_while_reads_go_elsewhere() {
    for name in
        ["one of two replicas, each read goes to either", "one of three replicas, each read goes to any"]
    {
        let aligned = outcome(name, Policy::Aligned { per_interval: 1 });
        assert!(aligned.age(0.9) <= 1.0, "{name}: {aligned}");
    }
}

/// Whatever readers do, they cost no scrape, and values are not much older than without a rhythm.
#[test]
fn no_reader_costs_scrapes_or_freshness() {
    for scenario in scenarios() {
        let plain = run(&scenario, Policy::Plain);
        let aligned = run(&scenario, Policy::Aligned { per_interval: 1 });
        assert!(
            aligned.scrapes_a_minute <= plain.scrapes_a_minute * 1.02,
            "{}: {} scrapes, plain {}",
            scenario.name,
            aligned.scrapes_a_minute,
            plain.scrapes_a_minute
        );
        // Who reads at random is sometimes taken for somebody else: scrapes that are half an interval early or late, at
        // random, make values a twelfth older.
        assert!(
            aligned.age(0.5) <= plain.age(0.5) * 1.15,
            "{}: median {}, plain {}",
            scenario.name,
            aligned.age(0.5),
            plain.age(0.5)
        );
        // One and a half intervals, and a scrape.
        assert!(aligned.age(1.0) <= 22.5 + scenario.slowest + 0.5, "{}: {aligned}", scenario.name);
    }
}

#[test]
fn more_scrapes_are_spent_only_as_far_as_allowed() {
    for scenario in scenarios() {
        let plain = run(&scenario, Policy::Plain).scrapes_a_minute;
        for per_interval in [2, 4] {
            let aligned = run(&scenario, Policy::Aligned { per_interval }).scrapes_a_minute;
            let allowed = plain * f64::from(per_interval) * 1.02;
            assert!(aligned <= allowed, "{}: {aligned} scrapes, {allowed} allowed", scenario.name);
        }
    }
    // And they buy something where readers have different phases.
    let name = "five autoscalers, overlapping pods";
    let one = outcome(name, Policy::Aligned { per_interval: 1 });
    let four = outcome(name, Policy::Aligned { per_interval: 4 });
    assert!(four.age(0.5) < one.age(0.5) / 2.0, "{four} against {one}");
    // One reader needs no second scrape, however many are allowed.
    let name = "one autoscaler, 15 s";
    let (one, four) = (
        outcome(name, Policy::Aligned { per_interval: 1 }),
        outcome(name, Policy::Aligned { per_interval: 4 }),
    );
    assert!(four.scrapes_a_minute <= one.scrapes_a_minute * 1.02, "{four} against {one}");
}

#[test]
fn the_same_seed_gives_the_same_run() {
    let scenario = Scenario { readers: vec![Reader::noise(7, 3.0)], ..Scenario::of_pods("noise", 3) };
    let policy = Policy::Aligned { per_interval: 1 };
    assert_eq!(run(&scenario, policy).to_string(), run(&scenario, policy).to_string());
}
