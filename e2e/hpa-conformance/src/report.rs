//! What is printed: a line per scenario, and what differs.

use std::fmt;

/// What came of a scenario.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// Each turn was the same.
    Agrees {
        /// How many there were.
        turns: u32,
        /// The controller also did in each step what the scenario expects. It need not where it took turns
        /// between the steps.
        as_written: bool,
    },
    /// A turn was not.
    Differs {
        /// The second of the step.
        at: u32,
        /// Which turn of the scenario, from 1.
        turn: u32,
        /// Each difference in a line.
        differences: Vec<String>,
    },
    /// It was not played.
    Skipped(String),
    /// It could not be played to the end.
    Broken(String),
}

/// What came of all.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Totals {
    agree: u32,
    as_written: u32,
    turns: u32,
    differ: u32,
    skipped: u32,
    broken: u32,
}

// === impl Verdict ===

impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Agrees { turns: 1, .. } => f.write_str("1 turn"),
            Self::Agrees { turns, as_written: true } => write!(f, "{turns} turns"),
            Self::Agrees { turns, as_written: false } => {
                write!(f, "{turns} turns; those between the steps led elsewhere than the file says")
            }
            Self::Differs { at, turn, differences } => {
                write!(f, "in turn {turn}, in the step at {at} s")?;
                differences.iter().try_for_each(|difference| write!(f, "\n           {difference}"))
            }
            Self::Skipped(why) | Self::Broken(why) => f.write_str(why),
        }
    }
}

impl Verdict {
    /// The verdict in a word.
    pub(crate) fn word(&self) -> &'static str {
        match self {
            Self::Agrees { .. } => "agrees",
            Self::Differs { .. } => "DIFFERS",
            Self::Skipped(_) => "skipped",
            Self::Broken(_) => "BROKEN",
        }
    }
}

// === impl Totals ===

impl Totals {
    /// Counts a verdict.
    pub(crate) fn add(&mut self, verdict: &Verdict) {
        match verdict {
            Verdict::Agrees { turns, as_written } => {
                self.agree += 1;
                self.turns += turns;
                self.as_written += u32::from(*as_written);
            }
            Verdict::Differs { turn, .. } => {
                self.differ += 1;
                self.turns += turn;
            }
            Verdict::Skipped(_) => self.skipped += 1,
            Verdict::Broken(_) => self.broken += 1,
        }
    }

    /// Whether something was compared, and nothing differed or broke.
    pub(crate) fn all_agree(self) -> bool {
        self.agree > 0 && self.differ == 0 && self.broken == 0
    }
}

impl fmt::Display for Totals {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { agree, as_written, turns, differ, skipped, broken } = self;
        write!(
            f,
            "{agree} scenarios agree, {as_written} of them also with what they say turn by turn; {differ} differ; \
             {broken} broke off; {skipped} were skipped; {turns} turns were compared"
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_compared_is_no_agreement() {
        let check = |verdicts: &[Verdict], want: bool| {
            let mut totals = Totals::default();
            verdicts.iter().for_each(|verdict| totals.add(verdict));
            assert_eq!(totals.all_agree(), want, "{totals}");
        };
        let agrees = Verdict::Agrees { turns: 2, as_written: true };
        let differs = Verdict::Differs { at: 0, turn: 1, differences: vec!["scale".into()] };
        check(&[], false);
        check(&[Verdict::Skipped("why".into())], false);
        check(std::slice::from_ref(&agrees), true);
        check(&[agrees.clone(), Verdict::Skipped("why".into())], true);
        check(&[agrees.clone(), differs], false);
        check(&[agrees, Verdict::Broken("why".into())], false);
    }
}
