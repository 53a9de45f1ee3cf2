//! Decisions one at a time.

use super::*;

const DAY: Duration = Duration::from_secs(86_400);
const RULES: Rules = Rules { lifetime: Duration::from_secs(90 * 86_400), delay: Duration::from_secs(60) };

fn at(days: u64) -> SystemTime {
    SystemTime::UNIX_EPOCH + Duration::from_secs(1_800_000_000 + days * 86_400)
}

fn make(days: u64) -> Generation {
    Generation::make(&["a.b.svc".to_owned()], DAY * 90, at(days)).unwrap()
}

fn bundle(of: &[&Generation]) -> Bundle {
    let mut bundle = Bundle::default();
    of.iter().for_each(|generation| bundle.add_all(&generation.ca));
    bundle
}

fn view(trusted: &[&Generation], serving: Option<&Generation>, next: Option<&Generation>) -> View {
    let service =
        Service { name: "s".to_owned(), version: "1".to_owned(), bundle: bundle(trusted), is_untidy: false };
    View { services: vec![service], state: State { serving: serving.cloned(), next: next.cloned() } }
}

#[test]
fn the_secret_changes_when_it_should() {
    let start = Instant::now();
    let (one, two, late) = (make(0), make(60), make(61));
    // What is trusted, in the Secret as serving and as next, served here; the day; for how long the next is seen.
    let check = |view: View, served: Option<&Generation>, days: u64, seen: u64, want: Option<Change>| {
        let mut memory = Memory::default();
        served.iter().for_each(|served| memory.serve((*served).clone(), start));
        memory.note(&view, start);
        let clock = start + Duration::from_secs(seen);
        memory.note(&view, clock);
        assert_eq!(change(&view, &memory, RULES, Now { wall: at(days), clock }), want);
    };
    check(view(&[], None, None), None, 0, 0, Some(Change::Start));
    check(view(&[&one], None, None), None, 1, 99, Some(Change::Stage));
    check(view(&[&one], None, None), None, 90, 0, Some(Change::Start));
    check(view(&[&one], None, None), Some(&one), 1, 0, Some(Change::Restore));
    check(view(&[&one], None, None), Some(&one), 90, 0, Some(Change::Start));
    check(view(&[&one, &two], None, Some(&two)), None, 61, 59, None);
    check(view(&[&one, &two], None, Some(&two)), None, 61, 60, Some(Change::Promote));
    check(view(&[&two], None, Some(&two)), None, 61, 0, Some(Change::Promote));
    check(view(&[&one], Some(&one), None), Some(&one), 59, 0, None);
    check(view(&[&one], Some(&one), None), Some(&one), 61, 0, Some(Change::Stage));
    check(view(&[&one], Some(&one), Some(&two)), Some(&one), 61, 99, None);
    check(view(&[&one, &two], Some(&one), Some(&two)), Some(&one), 61, 59, None);
    check(view(&[&one, &two], Some(&one), Some(&two)), None, 61, 60, Some(Change::Promote));
    check(view(&[&one, &two], Some(&two), Some(&one)), Some(&two), 61, 99, Some(Change::Stage));
    check(view(&[&one, &late], Some(&one), Some(&two)), Some(&one), 61, 99, None);
}

#[test]
fn a_bundle_loses_nothing_that_may_be_needed() {
    let start = Instant::now();
    let (old, new, ended) = (make(0), make(60), make(0));
    let check = |view: View,
                 served: Option<&Generation>,
                 days: u64,
                 for_seconds: u64,
                 want: Option<&[&Generation]>| {
        let mut memory = Memory::default();
        served.iter().for_each(|served| memory.serve((*served).clone(), start));
        let now = Now { wall: at(days), clock: start + Duration::from_secs(for_seconds) };
        let step = decide(&view, &memory, RULES, now, false);
        let want = want.map_or(Step::Rest, |want| {
            let publication =
                Publication { service: "s".to_owned(), version: "1".to_owned(), bundle: bundle(want) };
            Step::Publish(vec![publication])
        });
        assert_eq!(step, want);
    };
    check(view(&[], None, None), None, 0, 0, None);
    check(view(&[&old], None, None), None, 0, 0, None);
    check(view(&[], Some(&old), None), None, 0, 0, Some(&[&old]));
    check(view(&[&old], Some(&old), Some(&new)), Some(&old), 60, 99, Some(&[&old, &new]));
    check(view(&[], Some(&new), None), Some(&old), 61, 99, Some(&[&new, &old]));
    // The new one is young, then no longer, and then the old one ends anyway.
    check(view(&[&new, &old], Some(&new), None), Some(&new), 61, 99, None);
    check(view(&[&new, &make(30)], Some(&new), None), Some(&new), 95, 59, None);
    check(view(&[&new, &make(30)], Some(&new), None), Some(&new), 95, 60, Some(&[&new]));
    check(view(&[&new, &ended], Some(&new), None), Some(&new), 91, 0, Some(&[&new]));
}

#[test]
fn nothing_is_served_before_all_trust_it() {
    let start = Instant::now();
    let one = make(0);
    let now = Now { wall: at(1), clock: start };
    let trusting = view(&[&one], Some(&one), None);
    let serve = Step::Serve(one.clone());
    assert_eq!(decide(&trusting, &Memory::default(), RULES, now, true), serve);
    let mut half = trusting.clone();
    half.services.extend(view(&[], None, None).services);
    assert_ne!(decide(&half, &Memory::default(), RULES, now, true), serve);
    // APIServices that are not there stand in nobody's way.
    let nobody = View { services: Vec::new(), ..trusting };
    assert_eq!(decide(&nobody, &Memory::default(), RULES, now, true), serve);
}

#[test]
fn what_is_untidy_is_written_anew() {
    let one = make(0);
    let mut view = view(&[&one], Some(&one), None);
    view.services[0].is_untidy = true;
    let mut memory = Memory::default();
    memory.serve(one, Instant::now());
    let now = Now { wall: at(1), clock: Instant::now() };
    assert!(matches!(decide(&view, &memory, RULES, now, true), Step::Publish(list) if list.len() == 1));
}
