//! Which family a sample belongs to, and as what. Settled once the whole page was read, because a `# TYPE` line may
//! come late.

use std::{borrow::Cow, collections::HashMap};

use crate::{Family, FamilyType, Label, Role, Sample};

/// The families of a page by name.
#[derive(Debug, Default)]
pub(crate) struct Families<'a> {
    list: Vec<Family<'a>>,
    by_name: HashMap<Cow<'a, str>, usize>,
    /// So many of the list come from `# TYPE` lines; the others were made up for samples that no such line covers.
    declared: usize,
}

/// What a name alone says about a sample.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Candidate {
    family: usize,
    role: Role,
    /// The label without which the sample is not what its name suggests.
    needs: Option<&'static str>,
}

/// The parts of each type that have a suffix of their own, and the label that they need.
const PARTS: [(&str, FamilyType, Role, Option<&str>); 13] = [
    ("_bucket", FamilyType::Histogram, Role::Bucket, Some("le")),
    ("_sum", FamilyType::Histogram, Role::Sum, None),
    ("_count", FamilyType::Histogram, Role::Count, None),
    ("_created", FamilyType::Histogram, Role::Created, None),
    ("_bucket", FamilyType::GaugeHistogram, Role::Bucket, Some("le")),
    ("_gsum", FamilyType::GaugeHistogram, Role::Sum, None),
    ("_gcount", FamilyType::GaugeHistogram, Role::Count, None),
    ("_sum", FamilyType::Summary, Role::Sum, None),
    ("_count", FamilyType::Summary, Role::Count, None),
    ("_created", FamilyType::Summary, Role::Created, None),
    // OpenMetrics' counters. A page of text names the family with `_total`, which is then the whole name.
    ("_total", FamilyType::Counter, Role::Total, None),
    ("_created", FamilyType::Counter, Role::Created, None),
    ("_info", FamilyType::Info, Role::Info, None),
];

// === impl Families ===

impl<'a> Families<'a> {
    /// Takes in a `# TYPE` line. The last one for a name counts. Comes before all calls of `candidate`.
    pub(crate) fn declare(&mut self, name: Cow<'a, str>, kind: FamilyType) {
        let family = self.find_or_add(name);
        if let Some(family) = self.list.get_mut(family) {
            family.kind = kind;
        }
        self.declared = self.list.len();
    }

    pub(crate) fn len(&self) -> usize {
        self.list.len()
    }

    /// All families, in the order in which they came up.
    pub(crate) fn into_list(self) -> Vec<Family<'a>> {
        self.list
    }

    /// What samples of this one's name are, by the `# TYPE` lines taken in so far.
    pub(crate) fn candidate(&mut self, sample: &Sample<'a>) -> Candidate {
        let name = sample.name.as_ref();
        // A `# TYPE` line for the very name wins over one for a part of it.
        if let Some(&family) = self.by_name.get(name).filter(|family| **family < self.declared) {
            return self.own(family, name);
        }
        // Only the last underscore can start a suffix.
        if let Some(at) = name.rfind('_')
            && let Some((base, suffix)) = name.split_at_checked(at)
            && let Some(&family) = self.by_name.get(base)
            && let Some(kind) = self.list.get(family).map(|family| family.kind)
            && let Some(&(_, _, role, needs)) = PARTS.iter().find(|part| part.0 == suffix && part.1 == kind)
        {
            return Candidate { family, role, needs };
        }
        let family = self.find_or_add(sample.name.clone());
        self.own(family, name)
    }

    /// The family and role of a sample, by what `candidate` said about its name.
    pub(crate) fn settle(
        &mut self,
        candidate: Candidate,
        sample: &Sample<'a>,
        labels: &[Label<'_>],
    ) -> (usize, Role) {
        let lacks = |needed: &str| labels.iter().all(|label| label.name != needed);
        match candidate.needs {
            // Still of the summary, but no quantile.
            Some(needed) if candidate.role == Role::Quantile && lacks(needed) => {
                (candidate.family, Role::Value)
            }
            Some(needed) if lacks(needed) => (self.find_or_add(sample.name.clone()), Role::Value),
            _ => (candidate.family, candidate.role),
        }
    }

    /// What a sample is that carries its family's own name.
    fn own(&self, family: usize, name: &str) -> Candidate {
        let kind = self.list.get(family).map_or(FamilyType::Unknown, |family| family.kind);
        let role = match kind {
            FamilyType::Counter => Role::Total,
            FamilyType::Unknown if name.ends_with("_total") => Role::Total,
            FamilyType::Summary => Role::Quantile,
            FamilyType::Info => Role::Info,
            FamilyType::StateSet => Role::State,
            FamilyType::Unknown | FamilyType::Gauge | FamilyType::Histogram | FamilyType::GaugeHistogram => {
                Role::Value
            }
        };
        Candidate { family, role, needs: (role == Role::Quantile).then_some("quantile") }
    }

    fn find_or_add(&mut self, name: Cow<'a, str>) -> usize {
        let next = self.list.len();
        let family = *self.by_name.entry(name.clone()).or_insert(next);
        if family == next {
            self.list.push(Family { name, kind: FamilyType::Unknown });
        }
        family
    }
}
